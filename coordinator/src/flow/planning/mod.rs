//! Planning: from what is asked and what the index says to cuts, renditions and tasks.
//!
//! ```text
//! index ─▶ film (pictures, keys) ─▶ span (origin, range) ─▶ renditions ─▶ cuts ─▶ segments ─▶ DTS delays ─▶ plan
//! ```
//! The same request and index give the same plan, byte for byte: nothing else enters, least of all the number of
//! workers.

/// How bits are shared over segments.
mod budget;
/// What is taken from the source as it is coded.
mod copies;
/// Where the film is cut.
mod cuts;
/// What the index says of the film's pictures.
mod film;
/// Turn, crop, size and place of pictures.
mod geometry;
/// Pictures out of the film.
mod images;
/// Levels of renditions.
mod levels;
/// Variants and boundaries of packages.
mod packages;
/// Video renditions.
mod pictures;
/// Audio renditions.
mod sound;
/// Origin and range.
mod span;
/// From a plan to tasks.
pub mod tasks;
/// Sound tracks of outputs.
mod tracks;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::image::Images;
use framefleet_model::index::{AudioTrack, Index, Missing, Part};
use framefleet_model::media::Chapter;
use framefleet_model::pipeline::{Coding, Damaged, OutputRequest, RateControl, Request};
use framefleet_model::plan::{
    AudioRendition, Cut, IndexRef, OutputPlan, PLAN_VERSION, PackagePlan, Passes, Plan, Segment, SourceFacts,
    VideoRendition, dts_delay, output_times,
};
use framefleet_model::shots::ImagePlan;
use framefleet_model::time::{MediaTime, Span};
use framefleet_model::watermark::{IMAGES_MAX, images};

use crate::flow::planning::cuts::Cutting;
use crate::flow::planning::film::{Counting, Film};
use crate::flow::planning::span::{Tracks, Wanted, wanted};
use crate::flow::planning::tracks::{Taken, taken};

/// All that a plan is made from.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub request: &'a Request,
    pub source: &'a SourceFacts,
    pub index: &'a Index,
    pub index_ref: &'a IndexRef,
}

pub fn plan(asked: Asked<'_>) -> Result<Plan, Fault> {
    let Asked { request, source, index, index_ref } = asked;
    let asks = |what: fn(&OutputRequest) -> bool| request.outputs.iter().any(what);
    let sounds = request.outputs.iter().map(|output| taken(output, &index.header)).collect::<Result<Vec<_>, _>>()?;
    let audio = union(&sounds);
    let audio = audio.as_slice();
    let track = index.header.video.as_ref().filter(|_| asks(|o| o.video.is_some() || o.images.is_some()));
    let film = track.map(|track| Film::of(index, track)).transpose()?;
    let tracks = Tracks { film: film.as_ref(), audio };
    let rendered = render(&request.outputs, tracks.film, &sounds)?;
    let all: Vec<&AudioTrack> = index.header.audio.iter().collect();
    let line = match (asks(|o| o.video.is_some()), asks(|o| o.images.is_none())) {
        (true, _) => tracks,
        (false, true) => Tracks { film: None, audio },
        // Where nothing but pictures is asked for, moments are those of the whole film, its sound included.
        (false, false) => Tracks { audio: &all, ..tracks },
    };
    let wanted = wanted(request.range, line)?;
    let wanted = copies::wanted((&rendered.video, film.as_ref()), span::zero(line)?, wanted)?;
    let images = take_images(asked, (&rendered.outputs, tracks), wanted.span)?;
    let asked_to = match asks(|o| o.images.is_none()) {
        true => request.range.to.map_or(MediaTime::MAX, |_| wanted.span.end),
        // What is missing behind the last picture is not missed.
        false => images
            .iter()
            .filter_map(|plan| plan.shots.last())
            .map(|shot| shot.at + MediaTime(1))
            .max()
            .unwrap_or(MediaTime::MAX),
    };
    let missing = missed(&index.header.missing, tracks, asked_to);
    if let (Some(what), Damaged::Fail) = (&missing, request.damaged) {
        let text = format!("the film is not whole: {what} (--damaged keep takes what is there)");
        return Err(Fault::new(FaultKind::Damaged, text));
    }
    let time = packages::time(&request.outputs)?;
    let encoded = film.as_ref().filter(|_| !rendered.video.is_empty());
    let cut = encoded.map(|film| cut((film, time), wanted, &rendered, asked)).transpose()?.unwrap_or_default();
    let outputs = packaged(rendered.outputs, &cut);
    Ok(Plan {
        version: PLAN_VERSION,
        source: source.clone(),
        index: index_ref.clone(),
        origin: wanted.span.start,
        span: wanted.span,
        cuts: cut.cuts,
        segments: cut.segments,
        uncut: cut.uncut,
        video: cut.video,
        audio: rendered.audio,
        images,
        outputs,
        damaged: request.damaged,
        missing,
        tags: index.header.tags.clone(),
        chapters: chapters(&index.header.chapters, wanted.span),
    })
}

