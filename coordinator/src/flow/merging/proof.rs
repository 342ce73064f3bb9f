//! The ledger: an output is whole only if every segment held exactly what the index lists, every seam meets, all
//! headers agree and the finished file, read back, holds it all. What does not prove is never papered over.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Digest;
use framefleet_model::index::Index;
use framefleet_model::ledger::{AudioProof, AudioReadback, ImageProof, Ledger, OutputProof, Seam, SegmentProof};
use framefleet_model::pipeline::Damaged;
use framefleet_model::plan::{
    Decode, OutputPlan, PackagePlan, Plan, Segment, VideoRendition, output_end, output_times, shown_times,
};
use framefleet_model::shots::{ImagePlan, Make};
use framefleet_model::sound::{Level, Loudness};
use framefleet_model::time::{MediaTime, NS_PER_SECOND, scale_round};

/// What the coarsest container clock rounds off.
const OFF_MAX: MediaTime = MediaTime::from_millis(1);
/// Sound is placed beside the pictures: both clocks round.
const SOUND_OFF_MAX: MediaTime = MediaTime::from_millis(2);
/// What filters that measure true peaks may differ by.
const PEAK_OVER_MAX: Level = Level(30);
/// Sound that a decoder may owe at the end of a track: its last, incomplete units.
const SOUND_SHORT_MAX: MediaTime = MediaTime::from_millis(500);

/// All that a ledger is drawn up from; proofs of segments in the order of the plan, each with all renditions.
pub struct Evidence<'a> {
    pub plan: &'a Plan,
    pub digest: &'a Digest,
    pub index: &'a Index,
    pub segments: &'a [Vec<SegmentProof>],
    pub audio: &'a [AudioProof],
    pub images: &'a [ImageProof],
    pub outputs: &'a [OutputProof],
}

/// Counts everything against the plan.
pub fn prove(evidence: &Evidence<'_>) -> Result<Ledger, Fault> {
    let plan = evidence.plan;
    expect("segments", evidence.segments.len(), plan.segments.len())?;
    expect("sound renditions", evidence.audio.len(), plan.audio.len())?;
    expect("image tasks", evidence.images.len(), plan.images.len())?;
    expect("outputs", evidence.outputs.len(), plan.outputs.len())?;
    for rendition in &plan.video {
        prove_rendition(evidence, rendition)?;
    }
    for audio in evidence.audio {
        prove_sound(evidence, audio)?;
    }
    for (planned, proof) in plan.images.iter().zip(evidence.images) {
        prove_images(evidence, planned, proof)?;
    }
    for (output, proof) in plan.outputs.iter().zip(evidence.outputs) {
        prove_output(evidence, output, proof)?;
    }
    Ok(Ledger {
        plan: evidence.digest.clone(),
        segments: evidence.segments.iter().flatten().cloned().collect(),
        seams: seams(plan)?,
        audio: evidence.audio.to_vec(),
        images: evidence.images.to_vec(),
        outputs: evidence.outputs.to_vec(),
    })
}

/// Seams of the plan itself: each segment begins where the one before it ends.
fn seams(plan: &Plan) -> Result<Vec<Seam>, Fault> {
    let pairs = plan.segments.windows(2);
    let seam = |pair: &[Segment]| {
        let (early, late) = (&pair[0], &pair[1]);
        if early.span.end != late.span.start {
            let (end, start) = (early.span.end, late.span.start);
            return Err(open(format!(
                "segment {} ends at {end}, segment {} starts at {start}",
                early.number, late.number
            )));
        }
        Ok(Seam { between: (early.number, late.number), at: early.span.end })
    };
    pairs.map(seam).collect()
}

