//! What is done to pictures between decoder and encoder: as it is asked for, and as it is planned.
//!
//! The order is always the same: fields become pictures, the source's own orientation, crop, rotate, flip, size, pad.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::media::{Colour, ColourRange, Geometry};

/// The size of a rendition as it is asked for. A side that is `None` follows from the picture's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Size {
    pub width: Option<u32>,
    pub height: Option<u32>,
    #[serde(default)]
    pub mode: SizeMode,
    /// Whether `fit`, `fill` and `pad` may enlarge pictures.
    #[serde(default)]
    pub upscale: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SizeMode {
    /// These sides, whatever becomes of the pixels' shape.
    #[default]
    Exact,
    /// The whole picture, within these sides.
    Fit,
    /// These sides, filled; what stands over is cut off.
    Fill,
    /// These sides, the whole picture in the middle, bars around it.
    Pad,
}

/// What is asked to be done to pictures beside their size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shape {
    pub deinterlace: Deinterlace,
    /// The part of the upright source that is kept.
    pub crop: Option<Window>,
    /// Quarter turns clockwise, on top of the source's own orientation.
    pub quarter_turns: u8,
    pub flip: Option<Flip>,
    /// The canvas on which the finished picture is put.
    pub pad: Option<Window>,
    /// Of bars and canvas.
    pub border: Rgb,
    pub pixel_aspect: PixelAspect,
    /// `None`: the source's.
    pub colour: Option<ColourSpace>,
    /// `None`: the source's.
    pub range: Option<ColourRange>,
    /// `None`: ten bits where the source has more than eight.
    pub depth: Option<Depth>,
}

/// `WIDTHxHEIGHT+X+Y`: of a crop the part that is kept, of a pad the canvas and the picture's place on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    pub width: u32,
    pub height: u32,
    /// From the left and from the top; `None`: in the middle.
    pub at: Option<(u32, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flip {
    /// Left becomes right.
    Horizontal,
    /// Top becomes bottom.
    Vertical,
}

/// What becomes of pictures that consist of two fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deinterlace {
    /// They stay woven, and flagged as such.
    #[default]
    Weave,
    /// Each becomes one whole picture, of its first field's moment.
    Frame,
    /// Each field becomes a whole picture: twice as many.
    Bob,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelAspect {
    #[default]
    Keep,
    /// Pictures are stretched, not pixels.
    Square,
}

/// Primaries, transfer and matrix that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColourSpace {
    Bt601,
    Bt709,
    Bt2020,
}

/// Bits of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    Eight,
    Ten,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rgb(pub u8, pub u8, pub u8);

/// A part of a picture, in its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rect {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

/// Where the scaled picture stands in the output, and what is around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Canvas {
    pub picture: Rect,
    pub border: Rgb,
}

impl From<Geometry> for Size {
    fn from(geometry: Geometry) -> Self {
        let Geometry { width, height } = geometry;
        Self { width: Some(width), height: Some(height), mode: SizeMode::Exact, upscale: false }
    }
}

impl SizeMode {
    pub const ALL: [Self; 4] = [Self::Exact, Self::Fit, Self::Fill, Self::Pad];

    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Fit => "fit",
            Self::Fill => "fill",
            Self::Pad => "pad",
        }
    }
}

impl Deinterlace {
    pub const ALL: [Self; 3] = [Self::Weave, Self::Frame, Self::Bob];

    pub fn name(self) -> &'static str {
        match self {
            Self::Weave => "weave",
            Self::Frame => "frame",
            Self::Bob => "bob",
        }
    }
}

impl ColourSpace {
    pub const ALL: [Self; 3] = [Self::Bt709, Self::Bt601, Self::Bt2020];

    pub fn name(self) -> &'static str {
        match self {
            Self::Bt601 => "bt601",
            Self::Bt709 => "bt709",
            Self::Bt2020 => "bt2020",
        }
    }

    /// With the code points of H.273.
    pub fn colour(self, range: ColourRange) -> Colour {
        let (primaries, transfer, matrix) = match self {
            Self::Bt601 => (6, 6, 6),
            Self::Bt709 => (1, 1, 1),
            Self::Bt2020 => (9, 14, 9),
        };
        Colour { primaries, transfer, matrix, range }
    }
}

impl Rect {
    pub fn whole(of: Geometry) -> Self {
        Self { x: 0, y: 0, width: of.width, height: of.height }
    }

    pub fn geometry(self) -> Geometry {
        Geometry { width: self.width, height: self.height }
    }

    /// Where this part of a picture of the given size lies after a quarter turn clockwise.
    pub fn turned(self, of: Geometry) -> Self {
        Self { x: of.height - self.y - self.height, y: self.x, width: self.height, height: self.width }
    }

    /// Where it lies after the picture was flipped.
    pub fn flipped(self, of: Geometry, flip: Flip) -> Self {
        match flip {
            Flip::Horizontal => Self { x: of.width - self.x - self.width, ..self },
            Flip::Vertical => Self { y: of.height - self.y - self.height, ..self },
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)?;
        self.at.map_or(Ok(()), |(x, y)| write!(f, "+{x}+{y}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_turn_and_flip_with_their_picture() {
        let picture = Geometry { width: 100, height: 60 };
        let part = Rect { x: 10, y: 20, width: 30, height: 8 };
        let once = part.turned(picture);
        assert_eq!(once, Rect { x: 32, y: 10, width: 8, height: 30 });
        let thrice = once.turned(picture.swapped()).turned(picture).turned(picture.swapped());
        assert_eq!(thrice, part);
        assert_eq!(part.flipped(picture, Flip::Horizontal).x, 60);
        assert_eq!(part.flipped(picture, Flip::Vertical).y, 32);
    }

    #[test]
    fn a_size_of_old_requests_is_exact() {
        let size: Size = serde_json::from_str(r#"{"width":640,"height":360}"#).unwrap();
        assert_eq!(size, Geometry { width: 640, height: 360 }.into());
    }
}
