//! Chapters twice, as players want them: a list for some, a track of titles for others.

use framefleet_model::media::Chapter;
use framefleet_model::time::MediaTime;

use super::boxes::Boxes;

/// Ticks a second of the track of titles.
pub(crate) const TIMESCALE: u32 = 1000;
/// The list counts in bytes.
const LIST_MAX: usize = 255;
const TITLE_BYTES_MAX: usize = 255;
/// Says that a title is UTF-8.
const ENCODING: [u8; 12] = [0, 0, 0, 12, b'e', b'n', b'c', b'd', 0, 0, 1, 0];

/// One sample of the track of titles for each chapter.
pub(crate) fn samples(chapters: &[Chapter]) -> Vec<Vec<u8>> {
    chapters.iter().map(|chapter| sample(&chapter.title)).collect()
}

fn sample(title: &str) -> Vec<u8> {
    let title = shortened(title);
    let length = u16::try_from(title.len()).unwrap_or(0);
    [&length.to_be_bytes()[..], title.as_bytes(), &ENCODING].concat()
}

/// (samples, ticks): each chapter lasts until the next, the last to its own end.
pub(crate) fn durations(chapters: &[Chapter]) -> Vec<(u32, u32)> {
    let ticks = |time: MediaTime| time.to_ticks(TIMESCALE);
    let ends = chapters.iter().skip(1).map(|next| next.start).chain(chapters.last().map(|last| last.end));
    let spans = chapters.iter().zip(ends).map(|(chapter, end)| ticks(end) - ticks(chapter.start));
    spans.map(|span| (1, u32::try_from(span).unwrap_or(1).max(1))).collect()
}

/// The list of chapters that Nero began.
pub(crate) fn put_list(b: &mut Boxes, chapters: &[Chapter]) {
    let listed = &chapters[..chapters.len().min(LIST_MAX)];
    b.full(b"chpl", 1, |b| {
        b.u32(0);
        b.u8(u8::try_from(listed.len()).unwrap_or(u8::MAX));
        for chapter in listed {
            b.u64((chapter.start.ns().max(0) / 100).cast_unsigned());
            let title = shortened(&chapter.title);
            b.u8(u8::try_from(title.len()).unwrap_or(u8::MAX));
            b.raw(title.as_bytes());
        }
    });
}

fn shortened(title: &str) -> &str {
    &title[..title.floor_char_boundary(TITLE_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chapter(start: i64, end: i64, title: &str) -> Chapter {
        Chapter { start: MediaTime::from_millis(start), end: MediaTime::from_millis(end), title: title.into() }
    }

    #[test]
    fn chapters_follow_each_other_without_holes() {
        let chapters = [chapter(0, 900, "one"), chapter(1000, 2500, "two")];
        assert_eq!(durations(&chapters), [(1, 1000), (1, 1500)]);
    }

    #[test]
    fn long_titles_end_at_a_character() {
        let title = "ä".repeat(200);
        assert_eq!(shortened(&title).len(), 254);
    }
}
