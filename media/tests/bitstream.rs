//! Rules of H.264 and HEVC on streams that no encoder at hand makes.

use framefleet_media::bitstream::{Odd, Rules, Verdict};
use framefleet_model::index::Key;

const NOTHING: Verdict = Verdict { key: Key::No, shows: 0 };
const PICTURE: Verdict = Verdict { key: Key::No, shows: 1 };
const KEY: Verdict = Verdict { key: Key::Yes, shows: 1 };

/// Writes bits, most significant first.
#[derive(Default)]
struct Writer {
    bits: Vec<bool>,
}

impl Writer {
    fn put(mut self, count: u32, value: u32) -> Self {
        self.bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    fn ue(self, value: u32) -> Self {
        let length = 32 - (value + 1).leading_zeros();
        self.put(length - 1, 0).put(length, value + 1)
    }

    fn nal(mut self, header: &[u8]) -> Vec<u8> {
        self.bits.push(true);
        let bytes = self.bits.chunks(8).map(|chunk| {
            let filled = chunk.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
            filled << (8 - chunk.len())
        });
        [&[0, 0, 1][..], header, &bytes.collect::<Vec<u8>>()].concat()
    }
}

/// Fields allowed, output order in four bits.
fn sequence() -> Vec<u8> {
    let profile = Writer::default().put(8, 77).put(16, 30).ue(0);
    let counts = profile.ue(0).ue(0).ue(0).ue(4).put(1, 0);
    counts.ue(10).ue(8).put(1, 0).put(3, 0).nal(&[0x67])
}

fn picture_set() -> Vec<u8> {
    Writer::default().ue(0).ue(0).put(8, 0).nal(&[0x68])
}

#[derive(Clone, Copy)]
struct Slice {
    kind: u32,
    frame: u32,
    /// `None`: a frame; 0: top, 1: bottom.
    bottom: Option<u32>,
    order: u32,
    header: u8,
}

const I: u32 = 7;
const P: u32 = 5;
const IDR: u8 = 0x65;
const REFERENCE: u8 = 0x41;
const DISPOSABLE: u8 = 0x01;

fn slice(s: Slice) -> Vec<u8> {
    let start = Writer::default().ue(0).ue(s.kind).ue(0).put(4, s.frame);
    let fields = match s.bottom {
        None => start.put(1, 0),
        Some(bottom) => start.put(1, 1).put(1, bottom),
    };
    let named = if s.header == IDR { fields.ue(0) } else { fields };
    named.put(4, s.order).put(16, 0xffff).nal(&[s.header])
}

fn field(kind: u32, frame: u32, bottom: u32, header: u8) -> Vec<u8> {
    slice(Slice { kind, frame, bottom: Some(bottom), order: frame * 2 % 16 + bottom, header })
}

fn frame(kind: u32, number: u32, order: u32, header: u8) -> Vec<u8> {
    slice(Slice { kind, frame: number, bottom: None, order, header })
}

fn recovery_point(count: u32) -> Vec<u8> {
    let body = Writer::default().put(8, 5).put(8, 1).put(8, 0).put(8, 6).put(8, 1).ue(count);
    body.put(6, 0).nal(&[0x06])
}

fn h264() -> Rules {
    Rules::for_codec("video/x-h264", None).expect("H.264 has rules")
}

fn judge_all(rules: &mut Rules, units: &[Vec<u8>]) -> Vec<Verdict> {
    units.iter().map(|unit| rules.judge(unit).expect("none of these is odd")).collect()
}

#[test]
fn second_fields_in_units_of_their_own_show_nothing() {
    let first = [sequence(), picture_set(), field(I, 0, 0, IDR)].concat();
    let units = [first, field(P, 0, 1, REFERENCE), field(P, 1, 0, REFERENCE), field(P, 1, 1, REFERENCE)];
    assert_eq!(judge_all(&mut h264(), &units), [KEY, NOTHING, PICTURE, NOTHING]);
}

#[test]
fn both_fields_in_one_unit_show_one_picture() {
    let first = [sequence(), picture_set(), field(I, 0, 0, IDR), field(P, 0, 1, REFERENCE)].concat();
    let second = [field(P, 1, 1, DISPOSABLE), field(P, 1, 0, DISPOSABLE)].concat();
    assert_eq!(judge_all(&mut h264(), &[first, second]), [KEY, PICTURE]);
}

#[test]
fn lone_fields_and_frames_between_them_are_pictures() {
    let first = [sequence(), picture_set(), field(I, 0, 0, IDR)].concat();
    let units = [first, field(P, 1, 0, REFERENCE), frame(P, 2, 4, REFERENCE), field(P, 3, 1, REFERENCE)];
    assert_eq!(judge_all(&mut h264(), &units), [KEY, PICTURE, PICTURE, PICTURE]);
}

#[test]
fn two_frames_in_one_unit_are_odd() {
    let unit = [sequence(), picture_set(), frame(I, 0, 0, IDR), frame(P, 1, 2, REFERENCE)].concat();
    assert_eq!(h264().judge(&unit), Err(Odd("a unit holds several pictures")));
}

#[test]
fn several_slices_are_one_picture() {
    let first = [sequence(), picture_set(), frame(I, 0, 0, IDR), frame(I, 0, 0, IDR)].concat();
    assert_eq!(judge_all(&mut h264(), &[first, vec![0, 0, 1, 9, 0xf0]]), [KEY, NOTHING]);
}

#[test]
fn a_recovery_point_is_an_open_key_if_it_recovers_at_once() {
    let open = Verdict { key: Key::Open, shows: 1 };
    let start = [sequence(), picture_set(), recovery_point(0), frame(I, 3, 8, REFERENCE)].concat();
    let leading = frame(6, 4, 4, DISPOSABLE);
    let units = [start, leading, frame(P, 4, 14, REFERENCE), frame(6, 5, 12, DISPOSABLE)];
    assert_eq!(judge_all(&mut h264(), &units), [open, NOTHING, PICTURE, PICTURE]);
    let slow = [sequence(), picture_set(), recovery_point(12), frame(I, 3, 8, REFERENCE)].concat();
    assert_eq!(h264().judge(&slow), Ok(NOTHING));
    let bare = [sequence(), picture_set(), frame(I, 3, 8, REFERENCE)].concat();
    assert_eq!(h264().judge(&bare), Ok(NOTHING));
}

#[test]
fn a_slice_without_its_parameter_sets_is_odd() {
    assert!(h264().judge(&frame(I, 0, 0, IDR)).is_err());
}

const HEVC_IDR: u8 = 19 << 1;
const HEVC_CRA: u8 = 21 << 1;
const HEVC_TRAIL: u8 = 1 << 1;
const HEVC_RASL: u8 = 8 << 1;
const HEVC_END: u8 = 36 << 1;

/// A picture set that tells of each picture whether it is put out.
fn hevc_set() -> Vec<u8> {
    Writer::default().ue(0).ue(0).put(1, 0).put(1, 1).put(3, 0).nal(&[34 << 1, 1])
}

fn hevc(kind: u8, put_out: u32) -> Vec<u8> {
    let start = Writer::default().put(1, 1);
    let start = if kind >= 16 << 1 { start.put(1, 0) } else { start };
    start.ue(0).ue(2).put(1, put_out).put(8, 0x55).nal(&[kind, 1])
}

#[test]
fn rasl_pictures_are_skipped_after_a_start_and_an_end() {
    let mut rules = Rules::for_codec("video/x-h265", None).expect("HEVC has rules");
    let start = [hevc_set(), hevc(HEVC_CRA, 1)].concat();
    let end = Writer::default().nal(&[HEVC_END, 1]);
    let last = [hevc(HEVC_TRAIL, 1), end].concat();
    let units = [
        hevc(HEVC_RASL, 1),
        start,
        hevc(HEVC_RASL, 1),
        hevc(HEVC_CRA, 1),
        hevc(HEVC_RASL, 1),
        last,
        hevc(HEVC_CRA, 1),
        hevc(HEVC_RASL, 1),
        hevc(HEVC_TRAIL, 0),
        hevc(HEVC_IDR, 1),
    ];
    assert!(rules.judge(&units[0]).is_err(), "no parameter sets yet");
    let verdicts = judge_all(&mut rules, &units[1..]);
    assert_eq!(verdicts, [KEY, NOTHING, KEY, PICTURE, PICTURE, KEY, NOTHING, NOTHING, KEY]);
}

mod never_panics {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_the_bytes(units in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..8),
                              codec_data in prop::option::of(prop::collection::vec(any::<u8>(), 0..64))) {
            for media_type in ["video/x-h264", "video/x-h265", "video/x-vp8", "video/x-vp9", "video/x-av1", "video/mpeg",
                "video/x-h263", "video/x-flash-video", "video/x-theora", "image/jpeg"] {
                let Some(mut rules) = Rules::for_codec(media_type, codec_data.as_deref()) else { continue };
                for unit in &units {
                    if let Ok(verdict) = rules.judge(unit) {
                        prop_assert!(verdict.shows <= 1);
                    }
                }
            }
        }

        #[test]
        fn whatever_follows_a_start_code(units in prop::collection::vec(
            (any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 1..20)) {
            let unit: Vec<u8> = units.iter().flat_map(|(code, rest)| [&[0, 0, 1, *code][..], rest].concat()).collect();
            for media_type in ["video/x-h264", "video/x-h265", "video/mpeg"] {
                let mut rules = Rules::for_codec(media_type, None).expect("these need no codec data");
                let _ = rules.judge(&[sequence(), picture_set(), hevc_set()].concat());
                let _ = rules.judge(&unit);
            }
        }
    }
}
