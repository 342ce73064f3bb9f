//! Buckets, folders, the work store: written, read back by a range and emptied again, under a name that is nobody's.

use std::path::Path;
use std::time::Duration;

use chrono::DateTime;
use framefleet_common::adapters::blob::root::{Doing, Root, STEP, Tried};
use framefleet_common::adapters::blob::url;
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::ports::clock::Clock;
use framefleet_common::process::tls;
use framefleet_model::event::{Provider, UploadKey};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Nonce;
use framefleet_model::trigger::Trigger;
use futures::future::BoxFuture;

use super::verdict::{Verdict, in_time, on_disk, silent};
use crate::config::{Endpoint, StorageConfig};
use crate::roles::shared;

const STORAGE: &str = "storage";
const WORK: &str = "work";
const CLOCK: &str = "clock";
const DELETE: &str = "delete it, and give the right to delete";
const REACH: &str = "correct its [[storage]]: url, endpoint, region, keys; or the rights of the key";
/// S3 and OSS refuse requests that are signed a quarter of an hour beside their time, and receivers of webhooks after five
/// minutes; a clock that is this far off is not kept at all.
const SKEW_MAX: Duration = Duration::from_secs(5);
/// What a `Date` does not tell.
const DATE_MS: i64 = 1000;
const DATE_TIMEOUT: Duration = Duration::from_secs(10);

