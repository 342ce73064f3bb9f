//! Plans of films made up unit by unit. A film is written in decoding order: `K0 p40 b20` is a key picture shown at
//! 0 ms, one shown at 40 ms, one shown at 20 ms; `h` is shown never.

use framefleet_model::fault::FaultKind;
use framefleet_model::id::{Digest, TaskKind};
use framefleet_model::index::{AudioTrack, Divisible, Index, IndexHeader, Key, Method, Standing, Unit, VideoTrack};
use framefleet_model::media::{
    AudioCodec, AudioFormat, Chapter, Colour, Container, Geometry, Mirror, Orientation, Scan, Tags, VideoCodec,
    VideoFormat,
};
use framefleet_model::picture::Shape;
use framefleet_model::pipeline::{
    AudioSettings, Coding, Damaged, Ladder, Manifest, OnExisting, OutputRequest, Package, Preset, Range, RateControl,
    Request, SegmentDuration, SoundTracks, VideoSettings,
};
use framefleet_model::plan::{CutReason, Decode, IndexRef, Plan, SourceFacts, shown_times};
use framefleet_model::probe::Shown;
use framefleet_model::sound::Treatment;
use framefleet_model::time::{MediaTime, Rational, Span};
use proptest::prelude::*;

use super::{Asked, plan, tasks::tasks};

pub(super) const fn ms(n: i64) -> MediaTime {
    MediaTime::from_millis(n)
}

fn unit(word: &str) -> Unit {
    let (kind, at) = word.split_at(1);
    let pts = at.parse().ok().map(ms);
    let key = if kind == "K" { Key::Yes } else { Key::No };
    let shows = u8::from(kind != "h");
    Unit { pts, dts: None, duration: None, size: 1, key, shows, hash: 0, offset: None }
}

pub(super) fn film(words: &str) -> Index {
    of_units(words.split_whitespace().map(unit).collect())
}

/// Closed GOPs without reordering at 25 pictures a second.
pub(super) fn steady(pictures: i64, gop: i64) -> Index {
    let word = |n: i64| format!("{}{}", if n % gop == 0 { "K" } else { "p" }, n * 40);
    of_units((0..pictures).map(|n| unit(&word(n))).collect())
}

fn of_units(units: Vec<Unit>) -> Index {
    let end = units.iter().filter_map(|u| u.pts).max().unwrap_or_default() + ms(40);
    let span = Span::new(MediaTime::ZERO, end);
    let format = VideoFormat {
        geometry: Geometry { width: 1920, height: 1080 },
        layout: "I420".into(),
        pixel_aspect: Rational::ONE,
        rate: None,
        scan: Scan::Progressive,
        colour: Colour::UNSPECIFIED,
        mastering: None,
        light: None,
        orientation: Orientation::UPRIGHT,
    };
    let video = VideoTrack {
        id: "v".into(),
        codec: "video/x-h264".into(),
        name: "h264".into(),
        decoder: "d".into(),
        caps: vec![],
        format,
        span,
        divisible: Divisible::Yes,
    };
    let header = IndexHeader {
        container: "video/quicktime".into(),
        method: Method::Pass,
        video: Some(video),
        audio: Vec::new(),
        silent: Vec::new(),
        ignored: vec![],
        tags: Tags::default(),
        chapters: vec![],
        missing: Vec::new(),
        blocks: vec![],
    };
    Index { header, units }
}

pub(super) fn with_sound(mut index: Index, from: i64, to: i64) -> Index {
    let [id, codec, name, decoder] = ["a", "audio/mpeg", "aac", "d"].map(str::to_owned);
    let (format, language, title) = (AudioFormat { rate: 44_100, channels: 2 }, Some("de".into()), None);
    let (number, shown, standing, span) = (1, Shown::Default, Standing::Beside, Span::new(ms(from), ms(to)));
    index.header.audio =
        vec![AudioTrack { number, id, codec, name, decoder, format, language, title, shown, standing, span }];
    index
}

pub(super) fn video() -> VideoSettings {
    VideoSettings {
        codec: VideoCodec::H264,
        coding: Coding::Encode,
        preset: Preset::Veryfast,
        rate: RateControl::Crf(23),
        max_bitrate: None,
        size: None,
        fps: None,
        keyframe_interval: None,
        shape: Shape::default(),
        watermarks: Vec::new(),
    }
}

