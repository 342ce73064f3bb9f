//! A slice's units, read out of the index object.

use std::ops::Range;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::{Block, Unit, units_of_blocks};

use crate::pipe::internal;
use crate::read_at::ReadAt;

/// `blocks` are those that the plan names for the slice.
pub(crate) fn of_slice(index: &dyn ReadAt, slice: Range<u32>, blocks: &[Block]) -> Result<Vec<Unit>, Fault> {
    let mut units = of_blocks(index, blocks)?;
    let first_unit = blocks.first().map_or(0, |first| first.first_unit);
    let lacking = || internal(format!("the index lacks units of the slice from {} to {}", slice.start, slice.end));
    let skip = slice.start.checked_sub(first_unit).ok_or_else(lacking)? as usize;
    if units.len() < skip + slice.len() {
        return Err(lacking());
    }
    units.truncate(skip + slice.len());
    units.drain(..skip);
    Ok(units)
}

/// All units of neighbouring blocks.
pub(crate) fn of_blocks(index: &dyn ReadAt, blocks: &[Block]) -> Result<Vec<Unit>, Fault> {
    let Some((first, last)) = blocks.first().zip(blocks.last()) else { return Ok(Vec::new()) };
    let len = usize::try_from(last.offset + u64::from(last.bytes) - first.offset).unwrap_or(usize::MAX);
    let bytes = index
        .read_exact_at(first.offset, len)
        .map_err(|e| Fault::new(FaultKind::StorageAway, format!("the index cannot be read: {e}")))?;
    units_of_blocks(blocks, &bytes).map_err(|e| internal(e.to_string()))
}