/// What is missing of the tracks and the part of the film that are wanted.
fn missed(missing: &[Missing], tracks: Tracks<'_>, asked_to: MediaTime) -> Option<String> {
    let is_wanted = |missing: &&Missing| {
        let of = match missing.of {
            Part::Pictures => tracks.film.is_some(),
            Part::Sound => match missing.track {
                Some(number) => tracks.audio.iter().any(|track| track.number == number),
                None => !tracks.audio.is_empty(),
            },
            Part::Film => true,
        };
        of && missing.from.is_none_or(|from| from < asked_to)
    };
    missing.iter().find(is_wanted).map(|missing| missing.what.clone())
}

#[derive(Default)]
struct Rendered {
    video: Vec<VideoRendition>,
    audio: Vec<AudioRendition>,
    outputs: Vec<OutputPlan>,
}

/// The sound tracks of all outputs, each once.
fn union<'a>(sounds: &[Taken<'a>]) -> Vec<&'a AudioTrack> {
    let mut all: Vec<&AudioTrack> = sounds.iter().flat_map(|taken| &taken.tracks).copied().collect();
    all.sort_by_key(|track| track.number);
    all.dedup_by_key(|track| track.number);
    all
}

fn render(outputs: &[OutputRequest], film: Option<&Film<'_>>, sounds: &[Taken<'_>]) -> Result<Rendered, Fault> {
    let mut rendered = Rendered::default();
    for ((output, taken), number) in outputs.iter().zip(sounds).zip(0..) {
        let same = outputs.iter().filter(|other| other.to == output.to).count();
        if same > 1 {
            return Err(Fault::new(FaultKind::Settings, format!("{same} outputs go to {}", output.to)));
        }
        let container = output.container;
        if output.images.is_some() {
            let images = rendered.outputs.iter().filter(|output| output.images.is_some()).count();
            rendered.outputs.push(of_pictures((number, output), u32::try_from(images).unwrap_or(u32::MAX)));
            continue;
        }
        let videos = match &output.package {
            Some(package) => packages::videos((output, package), film, &mut rendered.video)?,
            None => {
                let video = output.video.as_ref().zip(film);
                let video =
                    video.map(|(settings, film)| pictures::rendition(settings, film, container, &mut rendered.video));
                video.transpose()?.into_iter().collect()
            }
        };
        let video = videos.first().copied();
        let made = video.and_then(|number| rendered.video.get(number as usize));
        let settings = output.audio.as_ref().filter(|_| !taken.tracks.is_empty());
        let picture = made.map_or(MediaTime::ZERO, |made| made.format.rate.time_of(1));
        let delay = settings.map_or(MediaTime::ZERO, |settings| sound::delay(container, settings, picture));
        let mut notes = made.map(|made| pictures::notes(container, made)).unwrap_or_default();
        notes.extend(taken.notes.iter().cloned());
        let within = sound::Within { container, delay };
        let of_track =
            |(settings, track): (_, &&AudioTrack)| sound::rendition(settings, track, within, &mut rendered.audio);
        let audio = settings.into_iter().flat_map(|settings| taken.tracks.iter().map(move |track| (settings, track)));
        let audio = audio.map(of_track).collect::<Result<Vec<_>, _>>()?;
        if video.is_none() && audio.is_empty() {
            return Err(nothing_in(output, taken));
        }
        let (to, played) = (output.to.clone(), taken.played());
        let package =
            output.package.as_ref().map(|asked| PackagePlan { videos, starts: Vec::new(), manifest: asked.manifest });
        rendered.outputs.push(OutputPlan {
            number,
            to,
            container,
            video,
            audio,
            played,
            delay,
            notes,
            package,
            images: None,
        });
    }
    let images = images(rendered.video.iter().map(|rendition| &rendition.settings)).len();
    if images > IMAGES_MAX {
        return Err(Fault::new(
            FaultKind::Settings,
            format!("{images} images are to mark the job's outputs, {IMAGES_MAX} at most"),
        ));
    }
    if rendered.outputs.is_empty() {
        return Err(Fault::new(FaultKind::Settings, "the job has 0 outputs, 1 at least"));
    }
    Ok(rendered)
}

/// An output that its image task makes.
fn of_pictures((number, output): (u32, &OutputRequest), images: u32) -> OutputPlan {
    OutputPlan {
        number,
        to: output.to.clone(),
        container: output.container,
        video: None,
        audio: Vec::new(),
        played: 0,
        delay: MediaTime::ZERO,
        notes: Vec::new(),
        images: Some(images),
        package: None,
    }
}

