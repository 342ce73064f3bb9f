//! Whoever asks a simulated fleet for a film: until it is accepted, perhaps again later, perhaps cancelling it.

use std::sync::Arc;
use std::time::Duration;

use framefleet_coordinator::inbox::{Submission, Submitted};
use framefleet_coordinator::ops::Ops as _;
use framefleet_coordinator::ops::fleet::FleetOps;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::JobId;
use framefleet_model::job::JobState;
use framefleet_model::pipeline::Request;

use crate::fleet::dice::Dice;
use crate::fleet::peril::Mortal;
use crate::fleet::world::{Film, World};
use crate::fleet::{receiver, request};

const PAUSE: Duration = Duration::from_secs(1);

pub struct Caller {
    world: Arc<World>,
    film: Film,
    dice: Dice,
    name: String,
}

impl Caller {
    pub fn new(world: Arc<World>, film: Film) -> Self {
        let name = format!("caller{}", film.number);
        Self { dice: world.dice.of(&name), name, world, film }
    }

    /// The job that was accepted, with the number of its film.
    pub async fn call(&self) -> Option<(JobId, usize)> {
        let peril = self.world.peril(&self.name, Mortal::No);
        let ops = self.world.coordinator(&peril, self.world.scratches().join(&self.name)).ops();
        let request = request(&self.film.source, std::slice::from_ref(&self.film.out));
        let request = Request { steps: receiver::steps(), ..request };
        self.wait(15_000).await;
        let id = self.submit(&ops, &request).await?;
        for _ in 0..self.dice.roll(4) {
            self.wait(30_000).await;
            match self.dice.roll(4) {
                0 => self.cancel(&ops, &id).await,
                // Asked for again while attempts of the generation that ended may still be at work.
                1 => {
                    self.cancel(&ops, &id).await;
                    self.wait(3_000).await;
                    drop(self.submit(&ops, &request).await);
                }
                _ => drop(self.submit(&ops, &request).await),
            }
        }
        Some((id, self.film.number))
    }

    async fn wait(&self, ms_max: u64) {
        tokio::time::sleep(Duration::from_millis(self.dice.roll(ms_max))).await;
    }

    async fn submit(&self, ops: &FleetOps, request: &Request) -> Option<JobId> {
        let storm = &self.world.storm;
        let submission = Submission::of(request.clone());
        let (id, submitted) = self.insist(|| ops.submit(&submission)).await?;
        storm.tell("accepted", format_args!("{}: job {:.6} is accepted: {submitted:?}", self.name, id.as_str()));
        // From here on the store may go back as far as it likes.
        let (job, _) = self.world.truth.durable(&id);
        match (job, submitted) {
            (None, _) => storm.wrong(format!("job {id} was accepted and may yet be forgotten")),
            (Some(job), Submitted::Again | Submitted::New) if job.state.has_ended() => {
                let now = self.world.truth.job(&id).is_some_and(|now| now.generation > job.generation);
                if now {
                    storm.wrong(format!("job {id} was accepted again, which may yet be forgotten"));
                }
            }
            (Some(_), _) => {}
        }
        Some(id)
    }

    async fn cancel(&self, ops: &FleetOps, id: &JobId) {
        let storm = &self.world.storm;
        if self.insist(|| ops.cancel(id, "as rolled")).await.is_none() {
            return;
        }
        storm.tell("cancelled", format_args!("{}: job {:.6} is cancelled", self.name, id.as_str()));
        let (job, has_mail) = self.world.truth.durable(id);
        let past_it = job.is_none_or(|job| job.state.has_ended() || matches!(job.state, JobState::Publishing(_)));
        if !has_mail && !past_it {
            storm.wrong(format!("the cancelling of job {id} may yet be forgotten"));
        }
    }

    /// Asks until the fleet answers.
    async fn insist<T, F>(&self, ask: impl Fn() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        loop {
            match ask().await {
                Ok(answer) => return Some(answer),
                Err(fault) if fault.kind == FaultKind::StoreAway => tokio::time::sleep(PAUSE).await,
                Err(fault) => {
                    self.world.storm.wrong(format!("{} was refused: {fault}", self.name));
                    return None;
                }
            }
        }
    }
}
