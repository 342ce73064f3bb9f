//! How things are named in Redis.
//!
//! ```text
//! <prefix>:{s07}:r:<row>   <prefix>:{s07}:i:<index>   <prefix>:{s07}:q:<queue>   <prefix>:{s07}:n
//! ```
//!
//! What stands in braces decides the slot, so all keys of a shard are kept together, in a cluster as well. Our braces
//! are the first of the key, whatever a name holds.

use crate::ports::store::{IndexKey, QueueKey, RowKey, Shard, StoreError};

#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Result<Self, StoreError> {
        if prefix.is_empty() || prefix.contains(['{', '}']) {
            return Err(StoreError::Unusable(format!("the prefix {prefix:?} must not be empty nor hold braces")));
        }
        Ok(Self { prefix: prefix.to_owned() })
    }

    pub(super) fn row(&self, key: &RowKey) -> String {
        self.key(key.shard, &format!("r:{}", key.name))
    }

    pub(super) fn index(&self, key: &IndexKey) -> String {
        self.key(key.shard, &format!("i:{}", key.name))
    }

    pub(super) fn queue(&self, key: &QueueKey) -> String {
        self.key(key.shard, &format!("q:{}", key.name))
    }

    /// The last sequence number that a queue of the shard gave.
    pub(super) fn counter(&self, shard: Shard) -> String {
        self.key(shard, "n")
    }

    /// What one process writes for its barriers to look for.
    pub(super) fn barrier(&self, origin: &str) -> String {
        self.key(Shard::GLOBAL, &format!("b:{origin}"))
    }

    pub(super) fn channel(&self) -> String {
        format!("{}:changes", self.prefix)
    }

    fn key(&self, shard: Shard, rest: &str) -> String {
        format!("{}:{{{shard}}}:{rest}", self.prefix)
    }
}

/// A pattern of Redis that only keys below a prefix fit.
pub(super) fn glob_below(prefix: &str) -> String {
    let mut glob = String::new();
    for letter in prefix.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            glob.push('\\');
        }
        glob.push(letter);
    }
    glob + ":*"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_shard_share_its_tag_whatever_their_names_hold() {
        let keys = Keys::new("framefleet").unwrap();
        let shard = Shard::of_jobs().nth(7).unwrap();
        assert_eq!(keys.row(&shard.row("a}{b")), "framefleet:{s07}:r:a}{b");
        assert_eq!(keys.index(&shard.index("due")), "framefleet:{s07}:i:due");
        assert_eq!(keys.queue(&Shard::GLOBAL.queue("out")), "framefleet:{g}:q:out");
        assert_eq!(keys.counter(shard), "framefleet:{s07}:n");
        assert!(Keys::new("a{b").is_err());
        assert_eq!(glob_below("film*[a]"), "film\\*\\[a\\]:*");
    }
}
