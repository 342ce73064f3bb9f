//! From what was asked to a `Request`: the one place where text becomes values that are never doubted again.

use std::ops::RangeInclusive;

use framefleet_model::fault::Fault;
use framefleet_model::holds::HOLDS;
use framefleet_model::media::Container;
use framefleet_model::pipeline::{
    Coding, Damaged, OnExisting, OutputRequest, Range, Request, SegmentDuration, SoundTracks,
};
use framefleet_model::terms::{Priority, Tenant, Terms};
use framefleet_model::time::MediaTime;

use crate::asked::steps as asked_steps;
use crate::asked::{Asked, AskedOutput, AskedTerms, OVERWRITE};
use crate::images;
use crate::location::{Location, Reach};
use crate::packaging;
use crate::settings::{audio, duration, named, optional, refused, video, within};
use crate::sound;

const SEGMENT_DURATION: RangeInclusive<MediaTime> = MediaTime::from_millis(100)..=MediaTime::from_secs(24 * 3600);
const DEADLINE: RangeInclusive<MediaTime> = MediaTime::from_secs(1)..=MediaTime::from_secs(30 * 24 * 3600);
const OUTPUTS_MAX: usize = 64;

/// A request and the files that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub request: Request,
    pub terms: Terms,
    pub source: Location,
    pub outputs: Vec<Location>,
}

pub fn check(asked: &Asked, (otherwise, reach): (OnExisting, Reach)) -> Result<Checked, Fault> {
    for (key, value) in [("pipeline", &asked.pipeline), ("into", &asked.into)] {
        if let Some(value) = value {
            return Err(refused(format!("{key} {value:?} is for jobs that a coordinator makes of its pipelines")));
        }
    }
    let source = Location::parse(&asked.source, reach)?;
    let outputs = places(asked, &source, reach)?;
    let requests = asked.outputs.iter().zip(&outputs).map(|(asked, place)| output(asked, (place, reach)));
    let requests: Vec<OutputRequest> = requests.collect::<Result<_, _>>()?;
    let of_pictures = requests.iter().map(|request| request.images.as_ref());
    images::apart(&outputs.iter().zip(of_pictures).collect::<Vec<_>>())?;
    let request = Request {
        source: source.url(),
        outputs: requests,
        segments: optional(&asked.segment_duration, segment_duration)?.unwrap_or_default(),
        damaged: optional(&asked.damaged, damaged)?.unwrap_or_default(),
        range: range(asked)?,
        on_existing: on_existing(asked)?.unwrap_or(otherwise),
        steps: asked_steps::check(&asked.steps)?,
    };
    packaging::check(&request)?;
    Ok(Checked { request, terms: terms(&asked.terms)?, source, outputs })
}

/// The outputs' places: at least one, no two the same, none the source.
fn places(asked: &Asked, source: &Location, reach: Reach) -> Result<Vec<Location>, Fault> {
    let count = asked.outputs.len();
    if !(1..=OUTPUTS_MAX).contains(&count) {
        return Err(refused(format!("{count} outputs are asked for, 1 to {OUTPUTS_MAX} can be made")));
    }
    let mut places: Vec<Location> = Vec::with_capacity(count);
    for output in &asked.outputs {
        let place = Location::parse_template(&images::first(output)?, source, reach)?;
        let name = place.display();
        if place.is_web() {
            return Err(refused(format!("output {name} lies behind HTTP, where films are read from and nothing goes")));
        }
        if place.is(source) {
            return Err(refused(format!("output {name} is the source")));
        }
        if places.contains(&place) {
            return Err(refused(format!("output {name} is named twice")));
        }
        places.push(place);
    }
    Ok(places)
}

