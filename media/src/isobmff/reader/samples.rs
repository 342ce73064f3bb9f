//! Sample tables: where each sample lies, when it is decoded and shown, whether decoding may begin at it.

use super::bytes::Bytes;
use super::{Refusal, odd};

/// A sample in ticks of its track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) offset: u64,
    pub(crate) size: u32,
    pub(crate) decoded: u64,
    pub(crate) duration: u32,
    /// Decoding time plus composition offset.
    pub(crate) shown: i64,
    pub(crate) sync: bool,
}

/// More take the pass: 18 hours at 60 pictures a second.
const SAMPLES_MAX: usize = 4_000_000;
/// Of one size, for which a table is no longer than this sentence; coded pictures are never that.
const EQUAL_SAMPLES_MAX: usize = 100_000;

/// All samples of a track, from its `stbl`, with what is needed of its file's size.
pub(crate) fn read(table: Bytes<'_>, file_size: u64) -> Result<Vec<Sample>, Refusal> {
    let damaged = |name: &'static str| move || odd(format!("the sample table {name} is damaged or missing"));
    let sizes = sizes(table, file_size).ok_or_else(damaged("stsz"))?;
    let offsets = offsets(table, &sizes).ok_or_else(damaged("stsc or stco"))?;
    let times = table.find(b"stts").and_then(|b| runs(b, sizes.len())).ok_or_else(damaged("stts"))?;
    let shifts = match table.find(b"ctts") {
        Some(b) => runs(b, sizes.len()).ok_or_else(damaged("ctts"))?,
        None => Vec::new(),
    };
    let syncs = syncs(table, sizes.len()).ok_or_else(damaged("stss"))?;
    let mut samples = Vec::with_capacity(sizes.len());
    let mut decoded = 0_u64;
    let mut shifts = expand(&shifts);
    for (number, ((size, offset), duration)) in sizes.iter().zip(offsets).zip(expand(&times)).enumerate() {
        let shift = i64::from(shifts.next().unwrap_or(0).cast_signed());
        let shown = i64::try_from(decoded).ok().and_then(|d| d.checked_add(shift)).ok_or_else(damaged("stts"))?;
        let sync = syncs.as_ref().is_none_or(|syncs| syncs.binary_search(&number).is_ok());
        samples.push(Sample { offset, size: *size, decoded, duration, shown, sync });
        decoded = decoded.checked_add(u64::from(duration)).ok_or_else(damaged("stts"))?;
    }
    check_places(&samples, file_size)?;
    Ok(samples)
}

/// Where the last byte of any sample must lie.
pub(crate) fn end(table: Bytes<'_>) -> Option<u64> {
    let sizes = sizes(table, u64::MAX)?;
    let offsets = offsets(table, &sizes)?;
    offsets.iter().zip(&sizes).map(|(offset, size)| offset.saturating_add(u64::from(*size))).max()
}

/// The sum of all durations, without looking at the samples.
pub(crate) fn total_duration(table: Bytes<'_>) -> Option<u64> {
    let mut bytes = table.find(b"stts")?;
    bytes.version()?;
    let mut sum = 0_u64;
    for _ in 0..bytes.count(8)? {
        let (count, duration) = (bytes.u32()?, bytes.u32()?);
        sum = sum.checked_add(u64::from(count) * u64::from(duration))?;
    }
    Some(sum)
}

/// How a track's samples follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) samples: u64,
    pub(crate) ticks: u64,
    /// What all of them but the last take.
    pub(crate) each: Option<u32>,
}

/// `None` without samples, and for a table that was cut.
pub(crate) fn pace(table: Bytes<'_>) -> Option<Pace> {
    let mut bytes = table.find(b"stts")?;
    bytes.version()?;
    let count = bytes.count(8)?;
    let whole = bytes.rest().len() < (count + 1) * 8;
    let runs: Vec<(u32, u32)> = (0..count).map(|_| bytes.u32().zip(bytes.u32())).collect::<Option<_>>()?;
    let runs: Vec<(u32, u32)> = runs.into_iter().filter(|(samples, _)| *samples > 0).collect();
    let samples = runs.iter().map(|(samples, _)| u64::from(*samples)).sum();
    let ticks = runs.iter().map(|(samples, each)| u64::from(*samples) * u64::from(*each)).sum();
    let each = match runs[..] {
        [(_, each)] | [(_, each), (1, _)] => Some(each),
        _ => None,
    };
    (whole && samples > 0).then_some(Pace { samples, ticks, each })
}

fn sizes(table: Bytes<'_>, file_size: u64) -> Option<Vec<u32>> {
    if let Some(compact) = table.find(b"stz2") {
        return compact_sizes(compact);
    }
    let mut bytes = table.find(b"stsz")?;
    bytes.version()?;
    let constant = bytes.u32()?;
    if constant == 0 {
        let count = bytes.count(4).filter(|count| *count <= SAMPLES_MAX)?;
        return (0..count).map(|_| bytes.u32()).collect();
    }
    let count = usize::try_from(bytes.u32()?).ok().filter(|count| *count <= EQUAL_SAMPLES_MAX)?;
    let fits = (count as u64).checked_mul(u64::from(constant))? <= file_size;
    fits.then(|| vec![constant; count])
}

