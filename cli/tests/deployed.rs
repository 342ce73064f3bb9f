//! The configurations that manifests and the compose file mount are what a fleet takes: where their secrets lie as files.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use framefleet_cli::config::{self, Told};

const PLACES: [&str; 2] = ["/etc/framefleet/secrets", "/run/secrets"];
const HASH: &str = "c7d15fc083526015f30d752592b0d5c55848e393f603c1cdb4a3d44d8cbe365f";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Coordinator,
    /// It asks nobody for tokens, and is given none.
    Worker,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What a secret's file holds, by the key that names it.
fn content(key: &str, name: &str) -> String {
    match key {
        "url_file" if name.contains("store") => "redis://fleet:secret@redis:6379/0".to_owned(),
        "url_file" => "amqp://fleet:secret@rabbitmq:5672/framefleet".to_owned(),
        "tokens_file" => format!("laptop scopes=admin sha256={HASH}"),
        "key_id_file" | "secret_file" => "secret".to_owned(),
        other => panic!("{other} is no key of a secret"),
    }
}

/// The text with its secrets in the folder, and those written there that are mounted for the role.
fn with_secrets(text: &str, folder: &Path, role: Role) -> String {
    let lines = text.lines().map(|line| {
        let Some((key, value)) = line.split_once(" = ") else { return line.to_owned() };
        let path = value.trim_matches('"');
        let Some(place) = PLACES.iter().find(|place| path.starts_with(**place)) else { return line.to_owned() };
        let name = path[place.len() + 1..].replace('/', "-");
        if role == Role::Coordinator || key != "tokens_file" {
            std::fs::write(folder.join(&name), content(key, &name)).unwrap();
        }
        format!("{key} = {:?}", folder.join(&name))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_mounted_is_taken() {
    let mounted = [
        "k8s/base/framefleet.toml",
        "k8s/overlays/dev/framefleet.toml",
        "k8s/overlays/prod/framefleet.toml",
        "k8s/overlays/ack/framefleet.toml",
        "deploy/compose/framefleet.toml",
    ];
    for name in mounted {
        let folder = tempfile::tempdir().unwrap();
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        let told = mounted_for(Role::Coordinator, &text, folder.path());
        let loaded = config::load_coordinator(&told).unwrap_or_else(|fault| panic!("{name}: {fault}")).config;
        assert_eq!(loaded.config.coordinator.listen.to_string(), "0.0.0.0:8080", "{name}");
        if text.contains("[[bridge.queues]]") {
            config::load_bridge(&told).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        }
        let folder = tempfile::tempdir().unwrap();
        let told = mounted_for(Role::Worker, &text, folder.path());
        config::load(&told).unwrap_or_else(|fault| panic!("{name}, for a worker: {fault}"));
        let refused = config::load_coordinator(&told).unwrap_err();
        assert!(refused.message.contains("tokens_file"), "{name}: {refused}");
    }
}

fn mounted_for(role: Role, text: &str, folder: &Path) -> Told {
    let file = folder.join("framefleet.toml");
    std::fs::write(&file, with_secrets(text, folder, role)).unwrap();
    Told { system: folder.join("none.toml"), file: Some(file), environment: Vec::new(), flags: Vec::new() }
}

#[test]
fn the_tokens_that_are_mounted_are_one() {
    let line = std::fs::read_to_string(root().join("deploy/compose/secrets/api_tokens")).unwrap();
    assert_eq!(line, std::fs::read_to_string(root().join("k8s/overlays/dev/tokens")).unwrap());
    assert_eq!(line.trim(), content("tokens_file", ""));
}