fn prove_rendition(evidence: &Evidence<'_>, rendition: &VideoRendition) -> Result<(), Fault> {
    let mut header: Option<&Digest> = None;
    for (segment, proofs) in evidence.plan.segments.iter().zip(evidence.segments) {
        let proof = only(proofs.iter().filter(|p| p.rendition == rendition.number), || {
            format!("rendition {} of segment {}", rendition.number, segment.number)
        })?;
        prove_segment(evidence, Planned { segment, rendition }, proof)?;
        if proof.pictures == 0 {
            continue;
        }
        if *header.get_or_insert(&proof.header) != &proof.header {
            return Err(open(format!("the headers of segment {} differ from those before it", segment.number)));
        }
    }
    if header.is_none() {
        return Err(open(format!("rendition {} holds 0 pictures", rendition.number)));
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Planned<'a> {
    segment: &'a Segment,
    rendition: &'a VideoRendition,
}

fn prove_segment(evidence: &Evidence<'_>, planned: Planned<'_>, proof: &SegmentProof) -> Result<(), Fault> {
    let Planned { segment, rendition } = planned;
    let number = segment.number;
    if evidence.plan.damaged == Damaged::Fail && !proof.lost.is_empty() {
        let pictures = segment.pictures.unwrap_or_default();
        let text = format!("{} of {pictures} pictures of segment {number} do not decode", proof.lost.len());
        return Err(Fault::new(FaultKind::Damaged, text));
    }
    if let Some(delay) = rendition.dts_delay.filter(|delay| proof.dts_need > *delay) {
        return Err(open(format!("segment {number} needs a DTS advance of {}, planned is {delay}", proof.dts_need)));
    }
    let (Some(pictures), Decode::Slice { from, to, .. }) = (segment.pictures, &segment.decode) else {
        return Ok(());
    };
    if proof.decoded as usize + proof.lost.len() != pictures as usize {
        let text =
            format!("segment {number} decoded {} and lost {} of {pictures} pictures", proof.decoded, proof.lost.len());
        return Err(open(text));
    }
    let units = evidence.index.units.get(*from as usize..*to as usize).unwrap_or_default();
    let line = rendition.line(evidence.plan.origin);
    let times = output_times(&shown_times(units, segment.span), segment.span, line);
    if proof.lost.is_empty() {
        exact(number, proof, &times)?;
    } else if proof.pictures as usize > times.len() {
        return Err(open(format!("segment {number} encoded {} pictures, {} at most", proof.pictures, times.len())));
    }
    let end = output_end(segment.span, line);
    if proof.pictures > 0 && proof.end != end {
        return Err(open(format!("segment {number} ends at {}, planned is {end}", proof.end)));
    }
    Ok(())
}

fn exact(number: u32, proof: &SegmentProof, times: &[MediaTime]) -> Result<(), Fault> {
    expect(&format!("pictures of segment {number}"), proof.pictures as usize, times.len())?;
    match (times.first(), times.last()) {
        (Some(first), Some(last)) if (proof.first, proof.last) != (*first, *last) => {
            let (found_first, found_last) = (proof.first, proof.last);
            let text =
                format!("segment {number} shows from {found_first} to {found_last}, planned are {first} and {last}");
            Err(open(text))
        }
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

fn prove_sound(evidence: &Evidence<'_>, proof: &AudioProof) -> Result<(), Fault> {
    let plan = evidence.plan;
    let rendition = plan.audio.iter().find(|r| r.number == proof.rendition);
    let number = rendition.map(|rendition| rendition.track);
    let track = evidence.index.header.audio.iter().find(|track| Some(track.number) == number);
    let (Some(rendition), Some(track)) = (rendition, track) else {
        return Err(open(format!("sound rendition {} is not in the plan", proof.rendition)));
    };
    let samples = i64::try_from(proof.samples).unwrap_or(i64::MAX);
    let end = proof.first + MediaTime(scale_round(samples, NS_PER_SECOND, i64::from(rendition.format.rate)));
    let wanted = track.span.end.min(plan.span.end) - plan.origin;
    if proof.samples == 0 {
        return Err(open(format!("sound rendition {} holds 0 samples", proof.rendition)));
    }
    let peak = proof.loudness.and_then(|proof| proof.made.true_peak);
    if let (Some(Loudness { true_peak, .. }), Some(peak)) = (rendition.settings.treatment.loudness, peak)
        && peak.0 > true_peak.0 + PEAK_OVER_MAX.0
    {
        return Err(open(format!(
            "sound rendition {} has a peak at {peak} dBTP, {true_peak} at most",
            proof.rendition
        )));
    }
    if end + SOUND_SHORT_MAX < wanted && plan.damaged == Damaged::Fail {
        let text = format!("sound track {} ends at {end}, in the film at {wanted}", track.number);
        return Err(Fault::new(FaultKind::Damaged, text));
    }
    Ok(())
}

/// Every shot took the picture that the index shows at its moment, and all of them read back.
fn prove_images(evidence: &Evidence<'_>, planned: &ImagePlan, proof: &ImageProof) -> Result<(), Fault> {
    let name = format!("the pictures of output {}", planned.output);
    expect(&name, proof.taken.len(), planned.shots.len())?;
    expect(&format!("{name}, read back"), proof.pictures as usize, planned.shots.len())?;
    let mut strange = 0;
    for (shot, taken) in planned.shots.iter().zip(&proof.taken) {
        strange += u32::from(shot.picture.is_some_and(|picture| picture - evidence.plan.origin != *taken));
    }
    if strange != proof.lost || (strange > 0 && evidence.plan.damaged == Damaged::Fail) {
        return Err(open(format!("{strange} of {name} are not those of their moments, {} are said to be", proof.lost)));
    }
    expect(&format!("files of output {}", planned.output), proof.files.len(), planned.files())?;
    if let Make::Gif(gif) = &planned.make {
        let lasts = MediaTime::from_millis(gif.delays.iter().map(|delay| 10 * i64::from(*delay)).sum());
        if proof.duration != Some(lasts) {
            return Err(open(format!("{name} last {:?}, planned are {lasts}", proof.duration)));
        }
    }
    Ok(())
}

fn prove_output(evidence: &Evidence<'_>, output: &OutputPlan, proof: &OutputProof) -> Result<(), Fault> {
    let name = format!("output {}", output.number);
    if proof.output != output.number || proof.file.size == 0 {
        return Err(open(format!("{name} is proved as {} with {} bytes", proof.output, proof.file.size)));
    }
    if let Some(images) = output.images {
        return prove_gathered(evidence, images, proof);
    }
    if let Some(package) = &output.package {
        return prove_package(evidence, (output, package), proof);
    }
    match (output.video, &proof.video) {
        (Some(rendition), Some(back)) => {
            let proofs = evidence.segments.iter().flatten().filter(|p| p.rendition == rendition);
            expect(
                &format!("pictures read back from {name}"),
                back.pictures as usize,
                proofs.map(|p| p.pictures as usize).sum(),
            )?;
            in_place(&name, "picture", back.off_max, OFF_MAX)?;
        }
        (None, None) => {}
        (Some(_), None) | (None, Some(_)) => {
            return Err(open(format!("{name} differs from the plan in having pictures")));
        }
    }
    prove_heard(evidence, (&name, &output.audio), &proof.audio)
}

/// What stands there is what the image task made and proved, file by file.
fn prove_gathered(evidence: &Evidence<'_>, number: u32, proof: &OutputProof) -> Result<(), Fault> {
    let made = only(evidence.images.iter().filter(|p| p.image == number), || format!("image task {number}"))?;
    let made = made.files.iter().map(|file| &file.digest);
    if made.eq(proof.files().map(|(file, _)| &file.digest)) {
        return Ok(());
    }
    Err(open(format!("the files of output {} are not those that were made for it", proof.output)))
}

/// Each variant holds all that its rendition does, each of its segments what the film's segments in it do.
fn prove_package(
    evidence: &Evidence<'_>,
    (output, package): (&OutputPlan, &PackagePlan),
    proof: &OutputProof,
) -> Result<(), Fault> {
    let name = format!("output {}", output.number);
    expect(&format!("variants of {name}"), proof.variants.len(), package.videos.len())?;
    for (rendition, back) in package.videos.iter().zip(&proof.variants) {
        let name = format!("rendition {rendition} in {name}");
        if back.rendition != *rendition {
            return Err(open(format!("{name} is proved as rendition {}", back.rendition)));
        }
        // By segment of the film.
        let made: Vec<usize> = evidence.segments.iter().map(|proofs| pictures_of(*rendition, proofs)).collect();
        let ends = package.starts.iter().skip(1).map(|end| *end as usize).chain([made.len()]);
        let spans = package.starts.iter().map(|start| *start as usize).zip(ends);
        let due: Vec<usize> =
            spans.map(|(from, to)| made.get(from..to).unwrap_or_default().iter().sum()).filter(|n| *n > 0).collect();
        expect(&format!("segments of {name}"), back.segments.len(), due.len())?;
        for ((held, due), number) in back.segments.iter().zip(&due).zip(0..) {
            expect(&format!("pictures read back from segment {number} of {name}"), *held as usize, *due)?;
        }
        expect(&format!("pictures read back from {name}"), back.video.pictures as usize, made.iter().sum())?;
        in_place(&name, "picture", back.video.off_max, OFF_MAX)?;
        prove_heard(evidence, (&name, &output.audio), &back.audio)?;
    }
    Ok(())
}

fn pictures_of(rendition: u32, proofs: &[SegmentProof]) -> usize {
    proofs.iter().filter(|proof| proof.rendition == rendition).map(|proof| proof.pictures as usize).sum()
}

fn prove_heard(evidence: &Evidence<'_>, (name, planned): (&str, &[u32]), found: &[AudioReadback]) -> Result<(), Fault> {
    expect(&format!("sound tracks of {name}"), found.len(), planned.len())?;
    for (rendition, back) in planned.iter().zip(found) {
        let made = only(evidence.audio.iter().filter(|p| p.rendition == *rendition), || {
            format!("sound rendition {rendition} in {name}")
        })?;
        if back.units.saturating_add(back.left_out) != made.units {
            let (units, made) = (back.units, made.units);
            return Err(open(format!("{name} holds {units} units of sound rendition {rendition}, {made} were made")));
        }
        in_place(name, "unit of sound", back.off_max, SOUND_OFF_MAX)?;
    }
    Ok(())
}

fn in_place(name: &str, what: &str, off: MediaTime, most: MediaTime) -> Result<(), Fault> {
    if off <= most {
        return Ok(());
    }
    Err(open(format!("a {what} of {name} stands {off} off its place, {most} at most")))
}

fn only<'a, T>(mut found: impl Iterator<Item = &'a T>, what: impl Fn() -> String) -> Result<&'a T, Fault> {
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(open(format!("there is no proof of {}", what()))),
        (Some(_), Some(_)) => Err(open(format!("there are several proofs of {}", what()))),
    }
}

fn expect(what: &str, found: usize, planned: usize) -> Result<(), Fault> {
    if found == planned { Ok(()) } else { Err(open(format!("{what}: {found}, planned are {planned}"))) }
}

fn open(text: String) -> Fault {
    Fault::new(FaultKind::LedgerOpen, text)
}
