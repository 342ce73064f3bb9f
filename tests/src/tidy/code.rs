//! Rust text with its comments and literals blanked out, line for line, so that words can be looked for in code alone.

use std::ops::Range;

/// A file's code: as long as the text, with spaces for what is comment or literal.
pub struct Code {
    pub lines: Vec<String>,
}

/// A function's name and its lines, from `fn` to its closing brace, counted from 0.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub lines: Range<usize>,
}

impl Code {
    pub fn of(text: &str) -> Self {
        Self { lines: blank(text).lines().map(str::to_owned).collect() }
    }

    /// Lines without those of `#[cfg(test)]` modules, with their numbers from 1.
    pub fn untested(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.lines.iter().position(|line| line.trim() == "#[cfg(test)]").unwrap_or(self.lines.len());
        self.lines[..end].iter().enumerate().map(|(at, line)| (at + 1, line.as_str()))
    }

    pub fn functions(&self) -> Vec<Function> {
        let starts = self.lines.iter().enumerate().filter_map(|(at, line)| Some((at, name_after(line, "fn ")?)));
        starts.filter_map(|(at, name)| Some(Function { name, lines: at..self.body_end(at)? + 1 })).collect()
    }

    /// The line on which the first brace opened from `from` on is closed; none for a declaration without a body.
    fn body_end(&self, from: usize) -> Option<usize> {
        let mut depth = 0_i32;
        for (at, line) in self.lines.iter().enumerate().skip(from) {
            for letter in line.chars() {
                match letter {
                    ';' if depth == 0 && !line.contains('[') => return None,
                    '{' => depth += 1,
                    '}' if depth == 1 => return Some(at),
                    '}' => depth -= 1,
                    _ => {}
                }
            }
        }
        None
    }
}

/// The identifier after `keyword` on this line.
pub(super) fn name_after(line: &str, keyword: &str) -> Option<String> {
    let at = line.find(keyword)?;
    let before = line[..at].chars().next_back();
    if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_') {
        return None;
    }
    let name: String = line[at + keyword.len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// Whether `word` stands in the line as a word of its own.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    let part = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

fn blank(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < letters.len() {
        let end = literal_end(&letters, at).unwrap_or(at);
        if end == at {
            out.push(letters[at]);
            at += 1;
            continue;
        }
        out.extend(letters[at..end].iter().map(|&letter| if letter == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    out
}

/// Where the comment or literal that begins at `at` ends, if one does.
fn literal_end(letters: &[char], at: usize) -> Option<usize> {
    let next = |n: usize| letters.get(at + n).copied().unwrap_or('\n');
    match letters[at] {
        '/' if next(1) == '/' => Some(at + letters[at..].iter().take_while(|&&letter| letter != '\n').count()),
        '/' if next(1) == '*' => Some(block_comment_end(letters, at)),
        '"' => Some(string_end(letters, at + 1)),
        'r' if !joins(letters, at) && (next(1) == '"' || next(1) == '#') => raw_string_end(letters, at + 1),
        '\'' if next(1) == '\\' => Some(at + 3 + letters[at + 3..].iter().take_while(|&&l| l != '\'').count() + 1),
        '\'' if next(2) == '\'' => Some(at + 3),
        _ => None,
    }
}

/// Whether the letter before belongs to a name that goes on here (`b` and `c` may begin a literal, too).
fn joins(letters: &[char], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|at| letters[at]) else { return false };
    (before.is_alphanumeric() || before == '_') && before != 'b' && before != 'c'
}

fn block_comment_end(letters: &[char], at: usize) -> usize {
    let (mut depth, mut here) = (0, at);
    while here < letters.len() {
        match (letters[here], letters.get(here + 1)) {
            ('/', Some('*')) => (depth, here) = (depth + 1, here + 2),
            ('*', Some('/')) => (depth, here) = (depth - 1, here + 2),
            _ => here += 1,
        }
        if depth == 0 {
            break;
        }
    }
    here
}

fn string_end(letters: &[char], from: usize) -> usize {
    let mut here = from;
    while here < letters.len() && letters[here] != '"' {
        here += if letters[here] == '\\' { 2 } else { 1 };
    }
    (here + 1).min(letters.len())
}

fn raw_string_end(letters: &[char], from: usize) -> Option<usize> {
    let hashes = letters[from..].iter().take_while(|&&letter| letter == '#').count();
    if letters.get(from + hashes) != Some(&'"') {
        return None;
    }
    let mut here = from + hashes + 1;
    while here < letters.len() {
        let closes =
            letters[here] == '"' && letters[here + 1..].iter().take(hashes).filter(|&&l| l == '#').count() == hashes;
        here += 1;
        if closes {
            return Some(here + hashes);
        }
    }
    Some(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_line_for_line() {
        let text =
            "let a = \"f64 \\\" //\"; // f64\nlet b = r#\"x \" y\"#; /* f64\n */ let c: char = '\"'; let d: &'a f64;";
        let code = Code::of(text);
        assert_eq!(code.lines.len(), 3);
        assert_eq!(code.lines.iter().filter(|line| has_word(line, "f64")).count(), 1);
        assert!(code.lines[2].ends_with("let d: &'a f64;"), "{:?}", code.lines[2]);
    }

    #[test]
    fn a_function_ends_at_its_own_brace() {
        let text = "fn a() {\n    if x {\n    }\n}\n\npub(crate) async fn b(\n    x: u8,\n) -> u8 {\n    1\n}\ntrait T {\n    fn c();\n}\n";
        let found = Code::of(text).functions();
        assert_eq!(found[0], Function { name: "a".into(), lines: 0..4 });
        assert_eq!(found[1], Function { name: "b".into(), lines: 5..10 });
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("x: f64,", "f64") && !has_word("as_f64()", "f64") && !has_word("f64x2", "f64"));
    }
}
