//! Pictures of a film: each is the one that is on the screen at its moment, however it is reached, and looks as ffmpeg
//! shows it; sheets, cues and GIFs are what players and ffprobe read.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use framefleet_tests::film::run as make;
use framefleet_tests::product::{self, Ran};
use framefleet_tests::{clip, oracle, place};

const CODING: &str = "-c:v libx264 -preset veryfast -threads 1 -bf 3 -g 30";
const FLAGS: i32 = 64;

/// Four seconds of numbered pictures without sound, so that zero is the first of them.
fn mute(extension: &str) -> PathBuf {
    let settings = ["--seconds", "4", "--fps", "25", "--no-audio", "--vargs", CODING];
    clip::numbered(&format!("mute-pictures.{extension}"), &settings)
}

fn run(home: &Path, words: &[&str]) -> Ran {
    let state = home.join("state").display().to_string();
    product::run(home, words.iter().copied().chain(["--state-dir", &state]))
}

fn done(home: &Path, words: &[&str]) -> Ran {
    run(home, words).done().unwrap()
}

fn number(picture: &Path) -> Option<u64> {
    let facts = oracle::read(picture).unwrap();
    assert_eq!(facts.errors, Vec::<String>::new(), "{}", picture.display());
    facts.numbers[0]
}

fn ffmpeg(arguments: &[&str], out: &Path) {
    make(Command::new("ffmpeg").args(["-v", "error", "-y"]).args(arguments).arg(out)).unwrap();
}

/// A picture looks like another: its brightness by structure and by level, its colours by level.
fn assert_alike(ours: &Path, due: &Path) {
    let like = "format=rgb24,format=yuv444p,split";
    let graph = format!("[0:v]{like}[a][c];[1:v]{like}[b][d];[a][b]ssim;[c][d]psnr");
    let mut command = Command::new("ffmpeg");
    let command = command.arg("-i").arg(ours).arg("-i").arg(due).args(["-lavfi", &graph, "-frames:v", "1"]);
    let said = String::from_utf8(command.args(["-f", "null", "-"]).output().unwrap().stderr).unwrap();
    let number = |mark: &str| -> f64 {
        let word = said.split(mark).nth(1).and_then(|rest| rest.split_whitespace().next());
        word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no {mark} in {said}"))
    };
    let (structure, level, colours) = (number("SSIM Y:"), number("PSNR y:"), number(" average:"));
    let found = format!("{}: SSIM {structure}, PSNR {level} dB, with colours {colours} dB", ours.display());
    assert!(structure >= 0.95 && level >= 32.0 && colours >= 25.0, "{found}");
}

fn entries(file: &Path, of: &str) -> Vec<String> {
    let mut command = Command::new("ffprobe");
    let told = make(command.args(["-v", "error", "-show_entries", of, "-of", "csv=p=0"]).arg(file)).unwrap();
    String::from_utf8(told).unwrap().lines().map(|line| line.trim_end_matches(',').to_owned()).collect()
}

#[test]
fn a_thumbnail_is_the_picture_on_the_screen_whatever_holds_the_film() {
    for extension in ["mp4", "mkv", "ts"] {
        let (home, film) = (place::scratch(), mute(extension));
        let at = "0s,39ms,41ms,1s,1999ms,3.999s";
        let (film, out) = (film.to_str().unwrap(), home.path().join("at-{n}.png"));
        let ran = done(home.path(), &["thumbnails", film, out.to_str().unwrap(), "--at", at, "-o", "json"]);
        let numbers: Vec<_> = (1..=6).map(|n| number(&home.path().join(format!("at-{n}.png")))).collect();
        assert_eq!(numbers, [0, 0, 1, 25, 49, 99].map(Some), "{extension}");
        let made = &ran.json()["outputs"][0];
        assert_eq!((&made["pictures"], &made["files"], &made["container"]), (&6.into(), &6.into(), &"png".into()));
    }
}

