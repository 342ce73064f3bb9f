//! Fragments made by hand: what the standard allows and few encoders write, and what nobody should.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use framefleet_media::isobmff::reader::{FastTables, Presented, Refusal};
use framefleet_media::read_at::ReadAt;
use framefleet_model::time::MediaTime;
use proptest::prelude::*;

/// Baseline, frames only, and its picture parameter set.
const AVCC: [u8; 22] =
    [1, 66, 0, 30, 0xff, 0xe1, 0, 8, 0x67, 66, 0, 30, 0xda, 0x05, 0x06, 0x64, 1, 0, 3, 0x68, 0xce, 0x80];
/// Ticks a second of every track, and of the movie.
const RATE: u32 = 1000;
/// What a sample takes up.
const SIZE: u32 = 40;
const KEY: u32 = 0x0200_0000;
const OTHER: u32 = 0x0101_0000;
const BASE_IS_FRAGMENT: u32 = 0x02_0000;

fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let payload = parts.concat();
    [&u32::try_from(payload.len() + 8).unwrap().to_be_bytes()[..], kind, &payload].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// A track without samples: pictures (1) or sound (2), with an edit list or none.
fn track(id: u32, edits: &[u8]) -> Vec<u8> {
    let (handler, entry) = match id {
        1 => {
            let size = [words(&[320 << 16 | 180]), vec![0; 50]].concat();
            let avcc = boxed(b"avcC", &[&AVCC]);
            (b"vide", boxed(b"avc1", &[&[0, 0, 0, 0, 0, 0, 0, 1], &[0; 16], &size, &avcc]))
        }
        _ => (b"soun", boxed(b"mp4a", &[&[0, 0, 0, 0, 0, 0, 0, 1], &[0; 8], &words(&[0x2_0010, 0, 48_000 << 16])])),
    };
    let matrix = words(&[0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000]);
    let header = boxed(b"tkhd", &[&words(&[3, 0, 0, id, 0, 0, 0, 0, 0, 0]), &matrix, &words(&[0, 0])]);
    let own = boxed(b"dref", &[&words(&[0, 1]), &boxed(b"url ", &[&words(&[1])])]);
    let empty = |kind| boxed(kind, &[&words(&[0, 0])]);
    let table = boxed(
        b"stbl",
        &[
            &boxed(b"stsd", &[&words(&[0, 1]), &entry]),
            &empty(b"stts"),
            &empty(b"stsc"),
            &boxed(b"stsz", &[&words(&[0, 0, 0])]),
            &empty(b"stco"),
        ],
    );
    let media = boxed(
        b"mdia",
        &[
            &boxed(b"mdhd", &[&words(&[0, 0, 0, RATE, 0, 0x55c4_0000])]),
            &boxed(b"hdlr", &[&words(&[0, 0]), handler, &[0; 13]]),
            &boxed(b"minf", &[&boxed(b"dinf", &[&own]), &table]),
        ],
    );
    boxed(b"trak", &[&header, edits, &media])
}

/// What stands before the fragments.
fn head(edits: &[u8]) -> Vec<u8> {
    let movie_header = boxed(b"mvhd", &[&words(&[0, 0, 0, RATE, 0]), &[0; 80]]);
    let usual = |id| boxed(b"trex", &[&words(&[0, id, 1, 40, SIZE, OTHER])]);
    let extends = boxed(b"mvex", &[&usual(1), &usual(2)]);
    let kind = boxed(b"ftyp", &[b"iso5", &[0; 4]]);
    [kind, boxed(b"moov", &[&movie_header, &track(1, edits), &track(2, &[]), &extends])].concat()
}

/// A track's part of a fragment: `tfhd`'s flags and what they announce, the time, and its runs.
fn part(id: u32, (flags, told): (u32, &[u32]), time: Option<u32>, runs: &[Vec<u8>]) -> Vec<u8> {
    let header = boxed(b"tfhd", &[&words(&[flags, id]), &words(told)]);
    let time = time.map_or(Vec::new(), |time| boxed(b"tfdt", &[&words(&[0, time])]));
    boxed(b"traf", &[&header, &time, &runs.concat()])
}

/// A run of pictures, the first a key: each shown so much after it is decoded.
fn run(offset: Option<u32>, shifts: &[i32]) -> Vec<u8> {
    let told: Vec<u32> = shifts.iter().map(|shift| shift.cast_unsigned()).collect();
    let flags = 0x0100_0804 | u32::from(offset.is_some());
    let head = [vec![flags, u32::try_from(shifts.len()).unwrap()], offset.into_iter().collect(), vec![KEY]].concat();
    boxed(b"trun", &[&words(&head), &words(&told)])
}

