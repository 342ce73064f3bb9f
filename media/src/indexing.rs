//! The index task: from the pass (or the sample tables) to the index object.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Digest;
use framefleet_model::index::{
    AudioTrack, CapsAt, Divisible, Index, IndexHeader, Key, Method, Missing, Part, Unit, VideoTrack,
};
use framefleet_model::ledger::Produced;
use framefleet_model::media::Chapter;
use framefleet_model::task::{IndexDone, IndexWork, SourceLimits};
use framefleet_model::time::{MediaTime, Span};

use crate::isobmff::reader::{self as isobmff, FastTables, Presented, Refusal};
use crate::pass::{self, Passed, Until};
use crate::read_at::ReadAt;
use crate::sounding::{self, Sounds};
use crate::tap::{Heard, Kind, Tap};
use crate::{described, formats, names, sequel, trial};

/// A unit is never shown more than this many units after it was coded (H.264 and HEVC bound it at 16 pictures,
/// 32 fields): farther back, times are out of order.
const REORDER_UNITS_MAX: usize = 33;

pub(crate) fn run(
    work: &IndexWork,
    film: Arc<dyn ReadAt>,
    scratch: &Path,
    step: impl FnMut(u64),
) -> Result<IndexDone, Fault> {
    if film.size() == 0 {
        return Err(Fault::new(FaultKind::Corrupt, "the source is empty (0 bytes)"));
    }
    let index = index_of(work, film, step)?;
    let file = write_file(scratch, "index", &index.to_bytes())?;
    Ok(IndexDone { file, units: u32::try_from(index.units.len()).unwrap_or(u32::MAX) })
}

fn index_of(work: &IndexWork, film: Arc<dyn ReadAt>, mut step: impl FnMut(u64)) -> Result<Index, Fault> {
    let film = Arc::new(Presented::plainly(film).map_err(Refusal::fault)?);
    let tables = if work.tables { tables_of(&film)? } else { None };
    let by_tables = tables.and_then(|tables| from_tables(work, (&film, tables), &mut step).transpose()).transpose()?;
    let mut index = match by_tables {
        Some(index) => index,
        None => from_pass(work, &film, step)?,
    };
    let cut_off = film.cut_off().map(|what| Missing { of: Part::Film, from: None, track: None, what });
    index.header.missing.extend(cut_off);
    index.header.video.iter_mut().for_each(|video| described::add_display(&mut video.format, (&video.id, &film)));
    end_tracks(&mut index, &film);
    let end = span_end(&index.header);
    end_chapters(&mut index.header.chapters, end);
    check_limits(&index.header, &work.limits)?;
    Ok(index)
}

fn from_pass(work: &IndexWork, film: &Arc<Presented>, step: impl FnMut(u64)) -> Result<Index, Fault> {
    let passed = pass::run(film.clone(), (work.limits.tracks_max, Until::End), step)?;
    described::mark_tracks(&passed.taps, film);
    let mut chosen = choose(&passed)?;
    let mut chapters = described::chapters(&passed.taps);
    if chapters.is_empty() {
        chapters = isobmff::chapters(film);
    }
    let pictures = chosen.video.iter().filter_map(|(tap, _)| sequel::after(tap, &passed));
    let missing = pictures.chain(sounding::missing(&chosen.sounds, &passed)).collect();
    let mut units = chosen.video.as_ref().map(|(tap, _)| std::mem::take(&mut tap.heard().units)).unwrap_or_default();
    if let Some((_, video)) = &mut chosen.video
        && let Err(why) = film.hide(&video.id, &mut units)
    {
        video.divisible = Divisible::No(why);
    }
    let header = IndexHeader {
        container: passed.container.clone(),
        method: Method::Pass,
        video: chosen.video.map(|c| c.1),
        audio: chosen.sounds.tracks(),
        silent: chosen.sounds.silent,
        ignored: chosen.ignored,
        tags: described::tags(&passed.taps),
        chapters,
        missing,
        blocks: Vec::new(),
    };
    Ok(Index { header, units })
}

