//! Outputs on their way to their destination, of one file or of many.
//!
//! ```text
//! begin ─▶ note ─▶ fill ─▶ (the settle) ─▶ publish | discard
//! ```
//! What stands at final names is staged, invisible until it is published; the file that leads to all others comes last.
//! The files of a package but its master go whole into a folder that the attempt has to itself: nobody is led there
//! before the master is published, so nobody sees what a loser left, and it can be taken away at any time.

use std::path::{Path, PathBuf};

use framefleet_common::adapters::blob::{Content, OnExisting, Presence, Published, Staged, url};
use framefleet_common::ports::rows::{self, TaskRef};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Nonce;
use framefleet_model::key::{FileName, ObjectKey};
use framefleet_model::ledger::{OutputProof, Produced, Stand};
use futures::{FutureExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};

use crate::effects::{Effects, internal};

const STAGING_VERSION: u32 = 1;
/// Files of a package that are on their way at once.
const MEMBERS_AT_ONCE: usize = 4;
const NONCE_LETTERS: usize = 12;

/// All that one attempt brings to an output's destination: in the words of its note, and of its settle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Staging {
    version: u32,
    /// Files in the attempt's own folder, by their URLs.
    members: Vec<String>,
    /// In the order in which they are published.
    staged: Vec<At>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct At {
    url: String,
    staged: Staged,
}

/// As fleets wrote it before outputs had several files.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Several(Staging),
    One(Staged),
}

impl Staging {
    /// URLs of everything that is published, the one that leads to the others first.
    pub(crate) fn files(&self) -> Vec<String> {
        let leading = self.staged.iter().rev().map(|at| &at.url);
        leading.chain(&self.members).cloned().collect()
    }
}

/// The name of an attempt's folder beside the output, as it stands in a URL.
pub(crate) fn folder(to: &str, nonce: &Nonce) -> Result<String, Fault> {
    url::marked(to, &nonce.as_str()[..NONCE_LETTERS])
}

/// Names every file's place, and begins what will be published. Nothing of it is filled before it is noted.
pub(crate) async fn begin(
    effects: &Effects,
    (to, nonce): (&str, &Nonce),
    proof: &OutputProof,
) -> Result<Staging, Fault> {
    let mut staging = Staging { version: STAGING_VERSION, members: Vec::new(), staged: Vec::new() };
    for (file, stands) in proof.files() {
        let url = place(to, nonce, (file, stands))?;
        match stands {
            Stand::Within => staging.members.push(url),
            Stand::Named | Stand::Numbered(_) => {
                let content = Content { size: file.size, digest: file.digest.clone() };
                let begun = effects.output(&url)?.begin(nonce, content).await;
                match begun {
                    Ok(staged) => staging.staged.push(At { url, staged }),
                    Err(fault) => {
                        // The fault that is told is the first one.
                        drop(discard(effects, &staging).await);
                        return Err(fault);
                    }
                }
            }
        }
    }
    Ok(staging)
}

/// Whether final names are free. The output's own was looked at before any work; how many others there are is known only
/// now.
pub(crate) async fn look(effects: &Effects, begun: &Staging, on_existing: OnExisting) -> Result<(), Fault> {
    if begun.staged.len() < 2 || on_existing == OnExisting::Replace {
        return Ok(());
    }
    for At { url, staged } in &begun.staged {
        let object = effects.output(url)?;
        // What this job published already is its own.
        if object.presence().await? == Presence::Present && !object.shows(&staged.content).await? {
            return Err(Fault::new(FaultKind::DestinationExists, format!("output {url} exists already")));
        }
    }
    Ok(())
}

