//! Which GStreamer elements may be plugged by themselves. Everything else loses its rank before any byte is read,
//! so that a playlist, a project file or a stream description in a film's clothes finds nobody to follow it.

use gst::prelude::*;

/// Demuxers, parsers and decoders that read only the bytes they are handed.
const ALLOWED: &[&str] = &[
    // demuxers
    "qtdemux",
    "matroskademux",
    "tsdemux",
    "mpegpsdemux",
    "avidemux",
    "flvdemux",
    "oggdemux",
    "asfdemux",
    "mxfdemux",
    "wavparse",
    "aiffparse",
    "auparse",
    "ivfparse",
    "id3demux",
    "apedemux",
    "dvdemux",
    "rmdemux",
    "y4mdec",
    "avdemux_nut",
    "avdemux_gxf",
    "avdemux_nsv",
    "avdemux_ape",
    "avdemux_tta",
    "avdemux_mpc",
    "avdemux_mpc8",
    "avdemux_voc",
    "codecalphademux",
    "avdemux_ipmovie",
    "avdemux_film_cpk",
    "avdemux_smk",
    // parsers
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
    "aacparse",
    "ac3parse",
    "amrparse",
    "dcaparse",
    "flacparse",
    "mpegaudioparse",
    "opusparse",
    "wavpackparse",
    "sbcparse",
    "theoraparse",
    "vorbisparse",
    "ogmvideoparse",
    "ogmaudioparse",
    // decoders
    "vp8dec",
    "vp9dec",
    "av1dec",
    "theoradec",
    "jpegdec",
    "pngdec",
    "dvdec",
    "vorbisdec",
    "opusdec",
    "flacdec",
    "mpg123audiodec",
    "speexdec",
    "wavpackdec",
    "alawdec",
    "mulawdec",
    "adpcmdec",
    "amrnbdec",
    "amrwbdec",
    "gsmdec",
    "musepackdec",
    "sbcdec",
    "rawvideoparse",
    "rawaudioparse",
    "dvdlpcmdec",
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
    ALLOWED.contains(&name) || (name.starts_with("avdec_") && !REFUSED_LIBAV.contains(&name))
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
