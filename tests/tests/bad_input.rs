//! Bad input of every kind: the exit code says whose fault it is, one line says what and where the bound lies, and
//! nothing is left behind.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use framefleet_tests::film::run as make;
use framefleet_tests::product::{self, Ran};
use framefleet_tests::{clip, place};

/// Input that cannot be used, flags, a missing source, and a destination that will not do, as sysexits.h numbers them.
const FLAGS: i32 = 64;
const CONTENT: i32 = 65;
const SOURCE: i32 = 66;
const DESTINATION: i32 = 73;

/// A home with a destination and a state folder, both of which must be empty in the end.
struct Bench {
    home: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let home = place::scratch();
        for folder in ["in", "out", "state"] {
            std::fs::create_dir(home.path().join(folder)).unwrap();
        }
        Self { home }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn source(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at("in").join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn transcode(&self, source: &Path, flags: &[&str]) -> Ran {
        let state = self.at("state").display().to_string();
        let fixed = ["--state-dir", &state, "--segment-duration", "1s"];
        let flags: Vec<&str> = fixed.into_iter().chain(flags.iter().copied()).collect();
        product::transcode(self.home.path(), source, &self.at("out/film.mp4"), &flags)
    }

    /// Refused with this code, in one line that holds all of these words; nothing is left.
    fn refused(&self, ran: &Ran, code: i32, words: &[&str]) {
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "one line says why: {ran:?}");
        assert!(ran.err.starts_with("framefleet: "), "{ran:?}");
        for word in words {
            assert!(ran.err.contains(word), "{word:?} is not in {:?}", ran.err);
        }
        self.nothing_left();
    }

