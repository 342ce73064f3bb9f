//! Packages: which variants they have, and which segments of the film their own begin with.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::media::{Container, Geometry};
use framefleet_model::picture::Size;
use framefleet_model::pipeline::{Ladder, Manifest, OutputRequest, Package, RateControl, Rung, VideoSettings};
use framefleet_model::plan::{PackagePlan, Segment, VideoRendition};
use framefleet_model::time::MediaTime;

use crate::flow::planning::film::Film;
use crate::flow::planning::pictures;

const TIME_MIN: MediaTime = MediaTime::from_secs(1);
const TIME_MAX: MediaTime = MediaTime::from_secs(60);
const VARIANTS_MAX: usize = 8;
/// What a ladder that finds its own rungs fits the source into; for pictures that stand upright, turned.
const BOXES: [(u32, u32); 7] =
    [(3840, 2160), (2560, 1440), (1920, 1080), (1280, 720), (854, 480), (640, 360), (426, 240)];
/// A rung is worth having if it has this much less of a side than the one above it.
const NARROWER: (u64, u64) = (9, 10);
const BITRATE_MIN: u64 = 100_000;

/// How long the segments of all packages are; cuts are one grid for all renditions.
pub(crate) fn time(outputs: &[OutputRequest]) -> Result<Option<MediaTime>, Fault> {
    let mut times = outputs.iter().filter_map(|output| output.package.as_ref().map(|package| package.time));
    let Some(first) = times.next() else { return Ok(None) };
    if let Some(other) = times.find(|time| *time != first) {
        let text = format!("one job cuts its packages alike: segment times of {first} and of {other} are asked for");
        return Err(Fault::new(FaultKind::Settings, text));
    }
    if !(TIME_MIN..=TIME_MAX).contains(&first) {
        let text = format!("a segment time of {first} is not from {TIME_MIN} to {TIME_MAX}");
        return Err(Fault::new(FaultKind::Settings, text));
    }
    Ok(Some(first))
}

/// The variants of an output, as numbers of renditions.
pub(crate) fn videos(
    (output, package): (&OutputRequest, &Package),
    film: Option<&Film<'_>>,
    known: &mut Vec<VideoRendition>,
) -> Result<Vec<u32>, Fault> {
    check(output, package.manifest)?;
    let (Some(settings), Some(film)) = (&output.video, film) else {
        let text = format!("{} would have no pictures, and a package has them (mp4 may hold sound alone)", output.to);
        return Err(Fault::new(FaultKind::Settings, text));
    };
    let mut videos = Vec::new();
    for settings in variants(settings, &package.ladder, film)? {
        let number = pictures::rendition(&settings, film, output.container, known)?;
        if !videos.contains(&number) {
            videos.push(number);
        }
    }
    Ok(videos)
}

/// What segments of a package can hold.
fn check(output: &OutputRequest, manifest: Manifest) -> Result<(), Fault> {
    let refuse = |text: String| Err(Fault::new(FaultKind::Settings, text));
    let (to, container) = (&output.to, output.container);
    let known = container.in_segments().filter(|_| manifest == Manifest::Hls || container == Container::Fmp4);
    let Some(known) = known else {
        let can = if manifest == Manifest::Hls { "those of ts and fmp4" } else { "those of fmp4" };
        return refuse(format!("{to}: segments of {} cannot be made, {can} can", container.name()));
    };
    let no = |codec: &str, can: Vec<&str>| {
        let (segments, can) = (known.name, can.join(", "));
        refuse(format!("{to}: players take no {codec} in segments of {segments}, they take {can}"))
    };
    let video = output.video.as_ref().map(|video| video.codec).filter(|codec| !known.video.contains(codec));
    let audio = output.audio.as_ref().map(|audio| audio.codec).filter(|codec| !known.audio.contains(codec));
    match (video, audio) {
        (Some(codec), _) => no(codec.name(), known.video.iter().map(|codec| codec.name()).collect()),
        (None, Some(codec)) => no(codec.name(), known.audio.iter().map(|codec| codec.name()).collect()),
        (None, None) => Ok(()),
    }
}

