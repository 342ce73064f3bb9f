//! Titles, languages, chapters, default tracks, HDR metadata: what a film says of itself.

use framefleet_model::media::{Chapter, Tags, VideoFormat};
use framefleet_model::time::{MediaTime, Rational};

use crate::isobmff::reader::{self as isobmff, Enabled, Presented};
use crate::tap::{Tap, short_title};

/// Longer titles are cut: a tag is no place for a book.
const TITLE_CHARS_MAX: usize = 1024;
const CHAPTERS_MAX: usize = 1000;

pub(crate) fn tags(taps: &[Tap]) -> Tags {
    let mut tags = Tags::default();
    for tap in taps {
        let heard = tap.heard();
        if tags.title.is_none() {
            tags.title = heard.tags.get::<gst::tags::Title>().map(|t| t.get().chars().take(TITLE_CHARS_MAX).collect());
        }
        if tags.created_unix.is_none() {
            tags.created_unix = heard.tags.get::<gst::tags::DateTime>().and_then(|t| unix_seconds(&t.get()));
        }
    }
    tags
}

pub(crate) fn chapters(taps: &[Tap]) -> Vec<Chapter> {
    let toc = taps.iter().find_map(|tap| tap.heard().toc.clone());
    let mut chapters = Vec::new();
    for entry in toc.iter().flat_map(|toc| toc.entries()) {
        collect_chapters(&entry, &mut chapters);
    }
    chapters
}

/// Editions hold chapters; chapters within chapters are told flat.
fn collect_chapters(entry: &gst::TocEntry, chapters: &mut Vec<Chapter>) {
    if entry.entry_type() == gst::TocEntryType::Chapter
        && chapters.len() < CHAPTERS_MAX
        && let Some((start, end)) = entry.start_stop_times()
    {
        let time = |ns: i64| MediaTime(ns.max(0));
        let title = entry.tags().and_then(|t| t.get::<gst::tags::Title>().map(|t| t.get().to_owned()));
        chapters.push(Chapter { start: time(start), end: time(end), title: title.unwrap_or_default() });
    }
    for sub in entry.sub_entries() {
        collect_chapters(&sub, chapters);
    }
}

pub(crate) fn language(tags: &gst::TagList) -> Option<String> {
    let code = tags.get::<gst::tags::LanguageCode>().map(|t| t.get().to_ascii_lowercase());
    code.filter(|c| (2..=8).contains(&c.len()) && c.is_ascii() && c != "und")
}

pub(crate) fn caps_rate(caps: &gst::Caps) -> Option<Rational> {
    let rate = caps.structure(0)?.get::<gst::Fraction>("framerate").ok()?;
    let rate = Rational::new(u32::try_from(rate.numer()).ok()?, u32::try_from(rate.denom()).ok()?).ok()?;
    (rate.num() / rate.den() <= 1000).then_some(rate)
}

pub(crate) fn coded_size(caps: &gst::Caps) -> Option<(i32, i32)> {
    let structure = caps.structure(0)?;
    Some((structure.get("width").ok()?, structure.get("height").ok()?))
}

fn unix_seconds(time: &gst::DateTime) -> Option<i64> {
    let utc = time.to_g_date_time().ok()?;
    Some(utc.to_unix())
}

/// MP4 says of tracks whether players show them unasked and what they are called, and GStreamer's demuxer does not tell.
pub(crate) fn mark_tracks(taps: &[Tap], film: &Presented) {
    let told = isobmff::told(film);
    for tap in taps {
        let mut heard = tap.heard();
        let Some(told) = told.iter().find(|told| told.id == heard.id) else { continue };
        if told.enabled == Enabled::Yes {
            heard.flags |= gst::StreamFlags::SELECT;
        }
        heard.title = told.title.as_deref().and_then(short_title);
    }
}

/// The HDR metadata of MP4's boxes, where the pictures do not carry their own.
pub(crate) fn add_display(format: &mut VideoFormat, (track, film): (&str, &Presented)) {
    if let Some(told) = isobmff::told(film).into_iter().find(|told| told.id == track) {
        format.mastering = format.mastering.or(told.mastering);
        format.light = format.light.or(told.light);
    }
}
