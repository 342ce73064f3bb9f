//! Packages for players, as they are asked for: text to checked values.

use std::ops::RangeInclusive;

use framefleet_model::fault::Fault;
use framefleet_model::media::Container;
use framefleet_model::pipeline::{
    Coding, Ladder, Manifest, OutputRequest, Package, RateControl, Request, Rung, SegmentDuration, VideoSettings,
};
use framefleet_model::time::MediaTime;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::args::PackageArgs;
use crate::asked::{AskedOutput, Text};
use crate::location::Location;
use crate::settings::{self, duration, named, optional, refused, within};

/// Extensions of what leads players to a package.
const MANIFESTS: [(&str, Manifest); 2] = [("m3u8", Manifest::Hls), ("mpd", Manifest::Dash)];
const TIME: RangeInclusive<MediaTime> = MediaTime::from_secs(1)..=MediaTime::from_secs(60);
const TIME_DEFAULT: MediaTime = MediaTime::from_secs(6);
const RUNGS: RangeInclusive<usize> = 1..=8;

/// How the segments of playlists are cut, and what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Hls)]
pub struct AskedHls {
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "scalar")]
    #[schema(value_type = Text)]
    pub time: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
}

/// How the segments of a manifest of DASH are cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Dash)]
pub struct AskedDash {
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "scalar")]
    #[schema(value_type = Text)]
    pub time: Option<String>,
}

/// The word `auto`, or what each variant has of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Ladder)]
pub enum AskedLadder {
    Word(String),
    Rungs(Vec<AskedRung>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rung)]
pub struct AskedRung {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "scalar")]
    #[schema(value_type = Text)]
    pub crf: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "scalar")]
    #[schema(value_type = Text)]
    pub bitrate: Option<String>,
}

fn scalar<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Text::deserialize(from).map(|text| Some(text.0))
}

/// What flags say of all OUTs, and mean of the packages among them.
pub struct ByFlags<'a> {
    args: &'a PackageArgs,
    /// How many OUTs are what.
    playlists: usize,
    packages: usize,
}

impl<'a> ByFlags<'a> {
    pub fn of(args: &'a PackageArgs, outputs: &[String]) -> Self {
        let count = |is: fn(Manifest) -> bool| outputs.iter().filter_map(|to| named_by(to)).filter(|m| is(*m)).count();
        Self { args, playlists: count(|manifest| manifest == Manifest::Hls), packages: count(|_| true) }
    }

    pub fn hls(&self, to: &str) -> Option<AskedHls> {
        let hls = AskedHls { time: self.args.hls_time.clone(), segment: self.args.hls_segment.clone() };
        // Where nobody can be meant, all are, and are refused.
        let is_meant =
            named_by(to) == Some(Manifest::Hls) || self.packages == 0 || (self.playlists == 0 && hls.segment.is_some());
        Some(hls).filter(|hls| is_meant && *hls != AskedHls::default())
    }

    pub fn dash(&self, to: &str) -> Option<AskedDash> {
        let time = self.args.hls_time.clone().filter(|_| named_by(to) == Some(Manifest::Dash));
        time.map(|time| AskedDash { time: Some(time) })
    }

    pub fn ladder(&self, to: &str) -> Option<AskedLadder> {
        let ladder = self.args.ladder.clone().map(AskedLadder::Word);
        ladder.filter(|_| self.packages == 0 || named_by(to).is_some())
    }
}

/// What a name says that an output is led to by, if it is a package.
fn named_by(name: &str) -> Option<Manifest> {
    let (_, extension) = name.rsplit_once('.')?;
    MANIFESTS.iter().find(|(known, _)| extension.eq_ignore_ascii_case(known)).map(|(_, manifest)| *manifest)
}

/// Whether an output is a package: its name says so.
pub fn manifest(place: &Location) -> Option<Manifest> {
    place.path().file_name().and_then(|name| named_by(&name.to_string_lossy()))
}

/// What the segments are.
pub fn container(asked: &AskedOutput, manifest: Manifest) -> Result<Container, Fault> {
    let segment = asked.hls.as_ref().and_then(|hls| hls.segment.as_ref()).or(asked.container.as_ref());
    let pair = |container: Container| (container.name(), container);
    let read = |text: &String| match manifest {
        Manifest::Hls => named("hls segment", text, [Container::Ts, Container::Fmp4].map(pair), &[]),
        Manifest::Dash => named("dash segment", text, [pair(Container::Fmp4)], &[]),
    };
    let usual = if manifest == Manifest::Hls { Container::Ts } else { Container::Fmp4 };
    Ok(segment.map(read).transpose()?.unwrap_or(usual))
}

