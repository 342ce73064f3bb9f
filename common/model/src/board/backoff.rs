//! How long a task waits for its next try.

use crate::id::Nonce;

pub(super) const FIRST_MS: i64 = 2_000;
const MAX_MS: i64 = 300_000;

/// 2 s doubled each time, up to 5 min, with full jitter drawn from the nonce, which is random already.
pub(super) fn backoff(failed: u8, nonce: &Nonce) -> i64 {
    let doublings = u32::from(failed.saturating_sub(1)).min(16);
    let most = (FIRST_MS << doublings).min(MAX_MS);
    let draw = u32::from_str_radix(&nonce.as_str()[..8], 16).expect("a nonce is hexadecimal digits");
    (most * i64::from(draw)) >> 32
}
