//! Every key of the configuration, once: its default, its unit and the sentence that says what it is. The layer of
//! defaults, docs/CONFIG.md and what `--check-config` prints are made of this table.

use super::{api_keys, target_keys, telemetry_keys};

/// A table of the file, such as `[store]`.
#[derive(Debug)]
pub struct Section {
    pub name: &'static str,
    pub what: &'static str,
    pub count: Count,
    pub keys: &'static [Key],
}

#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    /// As TOML; `""` where nothing is set.
    pub default: &'static str,
    pub unit: &'static str,
    pub what: &'static str,
    pub secrecy: Secrecy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    One,
    /// `[[name]]`, as often as needed.
    Any,
}

/// What may be shown of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    Open,
    /// All but the password in it.
    Url,
    Nothing,
}

pub(super) const fn open(name: &'static str, default: &'static str, unit: &'static str, what: &'static str) -> Key {
    Key { name, default, unit, what, secrecy: Secrecy::Open }
}

pub(super) const fn url(name: &'static str, what: &'static str) -> Key {
    Key { name, default: "\"\"", unit: "URL", what, secrecy: Secrecy::Url }
}

pub(super) const fn secret(name: &'static str, what: &'static str) -> Key {
    Key { name, default: "\"\"", unit: "text", what, secrecy: Secrecy::Nothing }
}

/// The section that a path such as `storage[0].url` or `worker.slots.light` lies in, and what is left of the path.
pub fn placed(path: &str) -> Option<(&'static Section, &str)> {
    let below = |section: &'static Section| {
        let rest = path.strip_prefix(section.name)?;
        let rest = match (section.count, rest.strip_prefix('[')) {
            (Count::Any, Some(numbered)) => numbered.split_once(']')?.1,
            (Count::Any | Count::One, _) => rest,
        };
        Some((section, rest.strip_prefix('.')?))
    };
    SECTIONS.iter().filter_map(below).max_by_key(|(section, _)| section.name.len())
}

/// The key that a path names, itself or one of its parts.
pub fn find(path: &str) -> Option<&'static Key> {
    let (section, rest) = placed(path)?;
    let name = rest.split(['.', '[']).next()?;
    section.keys.iter().find(|key| key.name == name)
}

pub const SECTIONS: [Section; 20] = [
    Section { name: "store", what: "Redis, which holds the truth.", count: Count::One, keys: &STORE },
    Section { name: "broker", what: "RabbitMQ, which carries hints and events.", count: Count::One, keys: &BROKER },
    Section { name: "work", what: "Where segments and other results are kept.", count: Count::One, keys: &WORK },
    Section {
        name: "storage",
        what: "How a bucket is reached, once for each bucket or part of one.",
        count: Count::Any,
        keys: &STORAGE,
    },
    Section {
        name: "pipelines",
        what: "What is made of a source, by name and version. A job keeps the version that it was accepted with; another \
               list of outputs is another version.",
        count: Count::Any,
        keys: &PIPELINES,
    },
    Section {
        name: "triggers",
        what: "Which uploads become jobs. No two may take the same object, and no output may be one that any of them takes: \
               both are refused when a process begins.",
        count: Count::Any,
        keys: &TRIGGERS,
    },
    target_keys::WEBHOOKS,
    target_keys::DATABASES,
    target_keys::CDNS,
    target_keys::STEPS,
    target_keys::EGRESS,
    target_keys::SOURCES,
    Section { name: "coordinator", what: "The role `coordinator`.", count: Count::One, keys: &COORDINATOR },
    api_keys::API,
    Section { name: "worker", what: "The role `worker`.", count: Count::One, keys: &WORKER },
    Section { name: "bridge", what: "The role `bridge`.", count: Count::One, keys: &BRIDGE },
    Section {
        name: "bridge.queues",
        what: "A queue of Alibaba's MNS that OSS tells of uploads in, once for each.",
        count: Count::Any,
        keys: &QUEUES,
    },
    Section { name: "sandbox", what: "The jail of what opens films.", count: Count::One, keys: &SANDBOX },
    telemetry_keys::TELEMETRY,
    Section { name: "limits", what: "How long things are kept and waited for.", count: Count::One, keys: &LIMITS },
];

