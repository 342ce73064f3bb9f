//! Films of several sound tracks: which are kept, that each is whole, at its place, in its language, and what is said where
//! that cannot be. Each track is a tone of its own, so that none can stand in for another.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use framefleet_tests::film::run as make;
use framefleet_tests::running::{Chance, Running};
use framefleet_tests::{clip, oracle, packets, place, product};
use serde_json::Value;

const TONES: [f64; 3] = [440.0, 880.0, 1320.0];
/// How sharply a lossy codec tells where a tone begins.
const OFF_MAX: f64 = 0.004;
/// Of sources whose codecs' priming is not told.
const ENCODER_DELAY: f64 = 0.03;
/// AVI begins as much earlier as its decoder's priming needs, in whole pictures.
const AVI_LEAD_MAX: f64 = 0.25;

/// Six seconds of numbered pictures and three tracks: the second over after 3.5 s, the third from 1.5 s on.
fn film(name: &str, codecs: [&str; 3]) -> PathBuf {
    let coding = "-c:v libx264 -preset veryfast -threads 1 -bf 3 -g 25";
    let pictures = clip::numbered("several-pictures.mp4", &["--seconds", "6", "--fps", "25", "--vargs", coding]);
    clip::kept(name, |out| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-i"]).arg(&pictures);
        let tracks = [("48000", "6", "0"), ("44100", "3.5", "0"), ("32000", "4.5", "1.5")];
        for (tone, (rate, length, from)) in TONES.iter().zip(tracks) {
            let sine = format!("sine=frequency={tone}:sample_rate={rate}:duration={length}");
            command.args(["-itsoffset", from, "-f", "lavfi", "-i", &sine]);
        }
        command.args("-map 0:v -map 1:a -map 2:a -map 3:a -c:v copy -ac:a:0 2 -ac:a:1 1 -ac:a:2 6".split(' '));
        for (place, codec) in codecs.iter().enumerate() {
            command.args([format!("-c:a:{place}"), (*codec).to_owned()]);
        }
        for (place, (language, title)) in [("eng", "Main"), ("deu", "Kommentar"), ("fra", "Dérivé")].iter().enumerate()
        {
            command.args([format!("-metadata:s:a:{place}"), format!("language={language}")]);
            command.args([format!("-metadata:s:a:{place}"), format!("title={title}")]);
        }
        make(command.args(["-disposition:a:0", "default"]).arg(out)).map(drop)
    })
}

fn in_mkv() -> PathBuf {
    film("several.mkv", ["flac", "pcm_s16le", "flac"])
}

fn transcode(home: &Path, source: &Path, (name, flags): (&str, &[&str])) -> Result<PathBuf, String> {
    let (made, state) = (home.join(name), home.join("state").display().to_string());
    let flags = flags.iter().chain(&["--workers", "2", "--state-dir", &state]).copied().collect::<Vec<_>>();
    product::transcode(home, source, &made, &flags).done()?;
    Ok(made)
}

fn sounds(file: &Path) -> Vec<Value> {
    let show = ["-v", "error", "-select_streams", "a", "-show_streams", "-of", "json"];
    let told: Value = serde_json::from_slice(&make(Command::new("ffprobe").args(show).arg(file)).unwrap()).unwrap();
    told["streams"].as_array().unwrap().clone()
}

/// What ffmpeg decodes of a track, in one channel at its own rate.
fn heard(file: &Path, track: usize) -> Vec<f32> {
    decoded(file, track, &[])
}

fn decoded(file: &Path, track: usize, filter: &[&str]) -> Vec<f32> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-xerror", "-nostdin", "-i"]).arg(file);
    command.args(["-map", &format!("0:a:{track}")]).args(filter).args(["-ac", "1", "-f", "f32le", "-"]);
    let bytes = make(&mut command).unwrap();
    bytes.as_chunks().0.iter().map(|sample| f32::from_le_bytes(*sample)).collect()
}

/// Which of the tones a track is, over a second from its middle.
fn tone(samples: &[f32], rate: f64) -> usize {
    let middle = &samples[samples.len() / 2..][..rate as usize / 2];
    let power = |tone: f64| {
        let turn = std::f64::consts::TAU * tone / rate;
        let (sin, cos) = middle.iter().enumerate().fold((0.0, 0.0), |(sin, cos), (n, sample)| {
            let (s, c) = (turn * n as f64).sin_cos();
            (sin + s * f64::from(*sample), cos + c * f64::from(*sample))
        });
        sin * sin + cos * cos
    };
    let powers = TONES.map(power);
    (0..TONES.len()).max_by(|a, b| powers[*a].total_cmp(&powers[*b])).unwrap()
}

