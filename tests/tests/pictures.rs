//! Shapes, fields and rates: the same pictures for any cut, and like those that ffmpeg makes.

use std::path::PathBuf;
use std::process::Command;

use framefleet_tests::film::run as make;
use framefleet_tests::pictures::{likeness, of, same_for_any_cut};
use framefleet_tests::{clip, place, product};

const CODING: [&str; 10] = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "12", "-g", "25", "-bf", "3"];

/// What ffmpeg generates, made into H.264 by it.
fn generated(name: &str, scene: &str, coding: &[&str]) -> PathBuf {
    clip::kept(name, |out| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-f", "lavfi", "-i", scene, "-pix_fmt", "yuv420p"]);
        make(command.args(CODING).args(coding).arg(out)).map(drop)
    })
}

fn moving() -> PathBuf {
    generated("shapes.mp4", "testsrc2=s=320x192:r=25:d=4", &[])
}

fn mean(all: &[f64]) -> f64 {
    all.iter().sum::<f64>() / all.len() as f64
}

/// Every picture at least as like as this.
fn assert_like(flags: &[&str], filters: &str, (size, ssim): (&str, f64)) {
    let (_home, made) = same_for_any_cut(&moving(), flags);
    assert_eq!(of(&made).size, size, "{flags:?}");
    let like = likeness("ssim", &made, (&moving(), filters));
    let worst = like.iter().copied().fold(1.0, f64::min);
    println!("{flags:?}: worst SSIM {worst:.4}, mean {:.4}", mean(&like));
    assert_eq!(like.len(), 100);
    assert!(worst >= ssim, "{flags:?}: SSIM {worst}");
}

#[test]
fn a_cropped_turned_fitted_and_padded_film_is_what_ffmpeg_makes() {
    assert_like(
        &[
            "--crop",
            "240x120+40+32",
            "--rotate",
            "90",
            "--flip",
            "vertical",
            "--size",
            "x160",
            "--pad",
            "160x200+40+20",
        ],
        "crop=240:120:40:32,transpose=clock,vflip,scale=80:160:flags=bicubic,pad=160:200:40:20:black",
        ("160x200", 0.97),
    );
}

#[test]
fn a_filled_size_cuts_off_what_stands_over() {
    assert_like(
        &["--size", "128x128", "--size-mode", "fill"],
        "crop=192:192:64:0,scale=128:128:flags=bicubic",
        ("128x128", 0.97),
    );
}

#[test]
fn a_padded_size_has_bars_of_its_colour() {
    let flags = ["--size", "256x256", "--size-mode", "pad", "--pad-colour", "#3060c0"];
    assert_like(&flags, "scale=256:154:flags=bicubic,pad=256:256:0:50:0x3060c0", ("256x256", 0.97));
}

#[test]
fn a_turned_film_without_a_size_keeps_its_pictures() {
    assert_like(&["--rotate", "180"], "hflip,vflip", ("320x192", 0.9999));
}

/// 50 pictures a second, of which an interlacing camera would have seen a field each.
const SCENE: &str = "testsrc2=s=320x192:r=50:d=2";

fn interlaced(name: &str, weave: &str, order: &[&str]) -> PathBuf {
    let fields = ["-flags", "+ildct+ilme", "-vf", weave];
    generated(name, SCENE, &[&fields[..], order].concat())
}

#[test]
fn fields_become_pictures_the_same_for_any_cut() {
    let camera = generated("camera.mp4", SCENE, &[]);
    for (name, weave, order) in [
        ("fields-top.mp4", "tinterlace=interleave_top,fieldorder=tff", "tff=1"),
        ("fields-bottom.mp4", "tinterlace=interleave_bottom,fieldorder=bff", "bff=1"),
    ] {
        let source = interlaced(name, weave, &["-x264-params", order]);
        let (_home, bob) = same_for_any_cut(&source, &["--deinterlace", "bob"]);
        let shown = of(&bob).shown;
        assert_eq!(shown.len(), 100, "{name}");
        assert!(shown.iter().enumerate().all(|(n, (at, _))| *at == n as i64 * 20_000), "{name}: {shown:?}");
        let moments = likeness("psnr", &bob, (&camera, "null"));
        let (_home, frame) = same_for_any_cut(&source, &["--deinterlace", "frame"]);
        assert_eq!(of(&frame).shown.len(), 50, "{name}");
        let firsts = likeness("psnr", &frame, (&camera, "select='not(mod(n\\,2))'"));
        let judged = likeness("psnr", &bob, (&source, "bwdif=mode=send_field"));
        println!(
            "{name}: bob {:.2} dB, frame {:.2} dB of the camera's pictures, {:.2} dB of ffmpeg's bwdif",
            mean(&moments),
            mean(&firsts),
            mean(&judged)
        );
        assert!(mean(&moments) > 28.0 && mean(&firsts) > 28.0, "{name}");
    }
}

#[test]
fn fields_stay_woven_unless_it_is_asked() {
    let source = interlaced("fields-top.mp4", "tinterlace=interleave_top,fieldorder=tff", &["-x264-params", "tff=1"]);
    let (_home, made) = same_for_any_cut(&source, &[]);
    let like = likeness("psnr", &made, (&source, "null"));
    assert!(like.iter().all(|db| *db > 60.0), "{like:?}");
    let progressive = moving();
    let (_home, made) = same_for_any_cut(&progressive, &["--deinterlace", "bob"]);
    assert_eq!(of(&made).shown.len(), 100, "a progressive film has no fields");
}

/// Both ways, from constant and variable rates.
#[test]
fn pictures_on_a_grid_are_the_same_for_any_cut() {
    let uneven = r"setpts=(if(lt(N\,60)\,N*1000\,60000+(N-60)*1500)+300*eq(mod(N\,5)\,2))/30000/TB";
    let varying = generated("varying.mp4", "testsrc2=s=320x192:r=30:d=4", &["-vf", uneven, "-vsync", "passthrough"]);
    for source in [moving(), varying] {
        for rate in ["50", "12", "30000/1001"] {
            let (_home, made) = same_for_any_cut(&source, &["--fps", rate]);
            let shown = of(&made).shown;
            let (num, den) = rate.split_once('/').unwrap_or((rate, "1"));
            let step = den.parse::<f64>().unwrap() / num.parse::<f64>().unwrap() * 1e6;
            let off = shown.iter().enumerate().map(|(n, (at, _))| (*at as f64 - n as f64 * step).abs());
            assert!(off.fold(0.0, f64::max) < 50.0, "{rate}: {shown:?}");
        }
    }
}

#[test]
fn shapes_that_do_not_go_are_refused_with_the_bound() {
    let refused = |flags: &[&str], why: &str| {
        let home = place::scratch();
        let ran = product::transcode(home.path(), &moving(), &home.path().join("film.mp4"), flags);
        assert_eq!(ran.code, Some(64), "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
    };
    refused(&["--crop", "400x100"], "the width of crop 400x100 is not from 16 to 320");
    refused(&["--crop", "200x100+200+0"], "crop 200x100+200+0 reaches to 400x100, over the bound of 320x192");
    refused(&["--pad", "300x300"], "pad 300x300 is smaller than the picture, which is 320x192");
}
