//! Who may depend on whom: the table of ARCHITECTURE.md, held to every manifest and to every path in the code.

use super::code::has_word;
use super::{Code, Fault, File, Tree};

/// Each package's folder with the packages of ours that it may name.
const MAY_NAME: [(&str, &[&str]); 11] = [
    ("common/model", &[]),
    // its tests try the facts of conformance on each adapter
    ("common", &["framefleet-model", "framefleet-conformance"]),
    ("conformance", &["framefleet-common", "framefleet-model"]),
    ("jail", &["framefleet-model"]),
    ("media", &["framefleet-jail", "framefleet-model"]),
    ("coordinator", &["framefleet-common", "framefleet-model"]),
    ("worker", &["framefleet-common", "framefleet-model"]),
    ("bridge", &["framefleet-common", "framefleet-model"]),
    ("steps", &["framefleet-common", "framefleet-model"]),
    (
        "cli",
        &[
            "framefleet-common",
            "framefleet-model",
            "framefleet-conformance",
            "framefleet-jail",
            "framefleet-media",
            "framefleet-coordinator",
            "framefleet-worker",
            "framefleet-bridge",
            "framefleet-steps",
        ],
    ),
    // the whole product; nothing may name the tests
    ("tests", &["framefleet-common", "framefleet-model", "framefleet-coordinator", "framefleet-worker"]),
];

/// A crate of others and the only folder that may name it.
const HOME_OF: [(&str, &str); 16] = [
    ("gst", "media/"),
    ("gst_app", "media/"),
    ("gst_audio", "media/"),
    ("gst_base", "media/"),
    ("gst_video", "media/"),
    ("landlock", "jail/"),
    ("seccompiler", "jail/"),
    ("rusqlite", "common/src/adapters/sqlite"),
    ("redis", "common/src/adapters/redis"),
    ("lapin", "common/src/adapters/amqp"),
    ("reqsign_aliyun_oss", "common/src/adapters/alibaba.rs"),
    ("sqlx", "steps/src/sql.rs"),
    ("reqsign_core", "common/src/adapters/alibaba.rs"),
    ("opentelemetry", "common/src/adapters/otlp"),
    ("opentelemetry_otlp", "common/src/adapters/otlp"),
    ("opentelemetry_sdk", "common/src/adapters/otlp"),
];

/// Plays any other program on the same server, as tests do.
const OTHER_SIDE: &str = "conformance/src/foreign.rs";

pub const TABLE: &str = "dependency-table";
pub const HOMES: &str = "crate-homes";

/// Packages of ours that a manifest names without being allowed to.
pub fn table(tree: &Tree) -> Vec<Fault> {
    let manifests = tree.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    manifests.flat_map(manifest).collect()
}

fn manifest(file: &File) -> Vec<Fault> {
    let folder = file.path.trim_end_matches("/Cargo.toml");
    let Some((_, may)) = MAY_NAME.iter().find(|(package, _)| *package == folder) else {
        return vec![Fault::new(TABLE, file, 1, "this package is not in the table")];
    };
    let mut faults = Vec::new();
    let mut in_dependencies = false;
    for (at, line) in file.text.lines().enumerate() {
        if line.starts_with('[') {
            in_dependencies = line.contains("dependencies");
        }
        let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
        if in_dependencies && name.starts_with("framefleet") && !may.contains(&name) {
            faults.push(Fault::new(TABLE, file, at + 1, format!("{folder} may not depend on {name}")));
        }
    }
    faults
}

/// Paths into a crate outside of its home, as in `gst::init()` or `use rusqlite::…`. Tests may play the other side.
pub fn homes(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in tree.rust().filter(|file| !file.is_test() && file.path != OTHER_SIDE) {
        let code = Code::of(&file.text);
        for (name, home) in HOME_OF.iter().filter(|(_, home)| !file.path.starts_with(home)) {
            for (at, line) in code.lines.iter().enumerate().filter(|(_, line)| names_crate(line, name)) {
                faults.push(Fault::new(HOMES, file, at + 1, format!("{name} belongs to {home}: {}", line.trim())));
            }
        }
    }
    faults
}

fn names_crate(line: &str, name: &str) -> bool {
    has_word(line, name)
        && (line.contains(&format!("{name}::")) || line.trim_start().starts_with("use "))
        && !line.contains(&format!("::{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_names_the_coordinator_is_found() {
        let text = "[package]\nname = \"x\"\n\n[dependencies]\nframefleet-coordinator = { workspace = true }\n";
        assert_eq!(table(&Tree::with("worker/Cargo.toml", text)).len(), 1);
        assert_eq!(table(&Tree::with("cli/Cargo.toml", text)), []);
        assert_eq!(table(&Tree::with("helpers/Cargo.toml", text)).len(), 1, "an unknown package");
    }

    #[test]
    fn gst_outside_of_media_is_found() {
        assert_eq!(homes(&Tree::with("worker/src/slots.rs", "use gst::prelude::*;\n")).len(), 1);
        assert_eq!(homes(&Tree::with("worker/src/slots.rs", "// gst::init\nlet a = \"gst::x\";\n")), []);
        assert_eq!(homes(&Tree::with("media/src/pipe.rs", "use gst::prelude::*;\n")), []);
        assert_eq!(
            homes(&Tree::with("coordinator/src/engine.rs", "let c = rusqlite::Connection::open(p);\n")).len(),
            1
        );
    }
}
