//! What is taken from the source as it is coded: nothing is decoded, so nothing can be changed, and what the container
//! does not hold is refused.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::{AudioTrack, Unit};
use framefleet_model::media::{AudioCodec, Container, Orientation, VideoCodec};
use framefleet_model::picture::{Deinterlace, Shape};
use framefleet_model::pipeline::{AudioSettings, Coding, Edges, Preset, RateControl, VideoSettings};
use framefleet_model::plan::{AudioRendition, EncodeFormat, VideoRendition};
use framefleet_model::sound::Treatment;
use framefleet_model::time::{MediaTime, NS_PER_SECOND, Rational, Span};

use crate::flow::planning::film::{Counting, Film, KeyUnit};
use crate::flow::planning::pictures::nominal;
use crate::flow::planning::sound::{PCM_BITS, rates};
use crate::flow::planning::span::Wanted;

/// How far a picture may stand off its place in a container that counts pictures.
const OFF_MAX: MediaTime = MediaTime::from_millis(1);

/// The number of the rendition that is the track's own sound; a new one if there is none yet.
pub(super) fn sound(track: &AudioTrack, container: Container, known: &mut Vec<AudioRendition>) -> Result<u32, Fault> {
    let codec = AudioCodec::of_track(&track.name).ok_or_else(|| {
        let all = AudioCodec::ALL.map(AudioCodec::name).join(", ");
        unsupported(format!(
            "the sound is {}, of which no copy is made, only of: {all}",
            called(&track.name, &track.codec)
        ))
    })?;
    container.holds().check_audio(codec).map_err(|why| unsupported(format!("the sound cannot be copied: {why}")))?;
    let (rate, listed) = (track.format.rate, rates(codec, container));
    if container == Container::Flv && !listed.contains(&rate) {
        let (name, list) = (codec.name(), listed.iter().map(u32::to_string).collect::<Vec<_>>().join(", "));
        let text = format!("the sound cannot be copied: flv has no {name} of {rate} Hz but of {list}");
        return Err(unsupported(text));
    }
    let (begins, edges) = placed(codec, container);
    let same = |r: &&AudioRendition| {
        let is_copy = r.settings.coding == Coding::Copy && r.track == track.number;
        is_copy && r.begins == begins && r.edges == edges
    };
    if let Some(same) = known.iter().find(same) {
        return Ok(same.number);
    }
    let channels = u32::from(track.format.channels);
    let bitrate = match codec.is_lossless() {
        true => rate.saturating_mul(channels).saturating_mul(PCM_BITS),
        false => codec.default_bitrate(Some(channels)),
    };
    let treatment = Treatment::default();
    let settings = AudioSettings { codec, coding: Coding::Copy, bitrate, sample_rate: None, channels: None, treatment };
    let number = u32::try_from(known.len()).unwrap_or(u32::MAX);
    let (format, language, title) = (track.format, track.language.clone(), track.title.clone());
    known.push(AudioRendition { number, track: track.number, settings, format, language, title, begins, edges });
    Ok(number)
}

/// Where a copy must begin, if anywhere, and what becomes of its edges.
fn placed(codec: AudioCodec, container: Container) -> (Option<MediaTime>, Edges) {
    match container {
        Container::Mp4
        | Container::Fmp4
        | Container::Mov
        | Container::Mkv
        | Container::Webm
        | Container::M4a
        | Container::Images => (None, Edges::Told),
        Container::Ts | Container::Flv => (None, Edges::Whole),
        Container::Avi => (Some(MediaTime::ZERO), Edges::Whole),
        Container::Ogg if codec == AudioCodec::Opus => (Some(MediaTime::ZERO), Edges::Told),
        Container::Mp3 | Container::Ogg | Container::Flac | Container::Wav => (Some(MediaTime::ZERO), Edges::Bare),
    }
}

