//! An output of pictures: its image task has made and proved all its files, and its merge brings them, unchanged, to
//! where outputs are staged from.

use std::path::Path;

use framefleet_common::adapters::blob::root::Root;
use framefleet_common::adapters::blob::{Object, Side};
use framefleet_common::ports::rows::TaskRef;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{JobId, TaskId, TaskKind};
use framefleet_model::image::Names;
use framefleet_model::key::{FileName, ObjectKey};
use framefleet_model::ledger::{OutputProof, Part, Produced, Stand};
use framefleet_model::shots::{ImagePlan, Make};
use framefleet_model::task::Outcome;
use framefleet_model::time::MediaTime;
use tokio::io::AsyncWriteExt as _;

use crate::effects::internal;
use crate::inputs::Inputs;

const READ_BYTES: u32 = 4 << 20;

/// Where the pictures come from.
#[derive(Clone, Copy)]
pub(crate) struct From<'a> {
    pub(crate) inputs: &'a Inputs,
    pub(crate) work: &'a Root,
    pub(crate) job: &'a JobId,
}

/// Waits for the image task, and copies what it made into the scratch folder.
pub(crate) async fn gather(from: From<'_>, plan: &ImagePlan, scratch: &Path) -> Result<OutputProof, Fault> {
    let at = TaskRef::new(from.job, TaskId::new(TaskKind::Image, plan.number));
    let settled = from.inputs.result(&at).await?;
    let Outcome::Image(proof) = &settled.outcome else {
        return Err(internal(format!("{at} is settled with another kind of result")));
    };
    for file in &proof.files {
        let name = FileName::new(&file.name).map_err(|e| internal(e.to_string()))?;
        let path = scratch.join(name.as_str());
        let key = ObjectKey::attempt(&at.job, at.task, &settled.nonce, name);
        fetch((from.work, &key), &path).await?;
        let arrived = Object::file(&path, Side::Work).content().await?;
        if (arrived.size, &arrived.digest) != (file.size, &file.digest) {
            return Err(internal(format!("{key} is damaged: its digest is another")));
        }
    }
    let mut files = placed(plan, &proof.files);
    let last = files.pop().ok_or_else(|| internal(format!("{at} made nothing")))?;
    Ok(OutputProof {
        output: plan.output,
        file: last.file,
        stands: last.stands,
        beside: files,
        duration: proof.duration.unwrap_or(MediaTime::ZERO),
        video: None,
        audio: Vec::new(),
        variants: Vec::new(),
    })
}

/// Where each file of pictures comes to stand; what leads to the others is the last.
fn placed(plan: &ImagePlan, files: &[Produced]) -> Vec<Part> {
    let one_named = match &plan.make {
        Make::Stills(stills) => stills.names == Names::Plain,
        Make::Sheets(_) | Make::Gif(_) => true,
    };
    let place = |(file, number): (&Produced, u32)| {
        let is_last = number as usize == files.len();
        let stands = if one_named && is_last { Stand::Named } else { Stand::Numbered(number) };
        Part { file: file.clone(), stands }
    };
    files.iter().zip(1..).map(place).collect()
}

async fn fetch((work, key): (&Root, &ObjectKey), to: &Path) -> Result<(), Fault> {
    let full = |e: std::io::Error| Fault::new(FaultKind::ScratchFull, format!("the scratch folder takes no more: {e}"));
    let reader = work.object(key).reader().await?;
    let mut out = tokio::fs::File::create(to).await.map_err(full)?;
    let mut offset = 0;
    while offset < reader.facts().size {
        let bytes = reader.read(offset, READ_BYTES).await?;
        if bytes.is_empty() {
            return Err(internal(format!("{key} ends after {offset} bytes")));
        }
        out.write_all(&bytes).await.map_err(full)?;
        offset += bytes.len() as u64;
    }
    out.flush().await.map_err(full)
}
