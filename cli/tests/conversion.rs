//! Flags to requests: what each means, and every refusal with its value and bound.

#![allow(clippy::unwrap_used, reason = "tests")]

use clap::Parser;
use framefleet_cli::args::{Cli, Command};
use framefleet_cli::asked::Asked;
use framefleet_cli::jobfile;
use framefleet_cli::location::Reach;
use framefleet_cli::request::check;
use framefleet_model::media::{AudioCodec, ColourRange, Container, Geometry, VideoCodec};
use framefleet_model::picture::{
    ColourSpace, Deinterlace, Depth, Flip, PixelAspect, Rgb, Shape, Size, SizeMode, Window,
};
use framefleet_model::pipeline::{
    AudioSettings, Coding, Damaged, OnExisting, Preset, Range, RateControl, Request, SegmentDuration, SoundTrack,
    SoundTracks, VideoSettings,
};
use framefleet_model::sound::{Downmix, Level, Loudness, Treatment};
use framefleet_model::time::{MediaTime, Rational};

/// The request of `framefleet transcode` with these words, or its refusal.
fn request(words: &str) -> Result<Request, String> {
    let words = ["framefleet", "transcode"].into_iter().chain(words.split_whitespace());
    let cli = Cli::try_parse_from(words).map_err(|e| e.kind().to_string())?;
    let Command::Transcode(args) = cli.command else { unreachable!("transcode was typed") };
    let checked = check(&Asked::by_flags(&args.film), (OnExisting::Fail, Reach::Here));
    checked.map(|checked| checked.request).map_err(|fault| {
        assert_eq!(fault.kind.exit_code(), 64);
        fault.message
    })
}

#[track_caller]
fn refused(words: &str, message: &str) {
    assert_eq!(request(words), Err(message.to_owned()), "{words}");
}

#[test]
fn without_flags_the_defaults_are_explicit() {
    let request = request("/nowhere/in.mov /nowhere/out.mp4").unwrap();
    assert_eq!(request.source, "file:///nowhere/in.mov");
    assert_eq!(request.segments, SegmentDuration::Auto);
    assert_eq!((request.damaged, request.on_existing), (Damaged::Fail, OnExisting::Fail));
    assert_eq!((request.range, &request.outputs[0].tracks), (Range::default(), &SoundTracks::Usual));
    let output = &request.outputs[0];
    assert_eq!((output.to.as_str(), output.container), ("file:///nowhere/out.mp4", Container::Mp4));
    let video = VideoSettings {
        codec: VideoCodec::H264,
        coding: Coding::Encode,
        preset: Preset::Medium,
        rate: RateControl::Crf(23),
        max_bitrate: None,
        size: None,
        fps: None,
        keyframe_interval: None,
        shape: Shape::default(),
        watermarks: Vec::new(),
    };
    assert_eq!(output.video, Some(video));
    let audio = AudioSettings {
        codec: AudioCodec::Aac,
        coding: Coding::Encode,
        bitrate: 128_000,
        sample_rate: None,
        channels: None,
        treatment: Treatment::default(),
    };
    assert_eq!(output.audio, Some(audio));
}

#[test]
fn every_flag_reaches_every_output() {
    let words = "/n/in.mov /n/a.mkv /n/{stem}.ts --video-codec hevc --preset ultrafast --crf 30 --size 320x180 \
        --fps 30000/1001 --keyframe-interval 2s --audio-codec aac --audio-bitrate 96k --sample-rate 44100 \
        --channels 1 --audio-tracks DE --segment-duration 5s --damaged keep --from 1m --to 00:01:10.5";
    let request = request(words).unwrap();
    assert_eq!(request.segments, SegmentDuration::Every(MediaTime::from_secs(5)));
    let german = SoundTracks::These(vec![SoundTrack::Language("de".to_owned())]);
    assert_eq!((request.damaged, &request.outputs[0].tracks), (Damaged::Keep, &german));
    let range = Range { from: Some(MediaTime::from_secs(60)), to: Some(MediaTime::from_millis(70_500)) };
    assert_eq!(request.range, range);
    let video = VideoSettings {
        codec: VideoCodec::Hevc,
        coding: Coding::Encode,
        preset: Preset::Ultrafast,
        rate: RateControl::Crf(30),
        max_bitrate: None,
        size: Some(Geometry { width: 320, height: 180 }.into()),
        fps: Some(Rational::new(30_000, 1001).unwrap()),
        keyframe_interval: Some(MediaTime::from_secs(2)),
        shape: Shape::default(),
        watermarks: Vec::new(),
    };
    let audio = AudioSettings {
        codec: AudioCodec::Aac,
        coding: Coding::Encode,
        bitrate: 96_000,
        sample_rate: Some(44_100),
        channels: Some(1),
        treatment: Treatment::default(),
    };
    for (output, container, to) in [
        (&request.outputs[0], Container::Mkv, "file:///n/a.mkv"),
        (&request.outputs[1], Container::Ts, "file:///n/in.ts"),
    ] {
        assert_eq!((output.container, output.to.as_str()), (container, to));
        assert_eq!((&output.video, &output.audio), (&Some(video.clone()), &Some(audio.clone())));
    }
}

