//! Pictures of a film: `framefleet thumbnails`, `sprites` and `gif` are jobs of one output, and job files ask for the same
//! beside films. Text becomes checked values here; every refusal names the value and the bound.

use std::path::Path;

use framefleet_model::fault::Fault;
use framefleet_model::image::{
    COLOURS, Dither, FRAME, Fit, GIF_FPS_MAX, GIF_PICTURES_MAX, Gif, GifLength, INTERVAL, Images, Layout, Moments,
    Names, PICTURES_MAX, Palette, QUALITY, QUALITY_DEFAULT, Rgb, SIDE, Series, Sprites, Still, StillFormat, TILES,
    Thumbnails, Upscale,
};
use framefleet_model::media::Geometry;
use framefleet_model::shots::FIRST;
use framefleet_model::time::{MediaTime, Rational};

use crate::args::images::{FitArgs, GifArgs, ImageJobArgs, SpritesArgs, ThumbnailsArgs};
use crate::asked::{Asked, AskedGif, AskedOutput, AskedSprites, AskedThumbnails};
use crate::location::Location;
use crate::settings::{duration, named, optional, refused, whole, within};
use crate::transcode::{self, Manner};

/// Stands for the number of each of several files.
const NUMBER: &str = "-{n}.";
const INTERVAL_DEFAULT: MediaTime = MediaTime::from_secs(10);
const TILE_DEFAULT: (u32, u32) = (5, 5);
const GIF_FPS_DEFAULT: u32 = 10;

pub async fn thumbnails(args: &ThumbnailsArgs) -> Result<(), Fault> {
    let ThumbnailsArgs { at, every, start, duration, fit, quality, job, .. } = args;
    let thumbnails = AskedThumbnails {
        at: at.clone(),
        every: every.clone(),
        start: start.clone(),
        duration: duration.clone(),
        size: fit.size.clone(),
        upscale: upscale(fit),
        quality: quality.clone(),
    };
    run((&args.source, job), AskedOutput { thumbnails: Some(thumbnails), ..output(&args.out) }).await
}

pub async fn sprites(args: &SpritesArgs) -> Result<(), Fault> {
    let SpritesArgs { interval, start, duration, tile, fit, padding, margin, colour, format, quality, job, .. } = args;
    let sprites = AskedSprites {
        interval: interval.clone(),
        start: start.clone(),
        duration: duration.clone(),
        tile: tile.clone(),
        size: fit.size.clone(),
        upscale: upscale(fit),
        padding: padding.clone(),
        margin: margin.clone(),
        colour: colour.clone(),
        format: format.clone(),
        quality: quality.clone(),
    };
    run((&args.source, job), AskedOutput { sprites: Some(sprites), ..output(&args.out) }).await
}

pub async fn gif(args: &GifArgs) -> Result<(), Fault> {
    let GifArgs { start, duration, pictures, fps, fit, palette, dither, job, .. } = args;
    let gif = AskedGif {
        start: start.clone(),
        duration: duration.clone(),
        pictures: pictures.clone(),
        fps: fps.clone(),
        size: fit.size.clone(),
        upscale: upscale(fit),
        palette: palette.clone(),
        dither: dither.clone(),
    };
    run((&args.source, job), AskedOutput { gif: Some(gif), ..output(&args.out) }).await
}

fn output(to: &str) -> AskedOutput {
    AskedOutput { to: to.to_owned(), ..AskedOutput::default() }
}

fn upscale(fit: &FitArgs) -> Option<String> {
    fit.upscale.then(|| "true".to_owned())
}

async fn run((source, job): (&str, &ImageJobArgs), output: AskedOutput) -> Result<(), Fault> {
    let asked =
        Asked { source: source.to_owned(), outputs: vec![output], damaged: job.damaged.clone(), ..Asked::default() };
    transcode::run(asked, Manner { workers: None, overwrite: job.overwrite, place: &job.place }).await
}

