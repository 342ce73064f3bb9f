//! What was asked for, by flags or by a job file: still text, not yet checked.

/// What is asked for by the name of a pipeline.
pub mod by_pipeline;
/// What is asked for once a job has ended.
pub mod steps;

use framefleet_model::holds::HOLDS;
use framefleet_model::media::Container;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::steps::AskedStep;
use crate::args::{FilmArgs, VideoArgs, WatermarkArgs};
use crate::jobfile::schema::{self, Scalars};
use crate::packaging::{AskedDash, AskedHls, AskedLadder, ByFlags};
use crate::sound::Value;

/// What `--overwrite` says of outputs that stand there already, whatever the job file says.
pub const OVERWRITE: &str = "replace";

/// A whole wish: everything but where state is kept and how many work on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub source: String,
    /// A pipeline of the coordinator's, by its name, which says all that is not the source's or the job's own.
    pub pipeline: Option<String>,
    /// The folder that a pipeline's outputs lie below.
    pub into: Option<String>,
    pub outputs: Vec<AskedOutput>,
    pub segment_duration: Option<String>,
    pub damaged: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    /// What becomes of something that stands at an output already.
    pub on_existing: Option<String>,
    /// How the job stands among others; a fleet of one job does not ask.
    pub terms: AskedTerms,
    /// What happens once the job has ended; a fleet of one job has nobody to speak to.
    pub steps: Vec<AskedStep>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskedTerms {
    pub tenant: Option<String>,
    pub priority: Option<String>,
    pub deadline: Option<String>,
}

/// A file or a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Output)]
pub struct AskedOutput {
    pub to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    #[serde(default)]
    pub video: AskedVideo,
    #[serde(default)]
    pub audio: AskedAudio,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnails: Option<AskedThumbnails>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sprites: Option<AskedSprites>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gif: Option<AskedGif>,
    /// How a playlist's segments are cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hls: Option<AskedHls>,
    /// The same of a manifest of DASH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dash: Option<AskedDash>,
    /// The variants of either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ladder: Option<AskedLadder>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub watermarks: Vec<AskedWatermark>,
}

/// Settings that are all text until they are checked.
macro_rules! texts {
    ($(#[$doc:meta])* $name:ident as $called:ident { $($key:ident),* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        #[schema(as = $called)]
        pub struct $name {
            $(
                #[serde(default, deserialize_with = "text", skip_serializing_if = "Option::is_none")]
                #[schema(value_type = Scalars)]
                pub $key: Option<String>,
            )*
        }
    };
}
texts!(
    /// Pictures of moments; several have commas between them.
    AskedThumbnails as Thumbnails { at, every, start, duration, size, upscale, quality }
);
texts!(
    /// Sheets of pictures, and where on them players find each.
    AskedSprites as Sprites { interval, start, duration, tile, size, upscale, padding, margin, colour, format, quality }
);
texts!(
    /// A moving picture.
    AskedGif as Gif { start, duration, pictures, fps, size, upscale, palette, dither }
);

/// The word `none`, or settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskedVideo {
    pub codec: Option<String>,
    pub preset: Option<String>,
    pub crf: Option<String>,
    pub bitrate: Option<String>,
    pub max_bitrate: Option<String>,
    pub size: Option<String>,
    pub fps: Option<String>,
    pub keyframe_interval: Option<String>,
    pub size_mode: Option<String>,
    pub upscale: Option<String>,
    pub deinterlace: Option<String>,
    pub crop: Option<String>,
    pub rotate: Option<String>,
    pub flip: Option<String>,
    pub pad: Option<String>,
    pub pad_colour: Option<String>,
    pub pixel_aspect: Option<String>,
    pub colour: Option<String>,
    pub range: Option<String>,
    pub depth: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskedAudio {
    pub codec: Option<String>,
    pub tracks: Option<String>,
    pub bitrate: Option<String>,
    pub sample_rate: Option<String>,
    pub channels: Option<String>,
    pub downmix: Option<String>,
    pub denoise: Option<String>,
    pub loudness: Option<String>,
    pub true_peak: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskedWatermark {
    pub image: Option<String>,
    pub text: Option<String>,
    pub anchor: Option<String>,
    pub margin: Option<String>,
    pub size: Option<String>,
    pub opacity: Option<String>,
    pub colour: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
}

impl Asked {
    /// The flags are the short form: one set of settings for every OUT.
    pub fn by_flags(film: &FilmArgs) -> Self {
        let (video, audio) = (AskedVideo::from(&film.video), AskedAudio::from(&film.audio));
        let packages = ByFlags::of(&film.package, &film.outputs);
        let container = &film.container.container;
        let output = |to: &String| AskedOutput {
            to: to.clone(),
            container: container.clone(),
            // Settings of pictures are for those OUTs that have some.
            video: if video.codec.is_none() && is_sound_alone(to, container.as_deref()) {
                AskedVideo::default()
            } else {
                video.clone()
            },
            audio: audio.clone(),
            hls: packages.hls(to),
            dash: packages.dash(to),
            ladder: packages.ladder(to),
            watermarks: AskedWatermark::by_flags(&film.watermark).into_iter().collect(),
            ..AskedOutput::default()
        };
        Self {
            source: film.source.clone().unwrap_or_default(),
            pipeline: None,
            into: None,
            outputs: film.outputs.iter().map(output).collect(),
            segment_duration: film.work.segment_duration.clone(),
            damaged: film.work.damaged.clone(),
            from: film.work.from.clone(),
            to: film.work.to.clone(),
            on_existing: None,
            terms: AskedTerms::default(),
            steps: Vec::new(),
        }
    }
}

fn is_sound_alone(to: &str, container: Option<&str>) -> bool {
    let named = |name: &str| HOLDS.iter().find(|row| row.name == name);
    let meant = |name: &str| Container::of_extension(name).map(Container::holds);
    let holds = container.map_or_else(|| to.rsplit_once('.').and_then(|(_, name)| meant(name)), named);
    holds.is_some_and(|row| row.video.is_empty())
}

impl AskedWatermark {
    /// One, if any of its flags is given.
    pub fn by_flags(args: &WatermarkArgs) -> Option<Self> {
        let asked = Self {
            image: args.watermark.clone(),
            text: args.watermark_text.clone(),
            anchor: args.watermark_anchor.clone(),
            margin: args.watermark_margin.clone(),
            size: args.watermark_size.clone(),
            opacity: args.watermark_opacity.clone(),
            colour: args.watermark_colour.clone(),
            from: args.watermark_from.clone(),
            to: args.watermark_to.clone(),
        };
        (asked != Self::default()).then_some(asked)
    }
}

impl From<&VideoArgs> for AskedVideo {
    fn from(args: &VideoArgs) -> Self {
        Self {
            codec: args.video_codec.clone(),
            preset: args.preset.clone(),
            crf: args.crf.clone(),
            bitrate: args.video_bitrate.clone(),
            max_bitrate: args.max_bitrate.clone(),
            size: args.size.clone(),
            fps: args.fps.clone(),
            keyframe_interval: args.keyframe_interval.clone(),
            size_mode: args.size_mode.clone(),
            upscale: args.upscale.then(|| true.to_string()),
            deinterlace: args.deinterlace.clone(),
            crop: args.crop.clone(),
            rotate: args.rotate.clone(),
            flip: args.flip.clone(),
            pad: args.pad.clone(),
            pad_colour: args.pad_colour.clone(),
            pixel_aspect: args.pixel_aspect.clone(),
            colour: args.colour.clone(),
            range: args.colour_range.clone(),
            depth: args.depth.clone(),
        }
    }
}

/// A scalar as it was written: `crf: 23`, `fps: 29.97` and `size: 1280x720` are all text here.
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl Visitor<'_> for Scalar {
            type Value = Text;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a number")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
            fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Text, E> {
                Ok(Text(truth.to_string()))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
        }
        from.deserialize_any(Scalar)
    }
}

