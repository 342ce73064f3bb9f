//! Settings of a picture's shape: size and how it is met, crop, turns, canvas.

use framefleet_model::fault::Fault;
use framefleet_model::media::ColourRange;
use framefleet_model::picture::{
    ColourSpace, Deinterlace, Depth, Flip, PixelAspect, Rgb, Shape, Size, SizeMode, Window,
};

use crate::asked::AskedVideo;
use crate::settings::{contradicts, named, optional, refused, side};

const COLOURS: [(&str, Rgb); 5] = [
    ("black", Rgb(0, 0, 0)),
    ("white", Rgb(255, 255, 255)),
    ("red", Rgb(255, 0, 0)),
    ("green", Rgb(0, 128, 0)),
    ("blue", Rgb(0, 0, 255)),
];

pub fn size(asked: &AskedVideo) -> Result<Option<Size>, Fault> {
    let mode = optional(&asked.size_mode, |text| named("size mode", text, SizeMode::ALL.map(|m| (m.name(), m)), &[]))?;
    let upscale = optional(&asked.upscale, |text| named("upscale", text, [("true", true), ("false", false)], &[]))?;
    let Some(text) = &asked.size else {
        contradicts("a picture without size", [("size mode", &asked.size_mode), ("upscale", &asked.upscale)])?;
        return Ok(None);
    };
    let (width, height) = sides(text)?;
    let open = width.is_none() || height.is_none();
    let mode = mode.unwrap_or(if open { SizeMode::Fit } else { SizeMode::Exact });
    if open && mode != SizeMode::Fit {
        let name = mode.name();
        return Err(refused(format!("size {text} leaves a side open, which size mode {name} cannot (fit can)")));
    }
    if mode == SizeMode::Exact && upscale.is_some() {
        return Err(refused("upscale contradicts size mode exact, which takes every size as it is said".to_owned()));
    }
    Ok(Some(Size { width, height, mode, upscale: upscale.unwrap_or_default() }))
}

/// `1280x720`, `1280x` or `x720`.
fn sides(text: &str) -> Result<(Option<u32>, Option<u32>), Fault> {
    let bad = || refused(format!("size {text:?} is no size such as 1280x720, 1280x or x720"));
    let (width, height) = text.split_once('x').ok_or_else(bad)?;
    let read = |text: &str| if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| bad()) };
    let (width, height) = (read(width)?, read(height)?);
    if width.is_none() && height.is_none() {
        return Err(bad());
    }
    let checked = |name, value: Option<u32>| value.map(|value| side(name, value)).transpose();
    Ok((checked("width", width)?, checked("height", height)?))
}

pub fn shape(asked: &AskedVideo) -> Result<Shape, Fault> {
    Ok(Shape {
        deinterlace: optional(&asked.deinterlace, |text| {
            named("deinterlace", text, Deinterlace::ALL.map(|d| (d.name(), d)), &[])
        })?
        .unwrap_or_default(),
        crop: optional(&asked.crop, |text| window("crop", text))?,
        quarter_turns: optional(&asked.rotate, |text| named("rotate", text, [("90", 1), ("180", 2), ("270", 3)], &[]))?
            .unwrap_or_default(),
        flip: optional(&asked.flip, |text| {
            named("flip", text, [("horizontal", Flip::Horizontal), ("vertical", Flip::Vertical)], &[])
        })?,
        pad: optional(&asked.pad, |text| window("pad", text))?,
        border: optional(&asked.pad_colour, |text| colour("pad colour", text))?.unwrap_or_default(),
        pixel_aspect: optional(&asked.pixel_aspect, |text| {
            named("pixel aspect", text, [("keep", PixelAspect::Keep), ("square", PixelAspect::Square)], &[])
        })?
        .unwrap_or_default(),
        colour: optional(&asked.colour, |text| named("colour", text, ColourSpace::ALL.map(|c| (c.name(), c)), &[]))?,
        range: optional(&asked.range, |text| {
            named("range", text, [("limited", ColourRange::Limited), ("full", ColourRange::Full)], &[])
        })?,
        depth: optional(&asked.depth, |text| named("depth", text, [("8", Depth::Eight), ("10", Depth::Ten)], &[]))?,
    })
}

/// `1280x536` or `1280x536+0+92`.
fn window(name: &str, text: &str) -> Result<Window, Fault> {
    let bad = || refused(format!("{name} {text:?} is no part of a picture such as 1280x536+0+92 or 1280x536"));
    let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse::<u32>().map_err(|_| bad()),
        false => Err(bad()),
    };
    let mut parts = text.split('+');
    let (width, height) = parts.next().and_then(|size| size.split_once('x')).ok_or_else(bad)?;
    let (width, height) = (side("width", number(width)?)?, side("height", number(height)?)?);
    let at = match (parts.next(), parts.next(), parts.next()) {
        (None, _, _) => None,
        (Some(x), Some(y), None) => Some((number(x)?, number(y)?)),
        _ => return Err(bad()),
    };
    for (side, value) in at.iter().flat_map(|(x, y)| [("x", x), ("y", y)]) {
        if value % 2 == 1 {
            return Err(refused(format!("{side} {value} of {name} {text} is odd, places are even")));
        }
    }
    Ok(Window { width, height, at })
}

/// A name, or `#rrggbb`.
pub fn colour(name: &str, text: &str) -> Result<Rgb, Fault> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii());
    let part = |digits: &str, at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
    let hex = digits.and_then(|digits| Some(Rgb(part(digits, 0)?, part(digits, 2)?, part(digits, 4)?)));
    match hex {
        Some(rgb) => Ok(rgb),
        None => named(name, text, COLOURS, &["#rrggbb"]),
    }
}
