//! A letter's message, read once more because somebody asks for it: what stood in its way may have been mended.
//!
//! What it tells is looked at as if it had just come, but for its time: a job that ended is not begun anew by it.

use framefleet_common::ports::store::StoreError;
use framefleet_model::event::{self, UploadKey, UploadKind};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::percent;
use framefleet_model::time::StoreTime;
use framefleet_model::trigger::Trigger;

use crate::arrivals::{Arrival, Arrived};
use crate::inbox::{Asker, Origin, Submitted};
use crate::letters::{Content, Letter, OBJECTS};
use crate::parked::Parked;
use crate::uploads::Uploads;

/// Never later than anything.
const LONG_AGO: StoreTime = StoreTime(i64::MIN);

impl Uploads {
    /// Ends well where all that the message tells has a job, or will be looked at again by itself.
    pub(crate) async fn read_again(&self, letter: &Letter) -> Result<(), Fault> {
        let Content::Message { queue, body, bytes, .. } = &letter.content else {
            return Err(useless(letter, "is of a task"));
        };
        if queue == OBJECTS {
            let (trigger, key) = self.meant(body).ok_or_else(|| useless(letter, "is of what no trigger takes now"))?;
            return self.look_again(letter, (trigger, &key, UploadKind::Put)).await;
        }
        if body.len() as u64 != *bytes {
            return Err(useless(letter, &format!("has {} of its message's {bytes} bytes", body.len())));
        }
        let news =
            event::decode(body.as_bytes()).map_err(|why| useless(letter, &format!("still tells nothing: {why}")))?;
        if let Some(refused) = news.refused.first() {
            return Err(useless(letter, &format!("still tells of what cannot be asked for: {refused}")));
        }
        if news.uploads.is_empty() {
            return Err(useless(letter, "tells of no upload"));
        }
        for upload in &news.uploads {
            let taker = self.arrivals.triggers.iter().find(|trigger| trigger.takes(upload));
            let trigger =
                taker.ok_or_else(|| useless(letter, &format!("is of {}, which no trigger takes", upload.key)))?;
            self.look_again(letter, (trigger, &upload.key, upload.kind)).await?;
        }
        Ok(())
    }

    async fn look_again(
        &self,
        letter: &Letter,
        (trigger, key, kind): (&Trigger, &UploadKey, UploadKind),
    ) -> Result<(), Fault> {
        let arrival =
            Arrival { trigger, key, kind: Some(kind), origin: Origin::Event { at: LONG_AGO }, asked: &Asker::Unsaid };
        match self.arrivals.arrive(arrival).await? {
            Arrived::Job(id, Submitted::New | Submitted::Again) => {
                self.observer.triggered(&id, (&trigger.name, &trigger.url(key)));
                Ok(())
            }
            Arrived::Job(_, Submitted::Joined | Submitted::Done | Submitted::Ended) => Ok(()),
            Arrived::Unquiet { until } => {
                let now = self.arrivals.now().await.map_err(|error: StoreError| Fault::from(error))?;
                self.park(Parked::new(arrival, LONG_AGO, now), until).await
            }
            Arrived::Gone => Err(useless(letter, &format!("is of {}, which is not there", trigger.url(key)))),
            Arrived::Unfit(why) => Err(useless(letter, &format!("is still of no use: {why}"))),
        }
    }

    /// The trigger that an object's URL is of, and its key.
    fn meant(&self, url: &str) -> Option<(&Trigger, UploadKey)> {
        self.arrivals.triggers.iter().find_map(|trigger| {
            let key = percent::decode(url.strip_prefix(&trigger.place.url())?)?;
            let key = UploadKey::new(&String::from_utf8(key).ok()?).ok()?;
            trigger.covers(&key).then_some((trigger, key))
        })
    }
}

fn useless(letter: &Letter, why: &str) -> Fault {
    Fault::new(FaultKind::Settings, format!("letter {} {why}: it can only be dropped as it is", letter.id))
}