fn fragment(parts: &[Vec<u8>], samples: usize) -> Vec<u8> {
    let numbered = boxed(b"mfhd", &[&words(&[0, 1])]);
    let head = boxed(b"moof", &[&numbered, &parts.concat()]);
    let unit = [words(&[SIZE - 4]), vec![0x65; SIZE as usize - 4]].concat();
    [head, boxed(b"mdat", &[&unit.repeat(samples)])].concat()
}

/// The length of a fragment's head: where its data begin is eight bytes on.
fn data(parts: &[Vec<u8>]) -> u32 {
    u32::try_from(8 + 16 + parts.concat().len() + 8).unwrap()
}

/// A fragment of pictures alone.
fn pictures(time: Option<u32>, shifts: &[i32]) -> Vec<u8> {
    let parts = |offset| vec![part(1, (BASE_IS_FRAGMENT, &[]), time, &[run(Some(offset), shifts)])];
    fragment(&parts(data(&parts(0))), shifts.len())
}

fn read(film: &[u8]) -> Result<FastTables, Refusal> {
    Presented::plainly(Arc::new(film.to_vec())).unwrap().tables()
}

/// When pictures are shown, in milliseconds, in the order of decoding; hidden ones are negative.
fn shown(film: &[u8]) -> Vec<i64> {
    let tables = read(film).unwrap();
    for unit in &tables.video.units {
        let at = usize::try_from(unit.offset.unwrap()).unwrap();
        assert_eq!(film[at..at + 4], words(&[SIZE - 4]), "a unit lies at {at}");
    }
    let time = |pts: Option<MediaTime>| pts.unwrap().ns() / 1_000_000;
    tables.video.units.iter().map(|unit| if unit.shows > 0 { time(unit.pts) } else { -time(unit.pts) }).collect()
}

fn refusal(film: &[u8]) -> String {
    let presented = Presented::plainly(Arc::new(film.to_vec())).unwrap();
    presented.tables().unwrap_err().to_string()
}

#[test]
fn fragments_follow_each_other_by_their_times_or_without_any() {
    let shifts = [40, 80, 0, 40];
    let film = [head(&[]), pictures(Some(0), &shifts), pictures(None, &shifts), pictures(Some(400), &[0])].concat();
    assert_eq!(shown(&film), [40, 120, 80, 160, 200, 280, 240, 320, 400]);
}

#[test]
fn negative_shifts_move_no_picture() {
    let film = [head(&[]), pictures(Some(0), &[0, 80, -40, -40])].concat();
    assert_eq!(shown(&film), [0, 120, 40, 80]);
}

#[test]
fn edits_move_the_media_and_a_hole_stands_before_them() {
    let edits = |entries: &[u32]| {
        let count = u32::try_from(entries.len() / 3).unwrap();
        boxed(b"edts", &[&boxed(b"elst", &[&words(&[0, count]), &words(entries)])])
    };
    let film = |entries: &[u32]| [head(&edits(entries)), pictures(Some(0), &[80, 120, 40, 80])].concat();
    assert_eq!(shown(&film(&[0, 80, 0x1_0000])), [0, 80, 40, 120]);
    assert_eq!(shown(&film(&[500, u32::MAX, 0x1_0000, 0, 0, 0x1_0000])), [580, 660, 620, 700]);
    // An end that hides nothing is none; one that would is not guessed at.
    assert_eq!(shown(&film(&[5000, 80, 0x1_0000])).len(), 4);
    assert!(refusal(&film(&[60, 80, 0x1_0000])).contains("ends before its fragments do"));
}

