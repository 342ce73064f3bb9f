//! Segments of one output come from different workers, and in the midst of an upgrade from different builds, whose headers
//! may differ. No muxer joins unequal ones: all must be made alike, by a build that is still there.

use std::collections::BTreeMap;

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

/// The header of each rendition.
type Headers<'a> = BTreeMap<u32, &'a Digest>;

/// The tasks that do not fit what one of the builds makes: of the build that they can all be had from soonest, by the
/// slots that it has for them; where none is there any more, of the one that made most. A task makes all its renditions
/// at once, so their headers are those of one build.
pub fn odd(segments: &[(TaskId, Vec<SegmentProof>)], slots: &BTreeMap<String, usize>) -> Vec<Odd> {
    let builds = headers_by_build(segments);
    let soonest = builds.into_iter().map(|(build, headers)| {
        let left = segments.iter().filter(|(_, proofs)| !fits(&headers, proofs)).count();
        (build, slots.get(build).copied().unwrap_or_default(), left, headers)
    });
    let soonest = soonest.max_by(|(a, slots_a, left_a, _), (b, slots_b, left_b, _)| {
        let sooner = (left_b * slots_a.max(&1)).cmp(&(left_a * slots_b.max(&1)));
        // A tie is broken by name, so that every coordinator finds the same.
        (*slots_a > 0).cmp(&(*slots_b > 0)).then(sooner).then(a.cmp(b))
    });
    let Some((build, slots, _, headers)) = soonest else { return Vec::new() };
    let wanted = (slots > 0).then(|| build.to_owned());
    let odd = segments.iter().filter(|(_, proofs)| !fits(&headers, proofs));
    let made_by = |proofs: &[SegmentProof]| proofs.first().map(|proof| proof.build.clone()).unwrap_or_default();
    odd.map(|(task, proofs)| Odd { task: *task, made_by: made_by(proofs), wanted: wanted.clone() }).collect()
}

/// Leaves out builds that were asked for a task which another has made since: they are there and take nothing, and would
/// be waited for once more each time.
pub fn keep_willing<'a>(
    slots: &mut BTreeMap<String, usize>,
    asked: impl IntoIterator<Item = (&'a str, &'a [SegmentProof])>,
) {
    for (wanted, proofs) in asked {
        if proofs.iter().any(|proof| proof.build != wanted) {
            slots.remove(wanted);
        }
    }
}

/// What each build gave most often.
fn headers_by_build(segments: &[(TaskId, Vec<SegmentProof>)]) -> BTreeMap<&str, Headers<'_>> {
    let mut votes: BTreeMap<&str, BTreeMap<u32, BTreeMap<&Digest, usize>>> = BTreeMap::new();
    for proof in segments.iter().flat_map(|(_, proofs)| proofs).filter(|proof| proof.pictures > 0) {
        let of_build = votes.entry(&proof.build).or_default();
        *of_build.entry(proof.rendition).or_default().entry(&proof.header).or_default() += 1;
    }
    votes.into_iter().map(|(build, of)| (build, of.into_iter().filter_map(usual).collect())).collect()
}

fn usual((rendition, votes): (u32, BTreeMap<&Digest, usize>)) -> Option<(u32, &Digest)> {
    let (header, _) = votes.into_iter().max_by_key(|(header, votes)| (*votes, *header))?;
    Some((rendition, header))
}

/// What is empty has no header, and what the build made none of cannot be compared yet.
fn fits(headers: &Headers<'_>, proofs: &[SegmentProof]) -> bool {
    let shown = proofs.iter().filter(|proof| proof.pictures > 0);
    shown.into_iter().all(|proof| headers.get(&proof.rendition).is_none_or(|header| **header == proof.header))
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
    fn a_build_that_was_waited_for_in_vain_is_not_waited_for_again() {
        let made = segments(&[("old", "a"), ("old", "a"), ("new", "b"), ("old", "a")]);
        let all = there(&[("old", 4), ("new", 1)]);
        let willing = |asked: &[(&str, usize)]| {
            let mut slots = all.clone();
            keep_willing(&mut slots, asked.iter().map(|(wanted, at)| (*wanted, made[*at].1.as_slice())));
            slots
        };
        assert_eq!((willing(&[]), willing(&[("old", 3), ("gone", 2)])), (all.clone(), all.clone()));
        let asked_old = willing(&[("old", 3), ("old", 2)]);
        assert_eq!(asked_old, there(&[("new", 1)]));
        // So all are made by who is there and does something.
        assert!(odd(&made, &asked_old).iter().all(|odd| odd.wanted.as_deref() == Some("new") && odd.made_by == "old"));
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
    fn the_renditions_of_a_task_go_by_one_build_even_where_builds_are_equal() {
        let task = |number| TaskId::new(TaskKind::Encode, number);
        // By their digests alone, one rendition would be the older's and the other the newer's.
        let (one, other) = (["a", "b"], ["b", "a"]);
        let made = [("old", one), ("old", one), ("new", other), ("new", other)];
        let made: Vec<_> = (0..)
            .zip(made)
            .map(|(number, (build, headers))| {
                (task(number), vec![proof(0, build, headers[0]), proof(1, build, headers[1])])
            })
            .collect();
        let found = odd(&made, &there(&[("old", 2), ("new", 2)]));
        assert_eq!(found.iter().map(|odd| odd.task.number).collect::<Vec<_>>(), [2, 3]);
        assert!(found.iter().all(|odd| odd.wanted.as_deref() == Some("old")));
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
        let empty = SegmentProof { pictures: 0, ..proof(0, "new", "none") };
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