const STORE: [Key; 10] = [
    url("url", "The Redis server, as redis:// or rediss:// (TLS) with user, password and database number."),
    open("url_file", "\"\"", "path", "A file that holds `url`, instead of it."),
    open("prefix", "\"framefleet\"", "text", "What every key in Redis begins with, one for each fleet."),
    open("replicas", "0", "servers, 0 to 16", "How many replicas must hold a commit before anybody outside is told."),
    open(
        "sentinels",
        "[]",
        "host:port",
        "The Sentinels to ask for the server, as rediss://host:port where they speak TLS; that of `url` is then not used.",
    ),
    open("sentinel_user", "\"\"", "name", "Whom the Sentinels know us as, if they know users."),
    secret("sentinel_password", "What the Sentinels ask for; that of the server stands in `url`."),
    open("sentinel_password_file", "\"\"", "path", "A file that holds `sentinel_password`, instead of it."),
    open("primary", "\"\"", "name", "What the Sentinels call the server."),
    open(
        "durability",
        "\"required\"",
        "required or waived",
        "Whether a Redis that evicts keys or persists nothing keeps this process from being ready.",
    ),
];

const BROKER: [Key; 4] = [
    url("url", "The RabbitMQ server, as amqp:// or amqps:// (TLS) with user, password and virtual host."),
    open("url_file", "\"\"", "path", "A file that holds `url`, instead of it."),
    open("prefix", "\"framefleet\"", "text", "What the names of exchanges and queues begin with, one for each fleet."),
    open("declare", "false", "true or false", "Whether a coordinator declares exchanges and queues, or only looks."),
];

const WORK: [Key; 1] =
    [open("url", "\"\"", "URL", "The folder, as file:///… on every machine, s3://bucket/… or oss://bucket/….")];

const STORAGE: [Key; 11] = [
    open(
        "url",
        "\"\"",
        "URL",
        "The bucket, as s3://bucket or oss://bucket, or the part of it that begins with s3://bucket/….",
    ),
    open(
        "endpoint",
        "\"\"",
        "URL",
        "The server, as https://host or http://host; Amazon's or Alibaba's own where nothing is set.",
    ),
    open(
        "region",
        "\"\"",
        "name",
        "The region that requests are signed for, such as cn-hangzhou; us-east-1 for s3:// where nothing is set.",
    ),
    open(
        "key_id",
        "\"\"",
        "text",
        "The name of the access key; environment, files and the machine's own role are used where neither it nor its file is \
         set.",
    ),
    open("key_id_file", "\"\"", "path", "A file that holds `key_id`, instead of it."),
    secret("secret", "The secret of the access key."),
    open("secret_file", "\"\"", "path", "A file that holds `secret`, instead of it."),
    secret("token", "The session token of a temporary access key."),
    open("token_file", "\"\"", "path", "A file that holds `token`, instead of it."),
    open(
        "addressing",
        "\"auto\"",
        "auto, path or virtual",
        "Whether the bucket stands in the path or, as `virtual`, begins the endpoint's host name; `auto` is virtual for oss://, \
         else path.",
    ),
    open("http", "\"tls\"", "tls or plain", "Whether the endpoint is reached by https:// or, as `plain`, by http://."),
];