/// Brings everything from the scratch folder to its place.
pub(crate) async fn fill(
    effects: &Effects,
    begun: &Staging,
    (proof, scratch): (&OutputProof, &Path),
) -> Result<Staging, Fault> {
    let (mut members, mut finals) = (begun.members.iter(), begun.staged.iter());
    let (mut putting, mut filling) = (Vec::new(), Vec::new());
    for (file, stands) in proof.files() {
        let from = scratch.join(&file.name);
        match stands {
            Stand::Within => putting.extend(members.next().map(|url| put(effects, url, from).boxed())),
            Stand::Named | Stand::Numbered(_) => filling.extend(finals.next().map(|at| (at, from))),
        }
    }
    // None is dropped half-way: whoever discards them must find them at rest.
    let put: Vec<Result<(), Fault>> = futures::stream::iter(putting).buffered(MEMBERS_AT_ONCE).collect().await;
    put.into_iter().collect::<Result<(), Fault>>()?;
    let mut staged = Vec::new();
    for (At { url, staged: begun }, from) in filling {
        staged.push(At { url: url.clone(), staged: effects.output(url)?.fill(begun, &from).await? });
    }
    Ok(Staging { staged, ..begun.clone() })
}

async fn put(effects: &Effects, url: &str, from: PathBuf) -> Result<(), Fault> {
    effects.storages.member(url)?.put_file(&from).await
}

/// Gives every file its final name. Anybody may do it, and do it again.
pub(crate) async fn publish(effects: &Effects, staging: &Staging, on_existing: OnExisting) -> Result<Published, Fault> {
    for At { url, staged } in &staging.staged {
        match effects.output(url)?.publish(staged, on_existing).await? {
            Published::Stands => {}
            Published::Gone => return Ok(Published::Gone),
        }
    }
    Ok(Published::Stands)
}

/// Removes what will not be published. What is gone is removed already; what has been published stays, and what it leads
/// to.
pub(crate) async fn discard(effects: &Effects, staging: &Staging) -> Result<(), Fault> {
    let mut is_published = false;
    for At { url, staged } in &staging.staged {
        let object = effects.output(url)?;
        object.discard(staged).await?;
        is_published = !staging.members.is_empty() && object.shows(&staged.content).await?;
    }
    if is_published {
        return Ok(());
    }
    for url in &staging.members {
        effects.storages.member(url)?.delete().await?;
    }
    Ok(())
}

/// Writes down what an attempt begins to stage, for those who clean up after it.
pub(crate) async fn note(effects: &Effects, of: (&TaskRef, &Nonce), begun: &Staging) -> Result<(), Fault> {
    effects.put(&note_key(of), rows::to_bytes(begun)).await
}

/// What an attempt began to stage of this output, if it came so far.
pub(crate) async fn noted(effects: &Effects, of: (&TaskRef, &Nonce), to: &str) -> Result<Option<Staging>, Fault> {
    let key = note_key(of);
    if effects.work.object(&key).presence().await? == Presence::Absent {
        return Ok(None);
    }
    let note = effects.get(&key).await?;
    let note = std::str::from_utf8(&note).map_err(|e| internal(format!("{key} is no text: {e}")))?;
    parse(note, to).map(Some)
}

/// What was written down of an output that goes to `to`.
pub(crate) fn parse(written: &str, to: &str) -> Result<Staging, Fault> {
    let written =
        serde_json::from_str(written).map_err(|e| internal(format!("a staged result does not parse: {e}")))?;
    Ok(match written {
        Written::Several(staging) => staging,
        Written::One(staged) => {
            let staged = vec![At { url: to.to_owned(), staged }];
            Staging { version: STAGING_VERSION, members: Vec::new(), staged }
        }
    })
}

fn note_key((at, nonce): (&TaskRef, &Nonce)) -> ObjectKey {
    ObjectKey::staged(&at.job, at.task, nonce)
}

/// A file's URL. The name that a child gave it leads nowhere else.
fn place(to: &str, nonce: &Nonce, (file, stands): (&Produced, Stand)) -> Result<String, Fault> {
    let name = FileName::new(&file.name).map_err(|e| internal(e.to_string()))?;
    match stands {
        Stand::Named => Ok(to.to_owned()),
        Stand::Numbered(number) => {
            let extension = name.as_str().rsplit_once('.').map_or("bin", |(_, extension)| extension);
            url::beside(to, &url::numbered(to, (number, extension))?)
        }
        Stand::Within => {
            let folder = url::beside(to, &folder(to, nonce)?)?;
            Ok([folder.as_str(), "/", name.as_str()].concat())
        }
    }
}
