//! A mark on pictures: its pixels, where and when it stands, and how it is blended in.

use framefleet_model::media::Geometry;
use framefleet_model::picture::Rgb;
use framefleet_model::watermark::Watermark;
use gst_video::prelude::*;

use super::colour;

/// Full opacity: of a pixel's alpha by a hundred percent.
const OPAQUE: u32 = 255 * 100;

/// A mark as it is drawn, and its place.
#[derive(Clone)]
pub(crate) struct Stamp {
    pub(crate) watermark: Watermark,
    pub(crate) size: Geometry,
    /// Four bytes a pixel, row by row.
    pub(crate) rgba: Vec<u8>,
    pub(crate) at: (u32, u32),
}

/// A mark in the samples of one kind of picture: of each plane the value and the opacity of each sample.
pub(crate) struct Painted {
    planes: [Plane; 3],
}

struct Plane {
    width: usize,
    samples: Vec<(u32, u32)>,
}

impl Stamp {
    pub(crate) fn painted(&self, info: &gst_video::VideoInfo) -> Painted {
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        let opacity = u32::from(self.watermark.opacity_percent);
        let pixel = |x: usize, y: usize| {
            let at = 4 * (y * width + x);
            let [r, g, b, a] = [self.rgba[at], self.rgba[at + 1], self.rgba[at + 2], self.rgba[at + 3]];
            (colour::samples(Rgb(r, g, b), info), u32::from(a) * opacity)
        };
        let pixels: Vec<_> =
            (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| pixel(x, y)).collect();
        let luma = pixels.iter().map(|(samples, alpha)| (u32::from(samples[0]), *alpha)).collect();
        let chroma = |component: usize| {
            let (across, down) = (width.div_ceil(2), height.div_ceil(2));
            let block = |x: usize, y: usize| {
                let within = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| (2 * x + dx, 2 * y + dy));
                let inside =
                    within.iter().filter(|(x, y)| *x < width && *y < height).map(|(x, y)| &pixels[y * width + x]);
                // Colours count by their opacity: those of pixels that nobody sees do not shine through.
                let (sum, alpha) = inside.fold((0, 0), |(sum, all), (samples, alpha)| {
                    (sum + u32::from(samples[component]) * alpha, all + alpha)
                });
                ((sum + alpha / 2).checked_div(alpha).unwrap_or(0), alpha / 4)
            };
            let samples = (0..down).flat_map(|y| (0..across).map(move |x| (x, y))).map(|(x, y)| block(x, y)).collect();
            Plane { width: across, samples }
        };
        Painted { planes: [Plane { width, samples: luma }, chroma(1), chroma(2)] }
    }
}

impl Painted {
    pub(crate) fn blend(
        &self,
        at: (u32, u32),
        target: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
    ) -> Option<()> {
        for (number, plane) in (0_u32..).zip(&self.planes) {
            let bytes = usize::try_from(target.comp_pstride(number)).ok()?;
            let stride = usize::try_from(*target.plane_stride().get(number as usize)?).ok()?;
            let divide = |side: u32| (if number == 0 { side } else { side / 2 }) as usize;
            let (left, top) = (divide(at.0), divide(at.1));
            let data = target.plane_data_mut(number).ok()?;
            for (row, marks) in plane.samples.chunks_exact(plane.width).enumerate() {
                let from = (top + row) * stride + left * bytes;
                let line = data.get_mut(from..from + plane.width * bytes)?;
                for (sample, (value, alpha)) in line.chunks_exact_mut(bytes).zip(marks) {
                    mix(sample, *value, *alpha);
                }
            }
        }
        Some(())
    }
}

fn mix(sample: &mut [u8], value: u32, alpha: u32) {
    let below = sample.iter().rev().fold(0, |all, byte| all << 8 | u32::from(*byte));
    let mixed = (below * (OPAQUE - alpha) + value * alpha + OPAQUE / 2) / OPAQUE;
    sample.copy_from_slice(&mixed.to_le_bytes()[..sample.len()]);
}
