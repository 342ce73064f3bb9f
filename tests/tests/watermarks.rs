//! Watermarks: where and when they were asked for, to the pixel and to the picture, wherever the film is cut.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use framefleet_tests::film::run as make;
use framefleet_tests::pictures::{likeness, same_for_any_cut};
use framefleet_tests::{clip, place, product};

const SIDE: (usize, usize) = (320, 192);
const GREY: u8 = 126;

/// Four seconds of one grey, so that whatever differs is the mark.
fn grey() -> PathBuf {
    generated("grey.mp4", &["-f", "lavfi", "-i", "color=0x808080:s=320x192:r=25:d=4"])
}

fn moving() -> PathBuf {
    generated("shapes.mp4", &["-f", "lavfi", "-i", "testsrc2=s=320x192:r=25:d=4"])
}

fn generated(name: &str, scene: &[&str]) -> PathBuf {
    clip::kept(name, |out| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error"]).args(scene).args(["-pix_fmt", "yuv420p", "-c:v", "libx264"]);
        make(command.args(["-preset", "veryfast", "-crf", "12", "-g", "25", "-bf", "3"]).arg(out)).map(drop)
    })
}

/// 40x20 pixels, red, half transparent on the right.
fn logo(kind: &str) -> PathBuf {
    let alpha = if kind == "png" {
        "format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='if(lt(X,20),255,128)'"
    } else {
        "null"
    };
    clip::kept(&format!("logo.{kind}"), |out| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-f", "lavfi", "-i", "color=red:s=40x20", "-frames:v", "1", "-vf", alpha]);
        make(command.args(["-qscale:v", "1"]).arg(out)).map(drop)
    })
}

/// Luma of every picture, one byte a pixel.
fn luma(film: &Path) -> Vec<Vec<u8>> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(film).args(["-vf", "extractplanes=y", "-f", "rawvideo", "-"]);
    make(&mut command).unwrap().chunks(SIDE.0 * SIDE.1).map(<[u8]>::to_vec).collect()
}

/// The pixels that differ from the grey: left, top, right, bottom, the latter two beyond them.
fn marked(picture: &[u8]) -> Option<[usize; 4]> {
    let off =
        picture.iter().enumerate().filter(|(_, luma)| luma.abs_diff(GREY) > 4).map(|(n, _)| (n % SIDE.0, n / SIDE.0));
    off.fold(None, |found: Option<[usize; 4]>, (x, y)| {
        let [left, top, right, bottom] = found.unwrap_or([x, y, x, y]);
        Some([left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1)])
    })
}

#[test]
fn an_image_is_on_the_pictures_of_its_time_and_on_no_pixel_beyond_its_box() {
    let logo = logo("png");
    let image = ["--watermark", logo.to_str().unwrap(), "--watermark-from", "1s", "--watermark-to", "2.52s"];
    // Seams lie at every 0.7 s and 1.37 s: several of them inside the window.
    for (place, box_) in
        [("top-left", [16, 16, 56, 36]), ("bottom-right", [264, 156, 304, 176]), ("centre", [140, 86, 180, 106])]
    {
        let (_home, made) = same_for_any_cut(&grey(), &[&image[..], &["--watermark-anchor", place]].concat());
        let pictures = luma(&made);
        assert_eq!(pictures.len(), 100);
        for (n, picture) in pictures.iter().enumerate() {
            let due = (25..63).contains(&n).then_some(box_);
            assert_eq!(marked(picture), due, "{place}, picture {n}");
        }
    }
}

#[test]
fn an_image_is_blended_as_ffmpeg_does() {
    let logo = logo("png");
    let image = ["--watermark", logo.to_str().unwrap(), "--watermark-size", "80x", "--watermark-anchor", "top-right"];
    let window = ["--watermark-margin", "8", "--watermark-from", "0.48s", "--watermark-to", "3s"];
    let (_home, made) = same_for_any_cut(&moving(), &[&image[..], &window].concat());
    let overlay = format!(
        "null[film];movie={},scale=80:40:flags=bicubic[mark];[film][mark]overlay=232:8:enable='gte(t,0.479)*lt(t,2.999)'",
        logo.display()
    );
    let like = likeness("ssim", &made, (&moving(), &overlay));
    let worst = like.iter().copied().fold(1.0, f64::min);
    println!("worst SSIM {worst:.4}");
    assert!(like.len() == 100 && worst > 0.99, "{like:?}");
}

#[test]
fn a_jpeg_and_its_opacity_count() {
    let logo = logo("jpg");
    let flags =
        |opacity| ["--watermark", logo.to_str().unwrap(), "--watermark-opacity", opacity, "--watermark-anchor", "left"];
    let at = |flags: &[&str]| {
        let (_home, made) = framefleet_tests::pictures::made(&grey(), "none", flags);
        i32::from(luma(&made)[50][96 * SIDE.0 + 30])
    };
    let (full, half) = (at(&flags("100")), at(&flags("50")));
    assert!((full - 81).abs() <= 3, "red has a luma of 81, not {full}");
    assert!((half - (full + i32::from(GREY)) / 2).abs() <= 2, "{half}");
}

/// What would be markup, a command or a property elsewhere is a text here.
#[test]
fn a_text_is_data() {
    let words = "<b>50% & \"more\"</b> ! fakesink name='x'";
    let flags = ["--watermark-text", words, "--watermark-size", "12", "--watermark-anchor", "bottom-left"];
    let window = ["--watermark-margin", "8", "--watermark-from", "1s", "--watermark-to", "3s"];
    let (_home, made) = same_for_any_cut(&grey(), &[&flags[..], &window].concat());
    for (n, picture) in luma(&made).iter().enumerate() {
        let found = marked(picture);
        assert_eq!(found.is_some(), (25..75).contains(&n), "picture {n}: {found:?}");
        let Some([left, top, right, bottom]) = found else { continue };
        assert!((7..=10).contains(&left) && (183..=184).contains(&bottom), "{found:?}");
        // All of it is written: of twelve pixels' height, and as long as so many letters are.
        assert!((8..=16).contains(&(bottom - top)) && (180..=300).contains(&(right - left)), "{found:?}");
    }
}

#[test]
fn marks_that_do_not_go_are_refused() {
    let refused = |flags: &[&str], (code, why): (i32, &str)| {
        let home = place::scratch();
        let ran = product::transcode(home.path(), &grey(), &home.path().join("film.mp4"), flags);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
    };
    let logo = logo("png");
    let logo = logo.to_str().unwrap();
    refused(
        &["--watermark", logo, "--watermark-size", "300x", "--watermark-margin", "20"],
        (64, "a mark of 300x150 with a margin of 20 does not fit on pictures of 320x192"),
    );
    let film = grey();
    refused(&["--watermark", film.to_str().unwrap()], (64, "is neither a PNG nor a JPEG"));
    refused(&["--watermark", "/nowhere/logo.png"], (66, "/nowhere/logo.png"));
}
