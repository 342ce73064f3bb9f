//! What becomes of a picture's size, crop and turns.

use framefleet_model::media::{Colour, Geometry, Mirror, Orientation, Scan, VideoFormat};
use framefleet_model::picture::{Deinterlace, Flip, PixelAspect, Rect, Shape, Size, SizeMode, Window};
use framefleet_model::pipeline::{Coding, Preset, RateControl, VideoSettings};
use framefleet_model::time::Rational;

use super::geometry::{Shaped, shaped, turned};

const PAL: (u32, u32) = (16, 11);

fn source((width, height): (u32, u32), (num, den): (u32, u32)) -> VideoFormat {
    VideoFormat {
        geometry: Geometry { width, height },
        layout: "I420".into(),
        pixel_aspect: Rational::new(num, den).unwrap(),
        rate: None,
        scan: Scan::Progressive,
        colour: Colour::UNSPECIFIED,
        mastering: None,
        light: None,
        orientation: Orientation::UPRIGHT,
    }
}

fn settings(size: Option<Size>, shape: Shape) -> VideoSettings {
    let (codec, rate) = (framefleet_model::media::VideoCodec::H264, RateControl::Crf(23));
    VideoSettings {
        codec,
        coding: Coding::Encode,
        preset: Preset::Medium,
        rate,
        max_bitrate: None,
        size,
        fps: None,
        keyframe_interval: None,
        shape,
        watermarks: Vec::new(),
    }
}

fn size(width: u32, height: u32, mode: SizeMode, upscale: bool) -> Option<Size> {
    let side = |side| (side > 0).then_some(side);
    Some(Size { width: side(width), height: side(height), mode, upscale })
}

/// `cut → picture in output`, each part as `WxH+X+Y`.
fn of(source: &VideoFormat, size: Option<Size>, shape: Shape) -> String {
    let text = |r: Rect| format!("{}x{}+{}+{}", r.width, r.height, r.x, r.y);
    match shaped(&settings(size, shape), source) {
        Ok(Shaped { crop, canvas, geometry, pixel_aspect, .. }) => {
            let crop = crop.map_or("all".to_owned(), text);
            let at = canvas.map_or(String::new(), |canvas| format!("{} in ", text(canvas.picture)));
            let aspect = if pixel_aspect == Rational::ONE { String::new() } else { format!(" {pixel_aspect}") };
            format!("{crop} → {at}{geometry}{aspect}")
        }
        Err(fault) => fault.message,
    }
}

#[test]
fn sizes_are_met_by_their_mode_and_never_enlarge_unasked() {
    use SizeMode::{Exact, Fill, Fit, Pad};
    let hd = source((1920, 1080), (1, 1));
    let check = |size, expect: &str| assert_eq!(of(&hd, size, Shape::default()), expect);
    check(size(640, 640, Fit, false), "all → 640x360");
    check(size(1280, 0, Fit, false), "all → 1280x720");
    check(size(0, 2160, Fit, false), "all → 1920x1080");
    check(size(0, 2160, Fit, true), "all → 3840x2160");
    check(size(640, 640, Fill, false), "1080x1080+420+0 → 640x640");
    check(size(2000, 2000, Fill, false), "1080x1080+420+0 → 1080x1080");
    check(size(2000, 2000, Fill, true), "1080x1080+420+0 → 2000x2000");
    check(size(640, 640, Pad, false), "all → 640x360+0+140 in 640x640");
    check(size(2000, 2000, Pad, false), "all → 1920x1080+40+460 in 2000x2000");
    check(size(640, 640, Exact, false), "all → 640x640 16/9");
    check(size(20, 0, Fit, false), "the picture would be 20x12, sides are from 16 to 8192");
}

#[test]
fn pixels_that_are_not_square_count_as_they_are_shown() {
    let pal = source((720, 576), PAL);
    let square = || Shape { pixel_aspect: PixelAspect::Square, ..Shape::default() };
    assert_eq!(of(&pal, None, Shape::default()), "all → 720x576 16/11");
    assert_eq!(of(&pal, None, square()), "all → 1048x576");
    assert_eq!(of(&pal, size(0, 288, SizeMode::Fit, false), Shape::default()), "all → 524x288");
    assert_eq!(of(&pal, size(320, 320, SizeMode::Fill, false), Shape::default()), "396x576+162+0 → 320x320");
    assert_eq!(of(&pal, size(720, 576, SizeMode::Exact, false), square()), "all → 720x576");
}

