//! The keys of `[api]`.

use super::keys::{Count, Key, Section, open};

pub(super) const API: Section = Section {
    name: "api",
    what: "Who may ask a coordinator over HTTP, and how often.",
    count: Count::One,
    keys: &KEYS,
};

const KEYS: [Key; 5] = [
    open(
        "tokens_file",
        "\"\"",
        "path",
        "A file with a line for each token, as `framefleet token` prints it: its name, `scopes=`, and where it is bound to them \
         `tenants=` and `places=`; read again when it changes. Where none is set, whoever is on this machine may ask for \
         everything.",
    ),
    open(
        "requests_per_second",
        "100",
        "requests, 1 to 100000",
        "How often each token may ask, or each address where there are no tokens; twice as many at once.",
    ),
    open("connections", "512", "connections, 8 to 65536", "How many there may be at once; the next one waits."),
    open("watchers", "256", "connections, 1 to 65536", "How many of them may follow jobs at once."),
    open(
        "cors_origins",
        "[]",
        "origins",
        "Pages of these origins may ask, in browsers: such as `https://films.example`.",
    ),
];