fn compact_sizes(mut bytes: Bytes<'_>) -> Option<Vec<u32>> {
    bytes.version()?;
    let bits = bytes.u32()? & 0xff;
    let count = usize::try_from(bytes.u32()?).ok().filter(|count| *count <= SAMPLES_MAX)?;
    if (count as u64).checked_mul(u64::from(bits))?.div_ceil(8) > bytes.rest().len() as u64 {
        return None;
    }
    match bits {
        4 => {
            let halves = bytes.rest().iter().flat_map(|byte| [byte >> 4, byte & 15]);
            Some(halves.take(count).map(u32::from).collect())
        }
        8 => Some(bytes.rest().iter().take(count).map(|byte| u32::from(*byte)).collect()),
        16 => (0..count).map(|_| bytes.u16().map(u32::from)).collect(),
        _ => None,
    }
}

/// Where each sample begins: samples of a chunk follow each other.
fn offsets(table: Bytes<'_>, sizes: &[u32]) -> Option<Vec<u64>> {
    let chunks = chunk_offsets(table)?;
    let mut bytes = table.find(b"stsc")?;
    bytes.version()?;
    let count = bytes.count(12)?;
    let mut runs = Vec::with_capacity(count);
    for _ in 0..count {
        let (first, samples, entry) = (bytes.u32()?, bytes.u32()?, bytes.u32()?);
        // A second sample entry would be another codec or another size.
        if entry != 1 || samples == 0 {
            return None;
        }
        runs.push((usize::try_from(first).ok()?.checked_sub(1)?, samples));
    }
    if !runs.windows(2).all(|pair| pair[0].0 < pair[1].0) || runs.first().is_some_and(|run| run.0 != 0) {
        return None;
    }
    let mut offsets = Vec::with_capacity(sizes.len());
    let mut sizes = sizes.iter();
    for (number, (from, samples)) in runs.iter().enumerate() {
        let to = runs.get(number + 1).map_or(chunks.len(), |next| next.0);
        for chunk in chunks.get(*from..to)? {
            let mut at = *chunk;
            for size in sizes.by_ref().take(*samples as usize) {
                offsets.push(at);
                at = at.checked_add(u64::from(*size))?;
            }
        }
    }
    sizes.next().is_none().then_some(offsets)
}

fn chunk_offsets(table: Bytes<'_>) -> Option<Vec<u64>> {
    if let Some(mut bytes) = table.find(b"co64") {
        bytes.version()?;
        let count = bytes.count(8)?;
        return (0..count).map(|_| bytes.u64()).collect();
    }
    let mut bytes = table.find(b"stco")?;
    bytes.version()?;
    let count = bytes.count(4)?;
    (0..count).map(|_| bytes.u32().map(u64::from)).collect()
}

/// (samples, value) as `stts` and `ctts` have them; they must reach over all samples.
fn runs(mut bytes: Bytes<'_>, samples: usize) -> Option<Vec<(u32, u32)>> {
    bytes.version()?;
    let count = bytes.count(8)?;
    let runs: Option<Vec<(u32, u32)>> = (0..count).map(|_| bytes.u32().zip(bytes.u32())).collect();
    let runs = runs?;
    let reached: u64 = runs.iter().map(|(count, _)| u64::from(*count)).sum();
    (reached >= samples as u64).then_some(runs)
}

fn expand(runs: &[(u32, u32)]) -> impl Iterator<Item = u32> {
    runs.iter().flat_map(|(count, value)| std::iter::repeat_n(*value, *count as usize))
}

/// Numbers of the sync samples from zero, ascending; `None` within: all are.
fn syncs(table: Bytes<'_>, samples: usize) -> Option<Option<Vec<usize>>> {
    let Some(mut bytes) = table.find(b"stss") else { return Some(None) };
    bytes.version()?;
    let count = bytes.count(4)?;
    let mut syncs = Vec::with_capacity(count);
    for _ in 0..count {
        syncs.push(usize::try_from(bytes.u32()?).ok()?.checked_sub(1).filter(|number| *number < samples)?);
    }
    syncs.sort_unstable();
    Some(Some(syncs))
}

pub(crate) fn check_places(samples: &[Sample], file_size: u64) -> Result<(), Refusal> {
    let mut spans: Vec<(u64, u64)> = Vec::with_capacity(samples.len());
    for (number, sample) in samples.iter().enumerate() {
        let end = sample.offset.checked_add(u64::from(sample.size)).filter(|end| *end <= file_size);
        let end =
            end.ok_or_else(|| odd(format!("sample {number} at {} is over the end of the file", sample.offset)))?;
        if sample.size == 0 {
            return Err(odd(format!("sample {number} is empty")));
        }
        spans.push((sample.offset, end));
    }
    spans.sort_unstable();
    match spans.windows(2).find(|pair| pair[0].1 > pair[1].0) {
        Some(pair) => Err(odd(format!("samples overlap at {}", pair[1].0))),
        None => Ok(()),
    }
}