pub(super) fn audio() -> AudioSettings {
    let (coding, treatment) = (Coding::Encode, Treatment::default());
    AudioSettings { codec: AudioCodec::Aac, coding, bitrate: 128_000, sample_rate: None, channels: None, treatment }
}

pub(super) fn output(to: &str, video: Option<VideoSettings>, audio: Option<AudioSettings>) -> OutputRequest {
    let (to, container, tracks) = (to.into(), Container::Mp4, SoundTracks::Usual);
    OutputRequest { to, container, video, audio, tracks, package: None, images: None }
}

pub(super) fn request(segments: SegmentDuration) -> Request {
    Request {
        source: "file:///film".into(),
        outputs: vec![output("file:///out.mp4", Some(video()), Some(audio()))],
        segments,
        damaged: Damaged::Fail,
        range: Range::default(),
        on_existing: OnExisting::Fail,
        steps: Vec::new(),
    }
}

pub(super) fn every(ms_: i64) -> Request {
    request(SegmentDuration::Every(ms(ms_)))
}

pub(super) fn planned(request: &Request, index: &Index) -> Result<Plan, (FaultKind, String)> {
    let source = SourceFacts { url: request.source.clone(), size: 1, version: "1".into() };
    let index_ref = IndexRef { key: "k".into(), size: 1, digest: Digest::of(b"") };
    let plan = plan(Asked { request, source: &source, index, index_ref: &index_ref });
    plan.map_err(|fault| (fault.kind, fault.message))
}

/// `at:reason` of each cut.
pub(super) fn cuts(plan: &Plan) -> String {
    let cuts = plan.cuts.iter().map(|cut| {
        let reason = match cut.reason {
            CutReason::Start => "start".to_owned(),
            CutReason::KeyPicture => "key".to_owned(),
            CutReason::InsideGop { preroll } => format!("inside+{preroll}"),
            CutReason::Package { preroll } => format!("package+{preroll}"),
            CutReason::End => "end".to_owned(),
        };
        format!("{}:{reason}", cut.at.ns() / 1_000_000)
    });
    cuts.collect::<Vec<_>>().join(" ")
}

pub(super) fn slices(plan: &Plan) -> Vec<(u32, u32, Option<u32>)> {
    let slice = |segment: &framefleet_model::plan::Segment| match segment.decode {
        Decode::Slice { from, to, .. } => (from, to, segment.pictures),
        Decode::Whole => (u32::MAX, u32::MAX, segment.pictures),
    };
    plan.segments.iter().map(slice).collect()
}

pub(super) fn package(to: &str, time: i64, video: VideoSettings) -> OutputRequest {
    let package = Some(Package { time: ms(time), ladder: Ladder::Auto, manifest: Manifest::Hls });
    OutputRequest { container: Container::Ts, package, ..output(to, Some(video), None) }
}

#[test]
fn segments_of_packages_begin_on_one_grid_of_cuts() {
    let asked = |segments, more| {
        let outputs = [vec![package("file:///o.m3u8", 4000, video())], more].concat();
        Request { outputs, ..request(segments) }
    };
    let cut = planned(&asked(SegmentDuration::Every(ms(2000)), vec![]), &steady(250, 30)).unwrap();
    assert_eq!(cuts(&cut), "0:start 2400:key 4000:package+10 6000:key 8000:package+20 10000:end");
    let of = cut.outputs[0].package.as_ref().unwrap();
    let all: Vec<u32> = cut.video.iter().map(|rendition| rendition.number).collect();
    assert_eq!((&of.starts, &of.videos), (&vec![0, 2, 4], &all));
    let auto = planned(&asked(SegmentDuration::Auto, vec![]), &steady(250, 30)).unwrap();
    assert_eq!(cuts(&auto), "0:start 4000:package+10 8000:package+20 10000:end");
    let refused = |more| planned(&asked(SegmentDuration::Auto, vec![more]), &steady(250, 30)).unwrap_err().1;
    assert!(refused(package("file:///p.m3u8", 6000, video())).contains("cuts its packages alike"));
    let hevc = VideoSettings { codec: VideoCodec::Hevc, ..video() };
    assert!(refused(package("file:///p.m3u8", 4000, hevc)).ends_with("they take h264"));
}

#[test]
fn cuts_fall_on_key_pictures_where_one_is_near() {
    let plan = planned(&every(2000), &steady(250, 30)).unwrap();
    assert_eq!(cuts(&plan), "0:start 2400:key 3600:key 6000:key 8400:key 10000:end");
    assert_eq!(slices(&plan)[0], (0, 60, Some(60)));
    assert_eq!(plan.span, Span::new(ms(0), ms(10_000)));
}

