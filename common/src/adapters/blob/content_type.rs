//! What a store is told of an object for those who fetch it: players and browsers go by it, not by its name.

/// By the extension of its name; `None` where that says nothing.
pub(crate) fn of(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    TYPES.iter().find(|(known, _)| *known == extension).map(|(_, told)| *told)
}

const TYPES: [(&str, &str); 20] = [
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("mpd", "application/dash+xml"),
    ("ts", "video/mp2t"),
    ("m4s", "video/mp4"),
    ("mp4", "video/mp4"),
    ("m4v", "video/mp4"),
    ("mov", "video/quicktime"),
    ("mkv", "video/x-matroska"),
    ("webm", "video/webm"),
    ("flv", "video/x-flv"),
    ("avi", "video/x-msvideo"),
    ("m4a", "audio/mp4"),
    ("mp3", "audio/mpeg"),
    ("ogg", "audio/ogg"),
    ("flac", "audio/flac"),
    ("wav", "audio/wav"),
    ("jpg", "image/jpeg"),
    ("png", "image/png"),
    ("gif", "image/gif"),
    ("vtt", "text/vtt"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_types() {
        assert_eq!(of("made/film-0123/v0-00001.m4s"), Some("video/mp4"));
        assert_eq!(of("INDEX.M3U8"), Some("application/vnd.apple.mpegurl"));
        assert_eq!((of("job/index/0123"), of("plan.bin")), (None, None));
    }
}
