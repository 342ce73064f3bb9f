//! What is done to samples between decoder and encoder, without GStreamer: 32 bits each, interleaved.

/// Noise taken off.
pub(crate) mod denoise;
/// The wave between two samples.
mod interpolation;
/// No peak above a ceiling.
mod limiter;
/// How loud a track is, and is to be.
pub(crate) mod loudness;
/// Many channels into few.
pub(crate) mod mix;

/// Something that samples go through. What goes in comes out in as many samples, each in its place; some of it only when
/// later samples, or silence, have come.
pub(crate) trait Treat: Send {
    fn treat(&mut self, samples: &[f32]) -> Vec<f32>;
}

const SAMPLE_BYTES: usize = size_of::<f32>();

pub(crate) fn floats(block: &[u8]) -> Vec<f32> {
    let (samples, _) = block.as_chunks::<SAMPLE_BYTES>();
    samples.iter().map(|sample| f32::from_le_bytes(*sample)).collect()
}

pub(crate) fn bytes(samples: &[f32]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}