#[test]
fn thumbnails_look_like_ffmpegs() {
    let (home, film) = (place::scratch(), mute("mp4"));
    let film = film.to_str().unwrap();
    let due = home.path().join("due.png");
    ffmpeg(
        &[
            "-i",
            film,
            "-vf",
            r"select=eq(n\,55),scale=160:90:flags=bicubic+accurate_rnd+full_chroma_int",
            "-frames:v",
            "1",
        ],
        &due,
    );
    for name in ["small.jpg", "small.webp", "small.png"] {
        let out = home.path().join(name);
        let words = ["thumbnails", film, out.to_str().unwrap(), "--at", "2.2s", "--size", "160x200", "--quality", "90"];
        done(home.path(), if name.ends_with("png") { &words[..7] } else { &words });
        assert_eq!(entries(&out, "stream=width,height"), ["160,90"], "{name}");
        assert_alike(&out, &due);
    }
}

#[test]
fn turned_films_of_long_pixels_stand_upright_with_square_ones() {
    let home = place::scratch();
    let (long, turned) = (home.path().join("long.mp4"), home.path().join("turned.mp4"));
    let coded = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-t", "1", "-vf", "setsar=2", "-c:v", "libx264"];
    ffmpeg(&coded, &long);
    ffmpeg(&["-i", long.to_str().unwrap(), "-c", "copy", "-metadata:s:v:0", "rotate=90"], &turned);
    let (out, due) = (home.path().join("upright.png"), home.path().join("due.png"));
    let film = turned.to_str().unwrap();
    done(home.path(), &["thumbnails", film, out.to_str().unwrap(), "--at", "0s", "--size", "90x400"]);
    assert_eq!(entries(&out, "stream=width,height"), ["90,320"]);
    ffmpeg(
        &["-i", film, "-vf", "scale=90:320:flags=bicubic+accurate_rnd+full_chroma_int,setsar=1", "-frames:v", "1"],
        &due,
    );
    assert_alike(&out, &due);
}

#[test]
fn sheets_and_cues_say_the_same() {
    for extension in ["mp4", "mkv"] {
        let (home, film) = (place::scratch(), mute(extension));
        let (film, out) = (film.to_str().unwrap(), home.path().join("a film.vtt"));
        let frame = ["--tile", "2x1", "--padding", "2", "--margin", "4", "--colour", "#ff8000", "--quality", "90"];
        let words = ["sprites", film, out.to_str().unwrap(), "--interval", "1.4s", "--size", "160x90"];
        done(home.path(), &[&words[..], &frame].concat());
        let due = "WEBVTT\n\n00:00:00.000 --> 00:00:01.400\na%20film-1.jpg#xywh=4,4,160,90\n\n\
                   00:00:01.400 --> 00:00:02.800\na%20film-1.jpg#xywh=166,4,160,90\n\n\
                   00:00:02.800 --> 00:00:04.000\na%20film-2.jpg#xywh=4,4,160,90\n";
        assert_eq!(std::fs::read_to_string(&out).unwrap(), due);
        let pattern = home.path().join("due-%d.png");
        let tiled =
            "scale=160:90:flags=bicubic+accurate_rnd+full_chroma_int,tile=2x1:padding=2:margin=4:color=0xff8000";
        let graph = [r"select=not(mod(n\,35)),", tiled].concat();
        ffmpeg(&["-i", film, "-vsync", "passthrough", "-vf", &graph], &pattern);
        for n in [1, 2] {
            let (ours, due) = (home.path().join(format!("a film-{n}.jpg")), home.path().join(format!("due-{n}.png")));
            assert_alike(&ours, &due);
        }
        assert!(!home.path().join("a film-3.jpg").exists());
    }
}

#[test]
fn a_gif_has_its_pictures_and_its_length() {
    let (home, film) = (place::scratch(), mute("mkv"));
    let film = film.to_str().unwrap();
    let out = home.path().join("moving.gif");
    let flags = ["--start", "1s", "--duration", "1.5s", "--fps", "12"];
    done(home.path(), &[&["gif", film, out.to_str().unwrap()], &flags[..]].concat());
    let facts = oracle::read(&out).unwrap();
    let due: Vec<_> = (0..18).map(|n| Some(25 + n * 25 / 12)).collect();
    assert_eq!(facts.numbers, due);
    let delays: Vec<f64> = entries(&out, "packet=duration_time").iter().map(|d| d.parse().unwrap()).collect();
    assert_eq!(delays.len(), 18);
    assert!((delays.iter().sum::<f64>() - 1.5).abs() < 0.000_1, "{delays:?}");
    assert!(delays.iter().all(|delay| (0.079..0.091).contains(delay)), "{delays:?}");
    let still = home.path().join("due.png");
    ffmpeg(&["-i", film, "-vf", r"select=eq(n\,25)", "-frames:v", "1"], &still);
    assert_alike(&out, &still);
}