fn output(asked: &AskedOutput, (place, reach): (&Location, Reach)) -> Result<OutputRequest, Fault> {
    if let Some(images) = images::check(asked, place)? {
        let (to, container) = (place.url(), Container::Images);
        let tracks = SoundTracks::default();
        let (video, audio, package) = (None, None, None);
        return Ok(OutputRequest { to, container, video, audio, tracks, package, images: Some(images) });
    }
    let manifest = packaging::manifest(place);
    let container = match manifest {
        Some(manifest) => packaging::container(asked, manifest)?,
        None => container(asked.container.as_deref(), place)?,
    };
    let (mut video, audio) = (video(&asked.video, container)?, audio(&asked.audio, container)?);
    for watermark in &asked.watermarks {
        let watermark = crate::watermark::watermark(watermark, reach)?;
        let Some(video) = &mut video else {
            return Err(refused(format!("a watermark at {} contradicts video codec none", watermark.anchor.name())));
        };
        if video.coding == Coding::Copy {
            return Err(refused(format!("a watermark at {} contradicts video codec copy", watermark.anchor.name())));
        }
        video.watermarks.push(watermark);
    }
    if video.is_none() && audio.is_none() {
        let name = place.display();
        return Err(refused(format!("output {name} would hold neither pictures nor sound: both codecs are none")));
    }
    let tracks = sound::tracks(&asked.audio, container, manifest)?;
    let request = OutputRequest { to: place.url(), container, video, audio, tracks, package: None, images: None };
    if let Some(manifest) = manifest {
        let package = Some(packaging::package(asked, place, &request, manifest)?);
        return Ok(OutputRequest { package, ..request });
    }
    packaging::refuse(asked, place)?;
    Ok(request)
}

fn container(asked: Option<&str>, place: &Location) -> Result<Container, Fault> {
    if let Some(text) = asked {
        return named("container", text, Container::ALL.map(|c| (c.name(), c)), &[]);
    }
    let extension = place.path().extension().and_then(|e| e.to_str());
    extension.and_then(Container::of_extension).ok_or_else(|| {
        let name = place.display();
        let extension = extension.map_or("no extension".to_owned(), |e| format!("extension {e:?}"));
        let known: Vec<&str> = HOLDS.iter().flat_map(|row| row.extensions).copied().chain(["m3u8", "mpd"]).collect();
        refused(format!("output {name} has {extension}, not one of: {}", known.join(", ")))
    })
}

fn segment_duration(text: &str) -> Result<SegmentDuration, Fault> {
    match text {
        "auto" => Ok(SegmentDuration::Auto),
        "none" => Ok(SegmentDuration::None),
        _ => {
            let every = duration("segment duration (or auto, none)", text)?;
            within("segment duration", every, &SEGMENT_DURATION).map(SegmentDuration::Every)
        }
    }
}

pub fn on_existing(asked: &Asked) -> Result<Option<OnExisting>, Fault> {
    let known = [("fail", OnExisting::Fail), (OVERWRITE, OnExisting::Replace)];
    optional(&asked.on_existing, |text| named("on_existing", text, known, &[]))
}

fn damaged(text: &str) -> Result<Damaged, Fault> {
    named("damaged", text, [("fail", Damaged::Fail), ("keep", Damaged::Keep)], &[])
}

fn range(asked: &Asked) -> Result<Range, Fault> {
    let from = optional(&asked.from, |text| duration("from", text))?;
    let to = optional(&asked.to, |text| duration("to", text))?;
    if let Some(to) = to
        && to <= from.unwrap_or(MediaTime::ZERO)
    {
        let from = from.unwrap_or(MediaTime::ZERO);
        return Err(refused(format!("the range from {from} to {to} is empty")));
    }
    Ok(Range { from, to })
}

pub fn terms(asked: &AskedTerms) -> Result<Terms, Fault> {
    let tenant = optional(&asked.tenant, |text| text.parse::<Tenant>().map_err(|e| refused(e.to_string())))?;
    let priority =
        optional(&asked.priority, |text| named("priority", text, Priority::ALL.map(|p| (p.name(), p)), &[]))?;
    let deadline = optional(&asked.deadline, |text| within("deadline", duration("deadline", text)?, &DEADLINE))?;
    Ok(Terms {
        tenant: tenant.unwrap_or_default(),
        priority: priority.unwrap_or_default(),
        deadline_ms: deadline.map(|deadline| deadline.ns() / 1_000_000),
    })
}
