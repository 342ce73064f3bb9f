//! Pages of jobs and letters. A page's end names the last that was looked at, so what comes in between is neither told
//! twice nor left out.

use framefleet_common::ports::rows;
use framefleet_common::ports::store::{Entry, Scan, Shard, Store, StoreError};
use framefleet_model::fault::Fault;
use framefleet_model::id::JobId;
use framefleet_model::job::Job;

use crate::letters;
use crate::ops::{Created, LetterPage, Listed, ListedLetters, Page};

/// Jobs or letters on a page at most.
const PAGE_MAX: usize = 1000;
/// So many are looked through for a page at most: where few match, pages are short and go on.
const LOOKED_AT_MAX: usize = 20_000;

/// The youngest first.
pub(super) async fn jobs(store: &dyn Store, page: &Page) -> Result<Listed, Fault> {
    let limit = page.limit.clamp(1, PAGE_MAX);
    let (mut jobs, mut after, mut looked_at) = (Vec::new(), page.after.clone(), 0);
    while looked_at < LOOKED_AT_MAX {
        let (entries, is_last) = youngest(store, (page.created, after.clone()), limit).await?;
        looked_at += entries.len().max(1);
        for (entry, job) in load(store, entries).await? {
            after = Some(entry);
            jobs.extend(job.filter(|job| matches(page, job)));
            if jobs.len() == limit {
                return Ok(Listed { jobs, next: after });
            }
        }
        if is_last {
            return Ok(Listed { jobs, next: None });
        }
    }
    Ok(Listed { jobs, next: after })
}

/// The next so many of all shards, and whether there are no more.
async fn youngest(
    store: &dyn Store,
    (created, after): (Created, Option<Entry>),
    limit: usize,
) -> Result<(Vec<Entry>, bool), StoreError> {
    // The younger, the lower.
    let from = created.until.map_or(i64::MIN, |until| rows::age(until).saturating_add(1));
    let to = created.from.map_or(i64::MAX, rows::age);
    let mut entries = Vec::new();
    for shard in Shard::of_jobs() {
        let scan = Scan { index: rows::jobs(shard), from, to, after: after.clone(), limit };
        entries.extend(store.scan(scan).await?.entries);
    }
    entries.sort_unstable();
    let is_last = entries.len() <= limit;
    entries.truncate(limit);
    Ok((entries, is_last))
}

async fn load(store: &dyn Store, entries: Vec<Entry>) -> Result<Vec<(Entry, Option<Job>)>, StoreError> {
    let known = entries.into_iter().filter_map(|entry| Some((entry.member.parse::<JobId>().ok()?, entry)));
    let (ids, entries): (Vec<JobId>, Vec<Entry>) = known.unzip();
    let keys: Vec<_> = ids.iter().map(rows::job_row).collect();
    let loaded = if keys.is_empty() { Vec::new() } else { store.load(&keys).await?.rows };
    let jobs = keys.iter().zip(loaded).map(|(key, row)| row.map(|row| rows::from_row(key, &row)).transpose());
    entries.into_iter().zip(jobs).map(|(entry, job)| Ok((entry, job?))).collect()
}

fn matches(page: &Page, job: &Job) -> bool {
    page.state.as_ref().is_none_or(|state| job.state.name() == state)
        && page.tenants.as_ref().is_none_or(|tenants| tenants.contains(&job.terms.tenant))
        && page.source.as_ref().is_none_or(|begin| job.source.url.starts_with(begin))
}

/// The youngest first, which is against the order of their index: all their names are looked through, and those of the
/// page read.
pub(super) async fn letters(store: &dyn Store, page: &LetterPage) -> Result<ListedLetters, Fault> {
    let limit = page.limit.clamp(1, PAGE_MAX);
    let mut entries = letters::all(store).await?;
    entries.retain(|(entry, _)| page.after.as_ref().is_none_or(|after| entry < after));
    entries.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
    let is_full = entries.len() > limit;
    entries.truncate(limit);
    let letters = letters::load(store, &entries).await?;
    Ok(ListedLetters { letters, next: entries.pop().map(|(entry, _)| entry).filter(|_| is_full) })
}