/// The name by which the files of an output are known: of several that of the first.
pub fn first(asked: &AskedOutput) -> Result<String, Fault> {
    let to = &asked.to;
    match (asked.thumbnails.is_some(), to.matches("{n}").count()) {
        (true, 1) if to.rsplit_once(NUMBER).is_some_and(|(_, extension)| !extension.contains(['/', '.'])) => {
            Ok(to.replace(NUMBER, FIRST))
        }
        (true, 1..) => {
            Err(refused(format!("{{n}} in {to:?} does not stand as in thumb-{{n}}.jpg, before the extension")))
        }
        (true, 0) => Ok(to.clone()),
        (false, 0) => Ok(to.clone()),
        (false, _) => Err(refused(format!("{{n}} in {to:?} numbers thumbnails, which are not asked for"))),
    }
}

/// The name as it was asked for, at this place.
pub fn template(asked: &AskedOutput, place: &Location) -> String {
    match (asked.to.contains(NUMBER), place.url().rsplit_once(FIRST)) {
        (true, Some((stem, extension))) => [stem, NUMBER, extension].concat(),
        (true, None) | (false, _) => place.url(),
    }
}

/// What is asked for instead of a film, if that is so.
pub fn check(asked: &AskedOutput, place: &Location) -> Result<Option<Images>, Fault> {
    let wanted = [
        asked.thumbnails.as_ref().map(|asked_for| thumbnails_of(asked_for, (&asked.to, place))),
        asked.sprites.as_ref().map(|asked_for| sprites_of(asked_for, place)),
        asked.gif.as_ref().map(|asked_for| gif_of(asked_for, place)),
    ];
    let mut wanted = wanted.into_iter().flatten();
    let Some(images) = wanted.next() else { return Ok(None) };
    let name = place.display();
    if wanted.next().is_some() {
        return Err(refused(format!("output {name} asks for more than one of thumbnails, sprites and gif")));
    }
    let film = [
        ("container", asked.container.is_some()),
        ("video", asked.video != Default::default()),
        ("audio", asked.audio != Default::default()),
        ("hls", asked.hls.is_some()),
        ("dash", asked.dash.is_some()),
        ("ladder", asked.ladder.is_some()),
        ("a watermark", !asked.watermarks.is_empty()),
    ];
    if let Some((what, _)) = film.iter().find(|(_, given)| *given) {
        return Err(refused(format!("output {name} is of pictures, which {what} contradicts")));
    }
    images.map(Some)
}

/// No two outputs write the same file, be it one of many.
pub fn apart(outputs: &[(&Location, Option<&Images>)]) -> Result<(), Fault> {
    let series = outputs.iter().filter_map(|(place, images)| Some((*place, numbered(place, (*images)?)?)));
    for (place, (stem, extension)) in series {
        let clash = outputs.iter().filter(|(other, _)| *other != place).find(|(other, images)| {
            let same_series =
                images.and_then(|images| numbered(other, images)) == Some((stem.clone(), extension.clone()));
            let url = other.url();
            let number = url
                .strip_prefix(&stem)
                .and_then(|rest| rest.strip_prefix('-')?.strip_suffix(&extension)?.strip_suffix('.'));
            same_series || number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        });
        if let Some((other, _)) = clash {
            let (a, b) = (place.display(), other.display());
            return Err(refused(format!("outputs {a} and {b} may both write files such as {stem}-1.{extension}")));
        }
    }
    Ok(())
}

/// What the names of an output's numbered files begin and end with.
fn numbered(place: &Location, images: &Images) -> Option<(String, String)> {
    let url = place.url();
    let (stem, extension) = url.rsplit_once('.')?;
    match images {
        Images::Thumbnails(Thumbnails { names: Names::Numbered, .. }) => {
            Some((stem.strip_suffix("-1")?.to_owned(), extension.to_owned()))
        }
        Images::Sprites(sprites) => Some((stem.to_owned(), sprites.still.format.extension().to_owned())),
        Images::Thumbnails(Thumbnails { names: Names::Plain, .. }) | Images::Gif(_) => None,
    }
}

