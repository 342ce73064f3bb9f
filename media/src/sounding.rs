//! The film's sound tracks: which there are, in the order of their numbers, and which of them are heard.

use framefleet_model::index::{AudioTrack, Missing, Silent, SilentTrack, Standing};
use framefleet_model::probe::Shown;
use framefleet_model::time::{MediaTime, Span};

use crate::pass::Passed;
use crate::tap::{Heard, Tap, sound_taps};
use crate::{described, formats, names, sequel, trial};

/// What was found of them; tracks are in the order of their numbers.
pub(crate) struct Sounds {
    pub(crate) heard: Vec<(Tap, AudioTrack)>,
    pub(crate) silent: Vec<SilentTrack>,
    pub(crate) undecodable: Vec<Tap>,
}

impl Sounds {
    pub(crate) fn tracks(&self) -> Vec<AudioTrack> {
        self.heard.iter().map(|(_, track)| track.clone()).collect()
    }
}

pub(crate) fn all(passed: &Passed) -> Sounds {
    let taps = sound_taps(&passed.taps);
    let mut sounds = Sounds { heard: Vec::new(), silent: Vec::new(), undecodable: Vec::new() };
    for (tap, number) in taps.iter().zip(1_u32..) {
        let standing = if sequel::is_sequel(tap, passed) { Standing::Behind } else { Standing::Beside };
        let heard = tap.heard();
        let why = match (track(&heard), heard.count) {
            (Some(track), 1..) => {
                sounds.heard.push((tap.clone(), AudioTrack { number, standing, ..track }));
                continue;
            }
            (_, 0) => Silent::Empty,
            (None, _) => Silent::Undecodable,
        };
        if why == Silent::Undecodable {
            sounds.undecodable.push(tap.clone());
        }
        let name = heard.caps.first().and_then(|(_, caps)| caps.structure(0).map(names::codec)).unwrap_or_default();
        sounds.silent.push(SilentTrack { number, name, language: described::language(&heard.tags), why });
    }
    // Of one track there is no choice.
    if let ([_], [(_, only)]) = (taps.as_slice(), sounds.heard.as_mut_slice()) {
        only.shown = Shown::Default;
    }
    sounds
}

/// What goes on after the end of a track, in another one.
pub(crate) fn missing(sounds: &Sounds, passed: &Passed) -> Vec<Missing> {
    let has_several = sounds.heard.len() + sounds.silent.len() > 1;
    let beside = sounds.heard.iter().filter(|(_, track)| track.standing.is_beside());
    let after = |(tap, track): &(Tap, AudioTrack)| {
        let missing = sequel::after(tap, passed)?;
        Some(Missing { track: has_several.then_some(track.number), ..missing })
    };
    beside.filter_map(after).collect()
}

/// What a track is, as far as its first units tell; `None`: they do not decode.
pub(crate) fn track(heard: &Heard) -> Option<AudioTrack> {
    let (_, caps) = heard.caps.first()?;
    let trial = trial::decode(caps, &heard.head, gst::ElementFactoryType::MEDIA_AUDIO)?;
    Some(AudioTrack {
        number: 1,
        id: heard.id.clone(),
        codec: heard.media_type(),
        name: caps.structure(0).map(names::codec).unwrap_or_default(),
        decoder: trial.decoder,
        format: formats::audio_format(&trial.raw)?,
        language: described::language(&heard.tags),
        title: heard.title.clone(),
        shown: heard.shown(),
        standing: Standing::Beside,
        span: heard.span.unwrap_or(Span { start: MediaTime::ZERO, end: MediaTime::ZERO }),
    })
}
