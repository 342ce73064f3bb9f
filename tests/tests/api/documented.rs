//! docs/API.md: made of the document that a coordinator serves and of what it answers. `UPDATE=1` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use framefleet_tests::place;
use framefleet_tests::processes::jobs;
use framefleet_tests::processes::role::Kind;
use serde_json::Value;

use crate::allowed::routes;
use crate::examples::{self, Example};
use crate::scene::{Ask, Scene, Token};

const HEAD: &str = "\
# The API

A coordinator answers over HTTP at `[coordinator] listen`; any coordinator of a fleet will do. `/openapi.json` says the same for \
programs (OpenAPI 3.1), and the commands `framefleet submit`, `jobs`, `dead` and `workers` speak it. This page is made of that \
document and of real answers (`UPDATE=1 cargo nextest run --workspace --profile events --test api documented` writes it); \
moments, ids and hashes in it are made up, and lists are cut.

## Who may ask

Without `[api] tokens_file` the API listens on loopback alone, and whoever is on the machine may ask for everything. With it, \
each request but that for `/openapi.json` carries a token:

```sh
framefleet token ci --scopes submit,read --tenants news --places s3://media/news/,s3://made/news/
```

prints a new token, which is shown this once, and its line for the file, which holds the token's SHA-256 and not the token. The file \
is read again when it changes; a wrong one leaves what was known. Scopes are `submit`, `read` and `admin`, which is all of it. A \
token with tenants sees and submits their jobs alone: another tenant's job is not there (404), a job that names another is \
refused (403), one that names none is its sole tenant's. A token with places asks for jobs whose source, images, outputs and `into` \
all lie below one of them, as `s3://bucket/folder/`, `file:///folder/` or `https://host/folder/`; any other is refused, by name (403, F1033). Names are \
compared part by part, percent signs read, and one with nothing, `.` or `..` between slashes lies below nothing; where a link in a folder or a \
redirect of a web server leads is bounded by `[[storage]]` and `[egress]` alone. Jobs that are there may be cancelled and begun anew by whoever sees \
them. Without places a token may name whatever the fleet reaches. The API has no TLS of its own: between machines put a proxy before it that has, and let it \
hand on answers as they come (`X-Accel-Buffering: no` says so of events).

Commands are told by `--server` or `FRAMEFLEET__SERVER`, and take the token from `--token-file`, `FRAMEFLEET__TOKEN_FILE` or \
`FRAMEFLEET__TOKEN`. They send none over `http://` to another machine, unless `--insecure` says so.

Pages in browsers may ask if `[api] cors_origins` names their origin. Others are refused, and without tokens so is every `Host` \
but this machine's.

## What holds everywhere

- A body is JSON (`content-type: application/json`; a job file may be `application/yaml`), 1 MiB at most, and comes within 15 s. A \
head comes within 10 s, an answer begins within 30 s.
- Each token, or each address where there are none, may ask `[api] requests_per_second` times a second, and twice as often at \
once; then it is told 429.
- Lists come in pages, the youngest first: `next` of one is `after` of the next. A page without `next` is the last.
- Times are in milliseconds; moments count from 1970, UTC.
- `Idempotency-Key` names a job within its tenant for as long as the job is known (`[limits] keep_jobs`). The same key with the same \
job file answers with the same job; with another it is refused (422, F1031).
- A job file says what is made (`outputs`), or names one of the coordinator's pipelines (`pipeline`, as `/v1/pipelines` shows it) and the \
folder of its outputs (`into`, in which `{stem}`, `{ext}`, `{dir}`, `{date}` and `{job}` stand for parts of the source, the day of its last change \
and the job). Then outputs, range, cuts and steps are the pipeline's; tenant, priority, deadline and `on_existing` may still be said.
- 429 and 503 with F3032 say by `Retry-After` when to come again.

Whatever is wrong is told as `application/problem+json` (RFC 9457), with a number that is never given anew: `code` is the fault, \
`whose` says whether it is the input's, the destination's or ours, and `retried` whether the same may be asked again later.
";

