//! Lists that were one thing or none before there could be several: as long as they hold no more, they are written as they
//! always were, so that equal plans stay equal bytes and older readers understand them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Written<T> {
    Several(Vec<T>),
    One(T),
}

pub(crate) fn serialize<T: Serialize, S: Serializer>(list: &Vec<T>, to: S) -> Result<S::Ok, S::Error> {
    match list.as_slice() {
        [] => to.serialize_none(),
        [one] => to.serialize_some(one),
        _ => list.serialize(to),
    }
}

pub(crate) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(match Option::<Written<T>>::deserialize(from)? {
        None => Vec::new(),
        Some(Written::One(one)) => vec![one],
        Some(Written::Several(list)) => list,
    })
}

/// Of numbers that count from 1, the one that need not be written.
pub(crate) fn first() -> u32 {
    1
}

pub(crate) fn is_first(number: &u32) -> bool {
    *number == first()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Row(#[serde(with = "super")] Vec<u32>);

    #[test]
    fn one_and_none_are_written_as_they_were() {
        for (list, json) in [(vec![], "null"), (vec![7], "7"), (vec![7, 9], "[7,9]")] {
            assert_eq!(serde_json::to_string(&Row(list.clone())).unwrap(), json);
            assert_eq!(serde_json::from_str::<Row>(json).unwrap(), Row(list));
        }
        assert_eq!(serde_json::from_str::<Row>("[7]").unwrap(), Row(vec![7]));
    }
}