    fn nothing_left(&self) {
        for folder in ["out", "state"] {
            let left = files_below(&self.at(folder));
            assert!(left.is_empty(), "{folder} holds {left:?}");
        }
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// A script in a mount namespace of its own, so that a full or locked destination harms nobody.
fn in_own_mounts(script: &str, home: &Path, arguments: &[&Path]) -> Ran {
    let mut command = Command::new("unshare");
    let user: &[&str] = if is_root() { &[] } else { &["--map-root-user"] };
    command.args(["--mount"]).args(user).args(["sh", "-euc", script, "sh"]).arg(place::framefleet());
    command.args(arguments).env("XDG_STATE_HOME", home).env("NO_COLOR", "1").stdin(std::process::Stdio::null());
    Ran::of(&command.output().expect("util-linux's unshare starts"))
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id starts");
    id.stdout.starts_with(b"0\n")
}

#[test]
fn an_empty_file_is_refused() {
    let bench = Bench::new();
    let source = bench.source("film.mp4", "");
    bench.refused(&bench.transcode(&source, &[]), CONTENT, &["film.mp4", "empty", "0 bytes"]);
}

#[test]
fn bytes_that_are_no_media_are_refused() {
    let bench = Bench::new();
    // a linear congruence: noise without chance
    let noise: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let source = bench.source("film.mp4", noise);
    bench.refused(&bench.transcode(&source, &[]), CONTENT, &["F10"]);
}

#[test]
fn a_text_renamed_to_a_film_is_refused() {
    let bench = Bench::new();
    let source = bench.source("film.mp4", "To whom it may concern: this is a letter.\n".repeat(50));
    bench.refused(&bench.transcode(&source, &[]), CONTENT, &["F10"]);
}

#[test]
fn a_film_without_its_tables_is_refused() {
    let bench = Bench::new();
    let whole = std::fs::read(clip::plain("mov")).unwrap();
    let source = bench.source("film.mov", &whole[..whole.len() * 6 / 10]);
    bench.refused(&bench.transcode(&source, &[]), CONTENT, &["F101"]);
}

/// Its tables stand in front and list all of it.
#[test]
fn a_film_that_is_cut_off_is_told_from_a_short_one() {
    let bench = Bench::new();
    let front = bench.at("in/front.mp4");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(clip::plain("mp4")).args(["-c", "copy", "-movflags", "+faststart"]);
    make(command.arg(&front)).unwrap();
    for kind in ["mp4", "mkv"] {
        let whole = std::fs::read(if kind == "mp4" { front.clone() } else { clip::plain("mkv") }).unwrap();
        let source = bench.source(&format!("film.{kind}"), &whole[..whole.len() * 6 / 10]);
        let size = (whole.len() * 6 / 10).to_string();
        bench.refused(&bench.transcode(&source, &[]), CONTENT, &["not whole", &size, "--damaged keep", "F1014"]);
    }
    let kept = bench.transcode(&bench.at("in/film.mp4"), &["--damaged", "keep", "-o", "json"]).done().unwrap().json();
    assert!(kept["missing"].as_str().unwrap().contains("its last sample"), "{kept}");
}

/// A decoder says nothing of what it cannot decode.
#[test]
fn sound_that_does_not_decode_is_told_from_a_hole() {
    let bench = Bench::new();
    let source = bench.at("in/film.mkv");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(clip::plain("mp4")).args(["-c", "copy"]);
    // Overwrites twenty packets of sound in the middle with noise.
    let noise = "noise=amount=if(between(n\\,50\\,69)\\,1\\,0)";
    make(command.args(["-bsf:a", noise]).arg(&source)).unwrap();
    bench.refused(&bench.transcode(&source, &[]), CONTENT, &["sound is damaged", "do not decode", "F1014"]);
    let kept = bench.transcode(&source, &["--damaged", "keep", "-o", "json"]).done().unwrap().json();
    assert!(kept["sound_units_lost"].as_u64().unwrap() >= 10, "{kept}");
}

#[test]
fn an_encrypted_film_is_refused_as_encrypted() {
    let bench = Bench::new();
    let source = bench.at("in/film.mp4");
    let key = ["-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb"];
    let kid = ["-encryption_kid", "a7e61c373e219033c21091fa607bf3b8"];
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(clip::plain("mp4")).args(["-c", "copy"]).args(key).args(kid).arg(&source);
    make(&mut command).unwrap();
    bench.refused(&bench.transcode(&source, &[]), CONTENT, &["encrypted", "F1012"]);
}

#[test]
fn pictures_of_absurd_size_are_refused_by_their_size() {
    let bench = Bench::new();
    let source = bench.at("in/film.mkv");
    let huge = "color=black:s=20000x12000:r=1:d=1";
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "lavfi", "-i", huge, "-frames:v", "1", "-c:v", "mjpeg"]);
    make(command.args(["-pix_fmt", "yuvj420p"]).arg(&source)).unwrap();
    bench.refused(&bench.transcode(&source, &[]), CONTENT, &["20000x12000", "bound", "F1013"]);
}

#[test]
fn a_film_of_absurd_length_is_refused_by_its_length() {
    let bench = Bench::new();
    let source = bench.at("in/film.mkv");
    // the second half stands two thousand hours later
    let jump = r"setts=ts=TS+gt(N\,30)*7200000/TB";
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(clip::plain("mp4")).args(["-an", "-c:v", "copy", "-bsf:v", jump]);
    make(command.arg(&source)).unwrap();
    bench.refused(&bench.transcode(&source, &[]), CONTENT, &["bound", "F1013"]);
}

#[test]
fn a_missing_source_is_named() {
    let bench = Bench::new();
    bench.refused(&bench.transcode(&bench.at("in/none.mp4"), &[]), SOURCE, &["none.mp4", "does not exist", "F1001"]);
}

#[test]
fn a_folder_is_no_source() {
    let bench = Bench::new();
    bench.refused(&bench.transcode(&bench.at("in"), &[]), SOURCE, &["is a folder", "F1002"]);
}

#[test]
fn an_unreadable_source_is_named() {
    let bench = Bench::new();
    let source = bench.source("film.mp4", std::fs::read(clip::plain("mp4")).unwrap());
    // root reads everything unless it gives that power up
    let script = "chmod 000 \"$2\"; exec setpriv --bounding-set=-dac_override,-dac_read_search \
                  \"$1\" transcode \"$2\" \"$3\" --state-dir \"$4\"";
    let ran = in_own_mounts(script, bench.home.path(), &[&source, &bench.at("out/film.mp4"), &bench.at("state")]);
    bench.refused(&ran, SOURCE, &["film.mp4", "cannot be read", "F1002"]);
}

