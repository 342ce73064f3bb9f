//! Segments of one output come from different workers, and in the midst of an upgrade from different builds, whose headers
//! may differ. No muxer joins unequal ones: all must be made alike, by a build that is still there.

use std::collections::{BTreeMap, BTreeSet};

use framefleet_model::id::{Digest, TaskId};
use framefleet_model::ledger::SegmentProof;

/// A task whose result does not fit the others'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Odd {
    pub task: TaskId,
    pub made_by: String,
    /// By whom it is to be made again; anybody where nobody is there who makes what the others have.
    pub wanted: Option<String>,
}

impl Odd {
    /// A build that gives now one header and now another would do so for ever.
    pub(crate) fn is_fickle(&self) -> bool {
        self.wanted.as_ref() == Some(&self.made_by)
    }
}

/// What was seen of one header.
#[derive(Default)]
struct Votes<'a> {
    segments: usize,
    builds: BTreeSet<&'a str>,
}

impl Votes<'_> {
    fn slots(&self, slots: &BTreeMap<String, usize>) -> usize {
        self.builds.iter().filter_map(|build| slots.get(*build)).sum()
    }

    fn maker(&self, slots: &BTreeMap<String, usize>) -> Option<String> {
        let here = self.builds.iter().filter_map(|build| slots.get_key_value(*build));
        here.max_by_key(|(_, slots)| **slots).map(|(build, _)| build.clone())
    }
}

/// The tasks whose headers are not those that a rendition is to have: the ones that all can have soonest, by the slots of
/// the builds that are there. Where nobody is there who makes any of them, those of most segments.
pub fn odd(segments: &[(TaskId, Vec<SegmentProof>)], slots: &BTreeMap<String, usize>) -> Vec<Odd> {
    let mut renditions: BTreeMap<u32, BTreeMap<&Digest, Votes<'_>>> = BTreeMap::new();
    for proof in segments.iter().flat_map(|(_, proofs)| proofs).filter(|proof| proof.pictures > 0) {
        let votes = renditions.entry(proof.rendition).or_default().entry(&proof.header).or_default();
        votes.segments += 1;
        votes.builds.insert(&proof.build);
    }
    let chosen = renditions.iter().filter_map(|(rendition, headers)| {
        let all: usize = headers.values().map(|votes| votes.segments).sum();
        let soonest = |(a, of_a): &(&&Digest, &Votes<'_>), (b, of_b): &(&&Digest, &Votes<'_>)| {
            let (slots_a, slots_b) = (of_a.slots(slots), of_b.slots(slots));
            let (left_a, left_b) = (all - of_a.segments, all - of_b.segments);
            let slower = (left_a * slots_b.max(1)).cmp(&(left_b * slots_a.max(1)));
            // a tie is broken by the digest: every coordinator finds the same
            (slots_a > 0).cmp(&(slots_b > 0)).then(slower.reverse()).then(a.cmp(b))
        };
        let (header, votes) = headers.iter().max_by(soonest)?;
        Some((*rendition, (*header, votes.maker(slots))))
    });
    let chosen: BTreeMap<u32, (&Digest, Option<String>)> = chosen.collect();
    let odd = segments.iter().filter_map(|(task, proofs)| {
        proofs.iter().filter(|proof| proof.pictures > 0).find_map(|proof| {
            let (header, wanted) = chosen.get(&proof.rendition)?;
            let made_by = proof.build.clone();
            (&proof.header != *header).then(|| Odd { task: *task, made_by, wanted: wanted.clone() })
        })
    });
    odd.collect()
}

#[cfg(test)]
mod tests {
    use framefleet_model::id::TaskKind;
    use framefleet_model::ledger::Produced;
    use framefleet_model::time::MediaTime;

    use super::*;

