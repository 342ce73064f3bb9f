//! The job file: what the flags say, in YAML or JSON, with settings of its own for each output.
//!
//! ```yaml
//! version: 1
//! source: film.mov
//! outputs:
//!   - to: "{stem}.mp4"
//!     video: { codec: h264, preset: medium, crf: 23, size: 1280x720 }
//!     audio: { codec: aac, bitrate: 128k }
//! segment: { duration: 5s }
//! ```
//! or, where a coordinator has pipelines, the name of one, and where its outputs go:
//! ```yaml
//! version: 1
//! source: s3://films/in/a.mov
//! pipeline: web@3
//! into: s3://made/web/{dir}
//! ```

/// How it looks, for the API's document.
pub mod schema;

use std::path::Path;

use framefleet_model::fault::{Fault, FaultKind};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::asked::steps::AskedStep;
use crate::asked::{Asked, AskedOutput, AskedTerms, Text};

const VERSION: u32 = 1;
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What is asked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobFile {
    /// 1.
    #[schema(minimum = 1, maximum = 1)]
    version: u32,
    source: String,
    /// Of the coordinator's pipelines the one that says what is made, by `name@version`, or by its name where it has one
    /// version; in place of `outputs`.
    pipeline: Option<String>,
    /// The folder that the pipeline's outputs lie below, a URL in which `{stem}`, `{ext}`, `{dir}`, `{date}` and `{job}` may
    /// stand.
    into: Option<String>,
    #[serde(default)]
    outputs: Vec<AskedOutput>,
    #[serde(default)]
    segment: Segment,
    damaged: Option<String>,
    from: Option<Text>,
    to: Option<Text>,
    on_existing: Option<String>,
    tenant: Option<String>,
    priority: Option<String>,
    deadline: Option<Text>,
    #[serde(default)]
    steps: Vec<AskedStep>,
}

/// How the film is cut.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Segment {
    duration: Option<Text>,
}

