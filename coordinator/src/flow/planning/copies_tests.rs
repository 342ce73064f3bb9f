//! Where copies are cut, begin and end, and what is refused.

use framefleet_model::fault::FaultKind;
use framefleet_model::index::Index;
use framefleet_model::media::{AudioCodec, Container, VideoCodec};
use framefleet_model::pipeline::{Coding, Edges, OutputRequest, Range, Request, SegmentDuration, VideoSettings};
use framefleet_model::plan::{Passes, Plan};
use framefleet_model::time::Span;

use super::tests::{
    audio, cuts, every, film, ms, output, package, planned, request, slices, steady, video, with_sound,
};

/// Groups of four in the order of decoding, the third of them open: a picture before its key refers to it.
const FILM: &str = "K0 p120 b40 b80 K160 p280 b200 b240 K320 b300 p440 b360 b400 K480 p600 b520 b560";

fn copied(container: Container) -> OutputRequest {
    let video = VideoSettings { coding: Coding::Copy, ..video() };
    OutputRequest { container, ..output("file:///o", Some(video), None) }
}

fn asking(outputs: Vec<OutputRequest>, range: Range) -> Request {
    Request { outputs, range, ..every(160) }
}

fn ranged(from: Option<i64>, to: Option<i64>) -> Result<Plan, (FaultKind, String)> {
    let range = Range { from: from.map(ms), to: to.map(ms) };
    planned(&asking(vec![copied(Container::Mp4)], range), &film(FILM))
}

#[test]
fn copies_are_cut_where_no_picture_refers_back() {
    let plan = ranged(None, None).unwrap();
    assert_eq!(cuts(&plan), "0:start 160:key 480:key 640:end");
    assert_eq!(slices(&plan)[1], (4, 13, Some(9)));
    assert_eq!((plan.video[0].dts_delay, plan.video[0].passes()), (Some(ms(40)), Passes::One));
    let auto = Request { segments: SegmentDuration::Auto, ..asking(vec![copied(Container::Mp4)], Range::default()) };
    assert_eq!(cuts(&planned(&auto, &film(FILM)).unwrap()), "0:start 640:end", "reading gains nothing from parts");
}

#[test]
fn what_is_encoded_beside_a_copy_shares_its_cuts() {
    let both = vec![copied(Container::Mkv), output("file:///b", Some(video()), None)];
    let plan = planned(&asking(both, Range::default()), &film(FILM)).unwrap();
    assert_eq!((cuts(&plan).as_str(), plan.video.len()), ("0:start 160:key 480:key 640:end", 2));
}

#[test]
fn a_copy_goes_beside_a_package_where_the_film_has_key_pictures_for_both() {
    let outputs = vec![package("file:///p.m3u8", 4000, video()), copied(Container::Mkv)];
    let asked = Request { outputs, ..every(2000) };
    let plan = planned(&asked, &steady(250, 50)).unwrap();
    assert_eq!(cuts(&plan), "0:start 2000:key 4000:package+0 6000:key 8000:package+0 10000:end");
    let (kind, said) = planned(&asked, &steady(250, 30)).unwrap_err();
    assert_eq!(kind, FaultKind::Settings);
    assert!(
        said.contains("one at 4.000 s") && said.ends_with("copies and packages of this film are two jobs"),
        "{said}"
    );
}

#[test]
fn a_range_ends_where_nothing_is_torn() {
    let ends = |to| ranged(Some(160), Some(to)).unwrap().span;
    // The picture at 280 is decoded before those at 200 and 240.
    assert_eq!(ends(210), Span::new(ms(160), ms(300)));
    assert_eq!(ends(290), Span::new(ms(160), ms(300)));
    assert_eq!(ends(480), Span::new(ms(160), ms(480)));
}

#[test]
fn a_range_begins_at_a_key_picture() {
    assert_eq!(ranged(Some(320), None).unwrap().span.start, ms(320));
    let (kind, said) = ranged(Some(200), None).unwrap_err();
    assert_eq!(kind, FaultKind::Settings);
    assert_eq!(
        said,
        "copied pictures begin with a key picture, and the one at 0.200 s is none: the nearest are at 0.160 s and 0.320 s"
    );
}

#[test]
fn what_no_container_could_keep_is_refused() {
    let refused =
        |container, index: &Index| planned(&asking(vec![copied(container)], Range::default()), index).unwrap_err();
    let (kind, said) = refused(Container::Webm, &film(FILM));
    assert_eq!(kind, FaultKind::Unsupported);
    assert!(
        said.starts_with("the pictures cannot be copied: webm holds no h264 but vp9, vp8, av1; h264 goes into"),
        "{said}"
    );
    assert!(
        refused(Container::Avi, &film(FILM)).1.contains("the one at 0.040 s of the source is coded out of the order")
    );
    let mut strange = steady(50, 25);
    strange.header.video.as_mut().unwrap().name = "mpeg2video".to_owned();
    assert!(refused(Container::Mp4, &strange).1.starts_with("the pictures are mpeg2video, of which no copy is made"));
    let mut hidden = film("K0 h40 p40 p80");
    hidden.header.video.as_mut().unwrap().name = VideoCodec::Vp8.name().to_owned();
    assert!(
        refused(Container::Mkv, &hidden).1.contains("a unit of vp8 at 0.040 s of the source is decoded and not shown")
    );
    assert!(planned(&asking(vec![copied(Container::Avi)], Range::default()), &steady(50, 25)).is_ok());
}

#[test]
fn copied_sound_is_what_the_source_has_and_the_container_holds() {
    let index = with_sound(steady(50, 25), 0, 2000);
    let of = |container| {
        let audio =
            framefleet_model::pipeline::AudioSettings { coding: Coding::Copy, codec: AudioCodec::Pcm, ..audio() };
        let output = OutputRequest { container, ..output("file:///o", None, Some(audio)) };
        planned(&Request { outputs: vec![output], ..request(SegmentDuration::Auto) }, &index)
    };
    let plan = of(Container::M4a).unwrap();
    let sound = &plan.audio[0];
    assert_eq!((sound.settings.codec, sound.edges, sound.format.rate), (AudioCodec::Aac, Edges::Told, 44_100));
    assert_eq!(of(Container::Ts).unwrap().audio[0].edges, Edges::Whole);
    let (kind, said) = of(Container::Wav).unwrap_err();
    assert_eq!(kind, FaultKind::Unsupported);
    assert!(said.starts_with("the sound cannot be copied: wav holds no aac but pcm; aac goes into mp4"), "{said}");
}
