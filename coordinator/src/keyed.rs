//! Keys that callers choose for what they ask for: the same key with the same wish is the same job, with another it is a
//! mistake.
//!
//! A key is held by a row of its job's shard before anything else is written, so of two that ask at once for different
//! things one is refused, and neither's wish overwrites the other's. The row goes with its job; where no job came of it, a day
//! later.

use framefleet_common::ports::rows;
use framefleet_common::ports::store::{Commit, Shard};
use framefleet_common::ports::txn::Txn;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{Digest, JobId};
use framefleet_model::pipeline::Request;
use framefleet_model::terms::{Tenant, Terms};
use framefleet_model::watermark::Mark;
use serde::{Deserialize, Serialize};

use crate::inbox::{Inbox, Resolved, Submission, Wanted, busy};

const HOLD_VERSION: u32 = 1;
const CONFLICTS_MAX: u32 = 64;
/// For a request that was refused after its key was held.
const HELD_MS: i64 = 24 * 3600 * 1000;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Hold {
    version: u32,
    asked: Digest,
}

/// The job that a tenant's key names.
pub(crate) fn job_id(tenant: &Tenant, key: &str) -> JobId {
    JobId::of_parts(&["key-1", tenant.as_str(), key])
}

/// Holds the key for this wish, or finds it held for it.
pub(crate) async fn hold(inbox: &Inbox, resolved: &Resolved, submission: &Submission) -> Result<(), Fault> {
    let (id, terms) = (&resolved.id, &submission.terms);
    let asked = match &submission.wanted {
        Wanted::Outputs(request) => asked(request, terms),
        // As it was said: the same may come to other names once its source has changed.
        Wanted::Pipeline(through) => Digest::of(&rows::to_bytes(&(&through.source, through.asked(), terms))),
    };
    let row = rows::key(id);
    for _ in 0..CONFLICTS_MAX {
        let loaded = inbox.store.load(std::slice::from_ref(&row)).await?;
        if let Some(held) = loaded.rows.into_iter().next().flatten() {
            let held: Hold = rows::from_row(&row, &held)?;
            return if held.asked == asked { Ok(()) } else { Err(reused(id)) };
        }
        // A store that was built anew has the jobs, and not who asked for them by which key.
        let (known, now) = inbox.known(id).await?;
        if known.is_some() {
            let accepted = inbox.accepted(id).await?;
            if self::asked(&accepted.request, &accepted.terms) != self::asked(&resolved.request, terms) {
                return Err(reused(id));
            }
        }
        let hold = rows::to_bytes(&Hold { version: HOLD_VERSION, asked: asked.clone() });
        let mut txn = Txn::new(Shard::of(id)).create(&row, hold);
        if known.is_none() {
            let retired = rows::retired(Shard::of(id));
            txn = txn.expect(&rows::job_row(id), None).index_set(&retired, id.as_str(), now.after_ms(HELD_MS).ms());
        }
        if inbox.store.commit(txn).await? != Commit::Conflict {
            return Ok(());
        }
    }
    Err(busy(id))
}

/// What was asked for, whatever the images that it names look like now.
fn asked(request: &Request, terms: &Terms) -> Digest {
    let mut request = request.clone();
    let videos = request.outputs.iter_mut().filter_map(|output| output.video.as_mut());
    for watermark in videos.flat_map(|video| &mut video.watermarks) {
        if let Mark::Image { digest, .. } = &mut watermark.mark {
            *digest = None;
        }
    }
    Digest::of(&rows::to_bytes(&(request, terms)))
}

fn reused(id: &JobId) -> Fault {
    let text = format!("this idempotency key named another request before: that of job {id}");
    Fault::new(FaultKind::KeyReused, text)
}
