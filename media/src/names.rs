//! Short names of containers and codecs, as people know them; what has none is called by its media type.

/// What a container is called, by what typefinding found.
pub(crate) fn container(media_type: &str) -> String {
    let name = match media_type {
        "video/x-matroska" | "audio/x-matroska" => "mkv",
        "video/webm" | "audio/webm" => "webm",
        "video/mpegts" => "ts",
        "video/mpeg" => "ps",
        "video/x-msvideo" => "avi",
        "video/x-flv" => "flv",
        "application/ogg" | "audio/ogg" | "video/ogg" => "ogg",
        "video/x-ms-asf" => "asf",
        "application/mxf" => "mxf",
        "audio/x-wav" => "wav",
        "audio/x-aiff" => "aiff",
        "audio/x-au" => "au",
        "audio/x-flac" => "flac",
        "video/x-ivf" => "ivf",
        "video/x-nut" => "nut",
        "video/x-dv" => "dv",
        "application/gxf" => "gxf",
        "application/vnd.rn-realmedia" => "rm",
        other => other,
    };
    name.to_owned()
}

/// Whether a film of this type is the units of one track, and whoever asks for its length is given a guess.
pub(crate) fn is_bare(media_type: &str) -> bool {
    const TAGS: [&str; 2] = ["application/x-id3", "application/x-apetag"];
    const STREAMS: [&str; 8] = [
        "audio/mpeg",
        "audio/x-ac3",
        "audio/x-eac3",
        "audio/x-dts",
        "video/x-h264",
        "video/x-h265",
        "video/mpeg-elementary",
        // its units are framed, and no more
        "video/x-ivf",
    ];
    TAGS.contains(&media_type) || STREAMS.contains(&media_type)
}

/// What a track's codec is called.
pub(crate) fn codec(caps: &gst::StructureRef) -> String {
    let media_type = caps.name().as_str();
    let number = |field: &str| caps.get::<i32>(field).unwrap_or(0);
    let text = |field: &str| caps.get::<String>(field).unwrap_or_default();
    let name = match media_type {
        "video/mpeg" => match number("mpegversion") {
            1 => "mpeg1video",
            2 => "mpeg2video",
            _ => "mpeg4",
        },
        "audio/mpeg" => match (number("mpegversion"), number("layer")) {
            (1, 1) => "mp1",
            (1, 2) => "mp2",
            (1, _) => "mp3",
            _ => "aac",
        },
        "audio/x-raw" => return format!("pcm_{}", text("format").to_ascii_lowercase()),
        "video/x-raw" => "rawvideo",
        "video/x-h265" => "hevc",
        "image/jpeg" => "mjpeg",
        "image/png" => "png",
        "video/x-flash-video" => "flv1",
        "video/x-wmv" => match (text("format").as_str(), number("wmvversion")) {
            ("WVC1", _) => "vc1",
            (_, 1) => "wmv1",
            (_, 2) => "wmv2",
            _ => "wmv3",
        },
        "audio/x-wma" => match number("wmaversion") {
            1 => "wmav1",
            2 => "wmav2",
            3 => "wmapro",
            _ => "wmalossless",
        },
        "video/x-msmpeg" => return format!("msmpeg4v{}", number("msmpegversion") % 10),
        "video/x-indeo" => return format!("indeo{}", number("indeoversion")),
        "video/x-svq" => return format!("svq{}", number("svqversion")),
        "video/x-msvideocodec" => "msvideo1",
        "video/x-camtasia" => "tscc",
        "video/x-cineform" => "cfhd",
        "audio/x-alaw" => "pcm_alaw",
        "audio/x-mulaw" => "pcm_mulaw",
        "audio/AMR" => "amr_nb",
        "audio/AMR-WB" => "amr_wb",
        "text/x-raw" => "text",
        "application/x-ass" => "ass",
        "application/x-ssa" => "ssa",
        "subpicture/x-dvd" => "dvd_subtitle",
        "subpicture/x-pgs" => "pgs",
        "subpicture/x-dvb" => "dvb_subtitle",
        // `video/x-h264` is h264, `audio/x-opus` is opus
        other => other.split_once("/x-").filter(|(kind, _)| matches!(*kind, "video" | "audio")).map_or(other, |n| n.1),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_have_the_names_that_people_know() {
        gst::init().unwrap();
        let named = [
            ("video/x-h264, width=(int)16", "h264"),
            ("video/mpeg, mpegversion=(int)4, systemstream=(boolean)false", "mpeg4"),
            ("audio/mpeg, mpegversion=(int)1, layer=(int)3", "mp3"),
            ("audio/mpeg, mpegversion=(int)4", "aac"),
            ("audio/x-raw, format=(string)S16LE", "pcm_s16le"),
            ("application/x-nobody-knows", "application/x-nobody-knows"),
        ];
        for (caps, name) in named {
            let caps: gst::Caps = caps.parse().unwrap();
            assert_eq!(codec(caps.structure(0).unwrap()), name);
        }
    }
}
