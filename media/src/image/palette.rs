//! The palette of a GIF: as many colours as its pictures have, or the best few, chosen by whole numbers alone so that
//! every machine finds the same.
//!
//! ```text
//! all pixels ─▶ histogram (6 bits a part) ─▶ boxes, cut where they spread most ─▶ their means, settled ─▶ palette
//! ```

use framefleet_model::image::{Dither, Palette};

use crate::image::raster::{BYTES_A_PIXEL, Raster};

/// Colours that differ in less than this many bits of a part are counted as one.
const BITS: u32 = 6;
const BINS: usize = 1 << (3 * BITS);
/// Rounds in which each colour moves to the middle of what it stands for.
const ROUNDS: usize = 3;
/// One index says "as before".
const COLOURS_MAX: usize = 255;
const UNKNOWN: u16 = u16::MAX;

type Part = [u8; 3];

/// How often each colour was seen, and the sum of what was counted as it.
pub(crate) struct Histogram {
    bins: Vec<(u64, [u64; 3])>,
}

/// What was seen in one bin: its mean and its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    colour: Part,
    count: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { bins: vec![(0, [0; 3]); BINS] }
    }

    pub(crate) fn count(&mut self, picture: &Raster) {
        for pixel in picture.rgb.chunks_exact(BYTES_A_PIXEL) {
            let (count, sums) = &mut self.bins[bin([pixel[0], pixel[1], pixel[2]])];
            *count += 1;
            sums.iter_mut().zip(pixel).for_each(|(sum, part)| *sum += u64::from(*part));
        }
    }

    /// The best so many colours for all that was counted.
    pub(crate) fn palette(&self, colours: usize) -> Vec<Part> {
        let seen = self.bins.iter().filter(|(count, _)| *count > 0);
        let mean =
            |(count, sums): &(u64, [u64; 3])| Seen { colour: sums.map(|sum| rounded(sum, *count)), count: *count };
        let seen: Vec<Seen> = seen.map(mean).collect();
        let mut palette: Vec<Part> =
            boxes(seen.clone(), colours.clamp(1, COLOURS_MAX)).iter().map(|b| middle(b)).collect();
        for _ in 0..ROUNDS {
            settle(&mut palette, &seen);
        }
        palette.sort_unstable();
        palette.dedup();
        palette
    }
}

/// Cuts the box that is spread most, again and again, at the mean of its widest part.
fn boxes(seen: Vec<Seen>, most: usize) -> Vec<Vec<Seen>> {
    let mut boxes = vec![(spread(&seen), seen)];
    while boxes.len() < most {
        let widest = boxes.iter().enumerate().max_by_key(|(n, ((spread, _), _))| (*spread, std::cmp::Reverse(*n)));
        let Some((at, ((spread_by, axis), _))) = widest.map(|(at, of)| (at, of.clone())) else { break };
        if spread_by == 0 {
            break;
        }
        let (_, whole) = boxes.swap_remove(at);
        let mean = middle(&whole)[axis];
        let (low, high): (Vec<Seen>, Vec<Seen>) = whole.into_iter().partition(|seen| seen.colour[axis] <= mean);
        // A mean that rounds up to the largest value would leave one side empty.
        let (low, high) =
            if high.is_empty() { low.into_iter().partition(|seen| seen.colour[axis] < mean) } else { (low, high) };
        for part in [low, high] {
            boxes.push((spread(&part), part));
        }
    }
    boxes.into_iter().map(|(_, seen)| seen).collect()
}

/// The largest sum of squared distances from the mean along one part, and which part that is.
fn spread(seen: &[Seen]) -> (u64, usize) {
    let along = |axis: usize| {
        let sums = seen.iter().fold((0_u128, 0_u128, 0_u128), |(count, sum, squares), seen| {
            let (value, weight) = (u128::from(seen.colour[axis]), u128::from(seen.count));
            (count + weight, sum + weight * value, squares + weight * value * value)
        });
        let (count, sum, squares) = sums;
        let spread = squares - sum * sum / count.max(1);
        (u64::try_from(spread).unwrap_or(u64::MAX), axis)
    };
    // All values equal: what is left of a division is no spread.
    let flat = |axis: usize| seen.iter().all(|one| one.colour[axis] == seen[0].colour[axis]);
    (0..3).filter(|axis| !flat(*axis)).map(along).max().unwrap_or((0, 0))
}

fn middle(seen: &[Seen]) -> Part {
    let count = seen.iter().map(|seen| seen.count).sum();
    [0, 1, 2].map(|axis| rounded(seen.iter().map(|seen| seen.count * u64::from(seen.colour[axis])).sum(), count))
}

/// Moves each colour to the middle of all that it is nearest to.
fn settle(palette: &mut [Part], seen: &[Seen]) {
    let mut shares = vec![(0_u64, [0_u64; 3]); palette.len()];
    for seen in seen {
        let (count, sums) = &mut shares[nearest(palette, seen.colour)];
        *count += seen.count;
        sums.iter_mut().zip(seen.colour).for_each(|(sum, part)| *sum += seen.count * u64::from(part));
    }
    for (colour, (count, sums)) in palette.iter_mut().zip(shares).filter(|(_, (count, _))| *count > 0) {
        *colour = sums.map(|sum| rounded(sum, count));
    }
}