/// The number of the rendition that is the film's own pictures; a new one if there is none yet.
pub(super) fn pictures(film: &Film<'_>, container: Container, known: &mut Vec<VideoRendition>) -> Result<u32, Fault> {
    let track = film.track;
    let codec = VideoCodec::of_track(&track.name).ok_or_else(|| {
        let all = VideoCodec::ALL.map(VideoCodec::name).join(", ");
        let name = called(&track.name, &track.codec);
        unsupported(format!("the pictures are {name}, of which no copy is made, only of: {all}"))
    })?;
    let refuse = |why: String| unsupported(format!("the pictures cannot be copied: {why}"));
    container.holds().check_video(codec).map_err(|why| refuse(why.to_string()))?;
    if let Counting::Uncounted(why) | Counting::Untimed(why) = &film.counting {
        return Err(refuse(why.clone()));
    }
    let turns = matches!(container, Container::Mp4 | Container::Fmp4 | Container::Mov);
    if track.format.orientation != Orientation::UPRIGHT && !turns {
        let name = container.name();
        return Err(refuse(format!("they lie on their side, and {name} cannot tell: mp4, mov can")));
    }
    let rate = nominal(&track.format, film.distance, Deinterlace::Weave);
    if container == Container::Avi {
        check_counted(film, rate).map_err(refuse)?;
    }
    if let Some(same) = known.iter().find(|r| r.settings.coding == Coding::Copy) {
        return Ok(same.number);
    }
    let number = u32::try_from(known.len()).unwrap_or(u32::MAX);
    let format = EncodeFormat {
        geometry: track.format.geometry,
        layout: track.format.layout.clone(),
        pixel_aspect: track.format.pixel_aspect,
        rate,
        grid: None,
        scan: track.format.scan,
        colour: track.format.colour,
        mastering: track.format.mastering,
        light: track.format.light,
    };
    let settings = VideoSettings {
        codec,
        coding: Coding::Copy,
        preset: Preset::default(),
        rate: RateControl::Bitrate(average(film)),
        max_bitrate: None,
        size: None,
        fps: None,
        keyframe_interval: None,
        shape: Shape::default(),
        watermarks: Vec::new(),
    };
    known.push(VideoRendition {
        number,
        settings,
        format,
        turn: track.format.orientation,
        deinterlace: Deinterlace::Weave,
        crop: None,
        canvas: None,
        source_colour: None,
        keyframes_max: 0,
        reorder_depth: 0,
        warm_up: 0,
        vbv: None,
        level: None,
        dts_delay: None,
    });
    Ok(number)
}

/// Where the film may be cut, if some rendition is a copy.
pub(super) fn cuts(film: &Film<'_>, renditions: &[VideoRendition]) -> Option<Vec<KeyUnit>> {
    renditions.iter().any(|r| r.settings.coding == Coding::Copy).then(|| film.closed_keys())
}