#[test]
fn cuts_fall_inside_long_gops_and_say_what_they_cost() {
    let plan = planned(&every(2000), &steady(250, 1000)).unwrap();
    assert_eq!(cuts(&plan), "0:start 2000:inside+50 4000:inside+100 6000:inside+150 8000:inside+200 10000:end");
    assert_eq!(slices(&plan)[2], (0, 150, Some(50)));
}

#[test]
fn the_last_segment_is_at_least_half_a_segment() {
    let plan = planned(&every(2000), &steady(120, 1000)).unwrap();
    assert_eq!(cuts(&plan), "0:start 2000:inside+50 4800:end");
    assert_eq!(
        cuts(&planned(&every(2000), &steady(125, 1000)).unwrap()),
        "0:start 2000:inside+50 4000:inside+100 5000:end"
    );
}

#[test]
fn a_segment_longer_than_the_film_is_the_film() {
    assert_eq!(cuts(&planned(&every(60_000), &steady(25, 5)).unwrap()), "0:start 1000:end");
}

#[test]
fn leading_pictures_behind_the_next_key_belong_to_the_segment_before_it() {
    // Open GOPs: after each key come two pictures that are shown before it.
    let words = "K80 b0 b40 p200 b120 b160 K320 b240 b280 p440 b360 b400";
    let plan = planned(&every(200), &film(words)).unwrap();
    // The first key's own leading pictures refer to what is not there.
    assert_eq!(cuts(&plan), "80:start 320:key 480:end");
    assert_eq!((plan.origin, plan.span.end), (ms(80), ms(480)));
    assert_eq!(slices(&plan), [(0, 9, Some(6)), (6, 12, Some(4))]);
}

#[test]
fn a_late_flagged_picture_is_no_key() {
    // The unit flagged at 60 is shown before one that stands before it in the film: decoding cannot begin there.
    let plan = planned(&every(100), &film("K0 p80 K60 p120 K160 p200")).unwrap();
    assert_eq!(cuts(&plan), "0:start 120:inside+3 240:end");
    assert_eq!(slices(&plan), [(0, 3, Some(3)), (0, 6, Some(3))]);
}

#[test]
fn pictures_without_a_time_or_with_the_same_are_not_cut() {
    let plan = planned(&every(100), &film("K0 p p80 p120 K160")).unwrap();
    assert_eq!((cuts(&plan).as_str(), slices(&plan)[0]), ("0:start 200:end", (u32::MAX, u32::MAX, None)));
    assert_eq!(plan.uncut.as_deref(), Some("1 of 5 pictures have no time"));
    let plan = planned(&every(100), &film("K0 p40 p40 p120 K160")).unwrap();
    assert_eq!(plan.uncut.as_deref(), Some("several pictures stand at 0.040 s"));
    assert_eq!(plan.video[0].dts_delay, None);
}

#[test]
fn a_film_that_the_index_calls_indivisible_is_one_slice_and_says_why() {
    let mut index = film("K0 p40 p80 K120");
    index.header.video.as_mut().unwrap().divisible = Divisible::No("no rule for this codec".into());
    let plan = planned(&every(100), &index).unwrap();
    assert_eq!((plan.uncut.as_deref(), slices(&plan)), (Some("no rule for this codec"), vec![(0, 4, None)]));
}

#[test]
fn the_last_picture_lasts_as_long_as_the_others_and_ends_where_the_hidden_ones_begin() {
    let end = |index: &Index| planned(&every(1000), index).unwrap().segments.last().unwrap().span.end;
    let mut short = film("K0 p40 p80");
    short.units[2].duration = Some(MediaTime(33_333));
    assert_eq!(end(&short), ms(120), "a parser's nominal duration is no duration");
    assert_eq!(end(&film("K0 p40 p80 h100")), ms(100));
}

#[test]
fn pictures_before_running_time_zero_are_decoded_and_not_shown() {
    let plan = planned(&every(120), &film("K-80 p-40 p0 p40 p80 K120 p160 p200 p240")).unwrap();
    assert_eq!(plan.origin, ms(0));
    assert_eq!(slices(&plan)[0], (0, 5, Some(3)));
    assert_eq!(cuts(&plan), "0:start 120:key 280:end");
}