pub fn read(path: &Path) -> Result<Asked, Fault> {
    let refused = |why: String| Fault::new(FaultKind::Settings, format!("job file {}: {why}", path.display()));
    let size = std::fs::metadata(path).map_err(|e| refused(e.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(refused(format!("{size} bytes are over the bound of {FILE_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| refused(e.to_string()))?;
    parse(&text).map_err(refused)
}

pub fn parse(text: &str) -> Result<Asked, String> {
    let file: JobFile = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|e| e.to_string())?
    } else {
        serde_saphyr::from_str(text).map_err(|e| first_line(&e.to_string()))?
    };
    if file.version != VERSION {
        return Err(format!("version {} is not {VERSION}", file.version));
    }
    Ok(Asked {
        source: file.source,
        pipeline: file.pipeline,
        into: file.into,
        outputs: file.outputs,
        segment_duration: file.segment.duration.map(|text| text.0),
        damaged: file.damaged,
        from: file.from.map(|text| text.0),
        to: file.to.map(|text| text.0),
        on_existing: file.on_existing,
        terms: AskedTerms { tenant: file.tenant, priority: file.priority, deadline: file.deadline.map(|text| text.0) },
        steps: file.steps,
    })
}

/// The same in JSON, for a coordinator to read.
pub fn to_json(asked: &Asked) -> Vec<u8> {
    let mut file = serde_json::Map::new();
    let mut put = |key: &str, value: Option<serde_json::Value>| {
        if let Some(value) = value {
            file.insert(key.to_owned(), value);
        }
    };
    let text = |text: &Option<String>| text.clone().map(serde_json::Value::from);
    put("version", Some(VERSION.into()));
    put("source", Some(asked.source.clone().into()));
    put("pipeline", text(&asked.pipeline));
    put("into", text(&asked.into));
    let outputs = Some(&asked.outputs).filter(|outputs| !outputs.is_empty());
    put("outputs", outputs.and_then(|outputs| serde_json::to_value(outputs).ok()));
    put("segment", text(&asked.segment_duration).map(|duration| serde_json::json!({ "duration": duration })));
    put("damaged", text(&asked.damaged));
    put("from", text(&asked.from));
    put("to", text(&asked.to));
    put("on_existing", text(&asked.on_existing));
    put("tenant", text(&asked.terms.tenant));
    put("priority", text(&asked.terms.priority));
    put("deadline", text(&asked.terms.deadline));
    let steps = Some(&asked.steps).filter(|steps| !steps.is_empty());
    put("steps", steps.and_then(|steps| serde_json::to_value(steps).ok()));
    serde_json::to_vec(&file).expect("a job file has only string keys")
}

/// The parser draws the place below its message.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asked::{AskedAudio, AskedVideo};

    const YAML: &str = "
version: 1
source: film.mov
outputs:
  - to: out/{stem}.mp4
    video: { codec: hevc, crf: 23, fps: 29.97, size: 1280x720, size_mode: pad, upscale: true, keyframe_interval: 2s }
    audio: none
    watermarks: [logo.png, { text: 'a, b', anchor: top, opacity: 50, from: 1s }]
  - to: sound.mp4
    container: mp4
    video: none
    audio: { bitrate: 128k, sample_rate: 48000, channels: 2 }
segment: { duration: 5s }
damaged: keep
from: 00:00:10.5
priority: urgent
deadline: 2h
";

    #[test]
    fn yaml_and_json_say_the_same() {
        let asked = parse(YAML).unwrap();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(asked.outputs[0].video.fps, text("29.97"));
        assert_eq!(asked.outputs[0].audio, AskedAudio { codec: text("none"), ..AskedAudio::default() });
        assert_eq!(asked.outputs[1].video, AskedVideo { codec: text("none"), ..AskedVideo::default() });
        assert_eq!((asked.segment_duration.clone(), asked.from.clone()), (text("5s"), text("00:00:10.5")));
        let json = r#"{"version": 1, "source": "film.mov", "outputs": [
            {"to": "out/{stem}.mp4", "video": {"codec": "hevc", "crf": 23, "fps": 29.97, "size": "1280x720",
             "size_mode": "pad", "upscale": true,
             "keyframe_interval": "2s"}, "audio": "none",
             "watermarks": ["logo.png", {"text": "a, b", "anchor": "top", "opacity": 50, "from": "1s"}]},
            {"to": "sound.mp4", "container": "mp4", "video": "none",
             "audio": {"bitrate": "128k", "sample_rate": 48000, "channels": 2}}],
            "segment": {"duration": "5s"}, "damaged": "keep", "from": "00:00:10.5", "priority": "urgent",
            "deadline": "2h"}"#;
        assert_eq!(parse(json), Ok(asked.clone()));
        let sent = String::from_utf8(to_json(&asked)).unwrap();
        assert_eq!(parse(&sent), Ok(asked), "{sent}");
    }

    #[test]
    fn loudness_is_a_number_or_says_its_parts() {
        let audio = |text: &str| {
            let file = format!("version: 1\nsource: a\noutputs:\n  - to: b.mp4\n    audio: {{ {text} }}\n");
            parse(&file).map(|asked| asked.outputs[0].audio.clone())
        };
        let flat = audio("denoise: true, loudness: -16, true_peak: -1.5").unwrap();
        assert_eq!(flat.loudness, Some("-16".to_owned()));
        assert_eq!(audio("denoise: true, loudness: { integrated: -16, true_peak: -1.5 }"), Ok(flat));
        assert!(audio("loudness: { momentary: -16 }").unwrap_err().contains("momentary"));
        assert!(audio("bitrate: { integrated: -16 }").unwrap_err().contains("bitrate is a map"));
    }

    #[test]
    fn sound_tracks_are_a_word_or_a_list() {
        let tracks = |text: &str| {
            let file = format!("version: 1\nsource: a\noutputs:\n  - to: b.mp4\n    audio: {{ {text} }}\n");
            parse(&file).map(|asked| asked.outputs[0].audio.tracks.clone())
        };
        assert_eq!(tracks("tracks: all"), Ok(Some("all".to_owned())));
        assert_eq!(tracks("tracks: 2"), Ok(Some("2".to_owned())));
        assert_eq!(tracks("tracks: [1, deu]"), Ok(Some("1,deu".to_owned())));
        assert!(tracks("bitrate: [1, 2]").unwrap_err().contains("bitrate is a list"));
    }

    #[test]
    fn what_it_does_not_know_is_refused_by_name() {
        let with = |extra: &str| parse(&format!("version: 1\nsource: a\noutputs: []\n{extra}")).unwrap_err();
        assert!(with("hurry: yes").contains("hurry"), "{}", with("hurry: yes"));
        assert!(with("segment: { length: 5s }").contains("length"));
        let outputs = "version: 1\nsource: a\noutputs:\n  - to: b.mp4\n    video: { coded: h264 }\n";
        assert!(parse(outputs).unwrap_err().contains("coded"), "{}", parse(outputs).unwrap_err());
        assert_eq!(parse("version: 2\nsource: a\noutputs: []"), Err("version 2 is not 1".to_owned()));
    }
}