#[test]
fn a_missing_destination_is_named() {
    let bench = Bench::new();
    let target = bench.at("out/none/film.mp4");
    let state = bench.at("state").display().to_string();
    let ran = product::transcode(bench.home.path(), &clip::plain("mp4"), &target, &["--state-dir", &state]);
    bench.refused(&ran, DESTINATION, &["none", "does not exist", "F2001"]);
}

#[test]
fn what_stands_there_already_stays_unless_it_may_be_replaced() {
    let bench = Bench::new();
    let target = bench.at("out/film.mp4");
    std::fs::write(&target, "precious").unwrap();
    let ran = bench.transcode(&clip::plain("mp4"), &[]);
    assert_eq!(std::fs::read(&target).unwrap(), b"precious");
    std::fs::remove_file(&target).unwrap();
    bench.refused(&ran, DESTINATION, &["film.mp4", "exists", "F2002"]);

    std::fs::write(&target, "worthless").unwrap();
    bench.transcode(&clip::plain("mp4"), &["--overwrite"]).done().unwrap();
    assert!(std::fs::metadata(&target).unwrap().len() > 10_000);
}

#[test]
fn a_destination_that_is_a_folder_is_refused() {
    let bench = Bench::new();
    std::fs::create_dir(bench.at("out/film.mp4")).unwrap();
    bench.refused(&bench.transcode(&clip::plain("mp4"), &["--overwrite"]), DESTINATION, &["folder", "F2002"]);
}

#[test]
fn a_source_is_never_its_own_destination() {
    let bench = Bench::new();
    let film = bench.source("film.mp4", std::fs::read(clip::plain("mp4")).unwrap());
    let before = std::fs::read(&film).unwrap();
    let ran = product::transcode(bench.home.path(), &film, &film, &["--overwrite"]);
    assert_eq!(std::fs::read(&film).unwrap(), before);
    bench.refused(&ran, FLAGS, &["film.mp4"]);
}

#[test]
fn a_destination_that_may_not_be_written_is_named() {
    let bench = Bench::new();
    let script = "chmod 555 \"$2\"; exec setpriv --bounding-set=-dac_override,-dac_read_search \
                  \"$1\" transcode \"$3\" \"$2/film.mp4\" --state-dir \"$4\"";
    let ran = in_own_mounts(script, bench.home.path(), &[&bench.at("out"), &clip::plain("mp4"), &bench.at("state")]);
    bench.refused(&ran, DESTINATION, &["may not be written", "F2003"]);
}

/// The destination is a file system of so many bytes, of which so many are taken already.
fn with_full_destination(bytes: u32, taken: u32) {
    let bench = Bench::new();
    // what stands in the mount is gone with it, so the script says what was left
    let script = format!(
        "mount -t tmpfs -o size={bytes} none \"$2\"; head -c {taken} /dev/zero > \"$2/other\" || true; code=0; \
         \"$1\" transcode \"$3\" \"$2/film.mp4\" --state-dir \"$4\" --preset ultrafast --crf 1 || code=$?; \
         ls -A \"$2\"; exit $code"
    );
    let ran = in_own_mounts(&script, bench.home.path(), &[&bench.at("out"), &clip::plain("mp4"), &bench.at("state")]);
    assert_eq!(ran.out.trim(), "other", "only what stood there stands there: {ran:?}");
    bench.refused(&ran, DESTINATION, &["film.mp4", "F2004"]);
}

#[test]
fn a_destination_that_is_full_from_the_start_is_named() {
    with_full_destination(64 << 10, 64 << 10);
}

#[test]
fn a_destination_that_fills_up_in_the_middle_is_named() {
    with_full_destination(256 << 10, 1 << 10);
}

