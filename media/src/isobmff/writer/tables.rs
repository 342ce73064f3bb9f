//! Sample tables of one track.

use super::boxes::Boxes;
use crate::muxing::Run;

/// What a track's samples are, as far as they have been pushed; every table has one entry a sample but `chunks`.
#[derive(Clone, Default)]
pub(crate) struct Tables {
    pub(crate) sizes: Vec<u32>,
    /// How long after it is decoded each sample is shown; empty where both are the same.
    pub(crate) offsets: Vec<u32>,
    /// Numbers of samples that decoding may begin at, from 1; `None`: all.
    pub(crate) syncs: Option<Vec<u32>>,
    /// Where each chunk begins in the file.
    pub(crate) chunks: Vec<u64>,
}

/// The parts of a track's tables that are known before its samples.
pub(crate) struct Layout {
    /// (samples, ticks each takes).
    pub(crate) durations: Vec<(u32, u32)>,
    /// Samples of each chunk.
    pub(crate) chunk_samples: Vec<u32>,
    /// The size of every sample, where all have one: PCM's are those of one moment.
    pub(crate) sample_bytes: Option<u32>,
}

impl Layout {
    pub(crate) fn of_runs<'a>(durations: Vec<(u32, u32)>, runs: impl Iterator<Item = &'a Run>) -> Self {
        Self { durations, chunk_samples: runs.map(|run| run.units).collect(), sample_bytes: None }
    }
}

impl Tables {
    /// Tables of as many bytes as any film with these samples can need.
    pub(crate) fn largest(layout: &Layout, reorders: Reorders) -> Self {
        let samples = if layout.sample_bytes.is_some() { 0 } else { layout.chunk_samples.iter().sum::<u32>() };
        let (offsets, syncs) = match reorders {
            Reorders::Never => (Vec::new(), None),
            // No two neighbours alike, so that no run is shortened.
            Reorders::Maybe => ((0..samples).map(|n| n & 1).collect(), Some((1..=samples).collect())),
        };
        Self { sizes: vec![0; samples as usize], offsets, syncs, chunks: vec![0; layout.chunk_samples.len()] }
    }

    pub(crate) fn put(&self, b: &mut Boxes, layout: &Layout) {
        put_runs(b, b"stts", &layout.durations);
        if let Some(syncs) = &self.syncs {
            b.full(b"stss", 0, |b| {
                b.count(syncs.len());
                syncs.iter().for_each(|number| b.u32(*number));
            });
        }
        if !self.offsets.is_empty() {
            put_runs(b, b"ctts", &run_lengths(self.offsets.iter().copied()));
        }
        put_chunk_runs(b, &layout.chunk_samples);
        b.full(b"stsz", 0, |b| {
            b.u32(layout.sample_bytes.unwrap_or(0));
            b.count(match layout.sample_bytes {
                Some(_) => layout.chunk_samples.iter().map(|samples| *samples as usize).sum(),
                None => self.sizes.len(),
            });
            self.sizes.iter().for_each(|size| b.u32(*size));
        });
        b.full(b"co64", 0, |b| {
            b.count(self.chunks.len());
            self.chunks.iter().for_each(|offset| b.u64(*offset));
        });
    }
}

/// Whether samples may be shown in another order than they are decoded in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reorders {
    Never,
    Maybe,
}

fn put_runs(b: &mut Boxes, kind: &[u8; 4], runs: &[(u32, u32)]) {
    b.full(kind, 0, |b| {
        b.count(runs.len());
        for (samples, value) in runs {
            b.u32(*samples);
            b.u32(*value);
        }
    });
}

fn put_chunk_runs(b: &mut Boxes, chunk_samples: &[u32]) {
    let mut first = 1;
    b.full(b"stsc", 0, |b| {
        let runs = run_lengths(chunk_samples.iter().copied());
        b.count(runs.len());
        for (chunks, samples) in runs {
            b.u32(first);
            b.u32(samples);
            b.u32(1);
            first += chunks;
        }
    });
}

/// (how many, of what) for each run of equal values.
pub(crate) fn run_lengths(values: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for value in values {
        match runs.last_mut() {
            Some((count, last)) if *last == value => *count += 1,
            _ => runs.push((1, value)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_tables_hold_any_film() {
        let layout = Layout { durations: vec![(7, 1)], chunk_samples: vec![3, 3, 1], sample_bytes: None };
        let size = |tables: &Tables| {
            let mut b = Boxes::default();
            tables.put(&mut b, &layout);
            b.into_bytes().len()
        };
        let largest = size(&Tables::largest(&layout, Reorders::Maybe));
        let film = Tables {
            sizes: vec![9; 7],
            offsets: vec![2, 5, 2, 0, 0, 1, 7],
            syncs: Some(vec![1, 4]),
            chunks: vec![40, 50, 60],
        };
        assert!(size(&film) <= largest);
    }
}
