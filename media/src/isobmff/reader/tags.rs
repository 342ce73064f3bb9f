//! Titles, dates and chapters.

use framefleet_model::media::{Chapter, Tags};
use framefleet_model::time::MediaTime;

use super::bytes::Bytes;
use super::edits::to_ns;
use super::samples::{self, Sample};
use super::track::Track;
use crate::read_at::ReadAt;

/// Seconds from 1904, where QuickTime's clock begins, to 1970.
const EPOCH: i64 = 2_082_844_800;
const CHAPTERS_MAX: usize = 1000;
const TITLE_BYTES_MAX: u32 = 4096;
const TITLE_CHARS_MAX: usize = 1024;

/// When the movie says it was made, and its title.
pub(crate) fn read(movie: Bytes<'_>) -> Tags {
    Tags { title: title(movie), created_unix: created(movie) }
}

fn created(movie: Bytes<'_>) -> Option<i64> {
    let mut header = movie.find(b"mvhd")?;
    let version = header.version()?;
    let seconds = i64::try_from(header.wide(version)?).ok()?;
    seconds.checked_sub(EPOCH).filter(|unix| *unix > 0)
}

fn title(movie: Bytes<'_>) -> Option<String> {
    let user_data = movie.find(b"udta")?;
    let listed = user_data.find(b"meta").and_then(|meta| {
        // QuickTime's box is plain, ISO's has a version.
        let list = meta.find(b"ilst").or_else(|| {
            let mut full = meta;
            full.version()?;
            full.find(b"ilst")
        })?;
        let mut data = list.path(&[b"\xa9nam", b"data"])?;
        data.take(8)?;
        text(data.rest())
    });
    listed.or_else(|| {
        let mut plain = user_data.find(b"\xa9nam")?;
        let length = usize::from(plain.u16()?);
        plain.u16()?;
        text(plain.take(length)?)
    })
}

fn text(bytes: &[u8]) -> Option<String> {
    let text: String = String::from_utf8_lossy(bytes).trim_end_matches('\0').chars().take(TITLE_CHARS_MAX).collect();
    (!text.is_empty()).then_some(text)
}

/// Chapters of the list, else of the track of titles that a track refers to.
pub(crate) fn chapters(film: &dyn ReadAt, movie: Bytes<'_>, tracks: &[Track<'_>]) -> Vec<Chapter> {
    let referred = tracks.iter().flat_map(Track::chapter_tracks);
    let titles = referred.filter_map(|id| tracks.iter().find(|track| track.id == id && &track.handler == b"text"));
    let told = titles.map(|track| chapters_of(film, track)).find(|chapters| !chapters.is_empty());
    let listed = || movie.path(&[b"udta", b"chpl"]).and_then(list).unwrap_or_default();
    told.unwrap_or_else(listed)
}

/// A list has no ends: each chapter lasts until the next, the last for ever.
fn list(mut list: Bytes<'_>) -> Option<Vec<Chapter>> {
    list.version()?;
    list.take(4)?;
    let mut chapters: Vec<Chapter> = Vec::new();
    for _ in 0..list.u8()? {
        let start = i64::try_from(list.u64()?).ok()?.checked_mul(100).map(MediaTime)?;
        let length = usize::from(list.u8()?);
        let title = text(list.take(length)?).unwrap_or_default();
        if let Some(last) = chapters.last_mut() {
            last.end = start;
        }
        chapters.push(Chapter { start, end: MediaTime::MAX, title });
    }
    Some(chapters)
}

fn chapters_of(film: &dyn ReadAt, track: &Track<'_>) -> Vec<Chapter> {
    let samples = samples::read(track.table, film.size()).unwrap_or_default();
    let time = |ticks: u64| MediaTime(to_ns(ticks, track.timescale));
    let chapter = |sample: &Sample| {
        let title = sample_title(film, sample)?;
        let end = sample.decoded + u64::from(sample.duration);
        Some(Chapter { start: time(sample.decoded), end: time(end), title })
    };
    samples.iter().take(CHAPTERS_MAX).filter_map(chapter).collect()
}

fn sample_title(film: &dyn ReadAt, sample: &Sample) -> Option<String> {
    let bytes = film.read_exact_at(sample.offset, sample.size.min(TITLE_BYTES_MAX) as usize).ok()?;
    let mut bytes = Bytes::new(&bytes);
    let length = usize::from(bytes.u16()?);
    let title = bytes.take(length)?;
    Some(match title {
        [0xfe, 0xff, wide @ ..] => {
            let units: Vec<u16> = wide.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        _ => text(title).unwrap_or_default(),
    })
}