/// A scalar, or a list of them with commas between.
fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Texts {
        One(Text),
        Several(Vec<Text>),
    }
    Texts::deserialize(from).map(|texts| match texts {
        Texts::One(text) => Some(text.0),
        Texts::Several(texts) => Some(texts.into_iter().map(|text| text.0).collect::<Vec<_>>().join(",")),
    })
}

/// Either a word, which stands for the key that is named first, or a map of these keys, each a scalar; any other key is
/// refused by name.
macro_rules! none_or_settings {
    ($name:ident as $called:literal, $word:ident { $($key:ident),* }) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Settings;
                impl<'de> Visitor<'de> for Settings {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a word, or settings")
                    }
                    fn visit_str<E: de::Error>(self, word: &str) -> Result<$name, E> {
                        Ok($name { $word: Some(word.to_owned()), ..$name::default() })
                    }
                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut settings = $name::default();
                        while let Some(key) = map.next_key::<String>()? {
                            for (key, text) in map.next_value::<Value>()?.under(key)? {
                                let slot = match key.as_str() {
                                    $(stringify!($key) => &mut settings.$key,)*
                                    other => return Err(de::Error::unknown_field(other, &[$(stringify!($key)),*])),
                                };
                                if slot.replace(text).is_some() {
                                    return Err(de::Error::custom(format_args!("{key} is given twice")));
                                }
                            }
                        }
                        Ok(settings)
                    }
                }
                from.deserialize_any(Settings)
            }
        }
        impl $name {
            /// Every key and what is said to it.
            pub fn given(&self) -> Vec<(&'static str, &Option<String>)> {
                vec![$((stringify!($key), &self.$key)),*]
            }
        }
        schema::word_or_settings!($name as $called, $($key),*);
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_map(self.given().into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))))
            }
        }
    };
}
none_or_settings!(AskedVideo as "Video", codec {
    codec,
    preset,
    crf,
    bitrate,
    max_bitrate,
    size,
    fps,
    keyframe_interval,
    size_mode,
    upscale,
    deinterlace,
    crop,
    rotate,
    flip,
    pad,
    pad_colour,
    pixel_aspect,
    colour,
    range,
    depth
});
none_or_settings!(AskedAudio as "Audio", codec {
    codec,
    tracks,
    bitrate,
    sample_rate,
    channels,
    downmix,
    denoise,
    loudness,
    true_peak
});
none_or_settings!(AskedWatermark as "Watermark", image { image, text, anchor, margin, size, opacity, colour, from, to });