fn thumbnails_of(asked: &AskedThumbnails, (to, place): (&str, &Location)) -> Result<Images, Fault> {
    let names = if to.contains(NUMBER) { Names::Numbered } else { Names::Plain };
    let moments = match (&asked.at, &asked.every) {
        (Some(at), Some(every)) => return Err(refused(format!("thumbnails at {at} contradict every {every}"))),
        (None, None) => return Err(refused("thumbnails need at or every: moments such as 3s".to_owned())),
        (Some(at), None) => Moments::At(moments(at)?),
        (None, Some(_)) => Moments::Every(series(("every", &asked.every), (&asked.start, &asked.duration))?),
    };
    let name = place.display();
    match &moments {
        Moments::At(at) if names == Names::Plain && at.len() > 1 => {
            let count = at.len();
            return Err(refused(format!(
                "{count} thumbnails cannot all be {name}: a name such as thumb-{{n}}.jpg numbers them"
            )));
        }
        Moments::Every(_) if names == Names::Plain => {
            return Err(refused(format!(
                "several thumbnails cannot all be {name}: a name such as thumb-{{n}}.jpg numbers them"
            )));
        }
        Moments::At(_) | Moments::Every(_) => {}
    }
    let format = extension(place).and_then(StillFormat::of_extension);
    let format = format.ok_or_else(|| unknown(place, "jpg, jpeg, png, webp"))?;
    let still = still(format, &asked.quality)?;
    Ok(Images::Thumbnails(Thumbnails { moments, names, fit: fit(&asked.size, &asked.upscale)?, still }))
}

/// Moments with commas between them, in their order.
fn moments(text: &str) -> Result<Vec<MediaTime>, Fault> {
    let moments: Vec<MediaTime> = text.split(',').map(|text| duration("at", text)).collect::<Result<_, _>>()?;
    if moments.len() > PICTURES_MAX {
        return Err(refused(format!("{} moments are asked for, {PICTURES_MAX} at most", moments.len())));
    }
    match moments.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(refused(format!("at {} comes after {}: moments are given in their order", pair[1], pair[0]))),
        None => Ok(moments),
    }
}

fn sprites_of(asked: &AskedSprites, place: &Location) -> Result<Images, Fault> {
    if !extension(place).is_some_and(|extension| extension.eq_ignore_ascii_case("vtt")) {
        return Err(unknown(place, "vtt"));
    }
    let (columns, rows) = optional(&asked.tile, |text| sides("tile", (text, "5x4"), TILES))?.unwrap_or(TILE_DEFAULT);
    let frame = |name, text: &Option<String>| {
        optional(text, |text| whole(name, text, &(FRAME.0..=FRAME.1))).map(Option::unwrap_or_default)
    };
    let layout = Layout {
        columns,
        rows,
        padding: frame("padding", &asked.padding)?,
        margin: frame("margin", &asked.margin)?,
        colour: optional(&asked.colour, Rgb::parse)?.unwrap_or(Rgb::BLACK),
    };
    let known = StillFormat::ALL.map(|format| (format.name(), format));
    let format = optional(&asked.format, |text| named("format", text, known, &[]))?.unwrap_or(StillFormat::Jpeg);
    Ok(Images::Sprites(Sprites {
        series: series(("interval", &asked.interval), (&asked.start, &asked.duration))?,
        layout,
        fit: fit(&asked.size, &asked.upscale)?,
        still: still(format, &asked.quality)?,
    }))
}

