//! Pictures out of the film: which picture each moment shows, and how it is reached without decoding what lies between.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::image::{
    GIF_LENGTH_DEFAULT, GIF_PICTURES_MAX, GIF_PIXELS_MAX, Gif, GifLength, Images, Moments, Names, PICTURES_MAX,
    SHEET_PIXELS_MAX, SHEET_SIDE_MAX, Sprites, Still, StillFormat, Thumbnails,
};
use framefleet_model::index::{IndexHeader, Method};
use framefleet_model::media::{Geometry, VideoFormat};
use framefleet_model::plan::Decode;
use framefleet_model::shots::{GifPlan, ImagePlan, Make, Reach, Sheets, Shot, Stills, gif_delays};
use framefleet_model::time::{MediaTime, Span, scale_round};

use crate::flow::planning::film::{Counting, Film};

/// Units between two slices that are decoded rather than skipped: a slice of sample tables costs a decoder, one that must
/// be looked for a demuxer, a seek and a second of the film as well.
const GAP_TABLES: u32 = 8;
const GAP_PASS: u32 = 48;

/// What pictures are taken from.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) film: &'a Film<'a>,
    pub(crate) header: &'a IndexHeader,
    /// The wanted part of the film: its start is zero for all moments.
    pub(crate) span: Span,
}

/// The output that they are for.
#[derive(Clone, Copy)]
pub(crate) struct For<'a> {
    pub(crate) number: u32,
    pub(crate) output: u32,
    pub(crate) to: &'a str,
}

pub(crate) fn plan(images: &Images, place: For<'_>, scene: Scene<'_>) -> Result<ImagePlan, Fault> {
    let format = &scene.film.track.format;
    let shown = displayed(format);
    let length = scene.span.len();
    let (moments, size, make) = match images {
        Images::Thumbnails(thumbnails) => {
            let moments = match &thumbnails.moments {
                Moments::At(moments) => moments.clone(),
                Moments::Every(series) => counted(series.moments(length))?,
            };
            let size = thumbnails.fit.of(shown);
            codable(thumbnails.still, size)?;
            if thumbnails.names == Names::Plain && moments.len() > 1 {
                let text = format!("{} pictures cannot all be {}: several are numbered", moments.len(), place.to);
                return Err(refused(text));
            }
            (moments, size, Make::Stills(stills(thumbnails, place.to)))
        }
        Images::Sprites(sprites) => {
            let size = sprites.fit.of(shown);
            let moments = counted(sprites.series.moments(length))?;
            (moments, size, Make::Sheets(sheets(sprites, size, (place, length))?))
        }
        Images::Gif(gif) => {
            let size = gif.fit.of(shown);
            let (moments, delays) = gif_moments(gif, length)?;
            moving(size, moments.len())?;
            (moments, size, Make::Gif(GifPlan { delays, palette: gif.palette }))
        }
    };
    let shots = shots(&moments, scene)?;
    let reaches = reaches(&shots, scene);
    let (turn, film, rate) = (format.orientation, format.geometry, format.rate);
    Ok(ImagePlan { number: place.number, output: place.output, make, size, turn, film, shots, reaches, rate })
}

/// The film's size upright and with square pixels, its height kept.
fn displayed(format: &VideoFormat) -> Geometry {
    let (own, aspect) = (format.geometry, format.pixel_aspect);
    let (size, num, den) = match format.orientation.swaps_axes() {
        true => (own.swapped(), aspect.den(), aspect.num()),
        false => (own, aspect.num(), aspect.den()),
    };
    let width = scale_round(size.width.into(), num.into(), den.into());
    Geometry { width: u32::try_from(width).unwrap_or(u32::MAX).max(1), ..size }
}

fn counted(moments: impl Iterator<Item = MediaTime>) -> Result<Vec<MediaTime>, Fault> {
    let moments: Vec<MediaTime> = moments.take(PICTURES_MAX + 1).collect();
    if moments.len() > PICTURES_MAX {
        return Err(refused(format!(
            "more than {PICTURES_MAX} pictures are asked for, which is the bound of an output"
        )));
    }
    Ok(moments)
}

fn codable(still: Still, size: Geometry) -> Result<(), Fault> {
    let (least, most) = still.format.sides();
    let fits = |side: u32| (least..=most).contains(&side);
    if fits(size.width) && fits(size.height) {
        return Ok(());
    }
    let name = still.format.name();
    Err(refused(format!("a {name} of {size} is not of sides from {least} to {most}")))
}

