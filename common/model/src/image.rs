//! Pictures of a film: thumbnails, sheets of them, a moving one. What may be asked for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, FaultKind};
use crate::media::Geometry;
use crate::time::{MediaTime, Rational};

/// Sides that a picture may be asked to fit into.
pub const SIDE: (u32, u32) = (16, 8192);
pub const QUALITY: (u32, u32) = (1, 100);
pub const QUALITY_DEFAULT: u8 = 85;
pub const TILES: (u32, u32) = (1, 64);
/// Padding and margin of sheets, in pixels.
pub const FRAME: (u32, u32) = (0, 256);
pub const COLOURS: (u32, u32) = (2, 256);
pub const GIF_FPS_MAX: u32 = 50;
pub const INTERVAL: (MediaTime, MediaTime) = (MediaTime::from_millis(40), MediaTime::from_secs(24 * 3600));
/// Pictures that one output takes out of a film.
pub const PICTURES_MAX: usize = 10_000;
/// More is a film, and there are better ways to show one.
pub const GIF_PICTURES_MAX: usize = 2_000;
/// All pictures of a GIF together.
pub const GIF_PIXELS_MAX: u64 = 1 << 29;
/// WebP has no larger side.
pub const SHEET_SIDE_MAX: u32 = 16_383;
pub const SHEET_PIXELS_MAX: u64 = 1 << 26;
/// Browsers show a picture of a shorter delay for a tenth of a second.
pub const GIF_DELAY_MIN: u16 = 2;
/// How long a GIF is when nobody says: less where the film ends before.
pub const GIF_LENGTH_DEFAULT: MediaTime = MediaTime::from_secs(3);

/// What of a film is asked for in pictures. All times are on the outputs' own line.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Images {
    Thumbnails(Thumbnails),
    Sprites(Sprites),
    Gif(Gif),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thumbnails {
    pub moments: Moments,
    pub names: Names,
    pub fit: Fit,
    pub still: Still,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Moments {
    /// Ascending.
    At(Vec<MediaTime>),
    Every(Series),
}

/// What files are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Names {
    /// The one file as the output.
    Plain,
    /// As the output, with a dash and their number from 1 before the extension.
    Numbered,
}

/// A moment every so often, up to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    pub start: MediaTime,
    pub interval: MediaTime,
    /// How much of the film it covers; `None`: all from the start on.
    pub duration: Option<MediaTime>,
}

/// Into what a picture must fit: upright, of square pixels, its shape kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fit {
    /// `None`: as large as the film.
    pub size: Option<Geometry>,
    pub upscale: Upscale,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Upscale {
    #[default]
    No,
    Yes,
}

/// How a still picture is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Still {
    pub format: StillFormat,
    /// 1 to 100; PNG, which loses nothing, has none.
    pub quality: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StillFormat {
    Jpeg,
    Png,
    Webp,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sprites {
    pub series: Series,
    pub layout: Layout,
    pub fit: Fit,
    pub still: Still,
}

/// How a sheet is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    pub columns: u32,
    pub rows: u32,
    /// Pixels between two pictures.
    pub padding: u32,
    /// Pixels around all of them.
    pub margin: u32,
    pub colour: Rgb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rgb(pub [u8; 3]);

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gif {
    pub start: MediaTime,
    pub length: GifLength,
    pub fps: Rational,
    pub fit: Fit,
    pub palette: Palette,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GifLength {
    /// [`GIF_LENGTH_DEFAULT`], or up to the film's end.
    Usual,
    Duration(MediaTime),
    Pictures(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Palette {
    /// 2 to 256, for all pictures together.
    pub colours: u16,
    pub dither: Dither,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dither {
    None,
    /// By a pattern that stands still, so that what does not move in the film does not move here.
    #[default]
    Ordered,
}

impl Series {
    /// Its moments before `end`.
    pub fn moments(self, end: MediaTime) -> impl Iterator<Item = MediaTime> {
        let until = self.duration.map_or(end, |duration| end.min(self.start + duration));
        let interval = self.interval.ns().max(1);
        let moment = move |k: i64| MediaTime(self.start.ns().saturating_add(interval.saturating_mul(k)));
        (0..).map(moment).take_while(move |moment| *moment < until)
    }
}

impl Fit {
    /// The size of a picture of this display size in it.
    pub fn of(self, film: Geometry) -> Geometry {
        let Some(bounds) = self.size else { return film };
        let inside = film.width <= bounds.width && film.height <= bounds.height;
        if inside && self.upscale == Upscale::No {
            return film;
        }
        let (wide, high) = (u64::from(film.width).max(1), u64::from(film.height).max(1));
        let part = |side: u32, num: u64, den: u64| {
            let scaled = (u64::from(side) * num + den / 2) / den;
            u32::try_from(scaled).unwrap_or(u32::MAX).max(1)
        };
        // Whichever side of the box is reached first.
        if wide * u64::from(bounds.height) >= high * u64::from(bounds.width) {
            Geometry { width: bounds.width, height: part(bounds.width, high, wide).min(bounds.height) }
        } else {
            Geometry { width: part(bounds.height, wide, high).min(bounds.width), height: bounds.height }
        }
    }
}

impl Layout {
    pub fn tiles(self) -> usize {
        self.columns as usize * self.rows as usize
    }

    /// A sheet of pictures of this size.
    pub fn sheet(self, tile: Geometry) -> Geometry {
        let side = |count: u32, side: u32| {
            let padding = u64::from(self.padding) * u64::from(count.saturating_sub(1));
            let sum = u64::from(count) * u64::from(side) + padding + 2 * u64::from(self.margin);
            u32::try_from(sum).unwrap_or(u32::MAX)
        };
        Geometry { width: side(self.columns, tile.width), height: side(self.rows, tile.height) }
    }

    /// Where the n-th picture of a sheet stands: left and upper edge.
    pub fn place(self, n: usize, tile: Geometry) -> (u32, u32) {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        let columns = self.columns.max(1);
        let at = |n: u32, side: u32| self.margin + n * (side + self.padding);
        (at(n % columns, tile.width), at(n / columns, tile.height))
    }
}

impl StillFormat {
    pub const ALL: [Self; 3] = [Self::Jpeg, Self::Png, Self::Webp];

    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }

    /// What ends the names of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }

    pub fn of_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "png" => Some(Self::Png),
            "webp" => Some(Self::Webp),
            _ => None,
        }
    }

    /// The shortest and the longest side that it can have.
    pub fn sides(self) -> (u32, u32) {
        match self {
            Self::Jpeg | Self::Png => (1, 65_500),
            Self::Webp => (16, 16_383),
        }
    }
}

impl Dither {
    pub const ALL: [Self; 2] = [Self::None, Self::Ordered];

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Ordered => "ordered",
        }
    }
}