const PIPELINES: [Key; 9] = [
    open("name", "\"\"", "text", "What triggers call it, with its version: `web@3`."),
    open("version", "\"\"", "text", "A new one for every change: jobs under way keep theirs."),
    open(
        "outputs",
        "[]",
        "tables",
        "As in a job file, but `to` is a name below the trigger's `output`, such as `{stem}.mp4` or `{date}/{stem}/index.m3u8`.",
    ),
    open(
        "steps",
        "[]",
        "tables",
        "What happens once a job has ended, as in a job file: `{ webhook = { name = \"studio\" } }` and others (docs/STEPS.md).",
    ),
    open("segment_duration", "\"\"", "duration, auto or none", "As `segment.duration` of a job file."),
    open("damaged", "\"\"", "fail or keep", "As in a job file."),
    open("from", "\"\"", "duration", "As in a job file."),
    open("to", "\"\"", "duration", "As in a job file."),
    open(
        "on_existing",
        "\"replace\"",
        "replace or fail",
        "What becomes of something that stands at an output already.",
    ),
];

const TRIGGERS: [Key; 14] = [
    open("name", "\"\"", "text", "What logs and jobs call it."),
    open(
        "bucket",
        "\"\"",
        "URL",
        "Where sources lie: `s3://bucket`, `oss://bucket`, or `file:///folder`, which is swept and of which no storage tells. It \
         lies in a `[[storage]]`.",
    ),
    open("event_bucket", "\"\"", "name", "What events call a folder, where a program tells of its files."),
    open(
        "prefix",
        "\"\"",
        "text",
        "What keys begin with, as they stand in the bucket; those of a folder are paths below it.",
    ),
    open(
        "suffix",
        "\"\"",
        "text",
        "What keys end with, such as `.mov`; empty only with a prefix, or a folder, that no output can have.",
    ),
    open(
        "events",
        "[\"Put\", \"Post\", \"CompleteMultipartUpload\", \"Copy\"]",
        "names",
        "By what an object came there; `Append` is the fifth, and needs `quiet`.",
    ),
    open("quiet", "\"\"", "duration, 1s to 24h", "How long an object that is appended to must have been left alone."),
    open("pipeline", "\"\"", "name@version", "What is made of each."),
    open("canary", "\"\"", "name@version", "Another version, for some of them."),
    open("canary_percent", "0", "percent, 1 to 99", "For how many; the same source always goes the same way."),
    open("tenant", "\"default\"", "text", "Whose the jobs are; no message says that."),
    open("priority", "\"normal\"", "urgent, normal or bulk", "Among the jobs of the tenant."),
    open("deadline", "\"\"", "duration, 1s to 30d", "A job fails that has not ended so long after it was accepted."),
    open(
        "output",
        "\"\"",
        "URL",
        "The folder that names of outputs lie below; {stem}, {ext}, {dir} (the source's folder in its bucket), {job} and \
         {date} (the day of its last change, UTC) may stand in it, and in those names. It lies in a `[[storage]]`.",
    ),
];

const COORDINATOR: [Key; 9] = [
    open(
        "listen",
        "\"127.0.0.1:8080\"",
        "address:port",
        "Where the API answers: on loopback only, unless `api.tokens_file` says who may ask.",
    ),
    open("ops_listen", "\"127.0.0.1:9090\"", "address:port", "Where probes and metrics answer."),
    open("merge_slots", "2", "merges, 0 to 64", "How many outputs are joined at once."),
    open(
        "window_percent",
        "120",
        "percent, 100 to 400",
        "How many hints are on their way for a hundred live slots; 200 where a scaler goes by queues.",
    ),
    open(
        "scratch",
        "\"/var/tmp/framefleet/coordinator\"",
        "path",
        "The folder for outputs that are being joined, one for each process.",
    ),
    open("name", "\"\"", "text", "What leases and logs call this process; the host's name where nothing is set."),
    open(
        "sweep_every",
        "\"5m\"",
        "duration, 1s to 24h",
        "How often each trigger's bucket is looked through for what no event told of.",
    ),
    open(
        "sweep_overlap",
        "\"24h\"",
        "duration, 1m to less than keep_jobs",
        "How far back a pass looks beyond the last: for uploads that take long, and clocks that differ.",
    ),
    open(
        "grace",
        "\"30s\"",
        "duration, 20s to 24h",
        "From the first signal to stop until the process ends; merges that do not fit are handed back.",
    ),
];

