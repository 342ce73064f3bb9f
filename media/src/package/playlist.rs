//! Playlists by RFC 8216: one of each variant's segments, one of its key pictures, and the master that leads to all.

use std::fmt::Write as _;

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
    let sound = contents.sound.as_ref();
    let mut text = head(if sound.is_some() { VERSION_OF_FRAGMENTS } else { VERSION_OF_PARTS });
    if let Some(sound) = sound {
        put_sound(&mut text, folder, sound);
    }
    for variant in &contents.variants {
        let Variant { name, rates, codec, rate, .. } = variant;
        let more = |of: fn(&Sound) -> u64| sound.map_or(0, of);
        let (peak, average) = (rates.peak + more(|s| s.rates.peak), rates.average + more(|s| s.rates.average));
        let (shown, rate) = (variant.shown(), thousandths(*rate));
        let _ = write!(text, "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{codec}");
        if let Some(codec) = sound.map(|sound| &sound.codec).or(variant.sound_codec.as_ref()) {
            let _ = write!(text, ",{codec}");
        }
        let _ = write!(text, "\",RESOLUTION={shown},FRAME-RATE={rate}");
        if sound.is_some() {
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

fn put_sound(text: &mut String, folder: &str, sound: &Sound) {
    let Sound { name, format, language, .. } = sound;
    let called = language.as_deref().unwrap_or(GROUP);
    let _ = write!(text, "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"{GROUP}\",NAME=\"{called}\"");
    if let Some(language) = language {
        let _ = write!(text, ",LANGUAGE=\"{language}\"");
    }
    let channels = format.channels;
    let list = self::name(name);
    let _ = writeln!(text, ",DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"{channels}\",URI=\"{folder}/{list}\"");
}

fn head(version: u32) -> String {
    format!("#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-INDEPENDENT-SEGMENTS\n")
}

fn thousandths(rate: Rational) -> String {
    let value = scale_round(i64::from(rate.num()), 1000, i64::from(rate.den()));
    format!("{}.{:03}", value / 1000, value % 1000)
}
