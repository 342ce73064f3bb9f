//! Rows, messages and entries as Redis keeps and gives them.
//!
//! A row is one string: its version as 16 hexadecimal digits, then its bytes. The version is drawn at random by whoever
//! commits. A counter in the server would give a version twice once the server falls back to an older state, after a
//! failover or out of a backup.

use bytes::Bytes;
use framefleet_model::time::StoreTime;
use redis::{FromRedisValue as _, Value};

use crate::ports::store::{Entry, Message, Row, Sequence, StoreError, Version};

const VERSION_BYTES: usize = 16;

/// The values of an answer, one after another.
pub(super) struct Answer(std::vec::IntoIter<Value>);

pub(super) fn version_text(version: Version) -> String {
    format!("{:016x}", version.0)
}

pub(super) fn row(version: Version, bytes: &[u8]) -> Vec<u8> {
    [version_text(version).as_bytes(), bytes].concat()
}

pub(super) fn parse_row(value: Value) -> Result<Option<Row>, StoreError> {
    let kept = match value {
        Value::Nil => return Ok(None),
        value => Bytes::from(bytes(value)?),
    };
    let version = kept.get(..VERSION_BYTES).and_then(|digits| std::str::from_utf8(digits).ok());
    let version = version.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let version = version.ok_or_else(|| StoreError::Corrupt("a row without its version".into()))?;
    Ok(Some(Row { version: Version(version), bytes: kept.slice(VERSION_BYTES..) }))
}

/// An entry of a stream: `[id, [field, bytes]]`, its id `<sequence>-0`.
pub(super) fn parse_message(value: Value) -> Result<Message, StoreError> {
    let mut entry = Answer::of(value)?;
    let id = text(entry.value()?)?;
    let sequence = id.split_once('-').and_then(|(sequence, _)| sequence.parse().ok());
    let sequence = sequence.ok_or_else(|| StoreError::Corrupt(format!("a message numbered {id:?}")))?;
    let mut fields = Answer::of(entry.value()?)?;
    fields.value()?;
    Ok(Message { sequence: Sequence(sequence), bytes: bytes(fields.value()?)?.into() })
}

/// Members and scores in turn.
pub(super) fn entries(mut answer: Answer) -> Result<Vec<Entry>, StoreError> {
    let mut entries = Vec::new();
    while let Some(member) = answer.next() {
        entries.push(Entry { member: text(member?)?, score: integer(answer.value()?)? });
    }
    Ok(entries)
}

impl Answer {
    pub(super) fn of(value: Value) -> Result<Self, StoreError> {
        match value {
            Value::Array(values) => Ok(Self(values.into_iter())),
            other => Err(strange(&other)),
        }
    }

    pub(super) fn value(&mut self) -> Result<Value, StoreError> {
        self.next().unwrap_or_else(|| Err(StoreError::Unavailable("an answer that ends too soon".into())))
    }

    /// The answer of `TIME`: seconds, and microseconds beyond.
    pub(super) fn time(&mut self) -> Result<StoreTime, StoreError> {
        let (seconds, micros): (i64, i64) = (integer(self.value()?)?, integer(self.value()?)?);
        Ok(StoreTime(seconds * 1000 + micros / 1000))
    }
}

impl Iterator for Answer {
    type Item = Result<Value, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(Ok)
    }
}

pub(super) fn integer<N: std::str::FromStr>(value: Value) -> Result<N, StoreError> {
    let digits = text(value)?;
    digits.parse().map_err(|_| StoreError::Corrupt(format!("{digits:?} where a whole number belongs")))
}

fn text(value: Value) -> Result<String, StoreError> {
    String::from_utf8(bytes(value)?).map_err(|_| StoreError::Corrupt("a name that is no text".into()))
}

fn bytes(value: Value) -> Result<Vec<u8>, StoreError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::Int(number) => Ok(number.to_string().into_bytes()),
        other => String::from_redis_value_ref(&other).map(String::into_bytes).map_err(|_| strange(&other)),
    }
}

fn strange(value: &Value) -> StoreError {
    let kind = match value {
        Value::Nil => "nothing",
        Value::Array(_) => "a list",
        Value::Int(_) => "a number",
        _ => "a value of another kind",
    };
    StoreError::Unavailable(format!("the answer has {kind} where something else belongs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_back_as_it_was_put() {
        for bytes in [&b""[..], b"0", &[0, 255]] {
            let kept = Value::BulkString(row(Version(0xabc), bytes));
            assert_eq!(
                parse_row(kept),
                Ok(Some(Row { version: Version(0xabc), bytes: Bytes::copy_from_slice(bytes) }))
            );
        }
        assert_eq!(parse_row(Value::Nil), Ok(None));
        assert!(matches!(parse_row(Value::BulkString(b"not ours".to_vec())), Err(StoreError::Corrupt(_))));
    }
}
