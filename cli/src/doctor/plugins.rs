//! Which elements of GStreamer are here, and what to install.

use std::collections::BTreeSet;

use framefleet_media::doctor::{Finding, Need, State, gstreamer, inspect};
use framefleet_model::fault::{Fault, FaultKind};
use serde::Serialize;

use super::verdict::Verdict;

const REQUIRED: &str = "required";
const OPTIONAL: &str = "optional";
const MISSING: &str = "missing";

#[derive(Serialize)]
pub(super) struct Element {
    pub(super) factory: String,
    pub(super) needed_for: String,
    pub(super) need: &'static str,
    state: &'static str,
    version: Option<String>,
    pub(super) package: String,
}

impl Element {
    pub(super) fn is_missing(&self) -> bool {
        self.state == MISSING
    }
}

pub(super) fn elements() -> Vec<Element> {
    inspect().into_iter().map(element).collect()
}

fn element(finding: Finding) -> Element {
    let Finding { factory, needed_for, package, state, required } = finding;
    let need = match required {
        Need::Required => REQUIRED,
        Need::Optional => OPTIONAL,
    };
    let (state, version) = match state {
        State::Found(version) => ("ok", Some(version)),
        State::Missing => (MISSING, None),
    };
    Element { factory, needed_for, need, state, version, package }
}

pub(super) fn packages_missing(elements: &[Element]) -> Vec<String> {
    let missing = elements.iter().filter(|element| element.is_missing()).map(|element| element.package.clone());
    missing.collect::<BTreeSet<String>>().into_iter().collect()
}

pub(super) fn verdict(elements: &[Element]) -> Verdict {
    let missing = |need: &str| -> Vec<&str> {
        let lacking = elements.iter().filter(|element| element.is_missing() && element.need == need);
        lacking.map(|element| element.factory.as_str()).collect()
    };
    let install = || format!("apt-get install {}", packages_missing(elements).join(" "));
    match (missing(REQUIRED).as_slice(), missing(OPTIONAL).as_slice()) {
        ([], []) => {
            Verdict::ok("plugins", format!("all {} elements are here, of GStreamer {}", elements.len(), gstreamer()))
        }
        ([], optional) => {
            Verdict::warning("plugins", format!("not here, and not always needed: {}", optional.join(", ")), install())
        }
        (required, _) => {
            let message = format!("required and not here: {}", required.join(", "));
            Verdict::bad("plugins", Fault::new(FaultKind::PluginMissing, message), install())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::State as Of;
    use super::*;

    fn of(need: &'static str, state: &'static str) -> Verdict {
        let element = Element {
            factory: "x264enc".to_owned(),
            needed_for: "H.264 outputs".to_owned(),
            need,
            state,
            version: None,
            package: "gstreamer1.0-plugins-ugly".to_owned(),
        };
        verdict(&[element])
    }

    #[test]
    fn what_is_required_and_missing_is_bad_and_the_package_is_named() {
        let bad = of(REQUIRED, MISSING);
        assert_eq!((bad.state, bad.kind), (Of::Bad, Some(FaultKind::PluginMissing)));
        assert!(bad.says.contains("x264enc") && bad.fix.unwrap().contains("plugins-ugly"));
        assert_eq!(of(OPTIONAL, MISSING).state, Of::Warning);
        assert_eq!(of(REQUIRED, "ok").state, Of::Ok);
    }
}