#[test]
fn data_are_counted_from_where_the_standard_says() {
    let (first, second) = ([0, 0], [0, 0, 0]);
    let sounds = |offset: Option<u32>| {
        let flags = u32::from(offset.is_some());
        boxed(b"trun", &[&words(&[flags, 2]), &words(&offset.into_iter().collect::<Vec<u32>>())])
    };
    let head = head(&[]);
    let told = u32::try_from(head.len()).unwrap();
    // Sound first, then pictures: from the file's start, from the fragment, behind what came before.
    let by_file = |at: u32| {
        vec![
            part(2, (1, &[0, told]), Some(0), &[sounds(Some(at))]),
            part(1, (1, &[0, told]), Some(0), &[run(Some(at + 2 * SIZE), &first), run(None, &second)]),
        ]
    };
    let by_fragment = |at: u32| {
        vec![
            part(2, (BASE_IS_FRAGMENT, &[]), Some(0), &[sounds(Some(at))]),
            part(1, (BASE_IS_FRAGMENT, &[]), Some(0), &[run(Some(at + 2 * SIZE), &first), run(None, &second)]),
        ]
    };
    let by_order = |at: u32| {
        vec![
            part(2, (0, &[]), Some(0), &[sounds(Some(at))]),
            part(1, (0, &[]), Some(0), &[run(None, &first), run(None, &second)]),
        ]
    };
    let ways: [&dyn Fn(u32) -> Vec<Vec<u8>>; 3] = [&by_file, &by_fragment, &by_order];
    for (number, way) in ways.into_iter().enumerate() {
        let film = [head.clone(), fragment(&way(data(&way(0))), 7)].concat();
        let tables = read(&film).unwrap();
        let places: Vec<u64> = tables.video.units.iter().filter_map(|unit| unit.offset).collect();
        let begin = film.len() as u64 - 5 * u64::from(SIZE);
        let due: Vec<u64> = (0..5).map(|n| begin + n * u64::from(SIZE)).collect();
        assert_eq!(places, due, "way {number}");
        assert_eq!(tables.audio.len(), 1, "way {number}");
    }
}

#[test]
fn what_is_told_a_second_time_is_hidden() {
    let five = [0; 5];
    let film = [head(&[]), pictures(Some(0), &five), pictures(Some(120), &five), pictures(Some(320), &[0])].concat();
    let times = shown(&film);
    assert_eq!(times[..5], [0, 40, 80, 120, 160]);
    assert!(times[5..7].iter().all(|hidden| *hidden < 0), "{times:?}");
    assert_eq!(times[7..], [200, 240, 280, 320]);
    // Again from the film's start: nothing of it is new.
    let film = [head(&[]), pictures(Some(0), &five), pictures(Some(0), &five)].concat();
    assert!(refusal(&film).contains("tells nothing new"));
}

#[test]
fn a_film_that_is_cut_off_keeps_what_is_whole_and_says_what_is_not() {
    let whole = [head(&[]), pictures(Some(0), &[0; 4]), pictures(None, &[0; 4])].concat();
    let open = |film: &[u8]| {
        let presented = Presented::plainly(Arc::new(film.to_vec())).unwrap();
        (presented.tables().unwrap().video.units.len(), presented.cut_off())
    };
    assert_eq!(open(&whole), (8, None));
    let (count, told) = open(&whole[..whole.len() - 50]);
    let due = format!("its last sample ends at byte {}, the file at byte {}", whole.len(), whole.len() - 50);
    assert_eq!((count, told), (6, Some(due)));
    // Within the second fragment's head.
    let cut = whole.len() - 4 * SIZE as usize - 20;
    let (count, told) = open(&whole[..cut]);
    assert_eq!(count, 4);
    assert!(told.unwrap().contains("its box moof ends at byte"));
    // A sample that lies elsewhere than at the end is no cut.
    let part = |offset| part(1, (BASE_IS_FRAGMENT, &[]), Some(0), &[run(Some(offset), &[0])]);
    let astray = [head(&[]), fragment(&[part(1 << 30)], 1), pictures(None, &[0])].concat();
    assert!(refusal(&astray).contains("lies outside of the file"));
}

#[test]
fn empty_fragments_and_unknown_boxes_change_nothing() {
    let empty = fragment(&[part(1, (BASE_IS_FRAGMENT | 0x01_0000, &[]), Some(9999), &[])], 0);
    let none = fragment(&[part(1, (BASE_IS_FRAGMENT, &[]), Some(9999), &[boxed(b"trun", &[&words(&[0, 0])])])], 0);
    let extra = [boxed(b"styp", &[b"msdh"]), boxed(b"sidx", &[&[0xff; 30]]), boxed(b"mfra", &[&[0xff; 30]])].concat();
    let film =
        [head(&[]), empty, extra.clone(), pictures(Some(0), &[0, 0]), none, extra, pictures(None, &[0])].concat();
    assert_eq!(shown(&film), [0, 40, 80]);
}

/// What a writer says who says nothing of keys.
#[test]
fn samples_that_are_all_said_to_be_keys_are_looked_at() {
    let parts = |at| vec![part(1, (BASE_IS_FRAGMENT | 0x20, &[KEY]), Some(0), &[run(Some(at), &[0; 4])])];
    let mut film = [head(&[]), fragment(&parts(data(&parts(0))), 4)].concat();
    assert_eq!(shown(&film), [0, 40, 80, 120]);
    let last = film.len() - SIZE as usize + 4;
    film[last] = 0x41;
    assert!(refusal(&film).contains("not all are"));
}