    fn proof(rendition: u32, build: &str, header: &str) -> SegmentProof {
        let digest = Digest::of(header.as_bytes());
        SegmentProof {
            rendition,
            decoded: 25,
            pictures: 25,
            first: MediaTime::ZERO,
            last: MediaTime::ZERO,
            end: MediaTime::ZERO,
            header: digest.clone(),
            content: digest.clone(),
            dts_need: MediaTime::ZERO,
            lost: Vec::new(),
            build: build.to_owned(),
            fingerprint: String::new(),
            file: Produced { name: "segment".to_owned(), size: 1, digest },
        }
    }

    fn segments(made: &[(&str, &str)]) -> Vec<(TaskId, Vec<SegmentProof>)> {
        let numbered = (0..).zip(made);
        let task = |number| TaskId::new(TaskKind::Encode, number);
        numbered.map(|(number, (build, header))| (task(number), vec![proof(0, build, header)])).collect()
    }

    fn there(builds: &[(&str, usize)]) -> BTreeMap<String, usize> {
        builds.iter().map(|(build, slots)| ((*build).to_owned(), *slots)).collect()
    }

    fn odd_ones(made: &[(&str, &str)], builds: &[(&str, usize)]) -> Vec<(u32, Option<String>)> {
        odd(&segments(made), &there(builds)).into_iter().map(|odd| (odd.task.number, odd.wanted)).collect()
    }

    #[test]
    fn the_minority_is_made_again_by_those_who_made_the_rest() {
        let made = [("old", "a"), ("old", "a"), ("new", "b")];
        assert_eq!(odd_ones(&made, &[("old", 4), ("new", 4)]), [(2, Some("old".to_owned()))]);
        assert_eq!(odd_ones(&made[..2], &[("old", 4), ("new", 4)]), []);
    }

    #[test]
    fn a_majority_that_few_can_add_to_is_made_again() {
        let made = [("old", "a"), ("old", "a"), ("new", "b")];
        let wanted = Some("new".to_owned());
        assert_eq!(odd_ones(&made, &[("old", 1), ("new", 3)]), [(0, wanted.clone()), (1, wanted)]);
        assert_eq!(odd_ones(&made, &[("old", 2), ("new", 3)]), [(2, Some("old".to_owned()))]);
    }

    #[test]
    fn what_nobody_makes_any_more_is_made_again_however_much_of_it_there_is() {
        let made = [("old", "a"), ("old", "a"), ("new", "b")];
        let wanted = Some("new".to_owned());
        assert_eq!(odd_ones(&made, &[("new", 1)]), [(0, wanted.clone()), (1, wanted)]);
        // Neither is there: whoever comes next decides.
        assert_eq!(odd_ones(&made, &[("newest", 1)]), [(2, None)]);
    }

    #[test]
    fn builds_that_give_the_same_header_are_joined() {
        assert_eq!(odd_ones(&[("old", "a"), ("new", "a")], &[("new", 1)]), []);
    }

    #[test]
    fn a_build_that_gives_two_headers_is_fickle() {
        let found = odd(&segments(&[("one", "a"), ("one", "a"), ("one", "b")]), &there(&[("one", 1)]));
        assert_eq!(found.iter().map(|odd| (odd.task.number, odd.is_fickle())).collect::<Vec<_>>(), [(2, true)]);
    }

    #[test]
    fn every_rendition_has_a_header_of_its_own_and_empty_segments_have_none() {
        let task = |number| TaskId::new(TaskKind::Encode, number);
        let empty = SegmentProof { pictures: 0, ..proof(0, "old", "none") };
        let made = [
            (task(0), vec![proof(0, "old", "a"), proof(1, "old", "c")]),
            (task(1), vec![proof(0, "old", "a"), proof(1, "old", "c")]),
            (task(2), vec![empty, proof(1, "new", "d")]),
        ];
        let found: Vec<_> =
            odd(&made, &there(&[("old", 1)])).into_iter().map(|odd| (odd.task.number, odd.made_by)).collect();
        assert_eq!(found, [(2, "new".to_owned())]);
    }
}
