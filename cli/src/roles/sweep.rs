//! `framefleet sweep`: older objects of a trigger's place become jobs, once somebody has seen how many they are.

use std::sync::Arc;

use framefleet_common::adapters::clock::HostClock;
use framefleet_common::ports::clock::Clock;
use framefleet_coordinator::bucket_sweep::{BucketSweep, Doing, Survey};
use framefleet_model::event::WallTime;
use framefleet_model::fault::Fault;
use prometheus::Registry;

use crate::args::roles::SweepArgs;
use crate::config::CoordinatorRole;
use crate::render;
use crate::roles::{shared, traces};
use crate::settings::refused;

/// What is swept, checked.
pub struct Asked {
    trigger: String,
    from: WallTime,
    doing: Doing,
}

pub fn asked(args: &SweepArgs) -> Result<Asked, Fault> {
    let SweepArgs { trigger, from, dry_run, .. } = args;
    let moment = WallTime::parse(from).or_else(|| WallTime::parse(&[from.as_str(), "T00:00:00Z"].concat()));
    let from = moment.ok_or_else(|| {
        refused(format!("from {from:?} is no moment such as 2026-01-31 or 2026-01-31T08:00:00Z (flag --from)"))
    })?;
    let doing = if *dry_run { Doing::Counting } else { Doing::Submitting };
    Ok(Asked { trigger: trigger.clone(), from, doing })
}

/// A fleet may be at work beside it.
pub async fn run(role: CoordinatorRole, asked: Asked) -> Result<(), Fault> {
    let (config, clock): (_, Arc<dyn Clock>) = (&role.config, Arc::new(HostClock::start()));
    let fleet = shared::without_broker(config, clock.clone()).await?;
    // Of its jobs the coordinators tell; that they are traced, and where they stand, is settled as they begin.
    let to = (config.traces.as_ref(), traces::by_broker(&config.broker));
    let (traces, way) = traces::start(to, ("sweep", &config.coordinator.name), (&clock, &Registry::new()))?;
    let sweep = BucketSweep::new(&fleet, (role.triggers, config.coordinator.pace), traces);
    let ended = survey(&sweep, asked).await;
    way.close().await;
    ended
}

async fn survey(sweep: &BucketSweep, asked: Asked) -> Result<(), Fault> {
    let Asked { trigger, from, doing } = asked;
    let Survey { objects, bytes, .. } = sweep.survey(&trigger, (from, Doing::Counting)).await?;
    render::write(&format!("{objects} objects of {bytes} bytes have appeared since {from} and have no job\n"))?;
    if doing == Doing::Submitting {
        let Survey { submitted, .. } = sweep.survey(&trigger, (from, doing)).await?;
        render::write(&format!("{submitted} jobs were submitted\n"))?;
    }
    Ok(())
}