#[test]
fn absurd_counts_are_refused_without_being_believed() {
    let lie = |flags: u32, count: u32, told: &[u32]| {
        let run = boxed(b"trun", &[&words(&[flags, count]), &words(told)]);
        [head(&[]), fragment(&[part(1, (BASE_IS_FRAGMENT, &[]), Some(0), &[run])], 1)].concat()
    };
    assert!(refusal(&lie(0, u32::MAX, &[])).contains("more than 4000000 samples"));
    assert!(refusal(&lie(0x200, u32::MAX, &[SIZE])).contains("is damaged"));
    assert!(refusal(&lie(1, 1, &[1 << 31])).contains("is damaged"));
    let late = |time| refusal(&[head(&[]), pictures(Some(time), &[0]), pictures(Some(0), &[0])].concat());
    assert!(late(u32::MAX).contains("tells nothing new"));
    // Of so many the file holds a few, and none of them is a key.
    assert!(refusal(&lie(0, 3_999_999, &[])).contains("does not begin with a key"));
}

/// Counts what is read.
struct Counted {
    film: Vec<u8>,
    bytes: AtomicUsize,
    reads: AtomicUsize,
}

impl ReadAt for Counted {
    fn size(&self) -> u64 {
        self.film.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<usize> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let got = self.film.read_at(offset, buf)?;
        self.bytes.fetch_add(got, Ordering::Relaxed);
        Ok(got)
    }
}

fn read_of(film: Vec<u8>) -> (usize, usize) {
    let counted = Arc::new(Counted { film, bytes: AtomicUsize::new(0), reads: AtomicUsize::new(0) });
    let presented = Presented::plainly(counted.clone()).unwrap();
    drop(presented.tables());
    (counted.bytes.load(Ordering::Relaxed), counted.reads.load(Ordering::Relaxed))
}

#[test]
fn of_large_fragments_only_the_heads_are_read() {
    let large = |time| {
        let mut bytes = pictures(Some(time), &[0; 4]);
        bytes.extend(boxed(b"free", &[&vec![0; 1 << 20]]));
        bytes
    };
    let film = [vec![head(&[])], (0..20).map(|n| large(n * 160)).collect()].concat().concat();
    let (bytes, reads) = read_of(film);
    assert!(bytes < 300 << 10 && reads < 100, "{bytes} bytes in {reads} reads");
}

/// Some fragments, good ones.
fn film() -> Vec<u8> {
    let sound = |offset| boxed(b"trun", &[&words(&[1, 3, offset])]);
    let parts = |offset: u32| {
        vec![
            part(1, (BASE_IS_FRAGMENT, &[]), None, &[run(Some(offset), &[40, 80, 0])]),
            part(2, (0, &[]), None, &[sound(offset + 3 * SIZE)]),
        ]
    };
    let both = fragment(&parts(data(&parts(0))), 6);
    [head(&[]), pictures(Some(0), &[40, 80, 0]), both.clone(), boxed(b"free", &[&[0; 99]]), both].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_boxes_are_refused_or_read(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        (cut, end) in any::<(bool, prop::sample::Index)>(),
    ) {
        let mut bytes = film();
        for (place, value) in damage {
            let at = place.index(bytes.len());
            bytes[at] = value;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        let size = bytes.len();
        if let Ok(tables) = read(&bytes) {
            for unit in &tables.video.units {
                prop_assert!(unit.offset.unwrap() + u64::from(unit.size) <= size as u64);
            }
        }
        let (read, _) = read_of(bytes);
        prop_assert!(read <= 8 * size + (64 << 10), "{read} bytes of {size}");
    }

    #[test]
    fn wide_lies_are_refused_or_read(
        place in any::<prop::sample::Index>(),
        lie in prop::sample::select(vec![0, 1, 7, 0xffff, 0x7fff_ffff, 0x8000_0000, u32::MAX]),
    ) {
        let mut bytes = film();
        let at = place.index(bytes.len() - 4);
        bytes[at..at + 4].copy_from_slice(&lie.to_be_bytes());
        if let Ok(tables) = read(&bytes) {
            for unit in &tables.video.units {
                prop_assert!(unit.offset.unwrap() + u64::from(unit.size) <= bytes.len() as u64);
            }
        }
    }
}
