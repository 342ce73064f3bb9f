//! Pictures taken out of a film: what is planned of them. Which moments, how each is reached, and what is made of them.

use serde::{Deserialize, Serialize};

use crate::image::{GIF_DELAY_MIN, Layout, Names, Palette, Still};
use crate::media::{Geometry, Orientation};
use crate::plan::Decode;
use crate::time::{MediaTime, NS_PER_SECOND, Rational, scale_round};

/// Stands before the extension of the first of several numbered files.
pub const FIRST: &str = "-1.";

/// One task that takes pictures out of the film, for one output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImagePlan {
    pub number: u32,
    pub output: u32,
    pub make: Make,
    /// Of each picture, upright and of square pixels.
    pub size: Geometry,
    pub turn: Orientation,
    /// Of the film's own pictures, as they are decoded.
    pub film: Geometry,
    /// Ascending.
    pub shots: Vec<Shot>,
    /// How the shots are reached, in their order.
    pub reaches: Vec<Reach>,
    /// The film's nominal rate, for pictures that have no times.
    pub rate: Option<Rational>,
}

/// A moment of the film, in the source's running time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shot {
    pub at: MediaTime,
    /// The picture that is on the screen then; `None` where only decoding tells.
    pub picture: Option<MediaTime>,
}

/// Shots that are reached together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    pub shots: u32,
    pub decode: Decode,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Make {
    Stills(Stills),
    Sheets(Sheets),
    Gif(GifPlan),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stills {
    pub still: Still,
    pub names: Names,
    /// What ends the names of the files, as it was asked for.
    pub extension: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheets {
    pub still: Still,
    pub layout: Layout,
    /// What sheets are called in cues, before their number: part of a URL.
    pub stem: String,
    /// From each cue's start to the next one's, and to this, on the outputs' line.
    pub end: MediaTime,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GifPlan {
    /// Hundredths of a second, one for each picture.
    pub delays: Vec<u16>,
    pub palette: Palette,
}

impl ImagePlan {
    /// What it makes, for people.
    pub fn name(&self) -> &'static str {
        match &self.make {
            Make::Stills(stills) => stills.still.format.name(),
            Make::Sheets(_) => "sprites",
            Make::Gif(_) => "gif",
        }
    }

    /// The name that numbers are put into, for an output that goes to this URL: of several numbered files it is the first.
    pub fn base(&self, to: &str) -> String {
        let first = match &self.make {
            Make::Stills(Stills { names: Names::Numbered, .. }) => to.rsplit_once(FIRST),
            Make::Stills(_) | Make::Sheets(_) | Make::Gif(_) => None,
        };
        first.map_or(to.to_owned(), |(stem, extension)| [stem, ".", extension].concat())
    }

    /// The files that it makes.
    pub fn files(&self) -> usize {
        match &self.make {
            Make::Stills(_) => self.shots.len(),
            // The last one tells where on the others each picture stands.
            Make::Sheets(sheets) => self.shots.len().div_ceil(sheets.layout.tiles().max(1)) + 1,
            Make::Gif(_) => 1,
        }
    }
}

/// How long each picture of a GIF stands, in hundredths of a second, which is all that the format knows: every picture
/// begins at the hundredth nearest to its time, so that the whole is as long as it should be. A last picture that would
/// be too short to be seen is left out, and the one before it stays.
pub fn gif_delays(length: MediaTime, fps: Rational) -> Vec<u16> {
    let hundredths = |time: MediaTime| scale_round(time.ns(), 100, NS_PER_SECOND);
    let end = hundredths(length).max(GIF_DELAY_MIN.into());
    let starts = (0..).map(|n| hundredths(fps.time_of(n)));
    let mut starts: Vec<i64> =
        starts.take_while(|start| *start == 0 || *start + i64::from(GIF_DELAY_MIN) <= end).collect();
    starts.push(end);
    starts.windows(2).map(|pair| u16::try_from(pair[1] - pair[0]).unwrap_or(u16::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_of_a_gif_add_up_to_its_length() {
        let delays = |ms, num, den| gif_delays(MediaTime::from_millis(ms), Rational::new(num, den).unwrap());
        assert_eq!(delays(300, 10, 1), [10, 10, 10]);
        assert_eq!(delays(100, 30, 1), [3, 4, 3]);
        assert_eq!(delays(105, 10, 1), [11], "half a hundredth is rounded, and not seen");
        assert_eq!(delays(130, 10, 1), [10, 3]);
        assert_eq!(delays(1, 10, 1), [2], "no picture is shorter");
        for (ms, num, den) in [(3000, 24_000, 1001), (2990, 12, 1), (1234, 50, 1), (7777, 15, 1)] {
            let delays = delays(ms, num, den);
            let sum: i64 = delays.iter().map(|delay| i64::from(*delay)).sum();
            assert_eq!(sum, scale_round(ms, 1, 10), "{ms} ms");
            assert!(delays.iter().all(|delay| *delay >= GIF_DELAY_MIN), "{delays:?}");
        }
    }
}