#[test]
fn pictures_beside_a_film_go_by_its_time_line_and_change_nothing_of_it() {
    let (home, film) = (place::scratch(), clip::plain("ts"));
    let job = |outputs: &str| {
        let path = home.path().join("job.yaml");
        let head = format!("version: 1\nsource: {}\nsegment: {{ duration: 1s }}\noutputs:\n", film.display());
        std::fs::write(&path, head + outputs).unwrap();
        done(home.path(), &["transcode", "--job", path.to_str().unwrap()]);
    };
    let at = |name: &str| home.path().join(name);
    let beside = format!("{}/beside", home.path().display());
    let mp4 = |name| format!("  - to: {}\n    video: {{ preset: ultrafast }}\n", at(name).display());
    job(&[
        mp4("beside.mp4"),
        format!("  - to: '{beside}-{{n}}.png'\n    thumbnails: {{ every: 300ms, start: 10ms }}\n"),
        format!("  - to: {beside}.gif\n    gif: {{ start: 1s, pictures: 5, fps: 5 }}\n"),
        format!("  - to: {beside}-one.jpg\n    thumbnails: {{ at: [2s], size: 160x90 }}\n"),
    ]
    .concat());
    let film = oracle::read(&at("beside.mp4")).unwrap();
    let on_screen = |time: f64| {
        let shown = film.times.iter().rposition(|t| *t <= time + 0.000_5).unwrap_or(0);
        film.numbers[shown]
    };
    for n in 1..=13 {
        let time = 0.01 + 0.3 * f64::from(n - 1);
        assert_eq!(number(&at(&format!("beside-{n}.png"))), on_screen(time), "at {time} s");
    }
    let moving = oracle::read(&at("beside.gif")).unwrap().numbers;
    assert_eq!(moving, [1.0, 1.2, 1.4, 1.6, 1.8].map(on_screen));
    assert!(at("beside-one.jpg").exists());
    job(&mp4("alone.mp4"));
    assert!(std::fs::read(at("alone.mp4")).unwrap() == std::fs::read(at("beside.mp4")).unwrap());
}

#[test]
fn the_same_pictures_are_the_same_bytes() {
    let (home, film) = (place::scratch(), mute("mp4"));
    let film = film.to_str().unwrap();
    let twice = |words: &[&str], name: &str| {
        let made = ["a", "b"].map(|folder| {
            let folder = home.path().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            let out = folder.join(name);
            done(home.path(), &[&[words[0], film, out.to_str().unwrap()], &words[1..]].concat());
            std::fs::read(out).unwrap()
        });
        assert!(made[0] == made[1], "{name}");
    };
    for name in ["one.jpg", "one.png", "one.webp"] {
        twice(&["thumbnails", "--at", "1.5s"], name);
    }
    twice(&["gif", "--duration", "1s", "--palette", "64"], "one.gif");
}

/// Refused with the code of bad flags, in one line with all of these words; nothing is made.
fn refused(command: &str, out: &str, flags: &[&str], words: &[&str]) {
    let (home, film) = (place::scratch(), mute("mp4"));
    let out = home.path().join(out);
    let ran = run(home.path(), &[&[command, film.to_str().unwrap(), out.to_str().unwrap()], flags].concat());
    assert_eq!(ran.code, Some(FLAGS), "{ran:?}");
    assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    for word in words {
        assert!(ran.err.contains(word), "{word:?} is not in {:?}", ran.err);
    }
    let left = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path());
    let left: Vec<PathBuf> = left.filter(|path| path.is_file()).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