#[test]
fn defaults_follow_what_was_chosen() {
    let output = |words: &str| request(&format!("/n/in.mov /n/out.mp4 {words}")).unwrap().outputs.remove(0);
    let rate = |words: &str| output(words).video.map(|video| video.rate);
    assert_eq!(rate("--video-codec hevc"), Some(RateControl::Crf(28)));
    assert_eq!(rate("--video-bitrate 2.5M"), Some(RateControl::Bitrate(2_500_000)));
    assert_eq!(rate("--video-codec none"), None);
    assert_eq!(output("--max-bitrate 3M").video.unwrap().max_bitrate, Some(3_000_000));
    assert_eq!(output("--channels 6").audio.map(|audio| audio.bitrate), Some(384_000));
    assert_eq!(output("--audio-codec none").audio, None);
    let loudness = |words: &str| output(words).audio.unwrap().treatment.loudness;
    assert_eq!(loudness("--loudness -16"), Some(Loudness { integrated: Level(-1600), true_peak: Level(-100) }));
    let both = Loudness { integrated: Level(-2350), true_peak: Level(-150) };
    assert_eq!(loudness("--loudness -23.5 --true-peak -1.5"), Some(both));
    assert!(output("--denoise").audio.unwrap().treatment.denoise);
    assert_eq!(
        output("--downmix dolby").audio.unwrap().treatment,
        Treatment { downmix: Downmix::Dolby, ..Treatment::default() }
    );
    let container = |words: &str| request(words).map(|request| request.outputs[0].container);
    assert_eq!(container("/n/in.mov /n/out.bin --container mkv"), Ok(Container::Mkv));
    assert_eq!(container("/n/in.mov /n/out.M2TS"), Ok(Container::Ts));
    let tracks =
        |text: &str| request(&format!("/n/a /n/b.ts --audio-tracks {text}")).unwrap().outputs[0].tracks.clone();
    let these = SoundTracks::These(vec![SoundTrack::Number(3), SoundTrack::Language("deu".to_owned())]);
    assert_eq!([tracks("all"), tracks("first"), tracks("3,DEU")], [SoundTracks::All, SoundTracks::First, these]);
    assert!(request("/n/a /n/b.flv --audio-tracks 2").is_ok() && request("/n/a /n/b.mp3 --audio-tracks all").is_ok());
    assert!(request("/n/a /n/b.mkv --audio-codec copy --audio-tracks 2,1").is_ok());
    assert_eq!(request("/n/a /n/b.ts --segment-duration none").unwrap().segments, SegmentDuration::None);
}

#[test]
fn shapes_are_read() {
    let video =
        |words: &str| request(&format!("/n/in.mov /n/out.mp4 {words}")).unwrap().outputs.remove(0).video.unwrap();
    let fit = |width, height| Some(Size { width, height, mode: SizeMode::Fit, upscale: false });
    assert_eq!(video("--size 1280x").size, fit(Some(1280), None));
    assert_eq!(video("--size x720").size, fit(None, Some(720)));
    let pad = Size { width: Some(640), height: Some(640), mode: SizeMode::Pad, upscale: true };
    assert_eq!(video("--size 640x640 --size-mode pad --upscale").size, Some(pad));
    let words = "--crop 320x200+8+16 --rotate 270 --flip vertical --pad 400x400 --pad-colour #ff8000 --pixel-aspect square --deinterlace bob --colour bt709 --colour-range full --depth 10";
    let shape = Shape {
        crop: Some(Window { width: 320, height: 200, at: Some((8, 16)) }),
        quarter_turns: 3,
        flip: Some(Flip::Vertical),
        pad: Some(Window { width: 400, height: 400, at: None }),
        border: Rgb(255, 128, 0),
        pixel_aspect: PixelAspect::Square,
        deinterlace: Deinterlace::Bob,
        colour: Some(ColourSpace::Bt709),
        range: Some(ColourRange::Full),
        depth: Some(Depth::Ten),
    };
    assert_eq!(video(words).shape, shape);
}