#[test]
fn every_route_is_documented_with_an_example_that_runs() {
    let mut scene = Scene::new("documented");
    let token = Token::make("docs", &["--scopes", "admin"]);
    scene.know(&[&token.line]);
    let file = scene.tokens().display().to_string();
    scene.fleet.configure(&trigger(&scene));
    scene.coordinator("c1", &[("FRAMEFLEET__API__TOKENS_FILE", &file)]);
    scene.fleet.add(Kind::Worker, "w1");
    scene.fleet.until_ready();
    let document = scene.ask(&Ask { token: None, ..Ask::get("/openapi.json", "") }).json();
    let examples = examples::run(&scene, &token.secret);
    let mut text = HEAD.to_owned();
    text += &codes(&document);
    let mut groups: BTreeMap<String, String> = BTreeMap::new();
    for route in routes(&document) {
        let operation = &document["paths"][&route.path][route.method.to_lowercase()];
        let shown: Vec<&Example> =
            examples.iter().filter(|example| operation["operationId"] == example.operation).collect();
        assert!(!shown.is_empty(), "{} {} has no example in tests/api/examples.rs", route.method, route.path);
        let tag = operation["tags"][0].as_str().unwrap().to_owned();
        let head = format!("\n### `{} {}`\n\n", route.method, route.path);
        let needs = route.scope.map_or("needs no token".to_owned(), |scope| format!("needs `{scope}`"));
        *groups.entry(tag).or_default() += &(head + &described(operation, &needs) + &together(&shown));
    }
    for (tag, routes) in groups {
        let tag = tag[..1].to_uppercase() + &tag[1..];
        write!(text, "\n## {tag}\n{routes}").unwrap();
    }
    let path = place::top().join("docs/API.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    let odd = text.lines().zip(known.lines()).find(|(new, old)| new != old);
    assert!(known == text, "docs/API.md is not what is answered (UPDATE=1 writes it anew), first of all: {odd:?}");
}

/// Whoever has a trigger listens to what is told of uploads. Nothing lies where this one looks.
fn trigger(scene: &Scene) -> String {
    let url = |name: &str| jobs::url(&scene.fleet.path(name));
    format!(
        "[[pipelines]]\nname = \"web\"\nversion = \"1\"\noutputs = [{{ to = \"{{stem}}.mp4\" }}]\n\
         [[triggers]]\nname = \"films\"\nbucket = \"{}\"\nprefix = \"dropped/\"\nsuffix = \".mov\"\n\
         pipeline = \"web@1\"\noutput = \"{}\"\n",
        url("in"),
        url("out")
    )
}

fn together(examples: &[&Example]) -> String {
    examples.iter().map(|example| format!("\n{}", example.text)).collect()
}

/// The numbers of faults, as the document lists them.
fn codes(document: &Value) -> String {
    let told = document["components"]["schemas"]["Problem"]["properties"]["code"]["description"].as_str().unwrap();
    let (_, codes) = told.trim_end_matches('.').split_once(": ").unwrap();
    let rows = codes.split(", ").map(|code| format!("| {} |\n", code.replacen(' ', " | ", 1)));
    format!("\n| code | what |\n|---|---|\n{}", rows.collect::<String>())
}

fn described(operation: &Value, needs: &str) -> String {
    let mut text = format!("{}: {needs}.\n", operation["summary"].as_str().unwrap());
    if let Some(more) = operation["description"].as_str() {
        write!(text, "\n{}\n", more.trim_end()).unwrap();
    }
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    if !parameters.is_empty() {
        text += "\n| parameter | in | what |\n|---|---|---|\n";
    }
    for parameter in &parameters {
        let of = |key: &str| parameter[key].as_str().unwrap().to_owned();
        let bound = bounds(&parameter["schema"]);
        writeln!(text, "| `{}` | {} | {}{bound} |", of("name"), of("in"), of("description")).unwrap();
    }
    if let Some(body) = operation["requestBody"]["description"].as_str() {
        write!(text, "\nBody: {body}\n").unwrap();
    }
    text += "\n| answer | what |\n|---|---|\n";
    for (status, response) in operation["responses"].as_object().unwrap() {
        let what = response["description"].as_str().unwrap();
        writeln!(text, "| {} | {what} |", if status == "default" { "other" } else { status }).unwrap();
    }
    text
}

fn bounds(schema: &Value) -> String {
    let mut bounds = Vec::new();
    if let (Some(low), Some(high)) = (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
        bounds.push(format!("{low} to {high}"));
    }
    bounds.extend(schema["default"].as_u64().map(|usual| format!("{usual} where nothing is said")));
    let names =
        schema["enum"].as_array().or_else(|| schema["oneOf"].as_array().and_then(|one| one[1]["enum"].as_array()));
    bounds.extend(names.map(|names| {
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        names.join(", ")
    }));
    if bounds.is_empty() { String::new() } else { format!(" ({})", bounds.join("; ")) }
}