/// Copied pictures begin with a key picture, and end where none that is left out is needed: with the last one that is
/// shown before the range's end, and what was coded before that and is shown later.
pub(super) fn wanted(
    (renditions, film): (&[VideoRendition], Option<&Film<'_>>),
    zero: MediaTime,
    wanted: Wanted,
) -> Result<Wanted, Fault> {
    let Some(film) = film.filter(|_| renditions.iter().any(|r| r.settings.coding == Coding::Copy)) else {
        return Ok(wanted);
    };
    let Span { start, end } = wanted.pictures;
    check_start(film, start, zero)?;
    let first = film.keys.iter().find(|key| key.pts == start).map_or(0, |key| key.unit as usize);
    let (mut latest, mut last) = (end - MediaTime(1), first);
    // The later ones that are coded before an earlier one go with it, and so on.
    for (number, unit) in film.units.iter().enumerate().skip(first).filter(|(_, unit)| unit.shows > 0) {
        if unit.pts.is_some_and(|pts| pts <= latest) {
            let within = film.units[last..=number].iter().filter(|unit| unit.shows > 0);
            latest = within.filter_map(|unit| unit.pts).fold(latest, MediaTime::max);
            last = number;
        }
    }
    check_units(&film.units[first..=last], film.track.name.as_str())?;
    let pictures_end = film.picture_from(latest + MediaTime(1)).unwrap_or(film.end).max(end);
    let span_end = if pictures_end > end { wanted.span.end.max(pictures_end) } else { wanted.span.end };
    Ok(Wanted { span: Span::new(wanted.span.start, span_end), pictures: Span::new(start, pictures_end) })
}

fn check_start(film: &Film<'_>, start: MediaTime, zero: MediaTime) -> Result<(), Fault> {
    if film.keys.iter().any(|key| key.pts == start) {
        return Ok(());
    }
    let told = |key: &KeyUnit| (key.pts - zero).to_string();
    let before = film.keys.iter().rev().find(|key| key.pts < start && key.pts >= zero).map(told);
    let after = film.keys.iter().find(|key| key.pts > start).map(told);
    let near = [before, after].into_iter().flatten().collect::<Vec<_>>().join(" and ");
    let near = if near.is_empty() { "there is none".to_owned() } else { format!("the nearest are at {near}") };
    let at = start - zero;
    let text = format!("copied pictures begin with a key picture, and the one at {at} is none: {near}");
    Err(Fault::new(FaultKind::Settings, text))
}

/// Only the second field of a picture may show nothing of its own: other hidden units have no place in an output.
fn check_units(units: &[Unit], codec: &str) -> Result<(), Fault> {
    let hidden = units.iter().find(|unit| unit.shows == 0 && (unit.is_key() || codec != VideoCodec::H264.name()));
    hidden.map_or(Ok(()), |unit| {
        let at = unit.pts.unwrap_or_default();
        let text =
            format!("the pictures cannot be copied: a unit of {codec} at {at} of the source is decoded and not shown");
        Err(unsupported(text))
    })
}

/// How far decoding must run ahead of showing in the film's own order.
pub(super) fn dts_delay(film: &Film<'_>, pictures: Span) -> MediaTime {
    let first = film.keys.iter().find(|key| key.pts == pictures.start).map_or(0, |key| key.unit as usize);
    let shown = film.units[first..].iter().filter(|unit| unit.shows > 0).filter_map(|unit| unit.pts);
    let order: Vec<MediaTime> = shown.filter(|pts| pictures.contains(*pts)).collect();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    let need = sorted.iter().zip(&order).map(|(due, pts)| *due - *pts).max();
    need.unwrap_or_default().max(MediaTime::ZERO)
}

/// AVI counts pictures: each must be shown in the order of decoding and at its number's time.
fn check_counted(film: &Film<'_>, rate: Rational) -> Result<(), String> {
    let shown = film.units.iter().filter(|unit| unit.shows > 0).filter_map(|unit| unit.pts);
    let order: Vec<MediaTime> = shown.filter(|pts| film.shown.binary_search(pts).is_ok()).collect();
    if let Some(pair) = order.windows(2).find(|pair| pair[1] < pair[0]) {
        let at = pair[1];
        return Err(format!(
            "the one at {at} of the source is coded out of the order of showing (a B-picture), which avi does not keep"
        ));
    }
    let first = order.first().copied().unwrap_or_default();
    let off = |pts: &MediaTime| (rate.time_of(rate.nearest(*pts - first)) - (*pts - first)).ns().abs() > OFF_MAX.ns();
    match order.iter().find(|pts| off(pts)) {
        Some(pts) => {
            Err(format!("avi keeps no times, and the one at {pts} of the source is off its rate of {rate} a second"))
        }
        None => Ok(()),
    }
}

/// Bits a second of the whole film.
fn average(film: &Film<'_>) -> u32 {
    let bits: u128 = film.units.iter().map(|unit| 8 * u128::from(unit.size)).sum();
    let length = film.shown.first().map_or(MediaTime::ZERO, |first| film.end - *first).ns().max(1);
    let second = u128::from(NS_PER_SECOND.unsigned_abs());
    u32::try_from(bits * second / u128::from(length.unsigned_abs())).unwrap_or(u32::MAX).max(1)
}

/// Older indexes know media types alone.
fn called<'a>(name: &'a str, media_type: &'a str) -> &'a str {
    if name.is_empty() { media_type } else { name }
}

fn unsupported(text: String) -> Fault {
    Fault::new(FaultKind::Unsupported, text)
}