#[test]
fn flags_are_refused_with_value_and_bound() {
    let film = clip::plain("mp4");
    let cases: &[(&[&str], &[&str])] = &[
        (&["--video-codec", "wmv9"], &["wmv9", "h264", "hevc"]),
        (&["--audio-codec", "atrac"], &["atrac", "aac"]),
        (&["--crf", "52"], &["52", "0 to 51"]),
        (&["--crf", "20", "--video-bitrate", "1M"], &["20", "1M", "contradicts"]),
        (&["--video-codec", "none", "--crf", "20"], &["20", "none", "contradicts"]),
        (&["--video-codec", "none", "--audio-codec", "none"], &["none"]),
        (&["--size", "321x180"], &["321", "even"]),
        (&["--size", "8x8"], &["8", "16"]),
        (&["--fps", "0"], &["0"]),
        (&["--fps", "1000"], &["1000", "1 to 240"]),
        (&["--channels", "8"], &["8", "1 to 6"]),
        (&["--crf", "-1"], &["-1", "not within"]),
        (&["--video-bitrate", "999999999k"], &["999999999k", "400000000"]),
        (&["--sample-rate", "44000"], &["44000", "44100"]),
        (&["--workers", "0"], &["0", "1"]),
        (&["--segment-duration", "soon"], &["soon"]),
        (&["--segment-duration", "1ms"], &["0.001"]),
        (&["--from", "3s", "--to", "2s"], &["3", "2"]),
        (&["--damaged", "perhaps"], &["perhaps", "fail", "keep"]),
        (&["--no-such-flag"], &["--no-such-flag"]),
    ];
    let control = Bench::new();
    control.transcode(&film, &["--crf", "51"]).done().unwrap();
    for (flags, words) in cases {
        let bench = Bench::new();
        let state = bench.at("state").display().to_string();
        let target = bench.at("out/film.mp4");
        let plain = [Path::new("transcode"), &film, &target, Path::new("--state-dir"), Path::new(&state)];
        let ran = product::run(bench.home.path(), plain.into_iter().chain(flags.iter().map(Path::new)));
        assert_eq!(ran.code, Some(FLAGS), "{flags:?}: {ran:?}");
        for word in *words {
            assert!(ran.err.contains(word), "{flags:?}: {word:?} is not in {:?}", ran.err);
        }
        bench.nothing_left();
    }
}

#[test]
fn an_output_of_unknown_kind_is_refused() {
    let bench = Bench::new();
    let state = bench.at("state").display().to_string();
    let target = bench.at("out/film.xyz");
    let ran = product::transcode(bench.home.path(), &clip::plain("mp4"), &target, &["--state-dir", &state]);
    bench.refused(&ran, FLAGS, &["xyz", "mp4", "mkv", "ts"]);
}

/// Files that name another file, in every language that GStreamer or ffmpeg are known to follow.
#[test]
fn a_playlist_named_mp4_opens_nothing_it_names() {
    let bench = Bench::new();
    let secret = bench.source("secret.ts", std::fs::read(clip::plain("ts")).unwrap());
    let path = secret.display();
    let hls =
        format!("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXTINF:4.0,\nfile://{path}\n#EXT-X-ENDLIST\n");
    let dash = format!(
        "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
         mediaPresentationDuration=\"PT4S\" profiles=\"urn:mpeg:dash:profile:full:2011\"><Period><AdaptationSet \
         mimeType=\"video/mp2t\"><Representation id=\"1\" bandwidth=\"1\"><BaseURL>file://{path}</BaseURL>\
         </Representation></AdaptationSet></Period></MPD>"
    );
    let concat = format!("ffconcat version 1.0\nfile '{path}'\n");
    let xspf = format!(
        "<?xml version=\"1.0\"?><playlist version=\"1\" xmlns=\"http://xspf.org/ns/0/\"><trackList><track>\
         <location>file://{path}</location></track></trackList></playlist>"
    );
    let sdp = format!("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\na=control:file://{path}\nm=video 5004 RTP/AVP 96\n");
    let bare_uri = format!("file://{path}\n");
    for (name, text) in
        [("hls", hls), ("dash", dash), ("concat", concat), ("xspf", xspf), ("sdp", sdp), ("uri", bare_uri)]
    {
        let source = bench.source(&format!("{name}.mp4"), text);
        let trace = bench.at(&format!("{name}.trace"));
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-e", "trace=open,openat,openat2,connect", "-o"]).arg(&trace);
        command.arg(place::framefleet()).arg("transcode").arg(&source).arg(bench.at("out/film.mp4"));
        command.arg("--state-dir").arg(bench.at("state")).env("NO_COLOR", "1").stdin(std::process::Stdio::null());
        let ran = Ran::of(&command.output().expect("strace starts"));
        let calls = std::fs::read_to_string(&trace).unwrap();
        assert!(calls.contains(&format!("{name}.mp4")), "the trace shows that the list itself was opened");
        assert!(!calls.contains("secret.ts"), "{name}: the named file was opened");
        assert!(!calls.contains("AF_INET"), "{name}: the network was tried");
        bench.refused(&ran, CONTENT, &["F10"]);
    }
}

