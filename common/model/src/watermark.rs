//! Marks on finished pictures: an image or a text, where and when.

use serde::{Deserialize, Serialize};

use crate::id::Digest;
use crate::media::Geometry;
use crate::picture::Rgb;
use crate::pipeline::VideoSettings;
use crate::time::MediaTime;

/// Images of a job: what a child can be handed beside its film.
pub const IMAGES_MAX: usize = 13;
/// Larger images are refused.
pub const IMAGE_BYTES_MAX: u64 = 16 << 20;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watermark {
    pub mark: Mark,
    pub anchor: Anchor,
    /// Between the mark and the picture's edges, in pixels.
    pub margin: u32,
    pub opacity_percent: u8,
    /// Shown on pictures of the output from here on.
    pub from: Option<MediaTime>,
    /// Shown on pictures of the output before this.
    pub to: Option<MediaTime>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    Image {
        /// Storage URL of a PNG or JPEG.
        source: String,
        /// Of its bytes when the job was accepted: a plan is never of another image.
        digest: Option<Digest>,
        /// A side that is `None` follows from the other, both from the image.
        width: Option<u32>,
        height: Option<u32>,
    },
    Text {
        text: String,
        /// Of its letters, in pixels.
        size: u32,
        colour: Rgb,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Anchor {
    TopLeft,
    Top,
    TopRight,
    Left,
    Centre,
    Right,
    BottomLeft,
    Bottom,
    #[default]
    BottomRight,
}

impl Watermark {
    pub fn is_shown(&self, time: MediaTime) -> bool {
        self.from.is_none_or(|from| time >= from) && self.to.is_none_or(|to| time < to)
    }
}

/// The images of these renditions, each once, in the order of the objects that a child reads them from.
pub fn images<'a>(settings: impl IntoIterator<Item = &'a VideoSettings>) -> Vec<(&'a str, Option<&'a Digest>)> {
    let mut images = Vec::new();
    for watermark in settings.into_iter().flat_map(|settings| &settings.watermarks) {
        if let Mark::Image { source, digest, .. } = &watermark.mark {
            let image = (source.as_str(), digest.as_ref());
            if !images.contains(&image) {
                images.push(image);
            }
        }
    }
    images
}

impl Anchor {
    pub const ALL: [Self; 9] = [
        Self::TopLeft,
        Self::Top,
        Self::TopRight,
        Self::Left,
        Self::Centre,
        Self::Right,
        Self::BottomLeft,
        Self::Bottom,
        Self::BottomRight,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::TopLeft => "top-left",
            Self::Top => "top",
            Self::TopRight => "top-right",
            Self::Left => "left",
            Self::Centre => "centre",
            Self::Right => "right",
            Self::BottomLeft => "bottom-left",
            Self::Bottom => "bottom",
            Self::BottomRight => "bottom-right",
        }
    }

    /// Where a mark of this size stands, on whole samples of chroma; nowhere if it is too large.
    pub fn place(self, mark: Geometry, picture: Geometry, margin: u32) -> Option<(u32, u32)> {
        let room = |picture: u32, mark: u32| picture.checked_sub(mark)?.checked_sub(2 * margin);
        let (across, down) = (room(picture.width, mark.width)?, room(picture.height, mark.height)?);
        let x = match self {
            Self::TopLeft | Self::Left | Self::BottomLeft => 0,
            Self::Top | Self::Centre | Self::Bottom => across / 2,
            Self::TopRight | Self::Right | Self::BottomRight => across,
        };
        let y = match self {
            Self::TopLeft | Self::Top | Self::TopRight => 0,
            Self::Left | Self::Centre | Self::Right => down / 2,
            Self::BottomLeft | Self::Bottom | Self::BottomRight => down,
        };
        Some(((margin + x) & !1, (margin + y) & !1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_at_their_anchor_within_the_margin() {
        let (mark, picture) = (Geometry { width: 40, height: 20 }, Geometry { width: 320, height: 180 });
        let place = |anchor: Anchor| anchor.place(mark, picture, 8);
        assert_eq!(place(Anchor::TopLeft), Some((8, 8)));
        assert_eq!(place(Anchor::Centre), Some((140, 80)));
        assert_eq!(place(Anchor::BottomRight), Some((272, 152)));
        assert_eq!(Anchor::Top.place(mark, Geometry { width: 50, height: 180 }, 8), None);
    }
}