fn number(stream: &Value, key: &str) -> f64 {
    stream[key].as_str().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

/// These of the film's tracks stand in a file, in this order, each whole and nothing else.
fn holds(file: &Path, tracks: &[usize]) {
    let streams = sounds(file);
    assert_eq!(streams.len(), tracks.len(), "{}", file.display());
    for (place, (stream, track)) in streams.iter().zip(tracks).enumerate() {
        let rate = number(stream, "sample_rate");
        let samples = heard(file, place);
        assert_eq!(tone(&samples, rate), *track, "{}: track {place}", file.display());
        let (length, due) = (samples.len() as f64 / rate, [6.0, 3.5, 4.5][*track]);
        // The last unit may be played out, and a container without times begins with silence.
        let is_avi = file.extension().is_some_and(|extension| extension == "avi");
        let (led, off_max) = if is_avi { ([0.0, 0.0, 1.5][*track], AVI_LEAD_MAX) } else { (0.0, 0.06) };
        assert!((length - due - led).abs() < off_max, "{}: track {place} lasts {length} s", file.display());
    }
}

fn languages(file: &Path) -> Vec<String> {
    let of = |stream: &Value| stream["tags"]["language"].as_str().unwrap_or("-").to_owned();
    sounds(file).iter().map(of).collect()
}

/// Without what is not known.
fn known(file: &Path) -> Vec<String> {
    languages(file).into_iter().map(|language| language.replace("und", "-")).collect()
}

/// Cut and uncut are the same sound, sample by sample, and the same pictures.
fn all_into(name: &str, flags: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let (home, uncut_home, source) = (place::scratch(), place::scratch(), in_mkv());
    let made = |home: &Path, cut: &str| {
        let flags = [flags, &["--segment-duration", cut]].concat();
        transcode(home, &source, (name, &flags)).unwrap_or_else(|why| panic!("{name}: {why}"))
    };
    let (cut, uncut) = (made(home.path(), "1s"), made(uncut_home.path(), "none"));
    holds(&cut, &[0, 1, 2]);
    for track in 0..TONES.len() {
        assert!(heard(&cut, track) == heard(&uncut, track), "{name}: track {track} differs from the uncut encode's");
    }
    let (ours, theirs) = (oracle::read(&cut).unwrap(), oracle::read(&source).unwrap());
    assert_eq!(ours.numbers, theirs.numbers, "{name}");
    (home, cut)
}

/// Where the tones begin after the first track's, in seconds; each track lies on the file's time line.
fn begins(file: &Path) -> Vec<f64> {
    // Of a transport stream ffmpeg takes the beginning of what is mapped for that of the file.
    let is_ts = file.extension().is_some_and(|extension| extension == "ts");
    let filter: &[&str] = if is_ts { &[] } else { &["-af", "aresample=async=1:first_pts=0"] };
    let onset = |(track, stream): (usize, &Value)| {
        let samples = decoded(file, track, filter);
        let loudest = samples.iter().fold(0.0, |most: f32, sample| most.max(sample.abs()));
        let first = samples.iter().position(|sample| sample.abs() > loudest * 0.3).unwrap();
        let from = if is_ts { number(stream, "start_time") } else { 0.0 };
        from + first as f64 / number(stream, "sample_rate")
    };
    let onsets: Vec<f64> = sounds(file).iter().enumerate().map(onset).collect();
    onsets.iter().map(|onset| onset - onsets[0]).collect()
}

fn each_begins(file: &Path, off_max: f64) {
    let off = begins(file).iter().zip([0.0, 0.0, 1.5]).map(|(is, due)| (is - due).abs()).fold(0.0, f64::max);
    assert!(off < off_max, "{}: {:?}", file.display(), begins(file));
}

fn titles(file: &Path, key: &str) -> Vec<String> {
    sounds(file).iter().map(|stream| stream["tags"][key].as_str().unwrap_or("-").to_owned()).collect()
}

fn defaults(file: &Path) -> Vec<Option<i64>> {
    sounds(file).iter().map(|stream| stream["disposition"]["default"].as_i64()).collect()
}

#[test]
fn mp4_and_mov_keep_all_tracks() {
    for name in ["film.mp4", "film.mov"] {
        let (_home, made) = all_into(name, &[]);
        each_begins(&made, OFF_MAX);
        assert_eq!(languages(&made), ["eng", "deu", "fra"]);
        assert_eq!(titles(&made, "handler_name"), ["Main", "Kommentar", "Dérivé"]);
        assert_eq!(defaults(&made), [Some(1), Some(0), Some(0)]);
        let rates: Vec<f64> = sounds(&made).iter().map(|stream| number(stream, "sample_rate")).collect();
        assert_eq!(rates, [48_000.0, 44_100.0, 32_000.0]);
        let channels: Vec<_> = sounds(&made).iter().map(|stream| stream["channels"].as_i64()).collect();
        assert_eq!(channels, [Some(2), Some(1), Some(6)]);
    }
}

#[test]
fn fragmented_mp4_keeps_all_tracks() {
    let (_home, made) = all_into("film.mp4", &["--container", "fmp4"]);
    each_begins(&made, OFF_MAX);
    assert_eq!(languages(&made), ["eng", "deu", "fra"]);
}

#[test]
fn matroska_and_webm_keep_all_tracks() {
    for (name, flags) in [("film.mkv", &[][..]), ("film.webm", &["--video-codec", "vp8"][..])] {
        let (_home, made) = all_into(name, flags);
        each_begins(&made, OFF_MAX);
        assert_eq!(languages(&made), ["eng", "deu", "fra"]);
        assert_eq!(titles(&made, "title"), ["Main", "Kommentar", "Dérivé"]);
        assert_eq!(defaults(&made), [Some(1), Some(0), Some(0)]);
    }
}

#[test]
fn transport_streams_keep_all_tracks() {
    let (_home, made) = all_into("film.ts", &[]);
    // What would stand before its zero is left out: sound that begins there fades in, and what begins later seems early.
    each_begins(&made, ENCODER_DELAY);
    assert_eq!(languages(&made), ["eng", "ger", "fre"], "by ISO 639-2/B, as GStreamer's muxer has them");
}

#[test]
fn avi_keeps_all_tracks_from_its_beginning() {
    let (_home, made) = all_into("film.avi", &[]);
    assert_eq!(titles(&made, "title"), ["Main", "Kommentar", "Dérivé"]);
    // It has no times: what begins later does so after silence.
    each_begins(&made, OFF_MAX);
}

#[test]
fn every_source_container_tells_of_all_tracks() {
    let (aac, mp3) = (["aac"; 3], ["libmp3lame", "ac3", "ac3"]);
    for (name, codecs) in [("several.mp4", aac), ("several.mov", aac), ("several.ts", ["aac", "libmp3lame", "ac3"])] {
        let (home, source) = (place::scratch(), film(name, codecs));
        let made = transcode(home.path(), &source, ("film.mkv", &["--segment-duration", "1s"])).unwrap();
        holds(&made, &[0, 1, 2]);
        each_begins(&made, ENCODER_DELAY);
        // ffmpeg writes QuickTime's own numbers of languages, and knows none for some.
        let due = if name.ends_with("mov") { ["eng", "-", "fra"] } else { ["eng", "deu", "fra"] };
        assert_eq!(known(&made), due, "{name}");
    }
    // AVI has no late beginnings.
    let (home, source) = (place::scratch(), film("several.avi", mp3));
    let made = transcode(home.path(), &source, ("film.mkv", &["--segment-duration", "1s"])).unwrap();
    assert_eq!(sounds(&made).len(), 3);
}

#[test]
fn outputs_have_the_tracks_that_each_is_asked_for() {
    let home = place::scratch();
    let job = format!(
        "version: 1
source: {}
segment: {{ duration: 1s }}
outputs:
  - {{ to: film.mp4, video: {{ preset: ultrafast }} }}
  - {{ to: film.flv, video: {{ preset: ultrafast }}, audio: {{ tracks: 2 }} }}
  - {{ to: third.mp3, audio: {{ tracks: [fra], channels: 2 }} }}
  - {{ to: turned.mkv, video: {{ preset: ultrafast }}, audio: {{ tracks: [3, 1], codec: opus }} }}
  - {{ to: first.wav }}
",
        in_mkv().display()
    );
    std::fs::write(home.path().join("job.yaml"), job).unwrap();
    let ran = product::run(home.path(), ["plan", "--job", "job.yaml", "-o", "json"]);
    let plan = ran.json();
    let taken: Vec<Value> = plan["outputs"].as_array().unwrap().iter().map(|output| output["sounds"].clone()).collect();
    assert_eq!(Value::from(taken), serde_json::json!([[1, 2, 3], [2], [3], [3, 1], [1]]));
    let kinds = |kind: &str| {
        plan["tasks"].as_array().unwrap().iter().filter(|t| t["id"].as_str().unwrap().starts_with(kind)).count()
    };
    assert_eq!(kinds("audio-"), 3, "one for each track");
    let audio = plan["renditions"].as_array().unwrap().iter().filter(|made| made["kind"] == "audio").count();
    // AAC of all three, of which FLV's second is one but for where it begins; MP3, two of Opus, PCM.
    assert_eq!(audio, 7, "{plan}");
    product::run(home.path(), ["transcode", "--job", "job.yaml", "--workers", "2", "--state-dir", "state"])
        .done()
        .unwrap();
    for (name, tracks) in
        [("film.mp4", &[0, 1, 2][..]), ("film.flv", &[1]), ("turned.mkv", &[2, 0]), ("first.wav", &[0])]
    {
        holds(&home.path().join(name), tracks);
    }
    let third = heard(&home.path().join("third.mp3"), 0);
    assert_eq!(tone(&third[third.len() / 2..], 32_000.0), 2);
    assert_eq!(languages(&home.path().join("turned.mkv")), ["fra", "eng"]);
}

#[test]
fn packages_in_fragments_have_a_list_for_each_track() {
    let (home, source) = (place::scratch(), in_mkv());
    let words = ["--hls-time", "2s", "--hls-segment", "fmp4"];
    let master = transcode(home.path(), &source, ("index.m3u8", &words)).unwrap();
    let text = std::fs::read_to_string(&master).unwrap();
    let groups: Vec<&str> = text.lines().filter(|line| line.starts_with("#EXT-X-MEDIA:")).collect();
    assert_eq!(groups.len(), 3, "{text}");
    for (line, (name, language, default)) in
        groups.iter().zip([("Main", "en", "YES"), ("Kommentar", "de", "NO"), ("Dérivé", "fr", "NO")])
    {
        let due = format!("NAME=\"{name}\",LANGUAGE=\"{language}\",DEFAULT={default},AUTOSELECT=YES");
        assert!(line.contains(&due), "{line}");
    }
    holds(&master, &[0, 1, 2]);
    let home = place::scratch();
    let manifest = transcode(home.path(), &source, ("index.mpd", &["--hls-time", "2s"])).unwrap();
    let text = std::fs::read_to_string(&manifest).unwrap();
    assert_eq!(text.matches("contentType=\"audio\"").count(), 3, "{text}");
    assert!(text.contains("lang=\"de\"") && text.contains("<Label>Kommentar</Label>"), "{text}");
    assert_eq!((text.matches("value=\"main\"").count(), text.matches("value=\"alternate\"").count()), (1, 2));
    holds(&manifest, &[0, 1, 2]);
}

#[test]
fn a_package_of_transport_streams_has_the_first() {
    let home = place::scratch();
    let master = transcode(home.path(), &in_mkv(), ("index.m3u8", &["--hls-time", "2s"])).unwrap();
    holds(&master, &[0]);
}

#[test]
fn copies_are_of_every_track() {
    let source = film("several-copied.mkv", ["aac", "flac", "libopus"]);
    let home = place::scratch();
    let made = transcode(home.path(), &source, ("film.mkv", &["--audio-codec", "copy"])).unwrap();
    holds(&made, &[0, 1, 2]);
    for track in 0..TONES.len() {
        let select = format!("a:{track}");
        let (was, is) = (packets::hashes(&source, &select, "").unwrap(), packets::hashes(&made, &select, "").unwrap());
        assert!(was == is, "track {track}: {} units of {}", is.len(), was.len());
    }
    let refused = transcode(home.path(), &source, ("film.mp4", &["--audio-codec", "copy", "--overwrite"])).unwrap_err();
    assert!(refused.contains("mp4 holds no flac"), "{refused}");
    let of_one = ["--audio-codec", "copy", "--audio-tracks", "1"];
    let made = transcode(home.path(), &source, ("first.mp4", &of_one)).unwrap();
    holds(&made, &[0]);
}

#[test]
fn loudness_is_each_tracks_own() {
    let home = place::scratch();
    let words = ["--loudness", "-20", "--channels", "2", "--audio-codec", "flac", "-o", "json"];
    let (made, state) = (home.path().join("film.mkv"), home.path().join("state").display().to_string());
    let flags = [&words[..], &["--state-dir", &state]].concat();
    let ran = product::transcode(home.path(), &in_mkv(), &made, &flags).done().unwrap();
    let told = ran.json()["loudness"].as_array().unwrap().clone();
    assert_eq!(told.len(), 3);
    for (track, proof) in told.iter().enumerate() {
        let integrated = proof["made"]["integrated"].as_i64().unwrap();
        assert!((integrated + 2000).abs() <= 50, "track {track}: {proof}");
    }
    let gains: Vec<_> = told.iter().map(|proof| proof["gain"].as_i64().unwrap()).collect();
    assert!(gains[0] != gains[2], "{gains:?}: six channels are mixed, two are not");
}

#[test]
fn what_cannot_be_taken_is_refused_with_the_bound() {
    let home = place::scratch();
    let refused = |name: &str, source: &Path, flags: &[&str]| {
        let state = home.path().join("state").display().to_string();
        let flags = [flags, &["--state-dir", &state]].concat();
        let ran = product::transcode(home.path(), source, &home.path().join(name), &flags);
        (ran.code, ran.err)
    };
    let (code, why) = refused("a.mkv", &in_mkv(), &["--audio-tracks", "4"]);
    assert!(code == Some(64) && why.contains("sound track 4 was asked for, the source has 3"), "{code:?} {why}");
    let (code, why) = refused("a.flv", &in_mkv(), &["--audio-tracks", "all"]);
    assert!(code == Some(64) && why.contains("flv holds 1 sound track, 3 are asked for"), "{code:?} {why}");
    let strange = strange_track();
    let (code, why) = refused("a.mkv", &strange, &[]);
    let leaves_out = "does not decode (--audio-tracks 1,3 leaves it out)";
    assert!(code == Some(65) && why.contains("sound track 2") && why.contains(leaves_out), "{code:?} {why}");
    let made = transcode(home.path(), &strange, ("b.mkv", &["--audio-tracks", "1,3"])).unwrap();
    holds(&made, &[0, 2]);
}

/// The second track's units are not of the codec that its name says.
fn strange_track() -> PathBuf {
    let source = film("several-strange-source.mkv", ["aac", "libmp3lame", "ac3"]);
    clip::kept("several-strange.mkv", |out| {
        let mut bytes = std::fs::read(&source).map_err(|e| e.to_string())?;
        let at = bytes.windows(9).position(|window| window == b"A_MPEG/L3").ok_or("no track of MP3")?;
        bytes[at..at + 9].copy_from_slice(b"A_UNKNOWN");
        std::fs::write(out, bytes).map_err(|e| e.to_string())
    })
}

/// Three sound tasks, and segments: whatever was done when it was killed, the end is the same.
#[test]
fn a_job_of_several_tracks_may_be_killed_at_any_moment() {
    let (home, source) = (place::scratch(), in_mkv());
    let names = ["film.mp4", "film.mkv", "film.ts"];
    let start = || {
        let mut command = product::bare(home.path());
        command.arg("transcode").arg(&source).args(names).args(["--preset", "ultrafast", "--segment-duration", "1s"]);
        Running::start(command.args(["--workers", "2", "--state-dir", "state"]))
    };
    let began = Instant::now();
    start().end().done().unwrap();
    let took = began.elapsed();
    let due = names.map(|name| std::fs::read(home.path().join(name)).unwrap());
    let mut chance = Chance::new(20_261_128);
    let mut kills = 0;
    for round in 0..4 {
        names.iter().for_each(|name| std::fs::remove_file(home.path().join(name)).unwrap());
        std::fs::remove_dir_all(home.path().join("state")).unwrap();
        let mut over = None;
        while over.is_none() {
            let percent = u32::try_from(chance.below(60)).unwrap() + 5;
            let running = start();
            match running.ends_within(took.mul_f64(f64::from(percent) / 100.0)) {
                Some(ran) => over = Some(ran),
                None => {
                    running.kill();
                    kills += 1;
                    over = (kills % 3 == 0).then(|| start().end());
                }
            }
        }
        over.unwrap().done().unwrap();
        for (name, due) in names.iter().zip(&due) {
            assert!(std::fs::read(home.path().join(name)).unwrap() == *due, "round {round}: {name} differs");
        }
    }
    assert!(kills > 0, "no kill hit a job at work");
}