/// How the output is cut into segments, and in which sizes it comes.
pub fn package(
    asked: &AskedOutput,
    place: &Location,
    request: &OutputRequest,
    manifest: Manifest,
) -> Result<Package, Fault> {
    let name = place.display();
    let (hls, dash) = (asked.hls.as_ref(), asked.dash.as_ref());
    let (what, time) = match (manifest, hls, dash) {
        (Manifest::Hls, _, Some(_)) => {
            return Err(refused(format!("dash is asked for of {name}, which is a playlist")));
        }
        (Manifest::Dash, Some(_), _) => {
            return Err(refused(format!("hls is asked for of {name}, which is no playlist")));
        }
        (Manifest::Hls, hls, None) => ("hls time", hls.and_then(|hls| hls.time.clone())),
        (Manifest::Dash, None, dash) => ("dash time", dash.and_then(|dash| dash.time.clone())),
    };
    let time = optional(&time, |text| within(what, duration(what, text)?, &TIME))?;
    let video = request.video.as_ref().ok_or_else(|| {
        refused(format!("output {name} would hold no pictures, which a package must: mp4 can hold sound alone"))
    })?;
    if request.audio.as_ref().is_some_and(|audio| audio.coding == Coding::Copy) {
        let text = "whose segments are cut by units of ours";
        return Err(refused(format!("audio codec copy contradicts output {name}, {text}")));
    }
    if video.coding == Coding::Copy {
        let text = "whose segments begin at pictures that need not be the source's keys";
        return Err(refused(format!("video codec copy contradicts output {name}, {text}")));
    }
    check_codecs(request, &name.to_string())?;
    let ladder = asked.ladder.as_ref().map(|ladder| self::ladder(ladder, video)).transpose()?.unwrap_or_default();
    Ok(Package { time: time.unwrap_or(TIME_DEFAULT), ladder, manifest })
}

/// What a container holds is more than what players take in segments of it.
fn check_codecs(request: &OutputRequest, name: &str) -> Result<(), Fault> {
    let Some(known) = request.container.in_segments() else { return Ok(()) };
    let refuse = |codec: &str, can: Vec<&str>| {
        let (can, is) = (can.join(", "), if can.len() == 1 { "is" } else { "are" });
        let segments = known.name;
        Err(refused(format!(
            "players take no {codec} in segments of {segments}, as output {name} has them: {can} {is} taken"
        )))
    };
    let video = request.video.as_ref().map(|video| video.codec).filter(|codec| !known.video.contains(codec));
    let audio = request.audio.as_ref().map(|audio| audio.codec).filter(|codec| !known.audio.contains(codec));
    match (video, audio) {
        (Some(codec), _) => refuse(codec.name(), known.video.iter().map(|codec| codec.name()).collect()),
        (None, Some(codec)) => refuse(codec.name(), known.audio.iter().map(|codec| codec.name()).collect()),
        (None, None) => Ok(()),
    }
}

/// Refuses what only packages have, for an output that is none.
pub fn refuse(asked: &AskedOutput, place: &Location) -> Result<(), Fault> {
    let name = place.display();
    let (what, instead) = match (&asked.hls, &asked.dash, &asked.ladder) {
        (Some(_), _, _) => ("hls", "no playlist: index.m3u8 would be one"),
        (None, Some(_), _) => ("dash", "no manifest: manifest.mpd would be one"),
        (None, None, Some(_)) => ("a ladder", "no playlist: index.m3u8 would be one"),
        (None, None, None) => return Ok(()),
    };
    Err(refused(format!("{what} is asked for of {name}, which is {instead}")))
}

/// Packages need the film to be cut where their segments begin.
pub fn check(request: &Request) -> Result<(), Fault> {
    let is_uncut = request.segments == SegmentDuration::None;
    if is_uncut && request.outputs.iter().any(|output| output.package.is_some()) {
        let text =
            "segment duration none contradicts packages, whose segments begin where the film is cut: auto does not";
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
