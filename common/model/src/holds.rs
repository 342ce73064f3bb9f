//! Which codecs a container holds, and what it takes where nothing is asked for: the one table that requests, help and
//! README are made from.

use crate::media::{AudioCodec, Container, VideoCodec};

/// What one container takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holds {
    pub container: Container,
    pub name: &'static str,
    /// Of file names; the first is the usual one; none where only a container's name asks for it.
    pub extensions: &'static [&'static str],
    /// The first is taken where none is asked for; none at all in a container of sound alone.
    pub video: &'static [VideoCodec],
    /// The first is taken where none is asked for.
    pub audio: &'static [AudioCodec],
    pub sounds: Sounds,
}

/// How many sound tracks a container holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sounds {
    One,
    Several,
}

/// A container that does not hold a codec; says what would do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{container} holds no {codec}{instead}; {codec} goes into {places}")]
pub struct Refused {
    container: &'static str,
    codec: &'static str,
    instead: String,
    places: String,
}

pub const HOLDS: [Holds; 13] = {
    use AudioCodec::{Aac, Ac3, Flac, Mp3, Opus, Pcm, Vorbis};
    use VideoCodec::{Av1, H264, Hevc, Mpeg4, Vp8, Vp9};
    [
        holds(Container::Mp4, ("mp4", &["mp4", "m4v"]), (&[H264, Hevc, Av1, Vp9], &[Aac, Mp3, Ac3])),
        holds(Container::Fmp4, ("fmp4", &[]), (&[H264, Hevc, Av1, Vp9], &[Aac, Mp3, Ac3])),
        holds(Container::Mov, ("mov", &["mov", "qt"]), (&[H264, Hevc], &[Aac, Pcm])),
        holds(
            Container::Mkv,
            ("mkv", &["mkv", "mka"]),
            (&[H264, Hevc, Av1, Vp9, Vp8], &[Aac, Opus, Vorbis, Flac, Mp3, Ac3, Pcm]),
        ),
        holds(Container::Webm, ("webm", &["webm"]), (&[Vp9, Vp8, Av1], &[Opus, Vorbis])),
        holds(Container::Ts, ("ts", &["ts", "m2ts", "mts"]), (&[H264, Hevc], &[Aac, Mp3, Ac3])),
        holds(Container::Flv, ("flv", &["flv"]), (&[H264], &[Aac, Mp3])),
        holds(Container::Avi, ("avi", &["avi"]), (&[Mpeg4, H264], &[Mp3, Pcm, Ac3])),
        holds(Container::M4a, ("m4a", &["m4a"]), (&[], &[Aac])),
        holds(Container::Mp3, ("mp3", &["mp3"]), (&[], &[Mp3])),
        holds(Container::Ogg, ("ogg", &["ogg", "oga", "opus"]), (&[], &[Opus, Vorbis, Flac])),
        holds(Container::Flac, ("flac", &["flac"]), (&[], &[Flac])),
        holds(Container::Wav, ("wav", &["wav"]), (&[], &[Pcm])),
    ]
};

/// Pictures of a film are in no container.
const PICTURES: Holds = holds(Container::Images, ("images", &[]), (&[], &[]));

