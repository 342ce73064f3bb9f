//! Which GStreamer elements may be plugged by themselves. Everything else loses its rank before any byte is read,
//! so that a playlist, a project file or a stream description in a film's clothes finds nobody to follow it.

use gst::prelude::*;

use crate::reads::READS;

/// Tags in front of a film, and parsers: they, too, read only the bytes they are handed.
const BETWEEN: &[&str] = &[
    "apedemux",
    "id3demux",
    "codecalphademux",
    "h264parse",
    "h265parse",
    "mpegvideoparse",
    "mpeg4videoparse",
    "h263parse",
    "vp9parse",
    "av1parse",
    "vc1parse",
    "diracparse",
    "jpegparse",
    "pngparse",
    "ac3parse",
    "amrparse",
    "dcaparse",
    "opusparse",
    "wavpackparse",
    "sbcparse",
    "theoraparse",
    "vorbisparse",
    "ogmvideoparse",
    "ogmaudioparse",
    "rawvideoparse",
];

/// libav's decoders are pure functions of their input; these few are not wanted all the same.
const REFUSED_LIBAV: &[&str] = &["avdec_ansi", "avdec_bintext", "avdec_xbin", "avdec_idf", "avdec_wavesynth"];

/// Takes the rank from every element that is not on the list. Called once, before the first pipeline.
pub(crate) fn close_all_but_the_list() {
    let registry = gst::Registry::get();
    for feature in registry.features(gst::ElementFactory::static_type()) {
        let name = feature.name();
        if !is_allowed(&name) {
            feature.set_rank(gst::Rank::NONE);
        }
    }
}

pub(crate) fn is_allowed(name: &str) -> bool {
    let reads = READS.iter().any(|(element, ..)| *element == name);
    reads || BETWEEN.contains(&name) || (name.starts_with("avdec_") && !REFUSED_LIBAV.contains(&name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nothing_that_opens_files_or_sockets_of_its_own_is_allowed() {
        for name in [
            "hlsdemux",
            "hlsdemux2",
            "dashdemux",
            "mssdemux2",
            "sdpdemux",
            "gesdemux",
            "filesrc",
            "souphttpsrc",
            "splitmuxsrc",
            "uridecodebin",
            "decodebin",
            "subparse",
            "multifilesrc",
            "rtspsrc",
            "imagesequencesrc",
        ] {
            assert!(!is_allowed(name), "{name}");
        }
    }

    /// Images keep these and delete all others: `UPDATE=1` writes the list.
    #[test]
    fn images_keep_the_plugins_that_may_be_plugged() {
        gst::init().expect("GStreamer starts");
        let registry = gst::Registry::get();
        let features = registry.features(gst::ElementFactory::static_type());
        let wanted = |name: &str| is_allowed(name) || crate::doctor::TABLE.iter().any(|(needed, ..)| *needed == name);
        let plugins = features.iter().filter(|feature| wanted(&feature.name())).filter_map(|feature| feature.plugin());
        // typefinders are what tells one film from another
        let plugins =
            plugins.chain(registry.find_plugin("typefindfunctions")).chain(registry.find_plugin("coreelements"));
        let files: BTreeSet<String> = plugins
            .filter_map(|plugin| Some(plugin.filename()?.file_name()?.to_str()?.to_owned()))
            .filter(|file| file.starts_with("libgst"))
            .collect();
        let text: String = files.iter().map(|file| format!("{file}\n")).collect();
        let list = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/image/plugins.txt");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(list, &text).expect("the list can be written");
        }
        assert_eq!(std::fs::read_to_string(list).unwrap_or_default(), text);
    }
}