#[test]
fn a_crop_is_of_the_upright_source_and_turns_with_it() {
    let hd = source((1280, 720), (1, 1));
    let crop = |at| Some(Window { width: 400, height: 200, at });
    let turn = |quarter_turns, flip| Shape { crop: crop(Some((10, 20))), quarter_turns, flip, ..Shape::default() };
    assert_eq!(of(&hd, None, Shape { crop: crop(None), ..Shape::default() }), "400x200+440+260 → 400x200");
    assert_eq!(of(&hd, None, turn(0, None)), "400x200+10+20 → 400x200");
    assert_eq!(of(&hd, None, turn(1, None)), "200x400+500+10 → 200x400");
    assert_eq!(of(&hd, None, turn(1, Some(Flip::Horizontal))), "200x400+20+10 → 200x400");
    let outside = Shape { crop: crop(Some((900, 0))), ..Shape::default() };
    assert_eq!(of(&hd, None, outside), "crop 400x200+900+0 reaches to 1300x200, over the bound of 1280x720");
    let wide = Window { width: 1300, height: 200, at: None };
    let wide = Shape { crop: Some(wide), ..Shape::default() };
    assert_eq!(of(&hd, None, wide), "the width of crop 1300x200 is not from 16 to 1280");
    let mut fields = hd.clone();
    fields.scan = Scan::TopFirst;
    let odd = Shape { crop: crop(Some((0, 2))), ..Shape::default() };
    assert_eq!(of(&fields, None, odd.clone()), "y 2 of crop 400x200+0+2 is no multiple of 4");
    assert_eq!(of(&fields, None, Shape { deinterlace: Deinterlace::Frame, ..odd }), "400x200+0+2 → 400x200");
}

#[test]
fn a_pad_takes_the_finished_picture() {
    let hd = source((1280, 720), (1, 1));
    let pad = |width, at| Shape { pad: Some(Window { width, height: 720, at }), ..Shape::default() };
    let half = size(640, 360, SizeMode::Exact, false);
    assert_eq!(of(&hd, half, pad(800, None)), "all → 640x360+80+180 in 800x720");
    assert_eq!(of(&hd, half, pad(800, Some((0, 10)))), "all → 640x360+0+10 in 800x720");
    let barred = size(640, 400, SizeMode::Pad, false);
    assert_eq!(of(&hd, barred, pad(640, Some((0, 0)))), "all → 640x360+0+20 in 640x720");
    assert_eq!(of(&hd, None, pad(640, None)), "pad 640x720 is smaller than the picture, which is 1280x720");
    assert_eq!(
        of(&hd, half, pad(800, Some((200, 0)))),
        "pad 800x720+200+0 reaches to 840x360, over the bound of 800x720"
    );
}

/// Checked on the four corners of a picture that is turned step by step.
#[test]
fn turns_on_top_of_the_sources_own_are_one_turn() {
    type Corners = [u8; 4];
    let quarter = |[a, b, c, d]: Corners| [d, a, b, c];
    let mirrored = |[a, b, c, d]: Corners| [b, a, d, c];
    let upended = |[a, b, c, d]: Corners| [d, c, b, a];
    let apply = |corners: Corners, o: Orientation| {
        let seen = if o.mirror == Mirror::Horizontal { mirrored(corners) } else { corners };
        (0..o.quarter_turns).fold(seen, |corners, _| quarter(corners))
    };
    for own_turns in 0..4 {
        for mirror in [Mirror::No, Mirror::Horizontal] {
            let own = Orientation { quarter_turns: own_turns, mirror };
            for asked in 0..4 {
                for flip in [None, Some(Flip::Horizontal), Some(Flip::Vertical)] {
                    let steps = (0..asked).fold(apply([1, 2, 3, 4], own), |corners, _| quarter(corners));
                    let steps = match flip {
                        None => steps,
                        Some(Flip::Horizontal) => mirrored(steps),
                        Some(Flip::Vertical) => upended(steps),
                    };
                    let shape = Shape { quarter_turns: asked, flip, ..Shape::default() };
                    assert_eq!(apply([1, 2, 3, 4], turned(own, &shape)), steps, "{own:?} {asked} {flip:?}");
                }
            }
        }
    }
}