const fn holds(
    container: Container,
    (name, extensions): (&'static str, &'static [&'static str]),
    (video, audio): (&'static [VideoCodec], &'static [AudioCodec]),
) -> Holds {
    let sounds = match container {
        Container::Mp4
        | Container::Fmp4
        | Container::Mov
        | Container::Mkv
        | Container::Webm
        | Container::Ts
        | Container::Avi => Sounds::Several,
        // MP4 by its boxes, but players of music know one track.
        Container::M4a => Sounds::One,
        Container::Flv | Container::Mp3 | Container::Ogg | Container::Flac | Container::Wav | Container::Images => {
            Sounds::One
        }
    };
    Holds { container, name, extensions, video, audio, sounds }
}

impl Container {
    pub const ALL: [Self; HOLDS.len()] = {
        let mut all = [Self::Mp4; HOLDS.len()];
        let mut at = 0;
        while at < HOLDS.len() {
            all[at] = HOLDS[at].container;
            at += 1;
        }
        all
    };

    pub fn holds(self) -> &'static Holds {
        HOLDS.iter().find(|row| row.container == self).unwrap_or(&PICTURES)
    }

    pub fn name(self) -> &'static str {
        self.holds().name
    }

    /// What players take in segments of this container; `None` where packages have none of it.
    pub fn in_segments(self) -> Option<Holds> {
        let (video, audio, sounds): (&[VideoCodec], &[AudioCodec], _) = match self {
            // Players of playlists choose between lists, not between the tracks of a file.
            Self::Ts => (&[VideoCodec::H264], &[AudioCodec::Aac], Sounds::One),
            Self::Fmp4 => (&[VideoCodec::H264, VideoCodec::Hevc], &[AudioCodec::Aac, AudioCodec::Ac3], Sounds::Several),
            _ => return None,
        };
        Some(Holds { video, audio, sounds, ..*self.holds() })
    }

    /// The container that a file name's extension means.
    pub fn of_extension(extension: &str) -> Option<Self> {
        let extension = extension.to_ascii_lowercase();
        HOLDS.iter().find(|row| row.extensions.contains(&extension.as_str())).map(|row| row.container)
    }
}

impl Holds {
    pub fn check_video(&self, codec: VideoCodec) -> Result<(), Refused> {
        let places = HOLDS.iter().filter(|row| row.video.contains(&codec)).map(|row| row.name);
        let known = self.video.iter().map(|known| known.name());
        if self.video.contains(&codec) { Ok(()) } else { Err(self.refuse(codec.name(), known, places)) }
    }

    pub fn check_audio(&self, codec: AudioCodec) -> Result<(), Refused> {
        let places = HOLDS.iter().filter(|row| row.audio.contains(&codec)).map(|row| row.name);
        let known = self.audio.iter().map(|known| known.name());
        if self.audio.contains(&codec) { Ok(()) } else { Err(self.refuse(codec.name(), known, places)) }
    }

    fn refuse(
        &self,
        codec: &'static str,
        known: impl Iterator<Item = &'static str>,
        places: impl Iterator<Item = &'static str>,
    ) -> Refused {
        let known: Vec<&str> = known.collect();
        let instead = if known.is_empty() { String::new() } else { format!(" but {}", known.join(", ")) };
        Refused { container: self.name, codec, instead, places: places.collect::<Vec<_>>().join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_container_has_one_row_and_every_extension_one_meaning() {
        let extensions: Vec<&str> = HOLDS.iter().flat_map(|row| row.extensions).copied().collect();
        for extension in &extensions {
            assert_eq!(extensions.iter().filter(|other| other == &extension).count(), 1, "{extension}");
        }
        for container in Container::ALL {
            assert_eq!(HOLDS.iter().filter(|row| row.container == container).count(), 1, "{container:?}");
            assert!(!container.holds().audio.is_empty());
        }
        assert_eq!(Container::of_extension("M2TS"), Some(Container::Ts));
        assert_eq!(Container::of_extension("gif"), None);
    }

    #[test]
    fn a_refusal_names_what_would_do() {
        let refused = |container: Container, codec| container.holds().check_video(codec).unwrap_err().to_string();
        assert_eq!(
            refused(Container::Avi, VideoCodec::Hevc),
            "avi holds no hevc but mpeg4, h264; hevc goes into mp4, fmp4, mov, mkv, ts"
        );
        assert_eq!(refused(Container::Wav, VideoCodec::Vp8), "wav holds no vp8; vp8 goes into mkv, webm");
        assert!(Container::Webm.holds().check_audio(AudioCodec::Opus).is_ok());
    }
}