/// The pictures of every output that wants some.
fn take_images(
    asked: Asked<'_>,
    (outputs, tracks): (&[OutputPlan], Tracks<'_>),
    span: Span,
) -> Result<Vec<ImagePlan>, Fault> {
    let wanted = asked.request.outputs.iter().zip(outputs);
    let wanted = wanted.filter_map(|(request, output)| Some((request.images.as_ref()?, output)));
    let plan = |(images, output): (&Images, &OutputPlan)| {
        let film = tracks.film.ok_or_else(|| {
            let text = format!("{} would be empty: the source has no pictures that can be decoded", output.to);
            Fault::new(FaultKind::Settings, text)
        })?;
        let place = images::For { number: output.images.unwrap_or(0), output: output.number, to: &output.to };
        images::plan(images, place, images::Scene { film, header: &asked.index.header, span })
    };
    wanted.map(plan).collect()
}

fn nothing_in(output: &OutputRequest, taken: &Taken<'_>) -> Fault {
    let asked = match (&output.video, &output.audio) {
        (Some(_), Some(_)) => "neither pictures nor sound",
        (Some(_), None) => "no pictures",
        (None, Some(_)) if taken.tracks.is_empty() => "no sound",
        (None, Some(_) | None) => "nothing that was asked for",
    };
    // A film without any track is the film's fault; asking for what it lacks is the settings'.
    let kind =
        if output.video.is_some() && output.audio.is_some() { FaultKind::Unsupported } else { FaultKind::Settings };
    Fault::new(kind, format!("{} would be empty: the source has {asked} that can be decoded", output.to))
}

#[derive(Default)]
struct CutFilm {
    cuts: Vec<Cut>,
    segments: Vec<Segment>,
    uncut: Option<String>,
    video: Vec<VideoRendition>,
    /// Where segments of packages begin, but for the first.
    moments: Vec<MediaTime>,
}

fn cut(
    (film, packages): (&Film<'_>, Option<MediaTime>),
    wanted: Wanted,
    rendered: &Rendered,
    asked: Asked<'_>,
) -> Result<CutFilm, Fault> {
    let cutting = Cutting {
        film,
        wanted,
        asked: asked.request.segments,
        renditions: &rendered.video,
        packages,
        only_at: copies::cuts(film, &rendered.video),
    };
    let moments = packages.map(|time| cutting.moments(time)).unwrap_or_default();
    let cuts = cutting.cuts()?;
    let mut segments = cutting.segments(&cuts, &asked.index.header);
    if rendered.video.iter().any(|r| r.passes() == Passes::Two) && film.counting == Counting::Exact {
        let paces = budget::paces(film.units, &segments);
        let paces = match budget::pace_max(&rendered.video) {
            Some(most) => budget::bounded(paces, &segments, most),
            None => paces,
        };
        segments.iter_mut().zip(paces).for_each(|(segment, pace)| segment.pace = pace);
    }
    let uncut = match &film.counting {
        Counting::Exact => None,
        Counting::Uncounted(why) | Counting::Untimed(why) => Some(why.clone()),
    };
    let video = rendered.video.iter().map(|r| VideoRendition {
        dts_delay: delay(film, wanted, r),
        vbv: r.settings.max_bitrate.map(|most| match r.settings.rate {
            RateControl::Crf(_) => budget::vbv(most, &segments),
            RateControl::Bitrate(_) => budget::vbv_of_average(most),
        }),
        level: levels::level(r, budget::most(r, &segments)),
        ..r.clone()
    });
    let video = video.collect();
    Ok(CutFilm { cuts, segments, uncut, video, moments })
}

/// Packages with where their segments begin in the film as it is cut.
fn packaged(outputs: Vec<OutputPlan>, cut: &CutFilm) -> Vec<OutputPlan> {
    let planned = |package: PackagePlan| packages::planned(package, &cut.moments, &cut.segments);
    outputs.into_iter().map(|output| OutputPlan { package: output.package.map(planned), ..output }).collect()
}

/// Over all pictures of the film, so that every segment can count on it before any is encoded.
fn delay(film: &Film<'_>, wanted: Wanted, rendition: &VideoRendition) -> Option<MediaTime> {
    if film.counting != Counting::Exact {
        return None;
    }
    let within: Vec<MediaTime> = film.shown.iter().copied().filter(|t| wanted.pictures.contains(*t)).collect();
    if rendition.settings.coding == Coding::Copy {
        return Some(copies::dts_delay(film, wanted.pictures));
    }
    let line = rendition.line(wanted.span.start);
    Some(dts_delay(&output_times(&within, wanted.pictures, line), rendition.reorder_depth))
}

fn chapters(chapters: &[Chapter], span: Span) -> Vec<Chapter> {
    let clipped = chapters.iter().map(|chapter| {
        let start = chapter.start.max(span.start) - span.start;
        let end = chapter.end.min(span.end) - span.start;
        Chapter { start, end, title: chapter.title.clone() }
    });
    clipped.filter(|chapter| chapter.start < chapter.end).collect()
}

#[cfg(test)]
mod copies_tests;
#[cfg(test)]
mod geometry_tests;
#[cfg(test)]
mod sound_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tracks_tests;
