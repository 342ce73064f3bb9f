//! What framefleet needs of GStreamer, and what is there.

use gst::prelude::*;

/// One element that is needed for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub factory: String,
    pub needed_for: String,
    /// The Debian package that brings it.
    pub package: String,
    pub state: State,
    pub required: Need,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Found(String),
    Missing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Required,
    Optional,
}

const BASE: &str = "gstreamer1.0-plugins-base";
const GOOD: &str = "gstreamer1.0-plugins-good";
const BAD: &str = "gstreamer1.0-plugins-bad";
const UGLY: &str = "gstreamer1.0-plugins-ugly";
const X: &str = "gstreamer1.0-x";
const LIBAV: &str = "gstreamer1.0-libav";

/// Factory, what for, package, need. Nothing is made by name in this crate that is not listed here.
pub(crate) const TABLE: &[(&str, &str, &str, Need)] = &[
    ("appsrc", "every pipeline", BASE, Need::Required),
    ("appsink", "every pipeline", BASE, Need::Required),
    ("parsebin", "reading films", BASE, Need::Required),
    ("videoconvertscale", "pictures", BASE, Need::Required),
    ("audioconvert", "sound", BASE, Need::Required),
    ("audioresample", "sound", BASE, Need::Required),
    ("videoflip", "upright pictures", GOOD, Need::Required),
    ("pngdec", "PNG watermarks", GOOD, Need::Required),
    ("jpegdec", "JPEG watermarks", GOOD, Need::Required),
    ("textoverlay", "text watermarks", X, Need::Required),
    ("videocrop", "cropped pictures", GOOD, Need::Required),
    ("qtdemux", "MP4 and MOV sources", GOOD, Need::Required),
    ("matroskademux", "MKV and WebM sources", GOOD, Need::Required),
    ("tsdemux", "MPEG-TS sources", BAD, Need::Required),
    ("h264parse", "H.264", BAD, Need::Required),
    ("h265parse", "HEVC", BAD, Need::Required),
    ("aacparse", "AAC", GOOD, Need::Required),
    ("avdec_h264", "H.264 sources", LIBAV, Need::Required),
    ("avdec_h265", "HEVC sources", LIBAV, Need::Required),
    ("avdec_aac", "AAC sources", LIBAV, Need::Required),
    ("x264enc", "H.264 outputs", UGLY, Need::Required),
    ("x265enc", "HEVC outputs", BAD, Need::Required),
    ("avenc_aac", "AAC outputs", LIBAV, Need::Required),
    ("mpegtsmux", "TS outputs", BAD, Need::Required),
    ("vp8enc", "VP8 outputs", GOOD, Need::Optional),
    ("vp9enc", "VP9 outputs", GOOD, Need::Optional),
    ("av1enc", "AV1 outputs", BAD, Need::Optional),
    ("av1parse", "AV1", BAD, Need::Optional),
    ("avenc_mpeg4", "MPEG-4 outputs, for AVI", LIBAV, Need::Optional),
    ("lamemp3enc", "MP3 outputs", GOOD, Need::Optional),
    ("opusenc", "Opus outputs", BASE, Need::Optional),
    ("vorbisenc", "Vorbis outputs", BASE, Need::Optional),
    ("flacenc", "FLAC outputs", GOOD, Need::Optional),
    ("avenc_ac3", "AC-3 outputs", LIBAV, Need::Optional),
    ("ac3parse", "AC-3 in TS outputs", BAD, Need::Optional),
    ("jpegenc", "JPEG pictures", GOOD, Need::Optional),
    ("jpegdec", "JPEG pictures, read back", GOOD, Need::Optional),
    ("pngenc", "PNG pictures", GOOD, Need::Optional),
    ("pngdec", "PNG pictures, read back", GOOD, Need::Optional),
    ("webpenc", "WebP pictures", BAD, Need::Optional),
    ("webpdec", "WebP pictures, read back", BAD, Need::Optional),
    ("mpegpsdemux", "MPEG program streams", BAD, Need::Optional),
    ("mpegvideoparse", "MPEG-1 and MPEG-2 sources", BAD, Need::Optional),
    ("mpeg4videoparse", "MPEG-4 sources", BAD, Need::Optional),
    ("avidemux", "AVI sources", GOOD, Need::Optional),
    ("flvdemux", "FLV sources", GOOD, Need::Optional),
    ("oggdemux", "Ogg sources", BASE, Need::Optional),
    ("asfdemux", "WMV and WMA sources", UGLY, Need::Optional),
    ("mxfdemux", "MXF sources", BAD, Need::Optional),
    ("wavparse", "WAV sources", GOOD, Need::Optional),
    ("mpegaudioparse", "MP3 sources", GOOD, Need::Optional),
    ("flacparse", "FLAC sources", GOOD, Need::Optional),
    ("vp8dec", "VP8 sources", GOOD, Need::Optional),
    ("vp9dec", "VP9 sources", GOOD, Need::Optional),
    ("av1dec", "AV1 sources", BAD, Need::Optional),
    ("opusdec", "Opus sources", BASE, Need::Optional),
    ("vorbisdec", "Vorbis sources", BASE, Need::Optional),
    ("theoradec", "Theora sources", BASE, Need::Optional),
    ("mp4mux", "`framefleet sample` to MP4", GOOD, Need::Optional),
    ("matroskamux", "`framefleet sample` to MKV", GOOD, Need::Optional),
];

/// Which GStreamer this is; it need not be started.
pub fn gstreamer() -> String {
    let (major, minor, micro, _) = gst::version();
    format!("{major}.{minor}.{micro}")
}

/// What decides the bytes beside the plan. It need not be started.
pub fn build() -> String {
    let marked = if cfg!(feature = "other-headers") { " (other headers)" } else { "" };
    format!("{}{marked} · GStreamer {}", env!("CARGO_PKG_VERSION"), gstreamer())
}

/// What of the table is installed. GStreamer itself missing shows as everything missing.
pub fn inspect() -> Vec<Finding> {
    let started = gst::init().is_ok();
    let state = |name: &str| {
        let factory = started.then(|| gst::ElementFactory::find(name)).flatten();
        let plugin = factory.as_ref().map(|f| f.plugin().map_or_else(String::new, |p| p.version().to_string()));
        plugin.map_or(State::Missing, State::Found)
    };
    let finding = |(factory, needed_for, package, required): &(&str, &str, &str, Need)| Finding {
        factory: (*factory).to_owned(),
        needed_for: (*needed_for).to_owned(),
        package: (*package).to_owned(),
        state: state(factory),
        required: *required,
    };
    TABLE.iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_needed_is_installed_where_tests_run() {
        let missing: Vec<_> = inspect().into_iter().filter(|f| f.state == State::Missing).collect();
        assert_eq!(missing, vec![]);
    }
}
