//! A fixed list of cases in which every wanted combination of values occurs at least once.
//!
//! The wanted combinations: every pair of two axes, and every existing (source codec, source container, target).
//! The list is made greedily and without chance, so it is the same everywhere; it is stored (`cases.txt`), and a test
//! holds the stored list to this module. Its first part, up to the case that completes all pairs of source codec and
//! source container, is the core that runs with every `make test`.

use std::collections::BTreeSet;
use std::fmt;

use crate::axis::{Codec, Container, Rate, Segments, Shape, Target, TargetCodec, can_be_cut, exists};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Case {
    pub codec: Codec,
    pub container: Container,
    pub rate: Rate,
    pub shape: Shape,
    pub segments: Segments,
    pub target: Target,
    pub target_codec: TargetCodec,
}

/// A combination of values of two or three axes: axis number and value number of each.
type Combination = [Option<(u8, u8)>; 3];

/// Stored one a line, made by `list()`.
pub fn stored() -> Vec<Case> {
    let lines = include_str!("cases.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| Case::named(line).unwrap_or_else(|| panic!("cases.txt holds no case on line {line:?}"))).collect()
}

/// How many of the list's first cases hold every pair of source codec and source container.
pub fn core_of(list: &[Case]) -> usize {
    let all: BTreeSet<_> = list.iter().map(|case| (case.codec, case.container)).collect();
    let mut seen = BTreeSet::new();
    let last = list.iter().position(|case| seen.insert((case.codec, case.container)) && seen.len() == all.len());
    last.map_or(list.len(), |at| at + 1)
}

/// Every case that exists.
pub fn product() -> Vec<Case> {
    let mut all = Vec::new();
    for &codec in Codec::ALL {
        for &container in codec.containers() {
            for &rate in Rate::ALL {
                for &shape in Shape::ALL.iter().filter(|&&shape| exists(codec, container, rate, shape)) {
                    let source = Case { codec, container, rate, shape, ..FIRST };
                    all.extend(source.with_every_task());
                }
            }
        }
    }
    all
}

const FIRST: Case = Case {
    codec: Codec::H264Closed,
    container: Container::Mp4,
    rate: Rate::Film,
    shape: Shape::Plain,
    segments: Segments::Half,
    target: Target::Mp4,
    target_codec: TargetCodec::H264,
};

/// The covering list: first what completes codec and container, then what covers most that is still uncovered.
pub fn list() -> Vec<Case> {
    let cases = product();
    let combinations: Vec<Vec<Combination>> = cases.iter().map(Case::combinations).collect();
    let mut numbered = std::collections::BTreeMap::new();
    for combination in combinations.iter().flatten() {
        let next = numbered.len();
        numbered.entry(*combination).or_insert(next);
    }
    let holds: Vec<Vec<usize>> = combinations.iter().map(|of| of.iter().map(|c| numbered[c]).collect()).collect();
    let mut wanted = vec![true; numbered.len()];
    let mut sources_left: BTreeSet<_> = cases.iter().map(|case| (case.codec, case.container)).collect();
    let mut list = Vec::new();
    while wanted.iter().any(|&still| still) {
        let open =
            |at: usize| sources_left.is_empty() || sources_left.contains(&(cases[at].codec, cases[at].container));
        let gain = |at: usize| holds[at].iter().filter(|&&number| wanted[number]).count();
        // of equals the earliest wins, so that the list never depends on anything but the axes
        let best = (0..cases.len()).filter(|&at| open(at)).max_by_key(|&at| (gain(at), usize::MAX - at));
        let best = best.expect("a wanted combination comes from a case");
        for &number in &holds[best] {
            wanted[number] = false;
        }
        sources_left.remove(&(cases[best].codec, cases[best].container));
        list.push(cases[best]);
    }
    list
}

impl Case {
    fn with_every_task(self) -> Vec<Self> {
        let cut = Segments::ALL.iter().filter(|&&segments| can_be_cut(self.codec, segments));
        let targets = || Target::ALL.iter().flat_map(|&to| TargetCodec::ALL.iter().map(move |&codec| (to, codec)));
        cut.flat_map(|&segments| {
            targets().map(move |(target, target_codec)| Self { segments, target, target_codec, ..self })
        })
        .collect()
    }

    /// The values on each axis, as numbers.
    fn values(&self) -> [u8; 7] {
        [
            self.codec as u8,
            self.container as u8,
            self.rate as u8,
            self.shape as u8,
            self.segments as u8,
            self.target as u8,
            self.target_codec as u8,
        ]
    }

    /// Every wanted combination that this case holds.
    pub fn combinations(&self) -> Vec<Combination> {
        let values = self.values();
        let at = |axis: u8| Some((axis, values[usize::from(axis)]));
        let mut all = vec![[at(0), at(1), at(5)]];
        for first in 0..7 {
            all.extend((first + 1..7).map(|second| [at(first), at(second), None]));
        }
        all
    }

    pub fn named(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let [codec, container, rate, shape, segments, target, target_codec] = parts.as_slice() else { return None };
        Some(Self {
            codec: Codec::named(codec)?,
            container: Container::named(container)?,
            rate: Rate::named(rate)?,
            shape: Shape::named(shape)?,
            segments: Segments::named(segments)?,
            target: Target::named(target)?,
            target_codec: TargetCodec::named(target_codec)?,
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = [self.codec.name(), self.container.name(), self.rate.name(), self.shape.name()].join("/");
        let task = [self.segments.name(), self.target.name(), self.target_codec.name()].join("/");
        write!(f, "{source}/{task}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_list_is_the_one_that_is_made() {
        let made: String = list().iter().map(|case| format!("{case}\n")).collect();
        let stored: String = stored().iter().map(|case| format!("{case}\n")).collect();
        let hint = std::env::temp_dir().join("framefleet-cases.txt");
        if made != stored {
            std::fs::write(&hint, &made).unwrap();
        }
        assert!(made == stored, "cases.txt is out of date; the new list is in {}", hint.display());
    }

    #[test]
    fn every_wanted_combination_occurs() {
        let held: BTreeSet<_> = stored().iter().flat_map(Case::combinations).collect();
        let wanted: BTreeSet<_> = product().iter().flat_map(Case::combinations).collect();
        let missing: Vec<_> = wanted.difference(&held).collect();
        assert!(missing.is_empty(), "{missing:?}");
        assert!(wanted.len() > 400, "{}", wanted.len());
    }

    #[test]
    fn the_list_is_as_long_as_it_should_be() {
        let list = stored();
        assert!((150..=250).contains(&list.len()), "{}", list.len());
        assert!((35..=70).contains(&core_of(&list)), "{}", core_of(&list));
        assert_eq!(list.iter().collect::<BTreeSet<_>>().len(), list.len(), "no case occurs twice");
    }

    #[test]
    fn a_case_is_read_back_from_its_name() {
        for case in stored() {
            assert_eq!(Case::named(&case.to_string()), Some(case));
        }
        assert_eq!(Case::named("h264-closed/mp4"), None);
    }
}
