//! Which of the film's sound tracks an output has. A film of which not all that is wanted can be heard is no success, so a
//! track that does not decode is never passed over in silence: the fault says how to leave it out.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::holds::{Holds, Sounds};
use framefleet_model::index::{AudioTrack, IndexHeader, Silent, SilentTrack};
use framefleet_model::language;
use framefleet_model::pipeline::{OutputRequest, SoundTrack, SoundTracks};
use framefleet_model::probe::Shown;

/// The sound of one output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken<'a> {
    /// In the output's order.
    pub(crate) tracks: Vec<&'a AudioTrack>,
    /// What is left of the film's sound, for people.
    pub(crate) notes: Vec<String>,
}

pub(crate) fn taken<'a>(output: &OutputRequest, header: &'a IndexHeader) -> Result<Taken<'a>, Fault> {
    if output.audio.is_none() {
        return Ok(Taken::default());
    }
    let in_package = output.package.as_ref().and_then(|_| output.container.in_segments());
    let holds = in_package.unwrap_or(*output.container.holds());
    let tracks = match (&output.tracks, holds.sounds) {
        (SoundTracks::All, _) | (SoundTracks::Usual, Sounds::Several) => all(header)?,
        (SoundTracks::First, _) | (SoundTracks::Usual, Sounds::One) => first(header)?,
        (SoundTracks::These(these), _) => these_of(these, header)?,
    };
    check_room(output, (&holds, &tracks), header)?;
    let mut numbers: Vec<u32> = tracks.iter().map(|track| track.number).collect();
    numbers.sort_unstable();
    if let Some(twice) = numbers.windows(2).find(|pair| pair[0] == pair[1]) {
        let (to, number) = (&output.to, twice[0]);
        return Err(settings(format!("{to}: sound track {number} is asked for twice")));
    }
    let notes = notes((output, &holds), &tracks, header);
    Ok(Taken { tracks, notes })
}

impl Taken<'_> {
    /// Which of them players are to play unasked: the one that they do of the source, else the first.
    pub(crate) fn played(&self) -> u32 {
        let played = self.tracks.iter().position(|track| track.shown == Shown::Default).unwrap_or(0);
        u32::try_from(played).unwrap_or(0)
    }
}

fn all(header: &IndexHeader) -> Result<Vec<&AudioTrack>, Fault> {
    match header.silent.iter().find(|silent| silent.why == Silent::Undecodable) {
        Some(silent) => Err(undecodable(silent, header)),
        None => Ok(header.audio.iter().filter(|track| track.standing.is_beside()).collect()),
    }
}

fn first(header: &IndexHeader) -> Result<Vec<&AudioTrack>, Fault> {
    let mut beside = header.audio.iter().filter(|track| track.standing.is_beside());
    let flagged = beside.clone().find(|track| track.shown == Shown::Default);
    let undecodable_ones = header.silent.iter().find(|silent| silent.why == Silent::Undecodable);
    match (flagged.or_else(|| beside.next()), undecodable_ones) {
        (Some(track), _) => Ok(vec![track]),
        (None, Some(silent)) => Err(undecodable(silent, header)),
        (None, None) => Ok(header.audio.first().into_iter().collect()),
    }
}

fn these_of<'a>(these: &[SoundTrack], header: &'a IndexHeader) -> Result<Vec<&'a AudioTrack>, Fault> {
    these.iter().map(|this| one(this, header)).collect()
}

