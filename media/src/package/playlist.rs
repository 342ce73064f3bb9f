//! Playlists by RFC 8216: one of each variant's segments, one of its key pictures, and the master that leads to all.

use std::fmt::Write as _;

use framefleet_model::probe::Shown;
use framefleet_model::time::{MediaTime, Rational, scale_round};

use crate::package::contents::{Contents, Sound, Variant};
use crate::package::files::KeyPlace;
use crate::package::grid::Grid;

/// Durations with decimals.
const VERSION: u32 = 3;
/// Parts of files, and lists of key pictures.
const VERSION_OF_PARTS: u32 = 4;
/// Movie boxes in files of their own.
const VERSION_OF_FRAGMENTS: u32 = 7;
const MICROS_PER_SECOND: i64 = 1_000_000;
const GROUP: &str = "sound";

/// The name of a list.
pub(crate) fn name(of: &str) -> String {
    format!("{of}.m3u8")
}

/// The name of a list of key pictures.
pub(crate) fn keys_name(of: &str) -> String {
    format!("{of}-keys.m3u8")
}

/// `init`: what stands in front of all files.
pub(crate) fn media<'a>((grid, init): (&Grid, Option<&str>), names: impl Iterator<Item = &'a str>) -> String {
    let mut text = head(if init.is_some() { VERSION_OF_FRAGMENTS } else { VERSION });
    put_list(&mut text, (grid, "", init), names.map(str::to_owned));
    text
}

/// `grid`: of the key pictures themselves.
pub(crate) fn keys((grid, init): (&Grid, Option<&str>), places: &[KeyPlace], names: &[String]) -> String {
    let mut text = head(if init.is_some() { VERSION_OF_FRAGMENTS } else { VERSION_OF_PARTS });
    let line = |place: &KeyPlace| {
        let name = names.get(place.file).map_or("", String::as_str);
        format!("#EXT-X-BYTERANGE:{}@{}\n{name}", place.size, place.at)
    };
    put_list(&mut text, (grid, "#EXT-X-I-FRAMES-ONLY\n", init), places.iter().map(line));
    text
}

/// Durations are rounded so that their sum stays exact.
fn put_list(text: &mut String, (grid, kind, init): (&Grid, &str, Option<&str>), lines: impl Iterator<Item = String>) {
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n{kind}",
        grid.target()
    );
    if let Some(init) = init {
        let _ = writeln!(text, "#EXT-X-MAP:URI=\"{init}\"");
    }
    let micros = |time: MediaTime| scale_round((time - grid.begin()).ns(), 1, 1000);
    for ((from, to), line) in grid.spans().zip(lines) {
        let length = micros(to) - micros(from);
        let (seconds, micros) = (length / MICROS_PER_SECOND, length % MICROS_PER_SECOND);
        let _ = write!(text, "#EXTINF:{seconds}.{micros:06},\n{line}\n");
    }
    text.push_str("#EXT-X-ENDLIST\n");
}

/// A variant is told with the sound that goes with it: its bit rates are the sum of both, as players fetch both.
pub(crate) fn master(folder: &str, contents: &Contents) -> String {
    let sounds = contents.sounds.as_slice();
    let mut text = head(if sounds.is_empty() { VERSION_OF_PARTS } else { VERSION_OF_FRAGMENTS });
    put_sounds(&mut text, folder, sounds);
    let mut codecs: Vec<&str> = sounds.iter().map(|sound| sound.codec.as_str()).collect();
    codecs.sort_unstable();
    codecs.dedup();
    for variant in &contents.variants {
        let Variant { name, rates, codec, rate, .. } = variant;
        // Whichever of the sound tracks is played.
        let more = |of: fn(&Sound) -> u64| sounds.iter().map(of).max().unwrap_or(0);
        let (peak, average) = (rates.peak + more(|s| s.rates.peak), rates.average + more(|s| s.rates.average));
        let (shown, rate) = (variant.shown(), thousandths(*rate));
        let _ = write!(text, "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{codec}");
        for codec in codecs.iter().copied().chain(variant.sound_codec.as_deref()) {
            let _ = write!(text, ",{codec}");
        }
        let _ = write!(text, "\",RESOLUTION={shown},FRAME-RATE={rate}");
        if !sounds.is_empty() {
            let _ = write!(text, ",AUDIO=\"{GROUP}\"");
        }
        let _ = write!(text, "\n{folder}/{}\n", self::name(name));
    }
    for variant in &contents.variants {
        let Variant { name, key_rates, codec, .. } = variant;
        let _ = writeln!(
            text,
            "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{codec}\",RESOLUTION={},\
             URI=\"{folder}/{}\"",
            key_rates.peak,
            key_rates.average,
            variant.shown(),
            keys_name(name)
        );
    }
    text
}

/// One group of all sound tracks, each by a name that no other has.
fn put_sounds(text: &mut String, folder: &str, sounds: &[Sound]) {
    let mut names: Vec<String> = Vec::new();
    for (place, sound) in sounds.iter().enumerate() {
        let Sound { name, format, language, title, shown, .. } = sound;
        let called = title.as_deref().or(language.as_deref()).map_or(GROUP.to_owned(), quotable);
        let called = if names.contains(&called) { format!("{called} {}", place + 1) } else { called };
        let _ = write!(text, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{GROUP}\",NAME=\"{called}\"");
        names.push(called);
        if let Some(language) = language {
            let _ = write!(text, ",LANGUAGE=\"{language}\"");
        }
        // A player may choose by language alone, so of each language it is told of one.
        let is_of_its_own = language.is_some() && sounds[..place].iter().all(|other| other.language != *language);
        let yes = |is: bool| if is { "YES" } else { "NO" };
        let (default, list) = (*shown == Shown::Default, self::name(name));
        let _ = writeln!(
            text,
            ",DEFAULT={},AUTOSELECT={},CHANNELS=\"{}\",URI=\"{folder}/{list}\"",
            yes(default),
            yes(default || is_of_its_own),
            format.channels
        );
    }
}

/// What may stand between the quotes of an attribute.
fn quotable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).map(|letter| if letter == '"' { '\'' } else { letter }).collect()
}

fn head(version: u32) -> String {
    format!("#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-INDEPENDENT-SEGMENTS\n")
}

fn thousandths(rate: Rational) -> String {
    let value = scale_round(i64::from(rate.num()), 1000, i64::from(rate.den()));
    format!("{}.{:03}", value / 1000, value % 1000)
}