#[test]
fn values_out_of_bounds_are_refused_with_the_bound() {
    let with = |flags: &str, message: &str| refused(&format!("/n/in.mov /n/out.mp4 {flags}"), message);
    with("--crf 60", "crf 60 is not within 0 to 51");
    with("--crf x", "crf \"x\" is no whole number");
    with("--crf -1", "crf -1 is not within 0 to 51");
    with("--video-bitrate 9999999M", "video bitrate 9999999M is not within 16000 to 400000000 bits per second");
    with("--max-bitrate 1k", "max bitrate 1k is not within 16000 to 400000000 bits per second");
    with("--video-bitrate 1k", "video bitrate 1k is not within 16000 to 400000000 bits per second");
    with("--video-bitrate 9e9", "video bitrate \"9e9\" is no bit rate such as 128k, 2.5M or 2500000");
    with("--size 1280x721", "height 721 is odd, sizes are even");
    with("--size 8x8", "width 8 is not within 16 to 8192");
    for bad in ["big", "x", "12x34x56"] {
        with(&format!("--size {bad}"), &format!("size {bad:?} is no size such as 1280x720, 1280x or x720"));
    }
    with("--rotate 45", "rotate \"45\" is not one of: 90, 180, 270");
    with("--crop 640x", "crop \"640x\" is no part of a picture such as 1280x536+0+92 or 1280x536");
    with("--crop 640x480+1+0", "x 1 of crop 640x480+1+0 is odd, places are even");
    with("--pad 640x8194", "height 8194 is not within 16 to 8192");
    with("--pad-colour mauve", "pad colour \"mauve\" is not one of: black, white, red, green, blue, #rrggbb");
    with("--fps 0", "fps: 0/1 is no positive ratio");
    with("--fps 301", "fps 301 is not within 1 to 240");
    with("--keyframe-interval 0s", "keyframe interval 0.000 s is not within 0.010 s to 600.000 s");
    with("--audio-bitrate 2M", "audio bitrate 2M is not within 8000 to 1024000 bits per second");
    with("--channels 9", "channels 9 is not within 1 to 6");
    with("--loudness -3", "loudness -3 is not within -70 to -5 LUFS");
    with("--loudness loud", "loudness \"loud\" is no number of LUFS such as -1, -16 or -23.5");
    with("--loudness -16 --true-peak 1", "true peak 1 is not within -9 to 0 dBTP");
    with("--channels 6 --downmix dolby", "downmix dolby makes 2 channels, not 6 (itu makes any number)");
    with("--audio-tracks 0", "audio track 0 is not within 1 to 64");
    with("--audio-tracks 65", "audio track 65 is not within 1 to 64");
    with("--audio-tracks 1,2,1", "audio tracks 1,2,1 name one twice");
    with(
        "--audio-tracks 1,",
        "audio track \"\" is none of: all, first, or a list of numbers from 1 and languages such as en or eng",
    );
    with("--segment-duration 10ms", "segment duration 0.010 s is not within 0.100 s to 86400.000 s");
    with("--from 10s --to 10s", "the range from 10.000 s to 10.000 s is empty");
    with(
        "--sample-rate 44000",
        "sample rate 44000 is not one of: 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, \
         88200, 96000, 176400, 192000",
    );
}

#[test]
fn unknown_names_are_refused_with_the_known_ones() {
    let with = |flags: &str, message: &str| refused(&format!("/n/in.mov /n/out.mp4 {flags}"), message);
    with("--video-codec vvc", "video codec \"vvc\" is not one of: h264, hevc, vp8, vp9, av1, mpeg4, copy, none");
    with("--audio-codec dts", "audio codec \"dts\" is not one of: aac, mp3, opus, vorbis, flac, pcm, ac3, copy, none");
    with(
        "--container asf",
        "container \"asf\" is not one of: mp4, fmp4, mov, mkv, webm, ts, flv, avi, m4a, mp3, ogg, flac, wav",
    );
    with("--downmix loro", "downmix \"loro\" is not one of: itu, dolby");
    with("--damaged ignore", "damaged \"ignore\" is not one of: fail, keep");
    with(
        "--audio-tracks english",
        "audio track \"english\" is none of: all, first, or a list of numbers from 1 and languages such as en or eng",
    );
    with(
        "--preset placebo",
        "preset \"placebo\" is not one of: ultrafast, superfast, veryfast, faster, fast, medium, slow, slower, veryslow",
    );
    let known =
        "mp4, m4v, mov, qt, mkv, mka, webm, ts, m2ts, mts, flv, avi, m4a, mp3, ogg, oga, opus, flac, wav, m3u8, mpd";
    refused("/n/a /n/out.asf", &format!("output /n/out.asf has extension \"asf\", not one of: {known}"));
    refused("/n/a /n/out", &format!("output /n/out has no extension, not one of: {known}"));
    refused("s3://b/in.mov /n/out.mp4", "s3://b/in.mov: s3:// is not one of: a path, file://");
}

