//! A list of cases in which every two values of two axes occur together. Made greedily and without chance.

use std::collections::BTreeSet;

/// Each case has one value of every axis, by number; `sizes` says how many each axis has.
pub fn covering<const AXES: usize>(sizes: [usize; AXES]) -> Vec<[usize; AXES]> {
    let mut wanted: BTreeSet<(usize, usize, usize, usize)> = BTreeSet::new();
    for one in 0..AXES {
        for other in one + 1..AXES {
            let pairs = (0..sizes[one]).flat_map(|a| (0..sizes[other]).map(move |b| (one, a, other, b)));
            wanted.extend(pairs);
        }
    }
    let mut list = Vec::new();
    while let Some(&(one, a, other, b)) = wanted.first() {
        let mut case: [Option<usize>; AXES] = [None; AXES];
        (case[one], case[other]) = (Some(a), Some(b));
        for axis in 0..AXES {
            if case[axis].is_none() {
                let best =
                    (0..sizes[axis]).max_by_key(|value| (gain(&wanted, &case, (axis, *value)), usize::MAX - value));
                case[axis] = best;
            }
        }
        let case = case.map(Option::unwrap_or_default);
        wanted.retain(|(one, a, other, b)| (case[*one], case[*other]) != (*a, *b));
        list.push(case);
    }
    list
}

/// How many wanted pairs a value of an axis makes with what is chosen already.
fn gain<const AXES: usize>(
    wanted: &BTreeSet<(usize, usize, usize, usize)>,
    case: &[Option<usize>; AXES],
    (axis, value): (usize, usize),
) -> usize {
    let chosen = case.iter().enumerate().filter_map(|(other, chosen)| chosen.map(|chosen| (other, chosen)));
    let pairs = chosen.map(|(other, chosen)| match other < axis {
        true => (other, chosen, axis, value),
        false => (axis, value, other, chosen),
    });
    pairs.filter(|pair| wanted.contains(pair)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_occurs_in_few_cases() {
        let list = covering([5, 3, 4]);
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let pairs: BTreeSet<_> = list.iter().map(|case| (case[one], case[other])).collect();
            assert_eq!(pairs.len(), [5, 3, 4][one] * [5, 3, 4][other]);
        }
        assert!((20..=26).contains(&list.len()), "{}", list.len());
    }
}