#[test]
fn the_origin_is_the_first_picture_or_earlier_sound() {
    let index = film("K100 p140 p180");
    assert_eq!(planned(&every(1000), &with_sound(index.clone(), 50, 400)).unwrap().span, Span::new(ms(50), ms(400)));
    assert_eq!(planned(&every(1000), &with_sound(index.clone(), -30, 90)).unwrap().span, Span::new(ms(0), ms(220)));
    assert_eq!(planned(&every(1000), &with_sound(index, 120, 200)).unwrap().span, Span::new(ms(100), ms(220)));
}

#[test]
fn a_range_is_taken_to_the_picture() {
    let range = |from: Option<i64>, to: Option<i64>| Request {
        range: Range { from: from.map(ms), to: to.map(ms) },
        ..every(60_000)
    };
    let index = with_sound(steady(250, 25), 0, 10_000);
    let plan = planned(&range(Some(1010), Some(2010)), &index).unwrap();
    assert_eq!((plan.span, slices(&plan)), (Span::new(ms(1040), ms(2040)), vec![(25, 51, Some(25))]));
    let plan = planned(&range(Some(9000), None), &index).unwrap();
    assert_eq!((plan.span, slices(&plan)[0].2), (Span::new(ms(9000), ms(10_000)), Some(25)));
    assert_eq!(planned(&range(None, Some(20_000)), &index).unwrap().span.end, ms(10_000));
    let refused = |from, to| planned(&range(from, to), &index).unwrap_err();
    assert_eq!(
        refused(Some(10_000), None),
        (FaultKind::Settings, "from 10.000 s lies outside the film, which is 10.000 s long".into())
    );
    assert_eq!(
        refused(Some(5000), Some(5000)),
        (FaultKind::Settings, "the range ends at 5.000 s, not after its start at 5.000 s".into())
    );
    assert_eq!(refused(Some(5001), Some(5002)).0, FaultKind::Settings);
}

#[test]
fn variable_rates_keep_their_times_and_have_a_delay_for_all() {
    let plan = planned(&every(60_000), &film("K0 p10 p50 p55 p155")).unwrap();
    // Two pictures ahead, the widest distance is from 50 to 155.
    assert_eq!(plan.video[0].dts_delay, Some(ms(105)));
    let fastest = VideoSettings { preset: Preset::Ultrafast, ..video() };
    let asked = Request { outputs: vec![output("file:///o", Some(fastest), None)], ..every(60_000) };
    assert_eq!(planned(&asked, &film("K0 p10 p50")).unwrap().video[0].dts_delay, Some(ms(0)));
}

#[test]
fn no_segment_is_empty_on_a_grid() {
    let slow = VideoSettings { fps: Some(Rational::new(1, 1).unwrap()), ..video() };
    let asked = Request { outputs: vec![output("file:///o", Some(slow), None)], ..every(400) };
    let plan = planned(&asked, &steady(100, 10)).unwrap();
    assert_eq!(cuts(&plan), "0:start 800:key 1600:key 2800:key 4000:end");
    assert_eq!(plan.video[0].format.rate, Rational::new(1, 1).unwrap());
}

#[test]
fn auto_makes_sixteen_segments_of_long_films_and_shorter_ones_of_hard_work() {
    let count = |pictures, settings: VideoSettings| {
        let outputs = vec![output("file:///o", Some(settings), None)];
        let asked = Request { outputs, ..request(SegmentDuration::Auto) };
        planned(&asked, &steady(pictures, 25)).unwrap().segments.len()
    };
    assert_eq!(count(50, video()), 1);
    assert_eq!(count(25 * 20, video()), 4);
    assert_eq!(count(25 * 64, video()), 16);
    assert_eq!(count(25 * 200, video()), 40);
    let hard = VideoSettings { codec: VideoCodec::Hevc, preset: Preset::Slow, ..video() };
    assert_eq!(count(25 * 20, hard), 9);
}

#[test]
fn equal_renditions_are_encoded_once() {
    let small = VideoSettings { size: Some(Geometry { width: 640, height: 360 }.into()), ..video() };
    let outputs = vec![
        output("file:///a", Some(video()), Some(audio())),
        output("file:///b", Some(small), Some(audio())),
        output("file:///c", Some(video()), None),
    ];
    let asked = Request { outputs, ..every(60_000) };
    let plan = planned(&asked, &with_sound(steady(50, 25), 0, 2000)).unwrap();
    let of: Vec<_> = plan.outputs.iter().map(|o| (o.video, o.audio.first().copied())).collect();
    assert_eq!(of, [(Some(0), Some(0)), (Some(1), Some(0)), (Some(0), None)]);
    assert_eq!((plan.video.len(), plan.audio.len()), (2, 1));
    let kinds: Vec<_> = tasks(&plan).iter().map(|task| task.id.kind).collect();
    assert_eq!(kinds, [TaskKind::Encode, TaskKind::Audio, TaskKind::Merge, TaskKind::Merge, TaskKind::Merge]);
}

