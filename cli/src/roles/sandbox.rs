//! Whether media children lock themselves in, settled before there is any: what a kernel lacks is known at the start.

use framefleet_common::process::metrics;
use framefleet_jail::jail::{self, Held};
use framefleet_model::fault::Fault;
use framefleet_model::task::Sandbox;
use prometheus::{IntGaugeVec, Opts, Registry};
use tracing::{info, warn};

use crate::settings::refused;

/// The configuration's own variable, which commands without a configuration heed, too.
const VARIABLE: &str = "FRAMEFLEET__SANDBOX__MODE";

/// As the configuration of a role has it.
pub fn of_role(sandbox: Sandbox, registry: &Registry) -> Result<Sandbox, Fault> {
    let held = settled(sandbox, jail::offered())?;
    match &held {
        Some(held) => info!(%held, "media children lock themselves in"),
        None => warn!("media children are not locked in: sandbox.mode is off"),
    }
    show(registry, held.as_ref());
    Ok(sandbox)
}

/// As the environment has it, best effort where it says nothing; refused where that cannot be had.
pub fn of_command() -> Result<Sandbox, Fault> {
    let sandbox = of_environment()?;
    settled(sandbox, jail::offered()).map(|_| sandbox)
}

/// What the environment asks for.
pub fn of_environment() -> Result<Sandbox, Fault> {
    std::env::var(VARIABLE).map_or(Ok(Sandbox::BestEffort), |text| named(&text))
}

/// What holds media children, as figures.
pub fn show(registry: &Registry, held: Option<&Held>) {
    let what = Opts::new("framefleet_sandbox_held", "1 where media children are held by this layer of their jail.");
    let layers = metrics::family(registry, IntGaugeVec::new(what, &["layer"]));
    let rights = held.is_some_and(|held| held.rights.is_ok());
    let landlock = held.is_some_and(|held| held.landlock.is_ok());
    let seccomp = held.is_some_and(|held| held.seccomp.is_ok());
    layers.with_label_values(&["capabilities"]).set(rights.into());
    layers.with_label_values(&["landlock"]).set(landlock.into());
    layers.with_label_values(&["seccomp"]).set(seccomp.into());
}

/// What will hold them; `None` where nothing shall.
fn settled(sandbox: Sandbox, offered: Held) -> Result<Option<Held>, Fault> {
    match (sandbox, offered.lacking()) {
        (Sandbox::Off, _) => Ok(None),
        (Sandbox::BestEffort | Sandbox::Enforce, None) => Ok(Some(offered)),
        (Sandbox::BestEffort, Some(lacking)) => {
            warn!(lacking, "media children are not wholly locked in");
            Ok(Some(offered))
        }
        (Sandbox::Enforce, Some(lacking)) => {
            let way_out = "a newer kernel is needed, or sandbox.mode = \"best-effort\"";
            Err(refused(format!("sandbox.mode \"enforce\" cannot be had here: {lacking}; {way_out}")))
        }
    }
}

fn named(text: &str) -> Result<Sandbox, Fault> {
    let found = Sandbox::NAMED.into_iter().find(|(name, _)| *name == text);
    let names = Sandbox::NAMED.map(|(name, _)| name).join(", ");
    found.map(|(_, sandbox)| sandbox).ok_or_else(|| refused(format!("{VARIABLE} {text:?} is not one of: {names}")))
}

#[cfg(test)]
mod tests {
    use framefleet_model::fault::FaultKind;

    use super::*;

    fn old() -> Held {
        Held { rights: Ok(()), landlock: Err("the kernel has none".to_owned()), seccomp: Ok(()) }
    }

    #[test]
    fn enforce_refuses_what_is_not_whole_and_names_what_is_missing() {
        let fault = settled(Sandbox::Enforce, old()).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Settings);
        assert_eq!(
            fault.message,
            "sandbox.mode \"enforce\" cannot be had here: Landlock: the kernel has none; a newer kernel is needed, or \
             sandbox.mode = \"best-effort\""
        );
        assert_eq!(settled(Sandbox::BestEffort, old()).unwrap(), Some(old()));
        assert_eq!(settled(Sandbox::Off, old()).unwrap(), None);
    }

    #[test]
    fn what_holds_is_shown() {
        let shown = |held: Option<&Held>| {
            let registry = Registry::new();
            show(&registry, held);
            let family = registry.gather().remove(0);
            family.get_metric().iter().map(|metric| metric.get_gauge().get_value() > 0.0).collect::<Vec<bool>>()
        };
        assert_eq!(shown(Some(&old())), [true, false, true]);
        assert_eq!(shown(None), [false, false, false]);
    }

    #[test]
    fn modes_have_names() {
        assert_eq!(named("enforce").unwrap(), Sandbox::Enforce);
        assert!(named("on").unwrap_err().message.ends_with("is not one of: best-effort, enforce, off"));
    }
}