impl Rgb {
    pub const BLACK: Self = Self([0; 3]);
    const NAMED: [(&'static str, Self); 8] = [
        ("black", Self::BLACK),
        ("white", Self([255; 3])),
        ("grey", Self([128; 3])),
        ("gray", Self([128; 3])),
        ("red", Self([255, 0, 0])),
        ("green", Self([0, 128, 0])),
        ("blue", Self([0, 0, 255])),
        ("yellow", Self([255, 255, 0])),
    ];

    /// A usual name, or `#rrggbb`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let named = Self::NAMED.iter().find(|(name, _)| *name == text).map(|(_, colour)| *colour);
        named.or_else(|| Self::of_hex(text.strip_prefix('#')?)).ok_or_else(|| {
            let names = Self::NAMED.map(|(name, _)| name).join(", ");
            Fault::new(FaultKind::Settings, format!("colour {text:?} is neither #rrggbb nor one of: {names}"))
        })
    }

    fn of_hex(digits: &str) -> Option<Self> {
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
        Some(Self([part(0)?, part(2)?, part(4)?]))
    }
}

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(width: u32, height: u32) -> Geometry {
        Geometry { width, height }
    }

    #[test]
    fn a_picture_fits_and_keeps_its_shape() {
        let fit = |bounds, upscale, film| Fit { size: bounds, upscale }.of(film);
        let film = size(1920, 1080);
        assert_eq!(fit(None, Upscale::No, film), film);
        assert_eq!(fit(Some(size(320, 320)), Upscale::No, film), size(320, 180));
        assert_eq!(fit(Some(size(320, 90)), Upscale::No, film), size(160, 90));
        assert_eq!(fit(Some(size(4000, 4000)), Upscale::No, film), film);
        assert_eq!(fit(Some(size(3840, 4000)), Upscale::Yes, film), size(3840, 2160));
        assert_eq!(fit(Some(size(16, 16)), Upscale::No, size(8192, 2)), size(16, 1));
    }

    #[test]
    fn a_sheet_is_laid_out_row_by_row() {
        let layout = Layout { columns: 3, rows: 2, padding: 2, margin: 5, colour: Rgb::BLACK };
        assert_eq!(layout.sheet(size(160, 90)), size(494, 192));
        assert_eq!([0, 2, 3].map(|n| layout.place(n, size(160, 90))), [(5, 5), (329, 5), (5, 97)]);
    }

    #[test]
    fn colours_are_named_or_in_hexadecimal() {
        assert_eq!(Rgb::parse("#0a10FF"), Ok(Rgb([10, 16, 255])));
        assert_eq!(Rgb::parse("white"), Ok(Rgb([255; 3])));
        for bad in ["", "#12345", "#12345g", "black!in_w=1", "#+1+1+1"] {
            assert!(Rgb::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_series_ends_before_its_end() {
        let series = |start, duration: Option<i64>| Series {
            start: MediaTime::from_secs(start),
            interval: MediaTime::from_secs(2),
            duration: duration.map(MediaTime::from_secs),
        };
        let at = |series: Series| {
            series.moments(MediaTime::from_secs(6)).map(|m| m.ns() / 1_000_000_000).collect::<Vec<_>>()
        };
        assert_eq!(at(series(0, None)), [0, 2, 4]);
        assert_eq!(at(series(1, Some(3))), [1, 3]);
        assert_eq!(at(series(6, None)), [0_i64; 0]);
    }
}
