//! What is done to samples between decoder and encoder, without GStreamer.

/// Many channels into few.
pub(crate) mod mix;

const SAMPLE_BYTES: usize = size_of::<f32>();

pub(crate) fn floats(block: &[u8]) -> Vec<f32> {
    let (samples, _) = block.as_chunks::<SAMPLE_BYTES>();
    samples.iter().map(|sample| f32::from_le_bytes(*sample)).collect()
}

pub(crate) fn bytes(samples: &[f32]) -> Vec<u8> {
    samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}
