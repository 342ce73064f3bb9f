//! How attempts fare in a simulated fleet.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::task::Work;
use framefleet_model::time::{MediaTime, Rational};

use crate::fleet::media::Fate;
use crate::fleet::peril::Peril;

/// A film of so many pictures kills the worker of its second segment, whoever that is.
pub const POISON_PICTURES: i64 = 75;

/// Takes seconds; may crash, hang, run out of memory, take minutes, or take its worker with it.
pub struct Rolled(pub Arc<Peril>);

#[async_trait]
impl Fate for Rolled {
    async fn of(&self, work: &Work) -> Result<(), Fault> {
        let Self(peril) = self;
        if is_poison(work) {
            tokio::time::sleep(Duration::from_secs(2)).await;
            return peril.die("poison").await;
        }
        let calm = peril.storm.is_calm();
        if !calm && peril.dice.falls(peril.storm.weather.mishaps, 100) {
            return self.mishap().await;
        }
        tokio::time::sleep(Duration::from_millis(200 + peril.dice.roll(8_000))).await;
        Ok(())
    }
}

impl Rolled {
    async fn mishap(&self) -> Result<(), Fault> {
        let Self(peril) = self;
        let (kind, after) = peril.dice.one_of(&[
            (Some(FaultKind::Crashed), 1),
            // as the watch over media children ends one that does nothing
            (Some(FaultKind::Hung), 60),
            (Some(FaultKind::OutOfMemory), 5),
            (None, 200),
        ]);
        let kind = kind.filter(|_| peril.storm.may_fail());
        peril.storm.tell("mishap", format_args!("{}: {kind:?} in {after} s", peril.name));
        tokio::time::sleep(Duration::from_secs(after)).await;
        kind.map_or(Ok(()), |kind| Err(Fault::new(kind, "as rolled")))
    }
}

fn is_poison(work: &Work) -> bool {
    let rate = Rational::new(25, 1).expect("25 is positive");
    let poisoned = |end: MediaTime| end == rate.time_of(POISON_PICTURES);
    matches!(work, Work::Encode(work) if poisoned(work.track.span.end) && work.segment.number == 1)
}
