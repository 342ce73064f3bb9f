//! docs/CONFIG.md, made of the table of keys.

use super::keys::{Count, SECTIONS, Section};

const HEAD: &str = "\
# Configuration of a fleet

`framefleet coordinator`, `worker` and `bridge` read one configuration, in five layers, the later over the earlier; a \
bridge needs `[broker]` and `[bridge]` alone, and `framefleet serve` has store, broker, work objects and scratch folders of \
its own:

1. the defaults below,
2. `/etc/framefleet/framefleet.toml`, if it is there,
3. the file named by `--config FILE`,
4. the environment: `FRAMEFLEET__STORE__URL` is `url` of `[store]`, `FRAMEFLEET__STORAGE__0__SECRET` is `secret` of the \
first `[[storage]]`, lists stand there with commas between their parts,
5. flags, such as `--store URL`.

`--check-config` prints what comes out of it, without its secrets and with where each value came from, or says what is \
wrong and ends with code 64. Keys that are not listed here are refused. A sample is `deploy/config/framefleet.toml`.

This page is made of the table in the code (`UPDATE=1 cargo test -p framefleet --test config` writes it).
";

pub fn text() -> String {
    SECTIONS.iter().fold(HEAD.to_owned(), |text, section| text + &section_text(section))
}

fn section_text(section: &Section) -> String {
    let name = match section.count {
        Count::One => format!("[{}]", section.name),
        Count::Any => format!("[[{}]]", section.name),
    };
    let head =
        format!("\n## `{name}`\n\n{}\n\n| key | default | unit | what it is |\n|---|---|---|---|\n", section.what);
    let rows = section.keys.iter().map(|key| {
        let default = if key.default == "\"\"" { "not set".to_owned() } else { format!("`{}`", key.default) };
        format!("| `{}` | {default} | {} | {} |\n", key.name, key.unit, key.what)
    });
    rows.fold(head, |text, row| text + &row)
}
