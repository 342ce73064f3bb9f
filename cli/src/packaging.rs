//! Packages for players, as they are asked for: text to checked values.

use std::ops::RangeInclusive;

use framefleet_model::fault::Fault;
use framefleet_model::media::{Container, VideoCodec};
use framefleet_model::pipeline::{Ladder, Package, RateControl, Request, Rung, SegmentDuration, VideoSettings};
use framefleet_model::time::MediaTime;

use crate::asked::{AskedHls, AskedLadder, AskedOutput, AskedRung};
use crate::location::Location;
use crate::settings::{self, duration, named, optional, refused, within};

/// The extension of a master playlist.
const PLAYLIST: &str = "m3u8";
const TIME: RangeInclusive<MediaTime> = MediaTime::from_secs(1)..=MediaTime::from_secs(60);
const TIME_DEFAULT: MediaTime = MediaTime::from_secs(6);
const RUNGS: RangeInclusive<usize> = 1..=8;

/// Whether an output is a package: its name says so.
pub fn is_package(place: &Location) -> bool {
    place.path().extension().is_some_and(|extension| extension.eq_ignore_ascii_case(PLAYLIST))
}

/// What the segments are.
pub fn container(asked: &AskedOutput) -> Result<Container, Fault> {
    let segment = asked.hls.as_ref().and_then(|hls| hls.segment.as_ref()).or(asked.container.as_ref());
    let read = |text: &String| named("hls segment", text, SEGMENTS.map(|c| (c.name(), c)), &[]);
    Ok(segment.map(read).transpose()?.unwrap_or(Container::Ts))
}

/// How the output is cut into segments, and in which sizes it comes.
pub fn package(asked: &AskedOutput, place: &Location, video: Option<&VideoSettings>) -> Result<Package, Fault> {
    let name = place.display();
    let AskedHls { time, segment: _ } = asked.hls.clone().unwrap_or_default();
    let time = optional(&time, |text| within("hls time", duration("hls time", text)?, &TIME))?;
    let video = video.ok_or_else(|| {
        refused(format!("output {name} would hold no pictures, which a package must: mp4 can hold sound alone"))
    })?;
    if video.codec != VideoCodec::H264 {
        let (codec, can) = (video.codec.name(), VideoCodec::H264.name());
        return Err(refused(format!(
            "players take no {codec} in segments of ts, as output {name} has them: {can} is taken"
        )));
    }
    let ladder = asked.ladder.as_ref().map(|ladder| self::ladder(ladder, video)).transpose()?.unwrap_or_default();
    Ok(Package { time: time.unwrap_or(TIME_DEFAULT), ladder })
}

/// What segments can be.
const SEGMENTS: [Container; 1] = [Container::Ts];

/// Refuses what only packages have, for an output that is none.
pub fn refuse(asked: &AskedOutput, place: &Location) -> Result<(), Fault> {
    let name = place.display();
    let what = match (&asked.hls, &asked.ladder) {
        (Some(_), _) => "hls",
        (None, Some(_)) => "a ladder",
        (None, None) => return Ok(()),
    };
    Err(refused(format!("{what} is asked for of {name}, which is no playlist: index.m3u8 would be one")))
}

/// Packages need the film to be cut where their segments begin.
pub fn check(request: &Request) -> Result<(), Fault> {
    let is_uncut = request.segments == SegmentDuration::None;
    if is_uncut && request.outputs.iter().any(|output| output.package.is_some()) {
        let text = "segment duration none contradicts hls, whose segments begin where the film is cut: auto does not";
        return Err(refused(text.to_owned()));
    }
    Ok(())
}

fn ladder(asked: &AskedLadder, video: &VideoSettings) -> Result<Ladder, Fault> {
    match asked {
        AskedLadder::Word(word) => named("ladder", word, [("auto", Ladder::Auto)], &[]),
        AskedLadder::Rungs(rungs) if RUNGS.contains(&rungs.len()) => {
            let rungs = rungs.iter().map(|rung| self::rung(rung, video));
            Ok(Ladder::Rungs(rungs.collect::<Result<_, _>>()?))
        }
        AskedLadder::Rungs(rungs) => {
            let (count, least, most) = (rungs.len(), RUNGS.start(), RUNGS.end());
            Err(refused(format!("a ladder of {count} rungs is not of {least} to {most}")))
        }
    }
}

fn rung(asked: &AskedRung, video: &VideoSettings) -> Result<Rung, Fault> {
    let AskedRung { size, crf, bitrate } = asked;
    let rate: Option<RateControl> = match (crf, bitrate) {
        (None, None) => None,
        _ => Some(settings::rate_control((crf, bitrate), video.codec)?),
    };
    Ok(Rung { size: optional(size, settings::geometry)?, rate })
}