/// The first of the nearest, by how far they look apart: green weighs most, blue least.
fn nearest(palette: &[Part], colour: Part) -> usize {
    let off = |one: &Part| {
        let apart = |axis: usize| u32::from(one[axis].abs_diff(colour[axis]));
        3 * apart(0).pow(2) + 6 * apart(1).pow(2) + 2 * apart(2).pow(2)
    };
    let mut best = (u32::MAX, 0);
    for (n, one) in palette.iter().enumerate() {
        let off = off(one);
        if off < best.0 {
            best = (off, n);
        }
    }
    best.1
}

fn bin(colour: Part) -> usize {
    colour.iter().fold(0, |bin, part| bin << BITS | usize::from(part >> (8 - BITS)))
}

fn rounded(sum: u64, count: u64) -> u8 {
    u8::try_from((sum + count / 2) / count.max(1)).unwrap_or(u8::MAX)
}

/// Finds each pixel's index in a palette.
pub(crate) struct Indexer {
    palette: Vec<Part>,
    known: Vec<u16>,
    /// What is added to the pixels of a square of eight, again and again; all zeros where nothing is.
    pattern: [i16; 64],
}

impl Indexer {
    pub(crate) fn new(palette: Vec<Part>, asked: Palette) -> Self {
        let pattern = match asked.dither {
            Dither::None => [0; 64],
            Dither::Ordered => pattern(palette.len()),
        };
        Self { palette, known: vec![UNKNOWN; BINS], pattern }
    }

    pub(crate) fn indices(&mut self, picture: &Raster) -> Vec<u8> {
        let wide = picture.size.width as usize;
        let pixels = picture.rgb.chunks_exact(BYTES_A_PIXEL).enumerate();
        pixels
            .map(|(n, pixel)| {
                let (x, y) = (n % wide, n / wide);
                let shift = self.pattern[(y % 8) * 8 + x % 8];
                let shifted = |part: u8| u8::try_from((i16::from(part) + shift).clamp(0, 255)).unwrap_or(u8::MAX);
                self.index([shifted(pixel[0]), shifted(pixel[1]), shifted(pixel[2])])
            })
            .collect()
    }

    fn index(&mut self, colour: Part) -> u8 {
        let known = &mut self.known[bin(colour)];
        if *known == UNKNOWN {
            // The middle of the bin, so that the answer does not hang on which of its colours came first.
            let centre = colour.map(|part| part & !((1 << (8 - BITS)) - 1) | 1 << (7 - BITS));
            *known = u16::try_from(nearest(&self.palette, centre)).unwrap_or(0);
        }
        u8::try_from(*known).unwrap_or(u8::MAX)
    }
}

/// Bayer's pattern, as wide as the colours of the palette lie apart.
fn pattern(colours: usize) -> [i16; 64] {
    let reach: i16 = match colours {
        128.. => 4,
        64.. => 8,
        16.. => 16,
        _ => 48,
    };
    std::array::from_fn(|n| {
        let (x, y) = (n % 8, n / 8);
        // The bits of y and of x against y, the lowest first.
        let rank = (0..3).fold(0, |rank, bit| rank << 2 | ((x ^ y) >> bit & 1) << 1 | (y >> bit & 1));
        let rank = i16::try_from(rank).unwrap_or(0);
        (2 * rank + 1) * reach / 64 - reach
    })
}

#[cfg(test)]
mod tests {
    use framefleet_model::image::Rgb;
    use framefleet_model::media::Geometry;

    use super::*;

    fn picture(colours: &[Part]) -> Raster {
        let size = Geometry { width: u32::try_from(colours.len()).unwrap(), height: 1 };
        Raster { size, rgb: colours.concat() }
    }

    fn palette(colours: &[Part], most: usize) -> Vec<Part> {
        let mut histogram = Histogram::new();
        histogram.count(&picture(colours));
        histogram.palette(most)
    }

    #[test]
    fn few_colours_are_all_kept() {
        let few = [[0, 0, 0], [10, 200, 30], [255, 0, 0], [255, 255, 255]];
        assert_eq!(palette(&few, 256), few);
        assert_eq!(palette(&[[7, 7, 7]; 5], 2), [[7, 7, 7]]);
    }

    #[test]
    fn many_colours_become_the_best_few() {
        let ramp: Vec<Part> = (0..=255).map(|v| [v, v, v]).collect();
        let few = palette(&ramp, 16);
        assert_eq!(few.len(), 16);
        let off = ramp.iter().map(|c| few[nearest(&few, *c)][0].abs_diff(c[0])).max();
        assert!(off <= Some(12), "{off:?} of {few:?}");
    }

    #[test]
    fn the_pattern_is_even() {
        let pattern = pattern(200);
        assert_eq!((pattern.iter().min(), pattern.iter().max()), (Some(&-4), Some(&3)));
        let sum: i16 = pattern.iter().sum();
        assert!(sum.abs() <= 64, "{sum}");
    }

    #[test]
    fn a_pixel_of_the_palette_keeps_its_index() {
        let few = vec![[0, 0, 0], [128, 128, 128], [255, 255, 255]];
        let asked = Palette { colours: 3, dither: Dither::None };
        let mut indexer = Indexer::new(few.clone(), asked);
        assert_eq!(indexer.indices(&picture(&few)), [0, 1, 2]);
        let grey = Raster::filled(Geometry { width: 8, height: 8 }, Rgb([64; 3]));
        let mut dithered = Indexer::new(few, Palette { dither: Dither::Ordered, ..asked });
        let found = dithered.indices(&grey);
        assert!(found.contains(&0) && found.contains(&1), "a grey in between becomes a pattern of both: {found:?}");
    }
}
