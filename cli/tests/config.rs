//! The configuration of a fleet: its layers, its refusals, its documentation, and what is shown of it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use framefleet_bridge::bridge::Signature;
use framefleet_cli::config::keys::SECTIONS;
use framefleet_cli::config::{
    self, Addressing, Config, CoordinatorRole, Credentials, Endpoint, Flag, StoreServer, Told, Topology, manual,
};
use framefleet_model::trace::Share;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_framefleet");
const LEAST: &str = "
    [store]\nurl = 'redis://fleet:hunter2@redis/3'
    [broker]\nurl = 'amqp://fleet:hunter2@rabbit/%2f'
    [work]\nurl = 'file:///work'
";

/// A folder with the file `f.toml`.
struct Scene {
    folder: TempDir,
    told: Told,
}

fn scene(text: &str) -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.toml");
    std::fs::write(&file, text).unwrap();
    let system = folder.path().join("system.toml");
    let told = Told { system, file: Some(file), environment: Vec::new(), flags: Vec::new() };
    Scene { folder, told }
}

impl Scene {
    fn environment(mut self, name: &str, value: &str) -> Self {
        self.told.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn flag(mut self, name: &'static str, key: &str, value: &str) -> Self {
        self.told.flags.push(Flag { name, key: key.to_owned(), value: value.to_owned() });
        self
    }

    fn with(self, name: &str, text: &str) -> Self {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    #[track_caller]
    fn config(&self) -> Config {
        self.role().config
    }

    #[track_caller]
    fn role(&self) -> CoordinatorRole {
        config::load_coordinator(&self.told).unwrap().config
    }

    /// The refusal, in which `DIR` stands for the folder.
    #[track_caller]
    fn refusal(&self) -> String {
        let fault = config::load_coordinator(&self.told).unwrap_err();
        assert_eq!(fault.kind.exit_code(), 64);
        fault.message.replace(self.folder.path().to_str().unwrap(), "DIR")
    }
}

#[track_caller]
fn refused(text: &str, message: &str) {
    assert_eq!(scene(&format!("{LEAST}{text}")).refusal(), message);
}

fn slots(config: &Config) -> Vec<(String, usize)> {
    config.worker.slots.iter().map(|(class, count)| (class.to_string(), *count)).collect()
}

#[test]
fn later_layers_win_key_by_key() {
    let scene = scene(&format!("{LEAST}[worker]\nslots = {{ standard = 3, huge = 1 }}\ngrace = '1m'\n"))
        .with("system.toml", "[worker]\ngrace = '5m'\nname = 'w'\n[coordinator]\nmerge_slots = 7\n")
        .environment("FRAMEFLEET__WORKER__SLOTS__STANDARD", "4")
        .environment("FRAMEFLEET__COORDINATOR__MERGE_SLOTS", "8")
        .environment("FRAMEFLEET__BROKER__DECLARE", "true")
        .environment("FRAMEFLEET_LOG", "debug")
        .flag("--merge-slots", "coordinator.merge_slots", "9");
    let config = scene.config();
    let expected = [("huge", 1), ("light", 1), ("long", 1), ("standard", 4)].map(|(c, n)| (c.to_owned(), n));
    assert_eq!(slots(&config), expected);
    assert_eq!((config.worker.grace, config.worker.name.as_str()), (Duration::from_secs(60), "w"));
    assert_eq!((config.coordinator.merge_slots, config.broker.topology), (9, Topology::Declared));
    assert_eq!(config.telemetry.filter.as_deref(), Some("debug"));
}

#[test]
fn the_least_configuration_is_enough() {
    let config = scene(LEAST).config();
    let StoreServer::Known(url) = &config.store.server else { panic!("no sentinels") };
    assert_eq!(url.expose(), "redis://fleet:hunter2@redis/3");
    assert_eq!(config.broker.url.expose(), "amqp://fleet:hunter2@rabbit/%2f");
    assert_eq!(
        (config.limits.lease, config.limits.keep_jobs),
        (Duration::from_secs(30), Duration::from_secs(2_592_000))
    );
    assert!(config.storage.is_empty() && !config.worker.slots.is_empty() && !config.worker.name.is_empty());
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
}

#[test]
fn secrets_come_from_files_too() {
    let scene = scene(
        "
        [store]\nurl_file = 'DIR/store'\nsentinels = ['a:1', 'b:2']\nprimary = 'p'
        [broker]\nurl = 'amqps://rabbit'\n[work]\nurl = 's3://films/work/here'
        [[storage]]\nurl = 's3://films/work/'\nendpoint = 'http://minio:9000'\nhttp = 'plain'
        key_id_file = 'DIR/id'\nsecret_file = 'DIR/secret'\n[[storage]]\nurl = 's3://other'
    ",
    );
    let file = scene.told.file.clone().unwrap();
    let text = std::fs::read_to_string(&file).unwrap().replace("DIR", scene.folder.path().to_str().unwrap());
    std::fs::write(&file, text).unwrap();
    let scene = scene.with("store", "rediss://:hunter2@x\n").with("id", "fleet\n").with("secret", "hunter2\n");
    let config = scene.config();
    let StoreServer::Elected { sentinels, primary, url } = &config.store.server else { panic!("sentinels") };
    assert_eq!((sentinels[1].expose(), primary.as_str(), url.expose()), ("redis://b:2", "p", "rediss://:hunter2@x"));
    let [films, other] = config.storage.as_slice() else { panic!("two") };
    assert_eq!((films.bucket.as_str(), films.prefix.as_str()), ("films", "work"));
    assert_eq!(films.endpoint, Endpoint::Plain("http://minio:9000".into()));
    let Credentials::Key { id, secret } = &films.credentials else { panic!("a key") };
    assert_eq!((id.as_str(), secret.expose()), ("fleet", "hunter2"));
    assert!(matches!((&other.endpoint, &other.credentials), (Endpoint::Provider, Credentials::Machine)));
    let both = scene.environment("FRAMEFLEET__STORAGE__0__SECRET", "another");
    assert_eq!(
        both.refusal(),
        "storage[0].secret_file \"DIR/secret\" contradicts storage[0].secret (environment FRAMEFLEET__STORAGE__0__SECRET) \
         (DIR/f.toml)"
    );
}

#[test]
fn refusals_name_key_value_bound_and_origin() {
    refused(
        "[worker]\ngrace = '30'",
        "worker.grace \"30\" is no duration such as 500ms, 30s, 10m, 24h or 30d (DIR/f.toml)",
    );
    refused("[worker]\ngrace = '1s'", "worker.grace \"1s\" is not within 20s to 1d (DIR/f.toml)");
    refused("[limits]\nbeat = '11s'", "limits.beat \"11s\" is not within 500ms to 10s (DIR/f.toml)");
    refused("[coordinator]\nmerge_slots = 65", "coordinator.merge_slots 65 is not within 0 to 64 (DIR/f.toml)");
    refused("[coordinator]\nmerge_slots = -1", "coordinator.merge_slots -1 is not within 0 to 64 (DIR/f.toml)");
    refused(
        "[coordinator]\nmerge_slots = 'two'",
        "coordinator.merge_slots: string \"two\" is not an integer (DIR/f.toml)",
    );
    refused(
        "[coordinator]\nlisten = '0.0.0.0:80'",
        "coordinator.listen \"0.0.0.0:80\" is not on loopback, such as 127.0.0.1:8080: without api.tokens_file nobody \
         is asked who they are (DIR/f.toml)",
    );
    refused(
        "[api]\nwatchers = 512",
        "api.watchers 512 is not below api.connections 512: nobody else could ask (DIR/f.toml)",
    );
    refused(
        "[api]\ncors_origins = ['https://films.example', '*']",
        "api.cors_origins \"*\" is no origin such as https://films.example or http://localhost:5173, and * would be everybody \
         (DIR/f.toml)",
    );
    refused(
        "[api]\ntokens_file = '/nowhere/tokens'",
        "api.tokens_file tokens file /nowhere/tokens: No such file or directory (os error 2) (DIR/f.toml)",
    );
    refused(
        "[worker]\nslots = { light = 0, standard = 0, long = 0 }",
        "worker.slots.standard leaves no class with a slot, one at least is needed (DIR/f.toml)",
    );
    refused(
        "[worker]\nslots = { light = 'all' }",
        "worker.slots.light \"all\" is neither a whole number nor auto (DIR/f.toml)",
    );
    refused(
        "[worker]\nscratch_bytes_max = '1.5GB'",
        "worker.scratch_bytes_max \"1.5GB\" is no number of bytes such as 8589934592, 512MiB or 64GiB, nor auto (DIR/f.toml)",
    );
    refused("[worker]\nscratch = 'here'", "worker.scratch \"here\" is no absolute path (DIR/f.toml)");
    refused("[sandbox]\nmode = 'on'", "sandbox.mode \"on\" is not one of: best-effort, enforce, off (DIR/f.toml)");
    refused("[telemetry]\nformat = 'xml'", "telemetry.format \"xml\" is not one of: text, json (DIR/f.toml)");
}

#[test]
fn traces_go_where_a_collector_is_with_headers_that_nobody_is_shown() {
    assert!(scene(LEAST).config().traces.is_none());
    let scene = scene(LEAST).with("headers", "authorization: Bearer hunter2\n\nx-scope: films\n");
    let file = scene.folder.path().join("headers").display().to_string();
    let scene = scene
        .environment("FRAMEFLEET__TELEMETRY__TRACES_URL", "http://tempo:4318")
        .environment("FRAMEFLEET__TELEMETRY__TRACES_HEADERS_FILE", &file)
        .environment("FRAMEFLEET__TELEMETRY__TRACES_SHARE", "0.05");
    let traces = scene.config().traces.unwrap();
    assert_eq!((traces.url.as_str(), traces.headers.len()), ("http://tempo:4318/v1/traces", 2));
    assert_eq!((traces.headers[0].1.expose(), traces.share), ("Bearer hunter2", Share::of_millionths(50_000).unwrap()));
    assert!(!format!("{traces:?}").contains("hunter2"));
    let why = "telemetry.traces_url is no URL such as http://tempo:4318; secrets go into telemetry.traces_headers_file (DIR/f.toml)";
    for url in ["tempo:4318", "http://me:secret@tempo", "http://tempo/?key=secret"] {
        refused(&format!("[telemetry]\ntraces_url = '{url}'"), why);
    }
    refused(
        "[telemetry]\ntraces_share = '5 %'",
        "telemetry.traces_share \"5 %\" is no number within 0 to 1, such as 0.05 (DIR/f.toml)",
    );
    let wrong = self::scene(&format!("{LEAST}[telemetry]\ntraces_headers_file = '/dev/null'"));
    assert_eq!(wrong.refusal(), "telemetry.traces_headers_file \"/dev/null\" is empty (DIR/f.toml)");
}

#[test]
fn with_tokens_the_api_may_be_elsewhere_and_a_wrong_file_is_refused() {
    let hash = "0".repeat(64);
    let scene = scene(&format!("{LEAST}[coordinator]\nlisten = '0.0.0.0:80'\n"))
        .with("tokens", &format!("ci scopes=read sha256={hash}\n"));
    let file = scene.folder.path().join("tokens").display().to_string();
    let scene = scene.environment("FRAMEFLEET__API__TOKENS_FILE", &file);
    let role = scene.role();
    assert_eq!(role.config.coordinator.listen, "0.0.0.0:80".parse().unwrap());
    assert!(role.api.tokens.is_some());
    assert!(!format!("{role:?}").contains(&hash), "{role:?}");
    let scene = scene.with("tokens", "ci scopes=read fft_0123456789\n");
    let told = scene.refusal();
    assert!(told.contains("line 1 has a word") && !told.contains("fft_"), "{told}");
}

#[test]
fn unknown_keys_are_refused_wherever_they_stand() {
    refused(
        "[limits]\nleese = '1s'",
        "limits.leese is no key of the configuration, those are: keep_attempts, keep_jobs, lease, beat (DIR/f.toml)",
    );
    refused(
        "[stor]\nx = 1",
        "stor.x is no key of the configuration, those are: store, broker, work, storage, pipelines, triggers, webhooks, \
         databases, cdns, steps, egress, sources, coordinator, api, worker, \
         bridge, bridge.queues, sandbox, telemetry, limits (DIR/f.toml)",
    );
    let typed = scene(LEAST).environment("FRAMEFLEET__WORK__URI", "file:///");
    let message = "work.uri is no key of the configuration, those are: url (environment FRAMEFLEET__WORK__URI)";
    assert_eq!(typed.refusal(), message);
    let flag = scene(LEAST).flag("--slots", "worker.slots.Light", "1");
    assert_eq!(flag.refusal(), "worker.slots.Light \"Light\" is no class: 1 to 32 of a-z, 0-9, - and _ (flag --slots)");
    assert_eq!(
        scene("[worker]\nslots = 3").refusal(),
        "worker.slots: invalid type: integer `3`, expected a map (DIR/f.toml)"
    );
    assert_eq!(
        scene("[storage]\nurl = 's3://films'").refusal(),
        "storage: invalid type: map, expected a sequence (DIR/f.toml)"
    );
    assert_eq!(scene("limits = 3").refusal(), "limits is a section, not a value (DIR/f.toml)");
}

#[test]
fn servers_are_refused_without_their_passwords() {
    let bad = |key: &str, value: &str| scene(LEAST).environment(key, value).refusal();
    let store = "FRAMEFLEET__STORE__URL";
    assert_eq!(
        bad(store, ""),
        format!("store.url is not set: a role of a fleet needs redis://host or rediss://host (environment {store})")
    );
    assert_eq!(
        bad(store, "http://fleet:hunter2@x"),
        format!("store.url begins with http://, not with redis:// or rediss:// (environment {store})")
    );
    assert_eq!(
        bad(store, "fleet:hunter2@x y"),
        format!("store.url is no URL such as redis://host: no host (environment {store})")
    );
    assert_eq!(
        bad("FRAMEFLEET__STORE__SENTINELS", "a:1, b"),
        "store.sentinels are to be asked for store.primary, which is not set (environment FRAMEFLEET__STORE__SENTINELS)"
    );
    assert_eq!(
        bad("FRAMEFLEET__WORK__URL", "s3://films/x"),
        "work.url \"s3://films/x\" is in no [[storage]] (environment FRAMEFLEET__WORK__URL)"
    );
    refused(
        "[[storage]]\nurl = 's3://films'\nendpoint = 'https://oss.example'\naddressing = 'virtual'",
        "storage[0].endpoint \"https://oss.example\" does not begin with films., as virtual addressing wants it (DIR/f.toml)",
    );
    refused(
        "[[storage]]\nurl = 's3://films'\nendpoint = 'http://minio'",
        "storage[0].endpoint \"http://minio\" is not https://host or https://host:port, as http = \"tls\" wants it (DIR/f.toml)",
    );
    refused(
        "[[storage]]\nurl = 's3://films'\nkey_id = 'a'",
        "storage[0].secret is not set, and its key_id is (default)",
    );
}

#[test]
fn oss_is_addressed_by_host_in_a_region() {
    let work = "[store]\nurl = 'redis://x'\n[broker]\nurl = 'amqp://x'\n[work]\nurl = 'oss://films/work'\n";
    let oss = |lines: &str| format!("{work}[[storage]]\nurl = 'oss://films'\n{lines}");
    let config = scene(&oss("region = 'cn-hangzhou'")).config();
    let films = &config.storage[0];
    assert_eq!(
        (films.url().as_str(), films.addressing, &films.endpoint),
        ("oss://films/", Addressing::Virtual, &Endpoint::Provider)
    );
    assert!(matches!(films.credentials, Credentials::Machine));
    assert_eq!(
        scene(&oss("")).refusal(),
        "storage[0].region is not set: oss:// needs one, such as cn-hangzhou (default)"
    );
    assert_eq!(
        scene(&oss("region = 'cn-hangzhou'\naddressing = 'path'")).refusal(),
        "storage[0].addressing \"path\" is what OSS forbids: virtual is meant (DIR/f.toml)"
    );
    assert_eq!(
        scene(&oss("region = 'cn-hangzhou'\nendpoint = 'https://oss-cn-hangzhou.aliyuncs.com'")).refusal(),
        "storage[0].endpoint \"https://oss-cn-hangzhou.aliyuncs.com\" does not begin with films., as virtual addressing wants \
         it (DIR/f.toml)"
    );
    let other = format!("{work}[[storage]]\nurl = 's3://films'\n");
    assert_eq!(scene(&other).refusal(), "work.url \"oss://films/work\" is in no [[storage]] (DIR/f.toml)");
}

const QUEUE: &str = "[[bridge.queues]]\nname = 'films'\nendpoint = 'https://1.mns.cn-hangzhou.aliyuncs.com/'\n";

#[test]
fn a_bridge_needs_a_broker_and_queues_and_nothing_else() {
    let broker = "[broker]\nurl = 'amqp://fleet:hunter2@rabbit'\n";
    let scene = scene(&format!("{broker}{QUEUE}key_id = 'a'\nsecret_file = 'DIR/secret'\ntoken = 'hunter2'\n"));
    let scene = scene.with("secret", "hunter2\n").environment("FRAMEFLEET__BRIDGE__QUEUES__0__WAIT", "5s");
    let file = scene.told.file.clone().unwrap();
    let text = std::fs::read_to_string(&file).unwrap().replace("DIR", scene.folder.path().to_str().unwrap());
    std::fs::write(&file, text).unwrap();
    let loaded = config::load_bridge(&scene.told).unwrap();
    let [queue] = loaded.config.bridge.queues.as_slice() else { panic!("one") };
    assert_eq!((queue.name.as_str(), queue.wait), ("films", Duration::from_secs(5)));
    assert_eq!(queue.endpoint, "https://1.mns.cn-hangzhou.aliyuncs.com");
    let Credentials::Temporary { id, secret, token } = &queue.credentials else { panic!("a token") };
    assert_eq!((id.as_str(), secret.expose(), token.expose()), ("a", "hunter2", "hunter2"));
    assert!(!format!("{:?}", loaded.config).contains("hunter2"));
    assert!(loaded.effective.contains("[[bridge.queues]]\nname = \"films\""), "{}", loaded.effective);
    assert!(!loaded.effective.contains("hunter2"), "{}", loaded.effective);
    let missing = config::load_coordinator(&scene.told).unwrap_err().message;
    assert!(missing.starts_with("store.url is not set"), "{missing}");
}

#[track_caller]
fn refused_bridge(text: &str, message: &str) {
    let scene = scene(&format!("[broker]\nurl = 'amqp://rabbit'\n{text}"));
    let fault = config::load_bridge(&scene.told).unwrap_err();
    assert_eq!(fault.message.replace(scene.folder.path().to_str().unwrap(), "DIR"), message);
}

#[test]
fn a_region_is_read_off_the_endpoint() {
    let signature = |endpoint: &str, more: &str| {
        let queue = QUEUE.replace("https://1.mns.cn-hangzhou.aliyuncs.com/", endpoint);
        let scene = scene(&format!("[broker]\nurl = 'amqp://rabbit'\n{queue}{more}"));
        config::load_bridge(&scene.told).unwrap().config.bridge.queues[0].signature.clone()
    };
    let v4 = |region: &str| Signature::V4 { region: region.to_owned() };
    let hangzhou = "https://1.mns.cn-hangzhou.aliyuncs.com";
    assert_eq!(signature(hangzhou, ""), Signature::V2);
    assert_eq!(signature(hangzhou, "signature = 'v4'"), v4("cn-hangzhou"));
    for inside in ["-internal", "-internal-vpc"] {
        let endpoint = hangzhou.replace("hangzhou", &["shanghai", inside].concat());
        assert_eq!(signature(&endpoint, "signature = 'v4'"), v4("cn-shanghai"));
    }
    assert_eq!(signature(hangzhou, "signature = 'v4'\nregion = 'other'"), v4("other"));
}

#[test]
fn queues_are_refused_by_key() {
    refused_bridge("", "bridge.queues is not set: a bridge needs one [[bridge.queues]] at least (default)");
    refused_bridge(&format!("{QUEUE}{QUEUE}"), "bridge.queues[1].name \"films\" is there twice (DIR/f.toml)");
    refused_bridge(
        "[[bridge.queues]]\nname = 'a/b'\n",
        "bridge.queues[0].name \"a/b\" is not 1 to 120 of A-Z, a-z, 0-9, - and _ (DIR/f.toml)",
    );
    refused_bridge(
        &format!("{QUEUE}wait = '31s'"),
        "bridge.queues[0].wait \"31s\" is not within 1s to 30s (DIR/f.toml)",
    );
    refused_bridge(
        "[[bridge.queues]]\nname = 'films'\nendpoint = 'http://localhost'",
        "bridge.queues[0].endpoint \"http://localhost\" is not https://<account>.mns.<region>.aliyuncs.com, as http = \"tls\" \
         wants it (DIR/f.toml)",
    );
    refused_bridge(
        &format!("{QUEUE}secret = 'x'"),
        "bridge.queues[0].key_id is not set, and its secret or token is (default)",
    );
    refused_bridge(
        &format!("{QUEUE}color = 'x'"),
        "bridge.queues[0].color is no key of the configuration, those are: name, endpoint, http, key_id, key_id_file, secret, \
         secret_file, token, token_file, wait, signature, region (DIR/f.toml)",
    );
    refused_bridge(
        &[QUEUE.replace(".mns", "").as_str(), "signature = 'v4'"].concat(),
        "bridge.queues[0].region is not set, and signature v4 needs it: the endpoint does not say it (default)",
    );
    refused_bridge(
        &format!("{QUEUE}region = 'cn-hangzhou'"),
        "bridge.queues[0].region \"cn-hangzhou\" is of no use to signature v2 (DIR/f.toml)",
    );
    refused_bridge("[bridge]\nqueues = 3", "bridge.queues is a section, not a value (DIR/f.toml)");
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_never_quoted() {
    let gone = Told { file: Some("/gone.toml".into()), ..scene("").told };
    let message = config::load_coordinator(&gone).unwrap_err().message;
    assert_eq!(message, "configuration /gone.toml: No such file or directory (os error 2)");
    let message = scene("[store]\nurl = 'redis://:hunter2@x\n").refusal();
    assert!(message.starts_with("configuration DIR/f.toml: TOML parse error at line 2"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn the_manual_is_that_of_the_table() {
    let file = root().join("docs/CONFIG.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, manual::text()).unwrap();
    }
    let known = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(known == manual::text(), "docs/CONFIG.md is old (UPDATE=1 writes it anew)");
    for key in SECTIONS.iter().flat_map(|section| section.keys) {
        assert!(key.what.ends_with('.') && !key.unit.is_empty(), "{}: one sentence and a unit", key.name);
    }
}

#[test]
fn samples_are_what_they_claim() {
    let told = |name: &str| Told { file: Some(root().join("deploy/config").join(name)), ..scene("").told };
    let sample = |name: &str| config::load_coordinator(&told(name)).unwrap().config;
    let fleet = sample("framefleet.toml");
    let storage = &fleet.config.storage;
    assert_eq!((storage.len(), storage[1].url().as_str()), (2, "oss://films/"));
    assert_eq!(config::load_bridge(&told("framefleet.toml")).unwrap().config.bridge.queues.len(), 1);
    let names: Vec<String> = sample("triggers.toml").triggers.iter().map(|trigger| trigger.name.clone()).collect();
    assert_eq!(names, ["films", "live-recordings", "nas"]);
    let samples = std::fs::read_dir(root().join("deploy/config")).unwrap().count();
    assert_eq!(samples, 2, "each sample is read above");
}

fn framefleet(words: &[&str]) -> Output {
    let ours = std::env::vars().filter(|(name, _)| name.starts_with("FRAMEFLEET"));
    let mut command = Command::new(PROGRAM);
    for (name, _) in ours {
        command.env_remove(name);
    }
    command.args(words).output().unwrap()
}

#[test]
fn check_config_shows_everything_but_secrets_and_can_be_a_file_again() {
    let scene = scene(&format!("{LEAST}[[storage]]\nurl = 's3://films'\nkey_id = 'a'\nsecret = 'hunter2'\n"));
    let file = scene.told.file.clone().unwrap();
    let file = file.to_str().unwrap();
    let shown = framefleet(&["worker", "--config", file, "--check-config", "--slots", "light=2,long=0"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(shown.status.code(), Some(0));
    assert!(!text.contains("hunter2"), "{text}");
    for line in [
        &format!("url = \"redis://fleet:***@redis/3\"  # {file}"),
        "slots.light = 2  # flag --slots",
        &format!("slots.standard = \"auto\"  # here {}", framefleet_common::process::machine::cores()),
        "grace = \"10m\"",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line:?} in\n{text}");
    }
    let again = scene.with("again.toml", &text);
    let told = Told { file: Some(again.folder.path().join("again.toml")), ..again.told.clone() };
    let config = config::load(&told).unwrap().config;
    assert_eq!(slots(&config).first(), Some(&("light".to_owned(), 2)));
}

#[test]
fn check_config_says_what_is_wrong() {
    let scene = scene(LEAST);
    let file = scene.told.file.clone().unwrap();
    let wrong =
        framefleet(&["coordinator", "--config", file.to_str().unwrap(), "--check-config", "--merge-slots", "99"]);
    let line = "framefleet: coordinator.merge_slots 99 is not within 0 to 64 (flag --merge-slots) [F1020, input; not retried]\n";
    assert_eq!((wrong.status.code(), String::from_utf8(wrong.stderr).unwrap().as_str()), (Some(64), line));
    assert!(wrong.stdout.is_empty());
    let wrong = framefleet(&["worker", "--slots", "two", "--check-config"]);
    let line =
        "framefleet: worker.slots \"two\" is not CLASS=N, such as light=1 (flag --slots) [F1020, input; not retried]\n";
    assert_eq!((wrong.status.code(), String::from_utf8(wrong.stderr).unwrap().as_str()), (Some(64), line));
}