#[test]
fn formats_stand_upright_and_keep_their_shape() {
    let format = |change: fn(&mut VideoFormat), size: Option<(u32, u32)>| {
        let mut index = steady(10, 10);
        change(&mut index.header.video.as_mut().unwrap().format);
        let size = size.map(|(width, height)| Geometry { width, height }.into());
        let asked = Request {
            outputs: vec![output("file:///o", Some(VideoSettings { size, ..video() }), None)],
            ..every(60_000)
        };
        planned(&asked, &index).map(|plan| plan.video[0].format.clone())
    };
    let turned = |f: &mut VideoFormat| f.orientation = Orientation { quarter_turns: 1, mirror: Mirror::No };
    assert_eq!(format(turned, None).unwrap().geometry, Geometry { width: 1080, height: 1920 });
    let wide = |f: &mut VideoFormat| {
        f.geometry = Geometry { width: 720, height: 576 };
        f.pixel_aspect = Rational::new(64, 45).unwrap();
    };
    assert_eq!(format(wide, None).unwrap().pixel_aspect, Rational::new(64, 45).unwrap());
    assert_eq!(format(wide, Some((1024, 576))).unwrap().pixel_aspect, Rational::ONE);
    assert_eq!(format(wide, Some((640, 576))).unwrap().pixel_aspect, Rational::new(8, 5).unwrap());
    let odd = |f: &mut VideoFormat| f.geometry = Geometry { width: 321, height: 181 };
    assert_eq!(format(odd, None).unwrap().geometry, Geometry { width: 320, height: 180 });
    let deep = |f: &mut VideoFormat| f.layout = "P010_10LE".into();
    assert_eq!(format(deep, None).unwrap().layout, "I420_10LE");
    let refused = format(|_| {}, Some((321, 180))).unwrap_err();
    assert_eq!(refused, (FaultKind::Settings, "a side of 321 is not even and from 16 to 8192".into()));
}

#[test]
fn rates_come_from_the_source_or_from_the_distance_of_its_pictures() {
    let rate = |index: &Index| planned(&every(60_000), index).unwrap().video[0].format.rate;
    assert_eq!(rate(&steady(10, 10)), Rational::new(25, 1).unwrap());
    assert_eq!(rate(&film("K0 p33 p67 p100 p133")), Rational::new(30, 1).unwrap());
    assert_eq!(rate(&film("K0 p70 p140")), Rational::new(14_286, 1000).unwrap());
    assert_eq!(rate(&film("K0 p5000")), Rational::ONE);
    let mut stated = steady(10, 10);
    stated.header.video.as_mut().unwrap().format.rate = Some(Rational::new(30_000, 1001).unwrap());
    assert_eq!(rate(&stated), Rational::new(30_000, 1001).unwrap());
}

#[test]
fn sound_follows_the_source_by_what_the_codec_has() {
    let index = with_sound(steady(10, 10), 0, 400);
    let of = |settings: AudioSettings| {
        let asked = Request { outputs: vec![output("file:///o", None, Some(settings))], ..every(60_000) };
        planned(&asked, &index).map(|plan| (plan.audio[0].format, plan.audio[0].language.clone(), plan.segments.len()))
    };
    assert_eq!(of(audio()), Ok((AudioFormat { rate: 44_100, channels: 2 }, Some("de".into()), 0)));
    let refused = |settings| of(settings).unwrap_err();
    assert!(
        refused(AudioSettings { sample_rate: Some(44_000), ..audio() }).1.starts_with("the sample rate 44000 is none")
    );
    assert!(refused(AudioSettings { channels: Some(7), ..audio() }).1.starts_with("the channel count 7 is none"));
    assert_eq!(refused(AudioSettings { bitrate: 100, ..audio() }).1, "an audio bitrate of 100 bit/s is below 8000");
    // The usual rate is more than a slow mono track has room for.
    let asked = Request {
        outputs: vec![output("file:///o", None, Some(AudioSettings { bitrate: 600_000, ..audio() }))],
        ..every(60_000)
    };
    assert_eq!(planned(&asked, &index).unwrap().audio[0].settings.bitrate, 529_200);
}

