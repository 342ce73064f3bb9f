//! What goes wrong: a numeric code, whose fault it is, whether it is tried again. One table, one function.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A failure as people and programs are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub kind: FaultKind,
    /// One line: what, the value, the bound.
    pub message: String,
    /// What was seen: signal, last messages, resource use. For operators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Whose {
    Input,
    Destination,
    Ours,
}

/// Whether, and how often, a task that failed so is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    Never,
    Times(u8),
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $whose:ident, $retry:expr, $exit:literal;)*) => {
        /// Every kind of failure; the number of each is public and never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum FaultKind { $($(#[$doc])* $name,)* }

        impl FaultKind {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            pub fn code(self) -> u16 {
                match self { $(Self::$name => $code,)* }
            }
            pub fn whose(self) -> Whose {
                match self { $(Self::$name => Whose::$whose,)* }
            }
            pub fn retry(self) -> Retry {
                match self { $(Self::$name => $retry,)* }
            }
            /// The exit code of a command that ends so (sysexits.h).
            pub fn exit_code(self) -> u8 {
                match self { $(Self::$name => $exit,)* }
            }
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

use Retry::{Never, Times};
faults! {
    /// The source does not exist.
    SourceMissing = 1001, Input, Never, 66;
    /// The source exists but cannot be read.
    SourceUnreadable = 1002, Input, Never, 66;
    /// The source changed while the job ran.
    SourceChanged = 1003, Input, Never, 66;
    /// No demuxer or decoder of ours reads it.
    Unsupported = 1010, Input, Never, 65;
    /// It is not what it says, or nothing in it decodes.
    Corrupt = 1011, Input, Never, 65;
    /// It is encrypted.
    Encrypted = 1012, Input, Never, 65;
    /// Larger, longer or wilder than a limit allows.
    Limits = 1013, Input, Never, 65;
    /// It is not whole, or pictures or sound of it do not decode, and `damaged` is `fail`.
    Damaged = 1014, Input, Never, 65;
    /// The settings contradict the film or each other.
    Settings = 1020, Input, Never, 64;
    /// What is asked for by name is not there, or not for this caller to see.
    Missing = 1030, Input, Never, 64;
    /// The same idempotency key named another request before.
    KeyReused = 1031, Input, Never, 64;
    /// The request has no token that is known.
    Unauthenticated = 1032, Input, Never, 77;
    /// The token is known, and may not do this.
    Forbidden = 1033, Input, Never, 77;
    /// The destination does not exist.
    DestinationMissing = 2001, Destination, Never, 73;
    /// Something stands there already.
    DestinationExists = 2002, Destination, Never, 73;
    /// It may not be written.
    DestinationDenied = 2003, Destination, Never, 73;
    /// No room is left there.
    DestinationFull = 2004, Destination, Never, 73;
    /// Another source owns this key.
    DestinationOwned = 2005, Destination, Never, 73;
    /// A pipeline failed in a way that is neither the film's nor the destination's.
    Internal = 3001, Ours, Times(2), 70;
    /// A needed plugin or encoder is not installed.
    PluginMissing = 3002, Ours, Never, 70;
    /// The child died of a signal or a panic.
    Crashed = 3010, Ours, Times(2), 70;
    /// The child read nothing, decoded nothing and used no CPU for a minute, or ran longer or computed more than it may.
    Hung = 3011, Ours, Times(2), 70;
    /// The child needed more memory than it may have.
    OutOfMemory = 3012, Ours, Times(2), 70;
    /// The scratch folder is full.
    ScratchFull = 3013, Ours, Times(5), 75;
    /// It needs more memory or scratch than any worker has.
    Oversized = 3014, Ours, Never, 70;
    /// A seam or an output does not prove.
    LedgerOpen = 3020, Ours, Times(2), 70;
    /// Storage did not answer.
    StorageAway = 3030, Ours, Times(5), 75;
    /// The store did not answer.
    StoreAway = 3031, Ours, Times(5), 69;
    /// More is asked at once than is answered at once.
    Busy = 3032, Ours, Times(5), 75;
    /// Somebody cancelled it.
    Cancelled = 3040, Ours, Never, 130;
    /// It had not ended by its deadline.
    Overdue = 3041, Ours, Never, 75;
}

impl Fault {
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), evidence: Vec::new() }
    }

    pub fn with_evidence(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match self.kind.whose() {
            Whose::Input => "input",
            Whose::Destination => "destination",
            Whose::Ours => "ours",
        };
        write!(f, "{} [F{}, {whose}]", self.message, self.kind.code())
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_say_whose_fault_it_is() {
        let mut seen = std::collections::BTreeSet::new();
        for kind in FaultKind::ALL {
            assert!(seen.insert(kind.code()), "{kind:?}");
            let whose = match kind.code() / 1000 {
                1 => Whose::Input,
                2 => Whose::Destination,
                _ => Whose::Ours,
            };
            assert_eq!(kind.whose(), whose, "{kind:?}");
            if whose != Whose::Ours {
                assert_eq!(kind.retry(), Never, "{kind:?} is permanent");
            }
        }
    }
}