/// The sample tables of a film that has plain ones.
fn tables_of(film: &Presented) -> Result<Option<FastTables>, Fault> {
    match film.tables() {
        Ok(tables) => Ok(Some(tables)),
        Err(Refusal::Odd(_)) => Ok(None),
        Err(refusal) => Err(refusal.fault()),
    }
}

/// Units and times by the tables; what decodes and how, by the first units of each track. `None` where those units
/// are not what the tables say.
fn from_tables(
    work: &IndexWork,
    (film, tables): (&Arc<Presented>, FastTables),
    step: impl FnMut(u64),
) -> Result<Option<Index>, Fault> {
    let heads = Until::Heads(1 + tables.audio.len());
    let passed = pass::run(film.clone(), (work.limits.tracks_max, heads), step)?;
    if passed.trouble.is_some() {
        return Ok(None);
    }
    described::mark_tracks(&passed.taps, film);
    let chosen = choose(&passed)?;
    let Some((_, mut video)) = chosen.video else { return Ok(None) };
    let span = |id: &str| tables.audio.iter().find(|told| told.id == id).map(|told| told.span);
    let with_span = |audio: AudioTrack| Some(AudioTrack { span: span(&audio.id)?, ..audio });
    let Some(audio) = chosen.sounds.tracks().into_iter().map(with_span).collect() else { return Ok(None) };
    if video.id != tables.video.id || video.divisible != Divisible::Yes {
        return Ok(None);
    }
    video.caps.truncate(1);
    video.span = tables.video.span;
    video.divisible = times_in_order(&tables.video.units).map_or(Divisible::Yes, Divisible::No);
    let header = IndexHeader {
        container: passed.container.clone(),
        method: Method::Tables,
        video: Some(video),
        audio,
        silent: chosen.sounds.silent,
        ignored: chosen.ignored,
        tags: tables.tags,
        chapters: tables.chapters,
        missing: Vec::new(),
        blocks: Vec::new(),
    };
    Ok(Some(Index { header, units: tables.video.units }))
}

/// What stands behind a track's end is not shown.
fn end_tracks(index: &mut Index, film: &Presented) {
    if let Some(video) = &mut index.header.video
        && let Some(end) = film.end_of(&video.id)
    {
        for unit in index.units.iter_mut().filter(|unit| unit.pts.is_some_and(|pts| pts >= end)) {
            unit.shows = 0;
        }
        video.span.end = video.span.end.min(end);
    }
    for audio in &mut index.header.audio {
        audio.span.end = film.end_of(&audio.id).map_or(audio.span.end, |end| audio.span.end.min(end));
    }
}

/// The tracks that are worked on, and one line for each that is not.
struct Chosen {
    video: Option<(Tap, VideoTrack)>,
    sounds: Sounds,
    ignored: Vec<String>,
}

/// Video: the track flagged as default, else the first that decodes. Audio: every track.
fn choose(passed: &Passed) -> Result<Chosen, Fault> {
    let mut chosen = Chosen { video: None, sounds: sounding::all(passed), ignored: Vec::new() };
    let mut tried = Vec::new();
    for tap in by_preference(passed, Kind::Video) {
        let track = if chosen.video.is_some() { None } else { video_track(&tap.heard()) };
        match track {
            Some(track) => chosen.video = Some((tap, track)),
            None => note_ignored(&tap, &mut chosen.ignored, &mut tried),
        }
    }
    for tap in &chosen.sounds.undecodable {
        note_ignored(tap, &mut chosen.ignored, &mut tried);
    }
    if chosen.video.is_none() && chosen.sounds.heard.is_empty() {
        let mut seen = tried;
        seen.extend(passed.missing.iter().cloned());
        let kind = if passed.trouble.is_some() { FaultKind::Corrupt } else { FaultKind::Unsupported };
        let what = if seen.is_empty() { "it has no tracks".to_owned() } else { format!("tried {}", seen.join(", ")) };
        return Err(Fault::new(kind, format!("nothing in the source decodes: {what}")));
    }
    Ok(chosen)
}