#[test]
fn what_cannot_be_made_is_refused_in_one_line() {
    let late = ["--at", "4s"];
    refused("thumbnails", "a.jpg", &late, &["the moment at 4.000 s lies beyond", "which is 4.000 s long"]);
    refused("thumbnails", "a.jpg", &["--at", "1s,2s"], &["2 thumbnails cannot all be", "thumb-{n}.jpg"]);
    refused("thumbnails", "a.jpg", &["--every", "1s"], &["several thumbnails cannot all be", "thumb-{n}.jpg"]);
    refused("thumbnails", "a{n}.jpg", &["--every", "1s"], &["does not stand as in thumb-{n}.jpg"]);
    refused("thumbnails", "a-{n}.jpg", &["--at", "2s,1s"], &["at 1.000 s comes after 2.000 s"]);
    refused("thumbnails", "a.bmp", &["--at", "1s"], &["extension \"bmp\"", "jpg, jpeg, png, webp"]);
    refused("thumbnails", "a.png", &["--at", "1s", "--quality", "5"], &["quality 5 is of no use to png"]);
    refused("thumbnails", "a.jpg", &["--at", "1s", "--size", "9x9"], &["9 is not within 16 to 8192"]);
    refused("thumbnails", "a-{n}.jpg", &["--every", "1ms"], &["every 0.001 s is not within 0.040 s"]);
    refused("sprites", "a.jpg", &[], &["extension \"jpg\"", "vtt"]);
    refused("sprites", "a.vtt", &["--tile", "65x1"], &["65 is not within 1 to 64"]);
    refused("sprites", "a.vtt", &["--colour", "black!"], &["neither #rrggbb nor one of: black"]);
    refused("sprites", "a.vtt", &["--start", "4s"], &["no picture is asked for before the end"]);
    refused("gif", "a.mp4", &[], &["extension \"mp4\"", "gif"]);
    refused("gif", "a.gif", &["--fps", "51"], &["fps 51 is not within 1 to 50"]);
    refused("gif", "a.gif", &["--start", "3s", "--duration", "2s"], &["the GIF's end at 5.000 s lies beyond"]);
    refused("gif", "a.gif", &["--palette", "257"], &["palette 257 is not within 2 to 256"]);
}

#[test]
fn outputs_that_would_write_the_same_file_are_refused() {
    let (home, film) = (place::scratch(), mute("mp4"));
    let job = home.path().join("job.yaml");
    let outputs = "  - { to: 'a-{n}.jpg', thumbnails: { every: 1s } }\n  - { to: a.vtt, sprites: { interval: 1s } }\n";
    std::fs::write(&job, format!("version: 1\nsource: {}\noutputs:\n{outputs}", film.display())).unwrap();
    let ran = run(home.path(), &["transcode", "--job", job.to_str().unwrap()]);
    assert_eq!(ran.code, Some(FLAGS), "{ran:?}");
    assert!(ran.err.contains("may both write files such as"), "{ran:?}");
}

/// Some units of the third second are noise.
fn damaged(home: &Path) -> PathBuf {
    let mut bytes = std::fs::read(mute("mp4")).unwrap();
    let told = entries(&mute("mp4"), "packet=pts_time,pos,size");
    let mut rows = told.iter().map(|row| row.split(',').map(|cell| cell.parse::<f64>().unwrap()).collect::<Vec<_>>());
    for row in rows.by_ref().filter(|row| (2.0..3.0).contains(&row[0])) {
        // Sizes in front of NAL units stay: it is pictures that do not decode, not the film's frame.
        let (size, at) = (row[1] as usize, row[2] as usize);
        bytes[at + 6..at + size].fill(0xa5);
    }
    let film = home.join("damaged.mp4");
    std::fs::write(&film, bytes).unwrap();
    film
}

#[test]
fn pictures_that_do_not_decode_fail_the_job_or_are_stood_in_for() {
    let home = place::scratch();
    let film = damaged(home.path());
    let words = ["transcode", "--job", "job.yaml"];
    let job = |damaged: &str| {
        let text = format!(
            "version: 1\nsource: {}\ndamaged: {damaged}\noutputs:\n  - {{ to: 'a-{{n}}.png', thumbnails: {{ every: 500ms }} }}\n",
            film.display()
        );
        std::fs::write(home.path().join("job.yaml"), text).unwrap();
    };
    job("fail");
    let ran = run(home.path(), &words);
    assert_eq!(ran.code, Some(65), "{ran:?}");
    assert!(!home.path().join("a-1.png").exists());
    job("keep");
    done(home.path(), &words);
    let numbers: Vec<_> = (1..=8).map(|n| number(&home.path().join(format!("a-{n}.png"))).unwrap()).collect();
    let due = [0, 12, 25, 37, 50, 62, 75, 87];
    assert_eq!(numbers[..4], due[..4]);
    assert!(numbers[4..6].iter().all(|number| (37..50).contains(number)), "{numbers:?}");
    assert!(numbers.is_sorted() && numbers.iter().zip(due).all(|(number, due)| *number <= due), "{numbers:?}");
}
