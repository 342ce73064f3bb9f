//! The keys of those that steps speak to, of sources that lie with others, and of the way out to both.

use super::keys::{Count, Key, Secrecy, Section, open, secret, url};

pub(super) const WEBHOOKS: Section = Section {
    name: "webhooks",
    what: "Whom the end of a job is posted to, by the step `webhook`: a CloudEvent (docs/EVENTS.md), signed as Standard Webhooks \
           has it (docs/STEPS.md).",
    count: Count::Any,
    keys: &WEBHOOK,
};

pub(super) const DATABASES: Section = Section {
    name: "databases",
    what: "PostgreSQL databases in which the step `sql` keeps one row for each job.",
    count: Count::Any,
    keys: &DATABASE,
};

pub(super) const CDNS: Section = Section {
    name: "cdns",
    what: "Domains of Alibaba's CDN that the step `cdn_prefetch` asks to fetch outputs.",
    count: Count::Any,
    keys: &CDN,
};

pub(super) const STEPS: Section =
    Section { name: "steps", what: "How patiently steps are tried.", count: Count::One, keys: &PATIENCE };

pub(super) const EGRESS: Section = Section {
    name: "egress",
    what: "The way out to hosts that are named by a URL: to public addresses, and to no others.",
    count: Count::One,
    keys: &WAY_OUT,
};

pub(super) const SOURCES: Section = Section {
    name: "sources",
    what: "Films that lie with others, behind HTTP, and are read by range through the same way out.",
    count: Count::One,
    keys: &OTHERS,
};

const WEBHOOK: [Key; 9] = [
    open("name", "\"\"", "text", "What steps call it."),
    Key {
        name: "url",
        default: "\"\"",
        unit: "URL",
        what: "Where events are posted to, as https://…; it is not shown, for it may hold a secret anywhere.",
        secrecy: Secrecy::Nothing,
    },
    open("url_file", "\"\"", "path", "A file that holds `url`, instead of it."),
    open("http", "\"tls\"", "tls or plain", "Whether it is reached by https:// or, as `plain`, by http://."),
    secret("secret", "What events are signed with: `whsec_` and base64 of 24 to 64 bytes."),
    open("secret_file", "\"\"", "path", "A file that holds `secret`, instead of it."),
    secret("other_secret", "A second one, for as long as the receiver changes from one to the other."),
    open("other_secret_file", "\"\"", "path", "A file that holds `other_secret`, instead of it."),
    open("timeout", "\"15s\"", "duration, 1s to 60s", "How long an answer is waited for, connecting included."),
];

const DATABASE: [Key; 4] = [
    open("name", "\"\"", "text", "What steps call it."),
    url(
        "url",
        "The database, as postgres://user:password@host/name; `?sslmode=verify-full` asks for TLS with a known name.",
    ),
    open("url_file", "\"\"", "path", "A file that holds `url`, instead of it."),
    open(
        "migrate",
        "true",
        "true or false",
        "Whether the table `framefleet_jobs` is made and kept up to date, or people do that by `steps/migrations`.",
    ),
];

const CDN: [Key; 12] = [
    open("name", "\"\"", "text", "What steps call it."),
    open("endpoint", "\"https://cdn.aliyuncs.com\"", "URL", "The service that is asked."),
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
    open(
        "origin",
        "\"\"",
        "URL",
        "What URLs of outputs begin with, such as oss://made/web; other files are passed over.",
    ),
    open("url", "\"\"", "URL", "What the same files' URLs begin with at the CDN, such as https://films.example/web."),
    open(
        "area",
        "\"domain\"",
        "domain, domestic or overseas",
        "Where files are fetched to: in China, elsewhere, or as the domain is set up.",
    ),
];

const PATIENCE: [Key; 3] = [
    open("tries", "16", "tries, 1 to 100", "After so many that failed a step is given up, and leaves a dead letter."),
    open("first_wait", "\"10s\"", "duration, 100ms to 1h", "The longest wait after the first; it doubles with each."),
    open("longest_wait", "\"6h\"", "duration, first_wait to 24h", "No wait grows longer."),
];

const OTHERS: [Key; 2] = [
    open(
        "http",
        "false",
        "true or false",
        "Whether sources may be http:// and https:// URLs; workers must say the same.",
    ),
    open("http_bytes_max", "\"1TiB\"", "bytes, such as 64GiB", "Larger ones are refused."),
];

const WAY_OUT: [Key; 1] = [open(
    "allow",
    "[]",
    "networks, such as 10.2.0.0/16",
    "Private networks of one's own in which receivers may live all the same.",
)];