fn gif_of(asked: &AskedGif, place: &Location) -> Result<Images, Fault> {
    if !extension(place).is_some_and(|extension| extension.eq_ignore_ascii_case("gif")) {
        return Err(unknown(place, "gif"));
    }
    let most = u32::try_from(GIF_PICTURES_MAX).unwrap_or(u32::MAX);
    let length = match (&asked.duration, &asked.pictures) {
        (Some(duration), Some(pictures)) => {
            return Err(refused(format!("duration {duration} contradicts pictures {pictures}")));
        }
        (Some(text), None) => {
            GifLength::Duration(within("duration", duration("duration", text)?, &(INTERVAL.0..=INTERVAL.1))?)
        }
        (None, Some(text)) => GifLength::Pictures(whole("pictures", text, &(1..=most))?),
        (None, None) => GifLength::Usual,
    };
    let fps = match optional(&asked.fps, gif_rate)? {
        Some(fps) => fps,
        None => Rational::new(GIF_FPS_DEFAULT, 1).map_err(|e| refused(e.to_string()))?,
    };
    let colours =
        optional(&asked.palette, |text| whole("palette", text, &(COLOURS.0..=COLOURS.1)))?.unwrap_or(COLOURS.1);
    let dithers = Dither::ALL.map(|dither| (dither.name(), dither));
    Ok(Images::Gif(Gif {
        start: optional(&asked.start, |text| duration("start", text))?.unwrap_or_default(),
        length,
        fps,
        fit: fit(&asked.size, &asked.upscale)?,
        palette: Palette {
            colours: u16::try_from(colours).unwrap_or(u16::MAX),
            dither: optional(&asked.dither, |text| named("dither", text, dithers, &[]))?.unwrap_or_default(),
        },
    }))
}

fn gif_rate(text: &str) -> Result<Rational, Fault> {
    let rate = Rational::parse(text).map_err(|e| refused(format!("fps: {e}")))?;
    if rate.num() < rate.den() || u64::from(rate.num()) > u64::from(GIF_FPS_MAX) * u64::from(rate.den()) {
        return Err(refused(format!("fps {text} is not within 1 to {GIF_FPS_MAX}")));
    }
    Ok(rate)
}

fn series(
    (name, interval): (&str, &Option<String>),
    (start, lasts): (&Option<String>, &Option<String>),
) -> Result<Series, Fault> {
    let bounds = INTERVAL.0..=INTERVAL.1;
    let interval = optional(interval, |text| within(name, duration(name, text)?, &bounds))?;
    Ok(Series {
        start: optional(start, |text| duration("start", text))?.unwrap_or_default(),
        interval: interval.unwrap_or(INTERVAL_DEFAULT),
        duration: optional(lasts, |text| duration("duration", text))?,
    })
}

fn still(format: StillFormat, quality: &Option<String>) -> Result<Still, Fault> {
    if let (StillFormat::Png, Some(quality)) = (format, quality) {
        return Err(refused(format!("quality {quality} is of no use to png, which loses nothing")));
    }
    let quality = optional(quality, |text| whole("quality", text, &(QUALITY.0..=QUALITY.1)))?;
    Ok(Still { format, quality: quality.and_then(|n| u8::try_from(n).ok()).unwrap_or(QUALITY_DEFAULT) })
}

fn fit(size: &Option<String>, upscale: &Option<String>) -> Result<Fit, Fault> {
    let size = optional(size, |text| sides("size", (text, "320x180"), SIDE))?;
    let known = [("true", Upscale::Yes), ("false", Upscale::No)];
    let upscale = optional(upscale, |text| named("upscale", text, known, &[]))?.unwrap_or_default();
    if upscale == Upscale::Yes && size.is_none() {
        return Err(refused("upscale true needs a size such as 320x180".to_owned()));
    }
    Ok(Fit { size: size.map(|(width, height)| Geometry { width, height }), upscale })
}

fn sides(name: &str, (text, such_as): (&str, &str), (least, most): (u32, u32)) -> Result<(u32, u32), Fault> {
    let found = text.split_once('x').and_then(|(w, h)| Some((w.parse::<u32>().ok()?, h.parse::<u32>().ok()?)));
    let (wide, high) = found.ok_or_else(|| refused(format!("{name} {text:?} is no {name} such as {such_as}")))?;
    for side in [wide, high] {
        within(&format!("a side of {name} {text}:"), side, &(least..=most))?;
    }
    Ok((wide, high))
}

fn extension(place: &Location) -> Option<&str> {
    Path::extension(place.path()).and_then(|extension| extension.to_str())
}

fn unknown(place: &Location, known: &str) -> Fault {
    let name = place.display();
    let extension = extension(place).map_or("no extension".to_owned(), |e| format!("extension {e:?}"));
    refused(format!("output {name} has {extension}, not one of: {known}"))
}