/// A check for each place, and one of the clock of each server of objects.
pub(super) fn of<'a>(
    (storage, folders): (&'a [StorageConfig], &'a [String]),
    (triggers, work): (Option<&'a [Trigger]>, Option<&'a str>),
) -> Vec<BoxFuture<'a, Vec<Verdict>>> {
    let mut asked: Vec<BoxFuture<'a, Vec<Verdict>>> = Vec::new();
    for one in storage {
        let (name, root) = (name(), shared::root_of(one));
        // Where triggers are not known, one might.
        let taken = triggers.is_none_or(|triggers| is_taken(one, (triggers, &name)));
        asked.push(Box::pin(async move {
            let url = one.url();
            in_time((STORAGE, Some(url.as_str()), FaultKind::DestinationDenied), bucket((&url, root), (&name, taken)))
                .await
        }));
    }
    for folder in folders {
        asked.push(Box::pin(in_time(
            (STORAGE, Some(folder.as_str()), FaultKind::DestinationDenied),
            self::folder(folder, triggers),
        )));
    }
    if let Some(url) = work {
        let root = shared::work_of(storage, url);
        asked.push(Box::pin(in_time((WORK, Some(url), FaultKind::DestinationDenied), self::work(url, root))));
    }
    let mut endpoints: Vec<String> = storage.iter().map(endpoint).collect();
    endpoints.sort_unstable();
    endpoints.dedup();
    asked.extend(endpoints.into_iter().map(|endpoint| -> BoxFuture<'a, Vec<Verdict>> { Box::pin(clock_of(endpoint)) }));
    asked
}

/// How far apart two clocks are that should be one.
pub(super) fn skew(of: &str, ahead_ms: i64) -> Verdict {
    let apart = Duration::from_millis(ahead_ms.unsigned_abs());
    if apart <= SKEW_MAX {
        return Verdict::ok(CLOCK, format!("within {SKEW_MAX:?} of this machine's")).of(of);
    }
    let way = if ahead_ms > 0 { "ahead of" } else { "behind" };
    let fault = Fault::new(FaultKind::Settings, format!("{apart:?} {way} this machine's, more than {SKEW_MAX:?}"));
    Verdict::bad(CLOCK, fault, "keep both by NTP (chronyd, systemd-timesyncd)").of(of)
}

fn name() -> String {
    format!("doctor-{}", Nonce::from_bytes(rand::random()))
}

/// Whether what is written for a moment would begin a job.
fn is_taken(storage: &StorageConfig, (triggers, name): (&[Trigger], &str)) -> bool {
    let below = [storage.prefix.as_str(), "/", &Root::probe_name(name)].concat();
    let Ok(key) = UploadKey::new(below.trim_start_matches('/')) else { return false };
    let bucket = url::of_key(storage.provider, (storage.bucket.as_str(), ""));
    triggers.iter().any(|trigger| trigger.place.url() == bucket && trigger.covers(&key))
}

/// The same of a file.
fn is_watched(path: &Path, triggers: &[Trigger]) -> bool {
    let folders = triggers.iter().filter(|trigger| trigger.place.is_folder());
    let mut watched = folders.filter_map(|trigger| Some((trigger, url::to_path(&trigger.place.url()).ok()?)));
    watched.any(|(trigger, folder)| {
        let key = path.strip_prefix(folder).ok().and_then(Path::to_str);
        key.and_then(|key| UploadKey::new(key).ok()).is_some_and(|key| trigger.covers(&key))
    })
}

async fn bucket((url, root): (&str, Result<Root, Fault>), (name, taken): (&str, bool)) -> Vec<Verdict> {
    let found = match root {
        Err(fault) => closed(STORAGE, fault),
        Ok(root) if taken => seen(&root).await,
        Ok(root) => written((&root, name)).await,
    };
    vec![found.of(url)]
}

async fn folder(url: &str, triggers: Option<&[Trigger]>) -> Vec<Verdict> {
    let (root, path) = match (shared::root_in(url), url::to_path(url)) {
        (Ok(root), Ok(path)) => (root, path),
        (Err(fault), _) | (_, Err(fault)) => return vec![closed(STORAGE, fault).of(url)],
    };
    let (name, there) = (name(), path.clone());
    let file = path.join(Root::probe_name(&name));
    let found = match on_disk(move || there.is_dir()).await {
        None => {
            let fault = Fault::new(FaultKind::DestinationMissing, silent("it"));
            Verdict::bad(STORAGE, fault, "look whether its server runs, and mount it again")
        }
        Some(false) => {
            let fault = Fault::new(FaultKind::DestinationMissing, "there is no such folder");
            Verdict::bad(STORAGE, fault, "make it, or mount it")
        }
        Some(true) if triggers.is_none_or(|triggers| is_watched(&file, triggers)) => seen(&root).await,
        Some(true) => written((&root, &name)).await,
    };
    vec![found.of(url)]
}

/// Only looked at.
async fn seen(root: &Root) -> Verdict {
    match listed(root).await {
        Ok(()) => Verdict::ok(STORAGE, "can be listed; not written, for a trigger might take it"),
        Err(fault) => closed(STORAGE, fault),
    }
}

/// Films may lie where nothing can be written; outputs cannot go there.
async fn written((root, name): (&Root, &str)) -> Verdict {
    match root.read_back(name).await {
        Tried { read_back: Ok(()), left: None } => Verdict::ok(STORAGE, "written, read back, and emptied again"),
        Tried { read_back: Ok(()), left: Some(left) } => {
            let says = format!("written and read back; {}", left_behind(&left));
            Verdict::warning(STORAGE, says, DELETE)
        }
        Tried { read_back: Err((Doing::Reading, fault)), left } => closed(STORAGE, and_left(fault, left.as_ref())),
        Tried { read_back: Err((Doing::Writing, fault)), left } => {
            let fault = and_left(fault, left.as_ref());
            if listed(root).await.is_err() {
                return closed(STORAGE, fault);
            }
            let says = format!("can be listed, and cannot be written: {}", fault.message);
            Verdict::warning(STORAGE, says, "give the right to write, if outputs go there")
        }
    }
}

async fn work(url: &str, root: Result<Root, Fault>) -> Vec<Verdict> {
    let tried = match root {
        Ok(root) => tried(&root).await,
        Err(fault) => Err(fault),
    };
    let found = match tried {
        Ok(()) => Verdict::ok(WORK, "written, read back by a range, listed, and emptied again"),
        Err(fault) => closed(WORK, fault),
    };
    vec![found.of(url)]
}

/// All that a fleet does there: what is done with must go, or it stays for ever.
async fn tried(root: &Root) -> Result<(), Fault> {
    let Tried { read_back, left } = root.read_back(&name()).await;
    read_back.map_err(|(_, fault)| and_left(fault, left.as_ref()))?;
    match left {
        Some(left) => Err(Fault::new(FaultKind::StorageAway, left_behind(&left))),
        None => listed(root).await,
    }
}

async fn listed(root: &Root) -> Result<(), Fault> {
    let late = |_| Err(Fault::new(FaultKind::StorageAway, silent("a list")));
    tokio::time::timeout(STEP, root.list(None, None)).await.map_or_else(late, |listed| listed.map(drop))
}

fn and_left(fault: Fault, left: Option<&(String, Fault)>) -> Fault {
    // Whoever does not answer may have written it all the same.
    let said = left.map(|left| format!("{}; perhaps {}", fault.message, left_behind(left)));
    Fault { message: said.unwrap_or_else(|| fault.message.clone()), ..fault }
}

fn left_behind((place, why): &(String, Fault)) -> String {
    format!("{place} was left, for it could not be deleted: {}", why.message)
}

/// Whoever answered: it is a place that cannot be used.
fn closed(check: &'static str, fault: Fault) -> Verdict {
    Verdict::bad(check, Fault { kind: FaultKind::DestinationDenied, ..fault }, REACH)
}

/// Where a server of objects answers, whatever it answers.
fn endpoint(storage: &StorageConfig) -> String {
    match (&storage.endpoint, storage.provider) {
        (Endpoint::Tls(url) | Endpoint::Plain(url), _) => url.clone(),
        (Endpoint::Provider, Provider::S3) => format!("https://s3.{}.amazonaws.com", storage.region),
        (Endpoint::Provider, Provider::Oss) => format!("https://oss-{}.aliyuncs.com", storage.region),
    }
}

/// By the `Date` of an answer, of which the second is known and no more.
async fn clock_of(endpoint: String) -> Vec<Verdict> {
    tls::install();
    let clock = HostClock::start();
    let before = clock.epoch_ms();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(DATE_TIMEOUT).build();
    let answer = match client {
        Ok(client) => client.head(&endpoint).send().await,
        Err(error) => Err(error),
    };
    let after = clock.epoch_ms();
    let date =
        answer.ok().and_then(|answer| answer.headers().get(reqwest::header::DATE)?.to_str().ok().map(str::to_owned));
    let date = date.and_then(|date| DateTime::parse_from_rfc2822(&date).ok());
    vec![match date.map(|date| date.timestamp_millis()) {
        // Somewhere within its second, at some moment of the request.
        Some(date) if date + DATE_MS < before => skew(&endpoint, date + DATE_MS - before),
        Some(date) if date > after => skew(&endpoint, date - after),
        Some(_) => skew(&endpoint, 0),
        None => Verdict::warning(CLOCK, "it does not tell its time", "look whether it answers at all").of(endpoint),
    }]
}

#[cfg(test)]
mod tests {
    use super::super::verdict::State;
    use super::*;

    #[test]
    fn clocks_may_be_a_little_apart() {
        assert_eq!([0, 5000, -5000].map(|ms| skew("store.url", ms).state), [State::Ok; 3]);
        let ahead = skew("store.url", 61_000);
        assert_eq!((ahead.state, ahead.says.as_str()), (State::Bad, "61s ahead of this machine's, more than 5s"));
        assert_eq!(skew("store.url", -7500).says, "7.5s behind this machine's, more than 5s");
    }
}