const WORKER: [Key; 7] = [
    open("ops_listen", "\"127.0.0.1:9091\"", "address:port", "Where probes and metrics answer."),
    open(
        "slots",
        "{ light = 1, standard = \"auto\", long = 1 }",
        "tasks at once, 0 to 256",
        "How many tasks of each class run at once, each class for itself; `auto` is the cores of this machine or cgroup.",
    ),
    open(
        "scratch",
        "\"/var/tmp/framefleet/worker\"",
        "path",
        "The folder for segments that are being made, one for each process.",
    ),
    open(
        "scratch_bytes_max",
        "\"auto\"",
        "bytes, such as 64GiB",
        "How much the scratch folder may hold; `auto` is what its file system has free.",
    ),
    open(
        "memory_bytes_max",
        "\"auto\"",
        "bytes, such as 16GiB",
        "How much memory all tasks may use together; `auto` is that of this machine or cgroup.",
    ),
    open(
        "grace",
        "\"10m\"",
        "duration, 20s to 24h",
        "From the first signal to stop until the process ends; tasks that do not fit are handed back.",
    ),
    open("name", "\"\"", "text", "What leases and logs call this process; the host's name where nothing is set."),
];

const BRIDGE: [Key; 3] = [
    open("ops_listen", "\"127.0.0.1:9092\"", "address:port", "Where probes and metrics answer."),
    open(
        "grace",
        "\"30s\"",
        "duration, 20s to 24h",
        "From the first signal to stop until the process ends; messages that are not handed on by then are given back.",
    ),
    open("name", "\"\"", "text", "What logs call this process; the host's name where nothing is set."),
];

const QUEUES: [Key; 12] = [
    open("name", "\"\"", "name", "The queue's name, which the notices' routing keys end with."),
    open("endpoint", "\"\"", "URL", "The server, as https://<account>.mns.<region>.aliyuncs.com."),
    open("http", "\"tls\"", "tls or plain", "Whether the endpoint is reached by https:// or, as `plain`, by http://."),
    open(
        "key_id",
        "\"\"",
        "text",
        "The name of the access key; environment, files, the machine's role and OIDC are used where neither it nor its file \
         is set.",
    ),
    open("key_id_file", "\"\"", "path", "A file that holds `key_id`, instead of it."),
    secret("secret", "The secret of the access key."),
    open("secret_file", "\"\"", "path", "A file that holds `secret`, instead of it."),
    secret("token", "The security token of a temporary access key."),
    open("token_file", "\"\"", "path", "A file that holds `token`, instead of it."),
    open("wait", "\"20s\"", "duration, 1s to 30s", "How long one request waits for a message."),
    open(
        "signature",
        "\"v2\"",
        "v2 or v4",
        "How requests are signed: `v4` by a key that is of use in one region on one day.",
    ),
    open("region", "\"\"", "name", "The region that `v4` signs for; that of the endpoint's host where nothing is set."),
];

const SANDBOX: [Key; 1] = [open(
    "mode",
    "\"best-effort\"",
    "best-effort, enforce or off",
    "Whether those processes lock themselves in by Landlock and seccomp: as far as the kernel lets them, or else not \
     begin, or not at all.",
)];

const LIMITS: [Key; 4] = [
    open(
        "keep_attempts",
        "\"24h\"",
        "duration, 1s to 365d",
        "How long objects of attempts stay that nobody needs any more.",
    ),
    open("keep_jobs", "\"30d\"", "duration, 1s to 3650d", "How long ended jobs can be asked for."),
    open("lease", "\"30s\"", "duration, 5s to 10m", "How long a task waits for an attempt that says nothing."),
    open("beat", "\"5s\"", "duration, 500ms to a third of the lease", "How often an attempt says that it lives."),
];