/// What a media child asked of the kernel, thread by thread: its first thread's calls.
fn children_at_work(bench: &Bench, mode: &str) -> (Ran, Vec<String>) {
    let traces = bench.at(&format!("traces-{mode}"));
    std::fs::create_dir(&traces).unwrap();
    let mut command = Command::new("strace");
    let calls = "trace=execve,landlock_restrict_self,seccomp,clone,clone3,fork,vfork,openat,recvfrom,socket,connect";
    command.args(["-ff", "-qq", "-s", "256", "-e", calls, "-o"]).arg(traces.join("of"));
    command.arg(place::framefleet()).arg("probe").arg(clip::plain("mp4"));
    command.env("FRAMEFLEET__SANDBOX__MODE", mode).env("NO_COLOR", "1").env("XDG_STATE_HOME", bench.home.path());
    let ran = Ran::of(&command.stdin(std::process::Stdio::null()).output().expect("strace starts"));
    let texts =
        files_below(&traces).into_iter().map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into());
    (ran, texts.filter(|text: &String| text.contains("framefleet\", \"media\"]")).collect())
}

/// Landlock first, then the filters, then the first other thread; the plugins' list is opened in the jail, and so is all
/// of the film read but the spec. Where the kernel has no Landlock, best effort does without and `enforce` does not begin.
#[test]
fn a_media_child_is_in_its_jail_before_it_has_a_second_thread() {
    let bench = Bench::new();
    let (ran, children) = children_at_work(&bench, "enforce");
    let has_landlock = ran.code == Some(0);
    if !has_landlock {
        assert_eq!((ran.code, children.len()), (Some(FLAGS), 0), "{ran:?}");
        assert!(ran.err.contains("sandbox.mode \"enforce\" cannot be had here: Landlock: "), "{ran:?}");
    }
    let (ran, best) = children_at_work(&bench, "best-effort");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for child in children.iter().chain(&best) {
        let lines: Vec<&str> = child.lines().collect();
        let first = |call: &str| lines.iter().position(|line| line.contains(call) && !line.contains("O_PATH"));
        let filters: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].starts_with("seccomp(")).collect();
        assert!(filters.len() == 3 && filters.iter().all(|at| lines[*at].ends_with("= 0")), "{child}");
        let landlock = first("landlock_restrict_self(");
        assert!(landlock.is_none_or(|at| at < filters[0]) && landlock.is_some() == has_landlock, "{child}");
        let (thread, plugins) = (first("clone").unwrap(), first("registry-").unwrap());
        assert!(filters[2] < thread && filters[2] < plugins, "{child}");
        let heard = lines[..filters[2]].iter().filter(|line| line.starts_with("recvfrom("));
        assert_eq!(heard.count(), 2, "the spec and its length, and nothing of the film: {child}");
        assert_eq!(lines.iter().filter(|line| line.starts_with("execve(")).count(), 1, "{child}");
    }
    assert!(!best.is_empty());
    let (ran, free) = children_at_work(&bench, "off");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!free.is_empty() && free.iter().all(|child| !child.contains("seccomp(") && !child.contains("landlock_")));
    let (ran, _) = children_at_work(&bench, "on");
    bench.refused(&ran, FLAGS, &["FRAMEFLEET__SANDBOX__MODE", "best-effort, enforce, off"]);
}