fn one<'a>(this: &SoundTrack, header: &'a IndexHeader) -> Result<&'a AudioTrack, Fault> {
    let silent = |is: &dyn Fn(&SilentTrack) -> bool| header.silent.iter().find(|track| is(track));
    let (found, silent, asked) = match this {
        SoundTrack::Number(number) => (
            header.audio.iter().find(|track| track.number == *number),
            silent(&|track| track.number == *number),
            format!("sound track {number}"),
        ),
        SoundTrack::Language(wanted) => {
            let is = |told: &Option<String>| language::same(told.as_deref().unwrap_or("und"), wanted);
            (
                header.audio.iter().find(|track| is(&track.language)),
                silent(&|track| is(&track.language)),
                format!("sound in {wanted:?}"),
            )
        }
    };
    match (found, silent) {
        (Some(track), _) => Ok(track),
        (None, Some(silent)) if silent.why == Silent::Undecodable => Err(undecodable(silent, header)),
        (None, Some(silent)) => Err(Fault::new(FaultKind::Unsupported, format!("{} has no units", described(silent)))),
        (None, None) => Err(settings(format!("{asked} was asked for, the source has {}", told(header)))),
    }
}

/// What there is to choose from: `3: 1 (aac, eng), 2 (aac, fra), 3 (ac3)`.
fn told(header: &IndexHeader) -> String {
    let heard = header.audio.iter().map(|track| (track.number, &track.name, &track.language));
    let silent = header.silent.iter().map(|track| (track.number, &track.name, &track.language));
    let mut all: Vec<_> = heard.chain(silent).collect();
    all.sort_unstable();
    let names = all.iter().map(|(number, name, language)| match language {
        Some(language) => format!("{number} ({name}, {language})"),
        None => format!("{number} ({name})"),
    });
    let names = names.collect::<Vec<_>>().join(", ");
    if all.is_empty() { "none".to_owned() } else { format!("{}: {names}", all.len()) }
}

fn described(SilentTrack { number, name, .. }: &SilentTrack) -> String {
    format!("sound track {number} ({name})")
}

fn undecodable(silent: &SilentTrack, header: &IndexHeader) -> Fault {
    let others: Vec<String> =
        header.audio.iter().filter(|track| track.standing.is_beside()).map(|track| track.number.to_string()).collect();
    let flag = match others.is_empty() {
        true => "--audio-codec none".to_owned(),
        false => format!("--audio-tracks {}", others.join(",")),
    };
    let text = format!("{} does not decode ({flag} leaves it out)", described(silent));
    Fault::new(FaultKind::Unsupported, text)
}

fn check_room(
    output: &OutputRequest,
    (holds, tracks): (&Holds, &[&AudioTrack]),
    header: &IndexHeader,
) -> Result<(), Fault> {
    if holds.sounds == Sounds::Several || tracks.len() <= 1 {
        return Ok(());
    }
    let (to, place, count) = (&output.to, place(output, holds), tracks.len());
    let has = told(header);
    Err(settings(format!("{to}: {place} holds 1 sound track, {count} are asked for (the source has {has})")))
}

/// What holds an output's sound, by name.
fn place(output: &OutputRequest, holds: &Holds) -> String {
    if output.package.is_some() { format!("a package in {}", holds.name) } else { holds.name.to_owned() }
}

fn notes((output, holds): (&OutputRequest, &Holds), tracks: &[&AudioTrack], header: &IndexHeader) -> Vec<String> {
    let is_taken = |number: u32| tracks.iter().any(|track| track.number == number);
    let mut left: Vec<(u32, String)> = Vec::new();
    let because = match (&output.tracks, holds.sounds) {
        (SoundTracks::Usual, Sounds::One) => format!("{} holds one", place(output, holds)),
        (SoundTracks::Usual | SoundTracks::All, _) => "it goes on where another ends".to_owned(),
        (SoundTracks::First | SoundTracks::These(_), _) => "it is not asked for".to_owned(),
    };
    for track in header.audio.iter().filter(|track| !is_taken(track.number)) {
        left.push((track.number, format!("sound track {} ({}) is left out: {because}", track.number, track.name)));
    }
    for silent in &header.silent {
        let why = match silent.why {
            Silent::Undecodable => "it does not decode",
            Silent::Empty => "it has no units",
        };
        left.push((silent.number, format!("{} is left out: {why}", described(silent))));
    }
    left.sort();
    left.into_iter().map(|(_, note)| note).collect()
}

fn settings(text: String) -> Fault {
    Fault::new(FaultKind::Settings, text)
}