fn by_preference(passed: &Passed, kind: Kind) -> Vec<Tap> {
    let taps = &passed.taps;
    let mut fitting: Vec<Tap> =
        taps.iter().filter(|t| t.heard().kind == kind && t.heard().count > 0).cloned().collect();
    fitting.sort_by_cached_key(|tap| {
        let later = sequel::is_sequel(tap, passed);
        let heard = tap.heard();
        (later, !heard.flags.contains(gst::StreamFlags::SELECT), heard.id.clone())
    });
    fitting
}

fn note_ignored(tap: &Tap, ignored: &mut Vec<String>, tried: &mut Vec<String>) {
    let heard = tap.heard();
    ignored.push(format!("{:?} track {} ({})", heard.kind, heard.id, heard.media_type()).to_lowercase());
    tried.push(heard.media_type());
}

pub(crate) fn video_track(heard: &Heard) -> Option<VideoTrack> {
    let (_, caps) = heard.caps.first()?;
    let trial =
        trial::decode(caps, &heard.head, gst::ElementFactoryType::MEDIA_VIDEO | gst::ElementFactoryType::MEDIA_IMAGE)?;
    let mut format = formats::video_format(&trial.raw, caps, &heard.tags)?;
    if format.rate.is_none() {
        format.rate = described::caps_rate(caps);
    }
    Some(VideoTrack {
        id: heard.id.clone(),
        codec: heard.media_type(),
        name: caps.structure(0).map(names::codec).unwrap_or_default(),
        decoder: trial.decoder,
        caps: caps_table(heard),
        format,
        span: heard.span.unwrap_or(Span { start: MediaTime::ZERO, end: MediaTime::ZERO }),
        divisible: divisible(heard),
    })
}

/// Caps and parameter sets, from each unit on at which either changes.
fn caps_table(heard: &Heard) -> Vec<CapsAt> {
    let mut at: Vec<u32> = heard.caps.iter().map(|c| c.0).chain(heard.headers.iter().map(|h| h.0)).collect();
    at.sort_unstable();
    at.dedup();
    let in_force = |unit: u32| {
        let caps = heard.caps.iter().take_while(|c| c.0 <= unit).last().map_or_else(String::new, |c| c.1.to_string());
        let headers = heard.headers.iter().take_while(|h| h.0 <= unit).last().map_or_else(String::new, |h| h.1.clone());
        CapsAt { unit, caps, headers }
    };
    at.into_iter().map(in_force).collect()
}

/// Whether the film can be cut: only where every picture's time is known, once, in order, from its bits.
fn divisible(heard: &Heard) -> Divisible {
    if let Some(reason) = &heard.odd {
        return Divisible::No(reason.clone());
    }
    let sizes: Vec<Option<(i32, i32)>> = heard.caps.iter().map(|(_, c)| described::coded_size(c)).collect();
    if sizes.windows(2).any(|pair| pair[0] != pair[1]) {
        return Divisible::No("the pictures change their size".to_owned());
    }
    times_in_order(&heard.units).map_or(Divisible::Yes, Divisible::No)
}

fn times_in_order(units: &[Unit]) -> Option<String> {
    let shown: Vec<&Unit> = units.iter().filter(|u| u.shows > 0).collect();
    let unplaced = shown.iter().filter(|u| u.pts.is_none()).count();
    if unplaced > 0 {
        return Some(format!("{unplaced} of {} pictures have no time of their own", shown.len()));
    }
    if let Some(at) = key_back_in_time(units) {
        return Some(format!("times go back at the key picture at {at}"));
    }
    let mut times: Vec<MediaTime> = shown.iter().filter_map(|u| u.pts).collect();
    let mut highest = Vec::with_capacity(times.len());
    for (i, time) in times.iter().enumerate() {
        let before = i.checked_sub(REORDER_UNITS_MAX).map(|j| highest[j]);
        if before.is_some_and(|b| *time < b) {
            return Some(format!("times go back at {time}"));
        }
        highest.push((*time).max(highest.last().copied().unwrap_or(*time)));
    }
    times.sort_unstable();
    let doubled = times.windows(2).find(|pair| pair[0] == pair[1])?;
    Some(format!("two pictures stand at {}", doubled[0]))
}

