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
}
