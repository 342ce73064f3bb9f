//! The keys of `[telemetry]`.

use super::keys::{Count, Key, Section, open};

pub(super) const TELEMETRY: Section = Section {
    name: "telemetry",
    what: "What is logged on standard error, and where traces go.",
    count: Count::One,
    keys: &KEYS,
};

const KEYS: [Key; 5] = [
    open("format", "\"text\"", "text or json", "Lines for people, or objects for programs."),
    open(
        "filter",
        "\"info\"",
        "levels",
        "What is logged, such as `info` or `framefleet_worker=debug,warn`; the variable FRAMEFLEET_LOG says it, too.",
    ),
    open(
        "traces_url",
        "\"\"",
        "URL",
        "A collector of OpenTelemetry that takes traces by OTLP over HTTP, such as `http://tempo:4318`; without a path \
         `/v1/traces` is meant. Nothing is traced where none is set.",
    ),
    open(
        "traces_headers_file",
        "\"\"",
        "path",
        "A file with a line `name: value` for each header that the collector wants, such as `authorization: Bearer …`.",
    ),
    open(
        "traces_share",
        "\"1\"",
        "share, 0 to 1",
        "Which part of the jobs that begin a trace is traced, to six decimals; callers and messages that come with a \
         `traceparent` say so themselves.",
    ),
];
