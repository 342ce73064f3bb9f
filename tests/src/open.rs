//! Cases that are known to fail, each with its reason: shown in every run, counted by nobody as proven.

/// A part of a case's name and why the cases with it fail.
pub struct Open {
    part: String,
    pub reason: String,
}

/// Lines of `part-of-name reason`.
pub fn read(text: &str) -> Vec<Open> {
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let open = |line: &str| {
        let (part, reason) = line.split_once(' ').unwrap_or_else(|| panic!("not `part-of-name reason`: {line:?}"));
        Open { part: part.to_owned(), reason: reason.trim().to_owned() }
    };
    lines.map(open).collect()
}

/// The reason for which the case of this name is known to fail: all words of its line's first column are in it.
pub fn reason<'a>(open: &'a [Open], name: &str) -> Option<&'a str> {
    let holds = |one: &&Open| one.part.split('+').all(|part| name.contains(part));
    open.iter().find(holds).map(|one| one.reason.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_open_only_by_all_parts_of_its_line() {
        let open = read("# why\nh264-field+ts:: sound is lost\n");
        assert_eq!(reason(&open, "core::h264-field::ts::25"), Some("sound is lost"));
        assert_eq!(reason(&open, "core::h264-field::mp4::25"), None);
    }
}
