//! Which of a run of numbered tasks are done, in a bit for each.

use serde::{Deserialize, Serialize};

/// Which of a run of numbered tasks are done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u32, String)", into = "(u32, String)")]
pub struct Tally {
    total: u32,
    done: u32,
    bits: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no tally of {1} tasks")]
pub struct TallyError(String, u32);

/// What tallying a task found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tallied {
    First,
    Again,
    /// There is no task of this number.
    Unknown,
}

impl Tally {
    pub fn new(total: u32) -> Self {
        Self { total, done: 0, bits: vec![0; total.div_ceil(8) as usize] }
    }

    pub fn total(&self) -> u32 {
        self.total
    }

    pub fn done(&self) -> u32 {
        self.done
    }

    pub fn is_full(&self) -> bool {
        self.done == self.total
    }

    pub fn has(&self, number: u32) -> bool {
        number < self.total && self.bits[number as usize / 8] & (1 << (number % 8)) != 0
    }

    pub fn tick(&mut self, number: u32) -> Tallied {
        if number >= self.total {
            return Tallied::Unknown;
        }
        let (byte, bit) = (&mut self.bits[number as usize / 8], 1_u8 << (number % 8));
        if *byte & bit != 0 {
            return Tallied::Again;
        }
        *byte |= bit;
        self.done += 1;
        Tallied::First
    }

    /// The task has to be done again.
    pub fn untick(&mut self, number: u32) {
        if self.has(number) {
            self.bits[number as usize / 8] &= !(1 << (number % 8));
            self.done -= 1;
        }
    }
}

impl From<Tally> for (u32, String) {
    fn from(tally: Tally) -> Self {
        (tally.total, tally.bits.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

impl TryFrom<(u32, String)> for Tally {
    type Error = TallyError;

    fn try_from((total, hex): (u32, String)) -> Result<Self, TallyError> {
        let bad = || TallyError(hex.clone(), total);
        let byte = |at: usize| hex.get(at * 2..at * 2 + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes = total.div_ceil(8) as usize;
        let bits: Option<Vec<u8>> = (0..bytes).map(byte).collect();
        let bits = bits.filter(|_| hex.len() == bytes * 2).ok_or_else(bad)?;
        let done = bits.iter().map(|byte| byte.count_ones()).sum();
        let beyond = total % 8 != 0 && bits.last().is_some_and(|last| last >> (total % 8) != 0);
        if beyond { Err(bad()) } else { Ok(Self { total, done, bits }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_counts_each_task_once_and_reads_back() {
        let mut tally = Tally::new(10);
        assert_eq!([tally.tick(9), tally.tick(9), tally.tick(10)], [Tallied::First, Tallied::Again, Tallied::Unknown]);
        assert_eq!(tally.tick(0), Tallied::First);
        let json = serde_json::to_string(&tally).unwrap();
        assert_eq!(json, r#"[10,"0102"]"#);
        assert_eq!(serde_json::from_str::<Tally>(&json).unwrap(), tally);
        tally.untick(9);
        tally.untick(9);
        assert_eq!((tally.done(), tally.is_full()), (1, false));
        for bad in [r#"[10,"0104"]"#, r#"[10,"01"]"#, r#"[10,"01020"]"#, r#"[10,"zz00"]"#] {
            assert!(serde_json::from_str::<Tally>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nothing_to_do_is_done() {
        assert!(Tally::new(0).is_full());
    }
}
