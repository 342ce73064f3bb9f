//! The API as its own document has it: schemathesis asks every route for what the document allows, and for what it does not.

use std::collections::BTreeSet;
use std::process::Command;

use framefleet_tests::place;
use framefleet_tests::processes::jobs;
use framefleet_tests::processes::serve::Serve;
use reqwest::Method;

use crate::scene::Token;

const EXAMPLES: &str = "10";
const SEED: &str = "1";

const CHECKS: [&str; 13] = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
    "ignored_auth",
];

/// Everything is checked, but that whatever looks like a job file is a job: its places must be there, and its settings go
/// together, which no schema says.
fn config(job: &str) -> String {
    let all: String = CHECKS.iter().map(|check| format!("{check}.enabled = true\n")).collect();
    format!(
        "[checks]\n{all}[[operations]]\ninclude-operation-id-regex = \"^(submit|preview|validate)$\"\nchecks.positive_data_acceptance.enabled = false\n\
         [[operations]]\ninclude-operation-id-regex = \"^(show|plan|ledger|events)$\"\nparameters = {{ \"path.id\" = \"{job}\" }}\n"
    )
}

#[test]
fn every_route_answers_as_the_document_says() {
    let folder = place::scratch();
    let token = Token::make("fuzz", &["--scopes", "admin"]);
    let tokens = folder.path().join("tokens");
    std::fs::write(&tokens, &token.line).unwrap();
    let settings = format!("[api]\ntokens_file = \"{}\"\nrequests_per_second = 100000\n", tokens.display());
    let serve = Serve::start(&settings);
    let wait = ["--wait", "--preset", "ultrafast", "-o", "json"];
    let words = [jobs::film().display().to_string(), serve.path("film.mp4").display().to_string()];
    let words = ["submit"].into_iter().chain(words.iter().map(String::as_str)).chain(wait);
    let ran = serve.run_with(words, &[("FRAMEFLEET__TOKEN", &token.secret)]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let view: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let settings = folder.path().join("schemathesis.toml");
    std::fs::write(&settings, config(view["id"].as_str().unwrap())).unwrap();

    let fuzz = place::cache("schemathesis").join("bin/schemathesis");
    assert!(fuzz.exists(), "{} is not there: deploy/setup.sh tests installs it", fuzz.display());
    let mut command = Command::new(fuzz);
    command.arg("--config-file").arg(&settings).args(["--no-color", "run"]);
    command.arg(format!("{}/openapi.json", serve.server()));
    command.arg("-H").arg(format!("Authorization: Bearer {}", token.secret));
    command.args(["--seed", SEED, "-n", EXAMPLES, "--request-timeout", "60"]);
    let fuzzed = command.current_dir(folder.path()).output().unwrap();
    let told = String::from_utf8_lossy(&fuzzed.stdout).into_owned();
    assert!(fuzzed.status.success(), "{told}");
    let document = serve.ask(Method::GET, "/openapi.json", "").json::<serde_json::Value>();
    // The document itself is read, and not asked for anything else.
    let routes = crate::allowed::routes(&document).iter().filter(|route| route.path != "/openapi.json").count();
    assert!(told.contains(&format!("Tested: {routes}")), "{told}");
    let log = serve.role.log();
    let wrong: BTreeSet<&str> =
        log.lines().filter(|line| line.contains("panicked") || line.contains("ERROR")).collect();
    assert!(wrong.is_empty() && !serve.role.has_ended(), "{wrong:?}");
}
