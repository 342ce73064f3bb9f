//! Reading the finished file back by demuxing it: what it holds against what went in.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Digest;
use framefleet_model::ledger::{AudioReadback, OutputProof, Produced, VideoReadback};
use framefleet_model::media::Container;
use framefleet_model::task::MergeWork;
use framefleet_model::time::MediaTime;
use sha2::{Digest as _, Sha256};

use crate::indexing::scratch_fault;
use crate::merge::inputs::{Inputs, PictureInput, SoundInput};
use crate::pass;
use crate::tap::{Heard, Kind};

/// What a container's clock may round off a picture's time.
const OFF_MAX: MediaTime = MediaTime::from_millis(1);
const TRACKS: u32 = 8;

pub(crate) fn of(work: &MergeWork, inputs: &Inputs, path: &Path, name: String) -> Result<OutputProof, Fault> {
    let file = File::open(path).map_err(|e| scratch_fault(&e))?;
    let produced = produced(&file, name).map_err(|e| scratch_fault(&e))?;
    let passed = pass::run(Arc::new(file), TRACKS, |_| {})?;
    if let Some(trouble) = passed.trouble {
        return Err(Fault::new(FaultKind::LedgerOpen, format!("the output does not read back: {}", trouble.message)));
    }
    let track = |kind: Kind| passed.taps.iter().find(|tap| tap.heard().kind == kind).cloned();
    let missing = |what: &str| Fault::new(FaultKind::LedgerOpen, format!("the output has no {what} track"));
    let mut proof = OutputProof { output: work.output, file: produced, duration: MediaTime::ZERO, video: None, audio: None };
    if let Some(pictures) = &inputs.pictures {
        let tap = track(Kind::Video).ok_or_else(|| missing("video"))?;
        proof.video = Some(pictures_of(&tap.heard(), pictures)?);
        proof.duration = proof.duration.max(pictures.end);
    }
    if let Some(sound) = &inputs.sound {
        let tap = track(Kind::Audio).ok_or_else(|| missing("audio"))?;
        let zero = zero_of(work.container, &passed.taps.iter().filter_map(|t| t.heard().span).map(|s| s.start).min());
        proof.audio = Some(sound_of(&tap.heard(), sound, zero)?);
        proof.duration = proof.duration.max(sound.track.extent.end);
    }
    Ok(proof)
}

fn produced(mut file: &File, name: String) -> std::io::Result<Produced> {
    let mut hasher = Sha256::new();
    let mut buf = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        let got = file.read(&mut buf)?;
        if got == 0 {
            break;
        }
        hasher.update(&buf[..got]);
        size += got as u64;
    }
    Ok(Produced { name, size, digest: Digest::from_bytes(hasher.finalize().into()) })
}

/// Transport streams have no zero of their own.
fn zero_of(container: Container, earliest: &Option<MediaTime>) -> Option<MediaTime> {
    match container {
        Container::Mp4 | Container::Mkv => None,
        Container::Ts => *earliest,
    }
}

fn pictures_of(heard: &Heard, input: &PictureInput) -> Result<VideoReadback, Fault> {
    let mut times: Vec<MediaTime> = heard.units.iter().filter(|u| u.shows > 0).filter_map(|u| u.pts).collect();
    times.sort_unstable();
    let open = |what: String| Err(Fault::new(FaultKind::LedgerOpen, what));
    if times.len() != input.times.len() {
        return open(format!("{} pictures read back from the output, {} went in", times.len(), input.times.len()));
    }
    let (Some(first), Some(due)) = (times.first().copied(), input.times.first().copied()) else {
        return open("the output has no pictures".to_owned());
    };
    let off = |(got, due_at): (&MediaTime, &MediaTime)| MediaTime(((*got - first) - (*due_at - due)).ns().abs());
    let off_max = times.iter().zip(&input.times).map(off).max().unwrap_or_default();
    if off_max > OFF_MAX {
        return open(format!("a picture of the output stands {off_max} off its place, the bound is {OFF_MAX}"));
    }
    let last = times.last().copied().unwrap_or_default() - first + due;
    Ok(VideoReadback { pictures: u32::try_from(times.len()).unwrap_or(u32::MAX), first: due, last, off_max })
}

fn sound_of(heard: &Heard, input: &SoundInput, _zero: Option<MediaTime>) -> Result<AudioReadback, Fault> {
    let due = input.track.entries.len() as u64;
    // A unit that holds priming alone may be told to a player, and left out by a demuxer.
    if heard.count != due && heard.count + 1 != due {
        let message = format!("{} sound units read back from the output, {due} went in", heard.count);
        return Err(Fault::new(FaultKind::LedgerOpen, message));
    }
    let first = input.first();
    Ok(AudioReadback { units: u32::try_from(heard.count).unwrap_or(u32::MAX), first, off_max: MediaTime::ZERO })
}