fn variants(settings: &VideoSettings, ladder: &Ladder, film: &Film<'_>) -> Result<Vec<VideoSettings>, Fault> {
    let source = pictures::geometry(settings, film)?;
    match ladder {
        Ladder::One => Ok(vec![settings.clone()]),
        Ladder::Auto => Ok(rungs(source).into_iter().map(|size| smaller(settings, size, source)).collect()),
        Ladder::Rungs(rungs) if (1..=VARIANTS_MAX).contains(&rungs.len()) => Ok(pruned(settings, rungs, source)),
        Ladder::Rungs(rungs) => {
            let text = format!("a ladder of {} rungs is not of 1 to {VARIANTS_MAX}", rungs.len());
            Err(Fault::new(FaultKind::Settings, text))
        }
    }
}

/// Rungs that are larger than the source are left out; of a ladder of only such, one of the source's size stays.
fn pruned(settings: &VideoSettings, rungs: &[Rung], source: Geometry) -> Vec<VideoSettings> {
    let fits = |rung: &&Rung| rung.size.is_none_or(|size| size.width <= source.width && size.height <= source.height);
    let of = |rung: &Rung| VideoSettings {
        size: rung.size.map(Size::from).or(settings.size),
        rate: rung.rate.unwrap_or(settings.rate),
        ..settings.clone()
    };
    let kept: Vec<VideoSettings> = rungs.iter().filter(fits).map(of).collect();
    match rungs.last() {
        Some(last) if kept.is_empty() => vec![of(&Rung { size: None, ..last.clone() })],
        Some(_) | None => kept,
    }
}

/// The source's own size, unless it is larger than all boxes, and what fits each smaller box.
fn rungs(source: Geometry) -> Vec<Geometry> {
    let mut rungs: Vec<Geometry> = Vec::new();
    for (long, short) in BOXES {
        let (width, height) = if source.width < source.height { (short, long) } else { (long, short) };
        let fitted = fit(source, Geometry { width, height });
        let is_narrower = |last: &Geometry| {
            let (kept, of) = NARROWER;
            u64::from(fitted.width) * of <= u64::from(last.width) * kept
        };
        if rungs.last().is_none_or(is_narrower) && fitted.width.min(fitted.height) >= 16 {
            rungs.push(fitted);
        }
    }
    rungs
}

/// The source's shape within a box, never larger than the source; sides are even.
fn fit(source: Geometry, frame: Geometry) -> Geometry {
    if source.width <= frame.width && source.height <= frame.height {
        return source;
    }
    let (width, height) = (u64::from(source.width), u64::from(source.height));
    let by_width = u64::from(frame.width) * height <= u64::from(frame.height) * width;
    let (num, den) = if by_width { (u64::from(frame.width), width) } else { (u64::from(frame.height), height) };
    let even = |side: u64| u32::try_from((side * num + den) / (2 * den) * 2).unwrap_or(u32::MAX);
    Geometry { width: even(width), height: even(height) }
}

/// The same settings at another size; a bit rate shrinks with the pixels.
fn smaller(settings: &VideoSettings, size: Geometry, source: Geometry) -> VideoSettings {
    if size == source {
        return settings.clone();
    }
    let pixels = |size: Geometry| u64::from(size.width) * u64::from(size.height);
    let rate = match settings.rate {
        RateControl::Bitrate(bits) => {
            let share = u64::from(bits) * pixels(size) / pixels(source).max(1);
            RateControl::Bitrate(u32::try_from(share.max(BITRATE_MIN.min(bits.into()))).unwrap_or(bits))
        }
        RateControl::Crf(_) => settings.rate,
    };
    VideoSettings { size: Some(size.into()), rate, ..settings.clone() }
}

/// The plan of a package over a film that has been cut: `moments` are where its segments begin, but for the first.
pub(crate) fn planned(package: PackagePlan, moments: &[MediaTime], segments: &[Segment]) -> PackagePlan {
    let begins = |segment: &&Segment| segment.number == 0 || moments.binary_search(&segment.span.start).is_ok();
    PackagePlan { starts: segments.iter().filter(begins).map(|segment| segment.number).collect(), ..package }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(width: u32, height: u32) -> Vec<String> {
        rungs(Geometry { width, height }).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_ladder_never_scales_up_and_keeps_the_shape() {
        assert_eq!(sizes(1920, 1080), ["1920x1080", "1280x720", "854x480", "640x360", "426x240"]);
        assert_eq!(sizes(1280, 534), ["1280x534", "854x356", "640x268", "426x178"]);
        assert_eq!(sizes(1080, 1920), ["1080x1920", "720x1280", "480x854", "360x640", "240x426"]);
        assert_eq!(sizes(7680, 4320)[..2], ["3840x2160", "2560x1440"]);
        assert_eq!(sizes(320, 180), ["320x180"]);
    }
}