/// A key ends all reordering: what was decoded before it is shown before it.
fn key_back_in_time(units: &[Unit]) -> Option<MediaTime> {
    let mut latest = MediaTime(i64::MIN);
    for (unit, pts) in units.iter().filter(|u| u.shows > 0).filter_map(|u| Some((u, u.pts?))) {
        if unit.key == Key::Yes && pts < latest {
            return Some(pts);
        }
        latest = latest.max(pts);
    }
    None
}

fn check_limits(header: &IndexHeader, limits: &SourceLimits) -> Result<(), Fault> {
    let too = |what: String| Err(Fault::new(FaultKind::Limits, what));
    if let Some(video) = &header.video {
        let size = video.format.geometry;
        if size.width > limits.side_max || size.height > limits.side_max {
            return too(format!("pictures of {size} are over the bound of {0}x{0}", limits.side_max));
        }
        if u64::from(size.width) * u64::from(size.height) > limits.pixels_max {
            return too(format!("pictures of {size} have more than {} pixels, which is the bound", limits.pixels_max));
        }
    }
    let spans = header.video.iter().map(|v| v.span).chain(header.audio.iter().map(|a| a.span));
    match spans.map(Span::len).max() {
        Some(length) if length > limits.duration_max => {
            too(format!("a film of {length} is over the bound of {}", limits.duration_max))
        }
        _ => Ok(()),
    }
}

fn span_end(header: &IndexHeader) -> MediaTime {
    let ends = header.video.iter().map(|v| v.span.end).chain(header.audio.iter().map(|a| a.span.end));
    ends.max().unwrap_or_default()
}

/// A chapter without an end of its own lasts until the next one.
pub(crate) fn end_chapters(chapters: &mut [Chapter], end: MediaTime) {
    chapters.sort_by_key(|c| c.start);
    for i in 0..chapters.len() {
        let next = chapters.get(i + 1).map_or(end, |c| c.start);
        let chapter = &mut chapters[i];
        if chapter.end <= chapter.start || chapter.end > next.max(chapter.start) {
            chapter.end = next.max(chapter.start);
        }
    }
}

pub(crate) fn write_file(scratch: &Path, name: &str, bytes: &[u8]) -> Result<Produced, Fault> {
    fs::write(scratch.join(name), bytes).map_err(|e| scratch_fault(&e))?;
    Ok(Produced { name: name.to_owned(), size: bytes.len() as u64, digest: Digest::of(bytes) })
}

pub(crate) fn scratch_fault(error: &std::io::Error) -> Fault {
    let kind = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded | std::io::ErrorKind::FileTooLarge => {
            FaultKind::ScratchFull
        }
        _ => FaultKind::Internal,
    };
    Fault::new(kind, format!("the scratch folder cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(key: Key, ms: i64) -> Unit {
        let pts = Some(MediaTime::from_millis(ms));
        Unit { pts, dts: None, duration: None, size: 1, key, shows: 1, hash: 0, offset: None }
    }

    #[test]
    fn a_film_that_goes_back_at_a_key_is_not_cut() {
        let leading =
            [unit(Key::Yes, 0), unit(Key::No, 80), unit(Key::No, 40), unit(Key::Yes, 160), unit(Key::No, 120)];
        assert_eq!(times_in_order(&leading), None);
        let overlap = [unit(Key::Yes, 0), unit(Key::No, 80), unit(Key::Yes, 60), unit(Key::No, 100)];
        assert!(times_in_order(&overlap).is_some());
    }
}
