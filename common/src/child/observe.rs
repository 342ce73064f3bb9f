//! What media children say on standard error, as lines of log.

use tracing::debug;

/// A line of an untrusted process, bounded and without control characters.
pub(super) fn said(line: &str) {
    debug!(line, "media child said");
}

/// It says more than anybody wants to read.
pub(super) fn said_too_much(lines: usize) {
    debug!(lines, "media child says more than is logged");
}