fn stills(thumbnails: &Thumbnails, to: &str) -> Stills {
    let Thumbnails { still, names, .. } = thumbnails.clone();
    let asked = to.rsplit_once('.').map(|(_, extension)| extension.to_owned());
    let asked = asked.filter(|extension| StillFormat::of_extension(extension) == Some(still.format));
    Stills { still, names, extension: asked.unwrap_or_else(|| still.format.extension().to_owned()) }
}

fn sheets(sprites: &Sprites, tile: Geometry, (place, length): (For<'_>, MediaTime)) -> Result<Sheets, Fault> {
    let layout = sprites.layout;
    let sheet = layout.sheet(tile);
    let pixels = u64::from(sheet.width) * u64::from(sheet.height);
    if sheet.width.max(sheet.height) > SHEET_SIDE_MAX || pixels > SHEET_PIXELS_MAX {
        let (columns, rows) = (layout.columns, layout.rows);
        return Err(refused(format!(
            "a sheet of {columns}x{rows} pictures of {tile} is {sheet}, the bounds are {SHEET_SIDE_MAX} a side and \
             {SHEET_PIXELS_MAX} pixels"
        )));
    }
    codable(sprites.still, sheet)?;
    let name = place.to.rsplit_once('/').map_or(place.to, |(_, name)| name);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
    let covered = sprites.series.duration.map_or(length, |duration| length.min(sprites.series.start + duration));
    Ok(Sheets { still: sprites.still, layout, stem, end: covered })
}

fn gif_moments(gif: &Gif, length: MediaTime) -> Result<(Vec<MediaTime>, Vec<u16>), Fault> {
    let left = length - gif.start;
    if left <= MediaTime::ZERO {
        return Err(beyond("the GIF's start", gif.start, length));
    }
    let lasts = match gif.length {
        GifLength::Usual => GIF_LENGTH_DEFAULT.min(left),
        GifLength::Duration(duration) => duration,
        GifLength::Pictures(pictures) => gif.fps.time_of(pictures.into()),
    };
    let last_begins = match gif.length {
        GifLength::Usual | GifLength::Duration(_) => gif.start + lasts,
        // The last picture may stay longer than the film.
        GifLength::Pictures(pictures) => gif.start + gif.fps.time_of(i64::from(pictures) - 1),
    };
    if last_begins > length {
        return Err(beyond("the GIF's end", gif.start + lasts, length));
    }
    let delays = gif_delays(lasts, gif.fps);
    let moments = (0..).zip(&delays).map(|(n, _)| gif.start + gif.fps.time_of(n)).collect();
    Ok((moments, delays))
}

fn moving(size: Geometry, pictures: usize) -> Result<(), Fault> {
    if pictures > GIF_PICTURES_MAX {
        return Err(refused(format!("a GIF of {pictures} pictures, {GIF_PICTURES_MAX} at most")));
    }
    let pixels = u64::from(size.width) * u64::from(size.height) * pictures as u64;
    if pixels > GIF_PIXELS_MAX {
        return Err(refused(format!(
            "a GIF of {pictures} pictures of {size} has {pixels} pixels, {GIF_PIXELS_MAX} at most"
        )));
    }
    Ok(())
}

fn shots(moments: &[MediaTime], scene: Scene<'_>) -> Result<Vec<Shot>, Fault> {
    let length = scene.span.len();
    if moments.is_empty() {
        return Err(refused(format!("no picture is asked for before the end of the film, which is {length} long")));
    }
    let shot = |moment: &MediaTime| {
        if *moment >= length {
            return Err(beyond("the moment", *moment, length));
        }
        let at = scene.span.start + *moment;
        let picture = match &scene.film.counting {
            Counting::Exact => scene.film.picture_at(at),
            Counting::Uncounted(_) | Counting::Untimed(_) => None,
        };
        Ok(Shot { at, picture })
    };
    moments.iter().map(shot).collect()
}

fn reaches(shots: &[Shot], scene: Scene<'_>) -> Vec<Reach> {
    let Scene { film, header, .. } = scene;
    let slice = |(from, to)| Decode::Slice { from, to, blocks: header.blocks_of(from, to) };
    let all = || u32::try_from(shots.len()).unwrap_or(u32::MAX);
    match &film.counting {
        Counting::Exact => {}
        Counting::Uncounted(_) => {
            let units = u32::try_from(film.units.len()).unwrap_or(u32::MAX);
            return vec![Reach { shots: all(), decode: slice((0, units)) }];
        }
        Counting::Untimed(_) => return vec![Reach { shots: all(), decode: Decode::Whole }],
    }
    let gap = match header.method {
        Method::Tables => GAP_TABLES,
        Method::Pass => GAP_PASS,
    };
    let mut slices: Vec<(u32, (u32, u32))> = Vec::new();
    for picture in shots.iter().filter_map(|shot| shot.picture) {
        let (from, to) = film.slice(picture, picture + MediaTime(1));
        match slices.last_mut() {
            Some((count, (_, end))) if from <= end.saturating_add(gap) => {
                *count += 1;
                *end = to.max(*end);
            }
            Some(_) | None => slices.push((1, (from, to))),
        }
    }
    slices.into_iter().map(|(shots, units)| Reach { shots, decode: slice(units) }).collect()
}

fn beyond(what: &str, at: MediaTime, length: MediaTime) -> Fault {
    refused(format!("{what} at {at} lies beyond the end of the film, which is {length} long"))
}

fn refused(text: String) -> Fault {
    Fault::new(FaultKind::Settings, text)
}

#[cfg(test)]
mod tests {
    use framefleet_model::fault::FaultKind;
    use framefleet_model::image::{Dither, Fit, Layout, Palette, Rgb, Series, StillFormat};
    use framefleet_model::index::Index;
    use framefleet_model::media::Container;
    use framefleet_model::pipeline::{OutputRequest, Request};
    use framefleet_model::time::Rational;
    use proptest::prelude::*;

    use super::*;
    use crate::flow::planning::tests::{every, film, ms, planned, random_film, steady, with_sound};

    const STILL: Still = Still { format: StillFormat::Jpeg, quality: 85 };

    fn output(to: &str, images: Images) -> OutputRequest {
        OutputRequest {
            to: to.into(),
            container: Container::Images,
            video: None,
            audio: None,
            tracks: Default::default(),
            package: None,
            images: Some(images),
        }
    }

    fn at(moments: &[i64]) -> Images {
        let moments = Moments::At(moments.iter().map(|moment| ms(*moment)).collect());
        Images::Thumbnails(Thumbnails { moments, names: Names::Numbered, fit: Fit::default(), still: STILL })
    }

    fn sprites(interval: i64) -> Images {
        let series = Series { start: ms(0), interval: ms(interval), duration: None };
        let layout = Layout { columns: 5, rows: 5, padding: 0, margin: 0, colour: Rgb::BLACK };
        let size = Some(Geometry { width: 160, height: 160 });
        Images::Sprites(Sprites { series, layout, fit: Fit { size, ..Fit::default() }, still: STILL })
    }

    fn gif(start: i64, length: GifLength) -> Images {
        let (fps, palette) = (Rational::new(10, 1).unwrap(), Palette { colours: 256, dither: Dither::Ordered });
        Images::Gif(Gif { start: ms(start), length, fps, fit: Fit::default(), palette })
    }

    fn alone(images: Images, index: &Index) -> Result<ImagePlan, (FaultKind, String)> {
        let request = Request { outputs: vec![output("file:///out/a%20b-1.jpg", images)], ..every(1000) };
        planned(&request, index).map(|plan| plan.images[0].clone())
    }

    fn shown(plan: &ImagePlan) -> Vec<i64> {
        plan.shots.iter().map(|shot| shot.picture.unwrap().ns() / 1_000_000).collect()
    }

    #[test]
    fn a_moment_shows_the_picture_that_is_on_the_screen() {
        let plan = alone(at(&[0, 39, 40, 1999, 3999]), &steady(100, 25)).unwrap();
        assert_eq!(shown(&plan), [0, 0, 40, 1960, 3960]);
        let shaken = film("K0 p120 b40 p250");
        assert_eq!(shown(&alone(at(&[39, 119, 120, 289]), &shaken).unwrap()), [0, 40, 120, 250]);
    }

    #[test]
    fn moments_are_counted_from_where_other_outputs_begin() {
        let index = with_sound(film("K100 p140 K180 p220"), 60, 260);
        assert_eq!(shown(&alone(at(&[0, 79, 80, 199]), &index).unwrap()), [100, 100, 140, 220]);
        let beside = Request {
            outputs: vec![every(1000).outputs.remove(0), output("file:///t-1.jpg", at(&[80]))],
            ..every(1000)
        };
        let plan = planned(&beside, &index).unwrap();
        assert_eq!((plan.origin, shown(&plan.images[0])), (ms(60), vec![140]));
        assert_eq!((plan.outputs[1].images, plan.images[0].output), (Some(0), 1));
    }

    #[test]
    fn what_lies_between_is_not_decoded() {
        let index = steady(25 * 600, 50);
        let plan = alone(sprites(10_000), &index).unwrap();
        assert_eq!((plan.shots.len(), plan.reaches.len()), (60, 60));
        let units: u32 = plan.reaches.iter().map(|reach| slice(reach).1 - slice(reach).0).sum();
        assert_eq!(units, 60, "each moment is at a key picture");
        assert_eq!(plan.size, Geometry { width: 160, height: 90 });
        let near = alone(gif(1000, GifLength::Duration(ms(3000))), &index).unwrap();
        assert_eq!(near.reaches.iter().map(|reach| (reach.shots, slice(reach))).collect::<Vec<_>>(), [(30, (0, 98))]);
    }

    fn slice(reach: &Reach) -> (u32, u32) {
        match reach.decode {
            Decode::Slice { from, to, .. } => (from, to),
            Decode::Whole => panic!("every picture has a time"),
        }
    }

    #[test]
    fn what_lies_beyond_the_end_is_refused_with_the_bound() {
        let refused = |images| alone(images, &steady(100, 25)).unwrap_err().1;
        let end = "lies beyond the end of the film, which is 4.000 s long";
        assert_eq!(refused(at(&[0, 4000])), format!("the moment at 4.000 s {end}"));
        assert_eq!(refused(gif(4000, GifLength::Usual)), format!("the GIF's start at 4.000 s {end}"));
        assert_eq!(refused(gif(2000, GifLength::Duration(ms(2010)))), format!("the GIF's end at 4.010 s {end}"));
        assert_eq!(refused(gif(3000, GifLength::Pictures(12))), format!("the GIF's end at 4.200 s {end}"));
        let usual = alone(gif(3500, GifLength::Usual), &steady(100, 25)).unwrap();
        assert_eq!(usual.shots.len(), 5);
        assert_eq!(alone(gif(3000, GifLength::Pictures(10)), &steady(100, 25)).unwrap().shots.len(), 10);
    }

    #[test]
    fn too_much_is_refused_with_the_bound() {
        let long = steady(25 * 700, 250);
        let refused = |images| alone(images, &long).unwrap_err().1;
        assert_eq!(refused(sprites(40)), "more than 10000 pictures are asked for, which is the bound of an output");
        let gif = refused(gif(0, GifLength::Duration(ms(60_000))));
        assert_eq!(gif, "a GIF of 600 pictures of 1920x1080 has 1244160000 pixels, 536870912 at most");
        let Images::Sprites(large) = sprites(10_000) else { panic!("they are sprites") };
        let large = Sprites { fit: Fit::default(), ..large };
        let sheet = refused(Images::Sprites(Sprites { layout: Layout { columns: 9, ..large.layout }, ..large }));
        assert!(
            sheet.starts_with("a sheet of 9x5 pictures of 1920x1080 is 17280x5400, the bounds are 16383"),
            "{sheet}"
        );
    }

    proptest! {
        #[test]
        fn every_picture_can_be_decoded_where_it_is_reached(
            index in random_film(), moments in prop::collection::btree_set(0_i64..4000, 1..20),
        ) {
            let length = index.units.iter().filter_map(|u| u.pts).max().unwrap().ns() / 1_000_000;
            let first = index.units[0].pts.unwrap().ns() / 1_000_000;
            let moments: Vec<i64> = moments.into_iter().filter(|m| *m < length + 40 - first).collect();
            prop_assume!(!moments.is_empty());
            let plan = alone(at(&moments), &index).unwrap();
            let mut shots = plan.shots.iter();
            for reach in &plan.reaches {
                let (from, to) = slice(reach);
                let units = &index.units[from as usize..to as usize];
                for shot in shots.by_ref().take(reach.shots as usize) {
                    prop_assert!(units.iter().any(|u| u.pts == shot.picture));
                    prop_assert!(units[0].is_key() && units[0].pts <= shot.picture);
                    let on_screen = index.units.iter().filter_map(|u| u.pts).filter(|pts| *pts <= shot.at).max();
                    prop_assert_eq!(shot.picture, on_screen);
                }
            }
            prop_assert_eq!(shots.next(), None);
        }
    }
}