#[test]
fn contradictions_are_refused() {
    let with = |flags: &str, message: &str| refused(&format!("/n/in.mov /n/out.mp4 {flags}"), message);
    with("--crf 23 --video-bitrate 2M", "crf 23 contradicts video bitrate 2M");
    with("--video-bitrate 4M --max-bitrate 3M", "video bitrate 4M is over max bitrate 3M");
    with("--video-codec none --size 320x180", "size 320x180 contradicts video codec none");
    with("--video-codec none --pixel-aspect square", "pixel aspect square contradicts video codec none");
    with("--size-mode fit", "size mode fit contradicts a picture without size");
    with("--upscale", "upscale true contradicts a picture without size");
    with("--size 1280x --size-mode pad", "size 1280x leaves a side open, which size mode pad cannot (fit can)");
    with("--size 1280x720 --upscale", "upscale contradicts size mode exact, which takes every size as it is said");
    with("--audio-codec none --channels 2", "channels 2 contradicts audio codec none");
    with("--true-peak -1", "true peak -1 contradicts sound without loudness");
    with("--audio-codec none --audio-tracks 1", "tracks 1 contradicts audio codec none");
    with("--audio-codec none --denoise", "denoise true contradicts audio codec none");
    with("--audio-codec none --downmix itu", "downmix itu contradicts audio codec none");
    with(
        "--video-codec none --audio-codec none",
        "output /n/out.mp4 would hold neither pictures nor sound: both codecs are none",
    );
    refused("/n/in.mov /n/out.mp4 /n/out.mp4", "output /n/out.mp4 is named twice");
    refused("/n/in.mp4 /n/in.mp4", "output /n/in.mp4 is the source");
    refused("/n/in.mp4", "0 outputs are asked for, 1 to 64 can be made");
}

#[test]
fn a_container_of_one_sound_track_is_not_asked_for_two() {
    let refused = |words: &str| request(words).unwrap_err();
    let said = |place: &str| format!("audio tracks 1,3: {place} holds 1 sound track, 2 are asked for");
    for container in ["flv", "m4a", "mp3", "ogg", "flac", "wav"] {
        assert_eq!(refused(&format!("/n/in.mkv /n/a.{container} --audio-tracks 1,3")), said(container));
    }
    assert_eq!(refused("/n/in.mkv /n/a.m3u8 --audio-tracks 1,3"), said("a package in ts"));
    assert!(request("/n/in.mkv /n/a.m3u8 --audio-tracks 1,3 --hls-segment fmp4").is_ok());
}

#[test]
fn a_job_file_stands_alone() {
    assert!(request("--job job.yaml /n/in.mov").is_err());
    assert!(request("--job job.yaml --crf 20").is_err());
    assert!(request("--job job.yaml --segment-duration 2s").is_err());
    assert!(request("").is_err());
    let cli = Cli::try_parse_from("framefleet transcode --job job.yaml --workers 2 --overwrite".split(' ')).unwrap();
    assert!(matches!(cli.command, Command::Transcode(args) if args.film.job.is_some()));
}

/// What the README shows is what the program takes.
#[test]
fn the_readmes_job_file_is_a_request() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let sample = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), sample).unwrap();
    let request = check(&jobfile::read(file.path()).unwrap(), (OnExisting::Fail, Reach::Here)).unwrap().request;
    let (first, second) = (&request.outputs[0], &request.outputs[1]);
    assert!(first.to.ends_with("/film.mp4") && second.to.ends_with("/sound.mp4"), "{} {}", first.to, second.to);
    assert_eq!(first.video.as_ref().unwrap().size, Some(Geometry { width: 1280, height: 720 }.into()));
    assert_eq!((second.video.as_ref(), second.audio.as_ref().unwrap().bitrate), (None, 128_000));
    let these = [1, 3].map(SoundTrack::Number).to_vec();
    assert_eq!((&first.tracks, &second.tracks), (&SoundTracks::These(these), &SoundTracks::Usual));
    let range = Range { from: Some(MediaTime::from_secs(90)), to: Some(MediaTime::from_millis(130_500)) };
    assert_eq!((request.range, request.segments), (range, SegmentDuration::Every(MediaTime::from_secs(5))));
}
