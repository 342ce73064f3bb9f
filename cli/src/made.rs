//! What a finished job made and proved, as people and programs are told.

use framefleet_coordinator::inbox::Submitted;
use framefleet_model::fault::{Fault, Whose};
use framefleet_model::id::{Digest, JobId};
use framefleet_model::ledger::{Ledger, LoudnessProof, OutputProof};
use framefleet_model::plan::{OutputPlan, Plan};
use framefleet_model::shots::ImagePlan;
use framefleet_model::sound::Measured;
use framefleet_model::time::MediaTime;
use serde::Serialize;

use crate::render::{Table, bytes, or_dash};

#[derive(Serialize)]
pub struct Made {
    job: JobId,
    state: &'static str,
    /// Whether an earlier life of the same command had made it already.
    already: bool,
    plan: Digest,
    segments: usize,
    /// Ends of segments that meet the start of the next.
    seams_proven: usize,
    /// Why the film was not cut.
    uncut: Option<String>,
    /// What the source's container promises and the source does not hold, with `damaged: keep`.
    missing: Option<String>,
    /// Pictures that do not decode, with `damaged: keep`.
    pictures_lost: usize,
    /// Units of sound that do not decode, in whose place is silence, with `damaged: keep`.
    sound_units_lost: u32,
    /// Of each rendition that one was asked for: levels in hundredths of a decibel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    loudness: Vec<LoudnessProof>,
    outputs: Vec<Output>,
}

#[derive(Serialize)]
struct Output {
    /// Of several files, the first or what leads to the others.
    to: String,
    container: &'static str,
    files: usize,
    /// Read back from the finished file.
    pictures: Option<u32>,
    /// Of all its sound tracks together.
    sound_units: Option<u32>,
    sound_tracks: usize,
    #[serde(rename = "duration_ns")]
    duration: MediaTime,
    /// Largest distance of a picture from its planned time.
    #[serde(rename = "off_max_ns")]
    off_max: Option<MediaTime>,
    bytes: u64,
    sha256: Digest,
}

/// A job that failed, for programs.
#[derive(Serialize)]
pub struct Unmade<'a> {
    state: &'static str,
    code: u16,
    name: &'static str,
    whose: Whose,
    message: &'a str,
    evidence: &'a [String],
}

impl Made {
    pub fn of(job: JobId, submitted: Submitted, plan: &Plan, ledger: &Ledger) -> Self {
        let proof = |output: &OutputPlan| ledger.outputs.iter().find(|proof| proof.output == output.number);
        let outputs =
            plan.outputs.iter().filter_map(|planned| Some(output((planned, plan), (proof(planned)?, ledger))));
        Self {
            job,
            state: "completed",
            already: submitted == Submitted::Done,
            plan: ledger.plan.clone(),
            segments: plan.segments.len(),
            seams_proven: ledger.seams.len(),
            uncut: plan.uncut.clone(),
            missing: plan.missing.clone(),
            pictures_lost: ledger.segments.iter().map(|proof| proof.lost.len()).sum::<usize>()
                + ledger.images.iter().map(|proof| proof.lost as usize).sum::<usize>(),
            sound_units_lost: plan.sounds().into_iter().map(|track| lost((plan, track), ledger)).sum(),
            loudness: ledger.audio.iter().filter_map(|proof| proof.loudness).collect(),
            outputs: outputs.collect(),
        }
    }
}

/// Units of a track that do not decode: every rendition of it lacks the same.
fn lost((plan, track): (&Plan, u32), ledger: &Ledger) -> u32 {
    let renditions = plan.audio.iter().filter(|rendition| rendition.track == track);
    let proofs = renditions.flat_map(|made| ledger.audio.iter().filter(|proof| proof.rendition == made.number));
    proofs.map(|proof| proof.lost).max().unwrap_or(0)
}

fn output((planned, plan): (&OutputPlan, &Plan), (proof, ledger): (&OutputProof, &Ledger)) -> Output {
    // Of a package, its best variant.
    let best = proof.variants.first();
    let video = proof.video.as_ref().or(best.map(|variant| &variant.video));
    let audio = best.map_or(&proof.audio, |best| &best.audio);
    let images = plan.images.iter().find(|images| images.output == planned.number);
    let taken = images.and_then(|images| ledger.images.iter().find(|proof| proof.image == images.number));
    Output {
        to: planned.to.clone(),
        container: images.map_or(planned.container.name(), ImagePlan::name),
        pictures: video.map(|video| video.pictures).or(taken.map(|taken| taken.pictures)),
        files: proof.files().count(),
        sound_units: (!audio.is_empty()).then(|| audio.iter().map(|audio| audio.units).sum()),
        sound_tracks: audio.len(),
        duration: proof.duration,
        off_max: video.map(|video| video.off_max),
        bytes: proof.files().map(|(file, _)| file.size).sum(),
        sha256: proof.file.digest.clone(),
    }
}

impl<'a> Unmade<'a> {
    pub fn of(fault: &'a Fault) -> Self {
        let kind = fault.kind;
        Self {
            state: "failed",
            code: kind.code(),
            name: kind.name(),
            whose: kind.whose(),
            message: &fault.message,
            evidence: &fault.evidence,
        }
    }
}

pub fn table(made: &Made) -> String {
    let mut table = Table::new(["OUTPUT", "CONTAINER", "PICTURES", "DURATION", "SIZE"]);
    for output in &made.outputs {
        let (pictures, duration, size) = (or_dash(output.pictures), output.duration.to_string(), bytes(output.bytes));
        table.row([output.to.clone(), output.container.to_owned(), pictures, duration, size]);
    }
    let (segments, seams) = (made.segments, made.seams_proven);
    let mut text = format!("{table}\nproven: {segments} segments, {seams} seams, every output read back\n");
    if let Some(why) = &made.uncut {
        text.push_str(&format!("not cut: {why}\n"));
    }
    if let Some(what) = &made.missing {
        text.push_str(&format!("missing: the film is not whole, {what}\n"));
    }
    if made.pictures_lost > 0 {
        text.push_str(&format!("lost: {} pictures do not decode and were left out\n", made.pictures_lost));
    }
    if made.sound_units_lost > 0 {
        text.push_str(&format!("lost: {} units of sound do not decode and are silent\n", made.sound_units_lost));
    }
    for proof in &made.loudness {
        text.push_str(&loudness(proof));
    }
    if made.already {
        text.push_str("nothing was to do: these outputs were complete already\n");
    }
    text
}

/// `loudness: -45.57 LUFS, now -16 LUFS with peaks up to -5.81 dBTP`
fn loudness(proof: &LoudnessProof) -> String {
    let Measured { integrated, true_peak } = proof.made;
    match (proof.measured.integrated, integrated, true_peak) {
        (Some(was), Some(is), Some(peak)) => {
            format!("loudness: {was} LUFS, now {is} LUFS with peaks up to {peak} dBTP\n")
        }
        _ => "loudness: silence, which is left alone\n".to_owned(),
    }
}
