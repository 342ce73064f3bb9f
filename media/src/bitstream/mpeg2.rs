//! MPEG-1 and MPEG-2 video: field pairs, and B-pictures that open a film.

use super::bits::Bits;
use super::nal::start_codes;
use super::{Odd, Verdict};
use framefleet_model::index::Key;

pub(crate) const PICTURE: u8 = 0;
pub(crate) const SEQUENCE: u8 = 0xb3;
pub(crate) const FIRST_SLICE: u8 = 1;
pub(crate) const EXTENSION: u8 = 0xb5;
pub(crate) const GROUP: u8 = 0xb8;
pub(crate) const CODING_EXTENSION: u32 = 8;

#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// A field that waits for its other half.
    half: Option<Picture>,
    references: References,
    group: Group,
}

/// How many pictures there are for others to refer to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum References {
    #[default]
    None,
    One,
    Two,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Group {
    #[default]
    Open,
    Closed,
}

#[derive(Clone, Copy, Debug)]
struct Picture {
    number: u32,
    kind: Kind,
    structure: Structure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    I,
    P,
    B,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Structure {
    Frame,
    Top,
    Bottom,
}

impl Rules {
    pub(crate) fn judge(&mut self, unit: &[u8]) -> Result<Verdict, Odd> {
        let mut verdict = None;
        for picture in self.pictures(unit)? {
            if self.half.take().is_some_and(|first| first.pairs_with(picture)) {
                continue;
            }
            if picture.structure != Structure::Frame {
                self.half = Some(picture);
            }
            if verdict.replace(self.shown(picture)).is_some() {
                return Err(Odd("a unit holds several pictures"));
            }
        }
        Ok(verdict.unwrap_or(Verdict::NOTHING))
    }

    fn pictures(&mut self, unit: &[u8]) -> Result<Vec<Picture>, Odd> {
        let mut pictures: Vec<Picture> = Vec::new();
        for (code, payload) in start_codes(unit) {
            match code {
                PICTURE => pictures.push(parse_picture(payload).ok_or(Odd("an MPEG picture header does not parse"))?),
                EXTENSION => {
                    if let (Some(structure), Some(last)) = (parse_structure(payload), pictures.last_mut()) {
                        last.structure = structure;
                    }
                }
                GROUP => self.group = parse_group(payload),
                _ => {}
            }
        }
        Ok(pictures)
    }

    /// A B-picture that has but one reference is decoded only in a group that says it is closed.
    fn shown(&mut self, picture: Picture) -> Verdict {
        let shows = match (picture.kind, self.references) {
            (Kind::I, _) => true,
            (Kind::P, references) => references != References::None,
            (Kind::B, References::None) => false,
            (Kind::B, References::One) => self.group == Group::Closed,
            (Kind::B, References::Two) => true,
        };
        if shows && picture.kind != Kind::B {
            self.references = match self.references {
                References::None => References::One,
                References::One | References::Two => References::Two,
            };
        }
        Verdict { key: if picture.kind == Kind::I { Key::Yes } else { Key::No }, shows: u8::from(shows) }
    }
}

impl Picture {
    fn pairs_with(self, second: Self) -> bool {
        let opposite = matches!(
            (self.structure, second.structure),
            (Structure::Top, Structure::Bottom) | (Structure::Bottom, Structure::Top)
        );
        opposite && self.number == second.number
    }
}

fn parse_picture(payload: &[u8]) -> Option<Picture> {
    let mut bits = Bits::new(payload);
    let number = bits.take(10)?;
    let kind = match bits.take(3)? {
        1 => Kind::I,
        2 => Kind::P,
        3 => Kind::B,
        _ => return None,
    };
    Some(Picture { number, kind, structure: Structure::Frame })
}

/// The picture structure of a picture coding extension.
fn parse_structure(payload: &[u8]) -> Option<Structure> {
    let mut bits = Bits::new(payload);
    if bits.take(4)? != CODING_EXTENSION {
        return None;
    }
    bits.skip(18)?;
    Some(match bits.take(2)? {
        1 => Structure::Top,
        2 => Structure::Bottom,
        _ => Structure::Frame,
    })
}

fn parse_group(payload: &[u8]) -> Group {
    let closed = payload.get(3).is_some_and(|byte| byte >> 6 & 1 == 1);
    if closed { Group::Closed } else { Group::Open }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(number: u8, kind: u8, structure: u8) -> Vec<u8> {
        let head = [0, 0, 1, PICTURE, number >> 2, number << 6 | kind << 3, 0, 0];
        let extension = [0, 0, 1, EXTENSION, 0x8f, 0xff, structure, 0x80];
        [&head[..], &extension, &[0, 0, 1, 1, 0x22]].concat()
    }

    fn group(closed: u8) -> Vec<u8> {
        vec![0, 0, 1, GROUP, 0, 0, 0, closed << 6]
    }

    fn shows(rules: &mut Rules, units: &[Vec<u8>]) -> Vec<u8> {
        units.iter().map(|unit| rules.judge(unit).unwrap().shows).collect()
    }

    #[test]
    fn second_fields_show_nothing() {
        let (top, bottom, frame) = (1, 2, 3);
        let units = [picture(0, 1, top), picture(0, 2, bottom), picture(1, 2, frame), picture(2, 3, bottom)];
        assert_eq!(shows(&mut Rules::default(), &units), [1, 0, 1, 1]);
        let pair = [picture(0, 1, top), picture(0, 2, bottom)].concat();
        assert_eq!(Rules::default().judge(&pair), Ok(Verdict::KEY));
        let two = [picture(0, 1, frame), picture(1, 2, frame)].concat();
        assert!(Rules::default().judge(&two).is_err());
    }

    #[test]
    fn opening_b_pictures_are_shown_in_closed_groups_only() {
        let films = |closed| {
            let first = [group(closed), picture(2, 1, 3)].concat();
            shows(
                &mut Rules::default(),
                &[picture(9, 2, 3), first, picture(0, 3, 3), picture(5, 2, 3), picture(3, 3, 3)],
            )
        };
        assert_eq!(films(0), [0, 1, 0, 1, 1]);
        assert_eq!(films(1), [0, 1, 1, 1, 1]);
    }
}
