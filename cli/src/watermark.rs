//! Watermarks: an image or a text on every picture of an output, or on those of a while.

use std::ops::RangeInclusive;

use framefleet_model::fault::Fault;
use framefleet_model::picture::Rgb;
use framefleet_model::watermark::{Anchor, Mark, Watermark};

use crate::asked::AskedWatermark;
use crate::location::{Location, Reach};
use crate::settings::{contradicts, duration, named, optional, refused, whole};
use crate::shape::colour;

const MARGIN: RangeInclusive<u32> = 0..=4096;
const MARGIN_DEFAULT: u32 = 16;
const OPACITY: RangeInclusive<u32> = 1..=100;
const SIDE: RangeInclusive<u32> = 1..=8192;
const LETTERS: RangeInclusive<u32> = 4..=1024;
const LETTERS_DEFAULT: u32 = 32;
const TEXT_CHARACTERS_MAX: usize = 1000;

pub fn watermark(asked: &AskedWatermark, reach: Reach) -> Result<Watermark, Fault> {
    let from = optional(&asked.from, |text| duration("watermark from", text))?;
    let to = optional(&asked.to, |text| duration("watermark to", text))?;
    if let (Some(from), Some(to)) = (from, to)
        && to <= from
    {
        return Err(refused(format!("the watermark from {from} to {to} is never shown")));
    }
    let anchors = Anchor::ALL.map(|anchor| (anchor.name(), anchor));
    let opacity = optional(&asked.opacity, |text| whole("watermark opacity", text, &OPACITY))?.unwrap_or(100);
    Ok(Watermark {
        mark: mark(asked, reach)?,
        anchor: optional(&asked.anchor, |text| named("watermark anchor", text, anchors, &[]))?.unwrap_or_default(),
        margin: optional(&asked.margin, |text| whole("watermark margin", text, &MARGIN))?.unwrap_or(MARGIN_DEFAULT),
        opacity_percent: u8::try_from(opacity).expect("a percentage is small"),
        from,
        to,
    })
}

fn mark(asked: &AskedWatermark, reach: Reach) -> Result<Mark, Fault> {
    match (&asked.image, &asked.text) {
        (Some(image), None) => {
            contradicts("an image as watermark", [("watermark colour", &asked.colour)])?;
            let (width, height) = optional(&asked.size, sides)?.unwrap_or_default();
            Ok(Mark::Image { source: Location::parse(image, reach)?.url(), digest: None, width, height })
        }
        (None, Some(text)) => {
            let count = text.chars().count();
            if !(1..=TEXT_CHARACTERS_MAX).contains(&count) {
                return Err(refused(format!(
                    "a watermark text of {count} characters is not of 1 to {TEXT_CHARACTERS_MAX}"
                )));
            }
            let size = optional(&asked.size, |text| whole("watermark text size", text, &LETTERS))?;
            let colour = optional(&asked.colour, |text| colour("watermark colour", text))?;
            let (size, colour) = (size.unwrap_or(LETTERS_DEFAULT), colour.unwrap_or(Rgb(255, 255, 255)));
            Ok(Mark::Text { text: text.clone(), size, colour })
        }
        (Some(image), Some(text)) => {
            Err(refused(format!("watermark {image} contradicts watermark text {text:?}: a job file takes several")))
        }
        (None, None) => Err(refused("a watermark has neither an image nor a text".to_owned())),
    }
}

/// `160x90`, `160x` or `x90`.
fn sides(text: &str) -> Result<(Option<u32>, Option<u32>), Fault> {
    let bad = || refused(format!("watermark size {text:?} is no size such as 160x90, 160x or x90"));
    let (width, height) = text.split_once('x').ok_or_else(bad)?;
    let read = |name, text: &str| match text {
        "" => Ok(None),
        _ => whole(name, text, &SIDE).map(Some),
    };
    match (read("watermark width", width)?, read("watermark height", height)?) {
        (None, None) => Err(bad()),
        sides => Ok(sides),
    }
}
