//! Figures beside what they should be: printed, and kept in a section of their own of a page that others write, too.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const HEADING: &str = "## The fleet\n";
/// What people wrote about the figures, below them.
const SAID: &str = "\n### ";
const NEXT: &str = "\n## ";

#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
    load: String,
}

#[derive(Clone, Debug)]
struct Row {
    what: String,
    measured: String,
    reach: String,
}

impl Table {
    pub fn new() -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default().to_owned();
        Self { rows: Vec::new(), load }
    }

    /// Says a figure as soon as it is known.
    pub fn row(&mut self, what: &str, measured: &str, reach: &str) {
        println!("{what}: {measured}; reach: {}", if reach.is_empty() { "none" } else { reach });
        self.rows.push(Row { what: what.to_owned(), measured: measured.to_owned(), reach: reach.to_owned() });
    }

    /// Puts the section in place of the one that the page has, or at its end; all else on the page stays.
    pub fn keep(&self, page: &Path) -> std::io::Result<()> {
        let told = std::fs::read_to_string(page).unwrap_or_else(|_| "# Benchmarks\n".to_owned());
        std::fs::write(page, placed(&told, &self.section()))
    }

    fn section(&self) -> String {
        let mut text = format!(
            "{HEADING}\nWritten by `make bench-fleet` (`tests/src/bench`).\n\n- machine: {}; load at the start {}\n- {}; {}; \
             date {}\n\n| what | measured | reach |\n|---|---|---|\n",
            machine(),
            self.load,
            said_by("redis-server", "--version").split(" sha").next().unwrap_or_default(),
            rabbit(),
            said_by("date", "+%Y-%m-%d"),
        );
        for Row { what, measured, reach } in &self.rows {
            writeln!(text, "| {what} | {measured} | {reach} |").expect("a string takes any text");
        }
        text
    }
}

fn placed(page: &str, section: &str) -> String {
    let Some(from) = page.find(HEADING) else { return format!("{}\n\n{section}", page.trim_end()) };
    let after = &page[from..];
    let end = after.find(NEXT).map_or(after.len(), |end| end + 1);
    let said = after[..end].find(SAID).map_or("", |said| &after[said..end]);
    let rest = if said.is_empty() && end < after.len() { "\n" } else { "" };
    format!("{}{section}{said}{rest}{}", &page[..from], &after[end..])
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("unknown");
    format!("{cores} cores, {model}, {}", said_by("uname", "-sr"))
}

fn rabbit() -> String {
    let version = said_by_all("dpkg-query", &["-W", "-f=${Version}", "rabbitmq-server"]);
    format!("RabbitMQ {}", version.unwrap_or_else(|| "of unknown version".to_owned()))
}

fn said_by(program: &str, word: &str) -> String {
    said_by_all(program, &[word]).unwrap_or_default()
}

fn said_by_all(program: &str, words: &[&str]) -> Option<String> {
    let output = Command::new(program).args(words).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::placed;

    #[test]
    fn a_section_comes_in_place_of_the_last_and_what_people_said_of_it_stays() {
        const NEW: &str = "## The fleet\n\nnew\n";
        assert_eq!(placed("# B\n\nold\n", NEW), "# B\n\nold\n\n## The fleet\n\nnew\n");
        assert_eq!(placed("# B\n\n## The fleet\n\nold\n", NEW), "# B\n\n## The fleet\n\nnew\n");
        let page = "# B\n\n## The fleet\n\nold\n\n### Why\n\nso\n\n## More\n\nx\n";
        assert_eq!(placed(page, NEW), "# B\n\n## The fleet\n\nnew\n\n### Why\n\nso\n\n## More\n\nx\n");
        let page = "# B\n\n## The fleet\n\nold\n\n## More\n\nx\n";
        assert_eq!(placed(page, NEW), "# B\n\n## The fleet\n\nnew\n\n## More\n\nx\n");
    }
}
