//! The manifest of MPEG-DASH (ISO/IEC 23009-1): one period, a set of pictures and one of each sound track, every segment in ticks.

use std::fmt::Write as _;

use framefleet_model::probe::Shown;
use framefleet_model::time::{MediaTime, Rational};

use crate::package::contents::{Contents, Sound, Variant};
use crate::package::tracks::Timeline;

const MICROS_PER_SECOND: i64 = 1_000_000;
const ROLES: &str = "urn:mpeg:dash:role:2011";
/// Channels by their number (ISO/IEC 23003-3).
const CHANNELS: &str = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011";

pub(crate) fn text(folder: &str, contents: &Contents) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (lasts, target) = (seconds(contents.duration), contents.target);
    // Writing to a string cannot fail. What is told as bandwidth is the most that a segment takes over its own length: who
    // has the longest one buffered never waits.
    let _ = writeln!(
        text,
        "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" profiles=\"urn:mpeg:dash:profile:isoff-live:2011\" type=\"static\" \
         mediaPresentationDuration=\"PT{lasts}S\" maxSegmentDuration=\"PT{target}S\" minBufferTime=\"PT{target}S\">"
    );
    text.push_str(" <Period id=\"0\" start=\"PT0S\">\n");
    text.push_str(
        "  <AdaptationSet id=\"0\" contentType=\"video\" mimeType=\"video/mp4\" segmentAlignment=\"true\" \
         startWithSAP=\"1\">\n",
    );
    for variant in &contents.variants {
        put_variant(&mut text, folder, variant);
    }
    text.push_str("  </AdaptationSet>\n");
    let has_several = contents.sounds.len() > 1;
    for (sound, id) in contents.sounds.iter().zip(1_u32..) {
        put_sound(&mut text, folder, (id, sound, has_several.then(|| Role::of(sound))));
    }
    text.push_str(" </Period>\n</MPD>\n");
    text
}

fn put_variant(text: &mut String, folder: &str, variant: &Variant) {
    let Variant { name, rates, codec, geometry, pixel_aspect, rate, .. } = variant;
    let _ = writeln!(
        text,
        "   <Representation id=\"{name}\" bandwidth=\"{}\" codecs=\"{codec}\" width=\"{}\" height=\"{}\" \
         frameRate=\"{}\" sar=\"{}:{}\">",
        rates.peak,
        geometry.width,
        geometry.height,
        ratio(*rate),
        pixel_aspect.num(),
        pixel_aspect.den()
    );
    if let Some(timeline) = &variant.timeline {
        put_template(text, folder, timeline);
    }
    text.push_str("   </Representation>\n");
}

/// What a track is among several (ISO/IEC 23009-1, 5.8.5.5).
#[derive(Clone, Copy)]
enum Role {
    Main,
    Alternate,
}

impl Role {
    fn of(sound: &Sound) -> Self {
        if sound.shown == Shown::Default { Self::Main } else { Self::Alternate }
    }
}

fn put_sound(text: &mut String, folder: &str, (id, sound, role): (u32, &Sound, Option<Role>)) {
    let Sound { name, rates, codec, format, language, title, timeline, .. } = sound;
    let _ = write!(
        text,
        "  <AdaptationSet id=\"{id}\" contentType=\"audio\" mimeType=\"audio/mp4\" segmentAlignment=\"true\" startWithSAP=\"1\""
    );
    if let Some(language) = language {
        let _ = write!(text, " lang=\"{language}\"");
    }
    text.push_str(">\n");
    if let Some(title) = title {
        let _ = writeln!(text, "   <Label>{}</Label>", in_xml(title));
    }
    if let Some(role) = role {
        let value = match role {
            Role::Main => "main",
            Role::Alternate => "alternate",
        };
        let _ = writeln!(text, "   <Role schemeIdUri=\"{ROLES}\" value=\"{value}\"/>");
    }
    let _ = writeln!(
        text,
        "   <Representation id=\"{name}\" bandwidth=\"{}\" codecs=\"{codec}\" audioSamplingRate=\"{}\">",
        rates.peak, format.rate
    );
    let _ = writeln!(text, "    <AudioChannelConfiguration schemeIdUri=\"{CHANNELS}\" value=\"{}\"/>", format.channels);
    put_template(text, folder, timeline);
    text.push_str("   </Representation>\n  </AdaptationSet>\n");
}

/// Names follow from the representation's id and the segment's number.
fn put_template(text: &mut String, folder: &str, timeline: &Timeline) {
    let folder = escaped(folder);
    let _ = writeln!(
        text,
        "    <SegmentTemplate timescale=\"{}\" presentationTimeOffset=\"{}\" startNumber=\"0\" \
         initialization=\"{folder}/$RepresentationID$-init.mp4\" \
         media=\"{folder}/$RepresentationID$-$Number%05d$.m4s\">\n     <SegmentTimeline>",
        timeline.timescale, timeline.zero
    );
    let mut begin = timeline.begins.first().copied().unwrap_or(0);
    for (count, length) in runs(timeline) {
        let _ = write!(text, "      <S t=\"{begin}\" d=\"{length}\"");
        if count > 1 {
            let _ = write!(text, " r=\"{}\"", count - 1);
        }
        text.push_str("/>\n");
        begin += count * length;
    }
    text.push_str("     </SegmentTimeline>\n    </SegmentTemplate>\n");
}

/// (how many, how long) for each run of segments of one length.
fn runs(timeline: &Timeline) -> Vec<(u64, u64)> {
    let ends = timeline.begins.iter().skip(1).copied().chain([timeline.end]);
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for length in timeline.begins.iter().zip(ends).map(|(begin, end)| end.saturating_sub(*begin)) {
        match runs.last_mut() {
            Some((count, last)) if *last == length => *count += 1,
            Some(_) | None => runs.push((1, length)),
        }
    }
    runs
}

/// In seconds; no less than it is.
fn seconds(time: MediaTime) -> String {
    let micros = (time.ns() + 999) / 1000;
    format!("{}.{:06}", micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND)
}

fn ratio(rate: Rational) -> String {
    if rate.den() == 1 { rate.num().to_string() } else { format!("{}/{}", rate.num(), rate.den()) }
}

/// A folder's name as it stands in a URL, in an attribute, in a template.
fn escaped(folder: &str) -> String {
    in_xml(folder).replace('$', "$$")
}

fn in_xml(text: &str) -> String {
    let text: String = text.chars().filter(|letter| !letter.is_control()).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_of_one_length_in_a_row_are_told_once() {
        let timeline = Timeline { timescale: 10, zero: 5, begins: vec![5, 15, 25, 34], end: 38 };
        assert_eq!(runs(&timeline), [(2, 10), (1, 9), (1, 4)]);
        let mut text = String::new();
        put_template(&mut text, "a&b$", &timeline);
        assert!(text.contains("media=\"a&amp;b$$/$RepresentationID$-$Number%05d$.m4s\""), "{text}");
        assert!(text.contains("<S t=\"5\" d=\"10\" r=\"1\"/>\n      <S t=\"25\" d=\"9\"/>"), "{text}");
    }

    #[test]
    fn durations_are_never_told_too_short() {
        assert_eq!(seconds(MediaTime(4_000_000_001)), "4.000001");
        assert_eq!(seconds(MediaTime::from_secs(3600)), "3600.000000");
    }
}