#[test]
fn an_output_that_would_be_empty_is_refused() {
    let only_video = Request { outputs: vec![output("file:///o", Some(video()), None)], ..every(60_000) };
    let mut no_video = with_sound(steady(10, 10), 0, 400);
    no_video.header.video = None;
    assert_eq!(planned(&only_video, &no_video).unwrap_err().0, FaultKind::Settings);
    let plan = planned(&every(60_000), &no_video).unwrap();
    assert_eq!((plan.video.len(), plan.outputs[0].audio.as_slice()), (0, &[0][..]));
    let mut nothing = steady(10, 10);
    nothing.header.video = None;
    assert_eq!(planned(&every(60_000), &nothing).unwrap_err().0, FaultKind::Unsupported);
    let twice = Request { outputs: vec![output("file:///o", Some(video()), None); 2], ..every(60_000) };
    assert_eq!(planned(&twice, &steady(10, 10)).unwrap_err().1, "2 outputs go to file:///o");
}

#[test]
fn what_a_plan_makes_does_not_depend_on_names_and_dates() {
    let index = with_sound(steady(50, 25), 0, 2000);
    let of = |source: (&str, &str), key: &str, to: &str| {
        let asked = Request { outputs: vec![output(to, Some(video()), Some(audio()))], ..every(1000) };
        let source = SourceFacts { url: source.0.into(), size: 1, version: source.1.into() };
        let index_ref = IndexRef { key: key.into(), size: 1, digest: Digest::of(b"") };
        plan(Asked { request: &asked, source: &source, index: &index, index_ref: &index_ref }).unwrap()
    };
    let (one, other) = (of(("a", "1"), "k", "file:///a"), of(("b", "2"), "l", "file:///b"));
    assert_ne!(one.digest(), other.digest());
    assert_eq!(one.content_digest(), other.content_digest());
}

#[test]
fn chapters_move_with_the_range() {
    let mut index = steady(250, 25);
    let chapter = |start, end| Chapter { start: ms(start), end: ms(end), title: "c".into() };
    index.header.chapters = vec![chapter(0, 1000), chapter(1000, 4000), chapter(4000, 10_000)];
    let asked = Request { range: Range { from: Some(ms(2000)), to: Some(ms(5000)) }, ..every(60_000) };
    assert_eq!(planned(&asked, &index).unwrap().chapters, [chapter(0, 2000), chapter(2000, 3000)]);
}

/// Films of random GOPs with pictures reordered within them, open or closed.
pub(super) fn random_film() -> impl Strategy<Value = Index> {
    let gop = (1_usize..12, any::<bool>());
    prop::collection::vec(gop, 1..12).prop_map(|gops| {
        let (mut units, mut shown) = (Vec::new(), 0_i64);
        for (length, open) in gops {
            let leading = if open && length > 2 { 2 } else { 0 };
            let mut order: Vec<i64> = (0..length as i64).collect();
            // The key is shown after its leading pictures and stands before them.
            order.swap(0, leading);
            for (place, picture) in order.iter().enumerate() {
                let kind = if place == 0 { "K" } else { "p" };
                units.push(unit(&format!("{kind}{}", (shown + picture) * 40)));
            }
            shown += length as i64;
        }
        of_units(units)
    })
}

proptest! {
    #[test]
    fn every_picture_is_in_exactly_one_segment_and_can_be_decoded_there(
        index in random_film(), duration in 100_i64..2000,
    ) {
        let plan = planned(&every(duration), &index).unwrap();
        let mut seen = Vec::new();
        for segment in &plan.segments {
            let Decode::Slice { from, to, .. } = segment.decode else { panic!("every picture has a time") };
            let units = &index.units[from as usize..to as usize];
            let shown = shown_times(units, segment.span);
            prop_assert!(units[0].is_key() && units[0].pts.unwrap() <= segment.span.start);
            prop_assert_eq!(Some(shown.len() as u32), segment.pictures);
            prop_assert_eq!(shown[0], segment.span.start);
            seen.extend(shown);
        }
        let first = index.units[0].pts.unwrap();
        let all: Vec<MediaTime> = shown_times(&index.units, Span::new(first, MediaTime::MAX));
        prop_assert_eq!(seen, all);
    }
}
