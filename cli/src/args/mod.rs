//! The command line as it is typed. Nothing is checked here but its shape: values are text until `request.rs` reads
//! them, so that flags and job files are refused by the same words.

/// The command lines of those who ask a coordinator.
pub mod asking;
/// The command lines of those who want pictures of a film.
pub mod images;
/// The command lines of the roles.
pub mod roles;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use framefleet_model::fault::Fault;

use asking::{DeadArgs, JobsArgs, PipelinesArgs, SubmitArgs, TokenArgs, WorkersArgs};
use images::{GifArgs, SpritesArgs, ThumbnailsArgs};
use roles::{BridgeArgs, CoordinatorArgs, RecoverArgs, ServeArgs, SweepArgs, WorkerArgs};

use crate::config::Told;

/// Transcodes films in parallel segments, joins them exactly, and proves it.
#[derive(Debug, Parser)]
#[command(name = "framefleet", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Transcode SRC into each OUT
    #[command(allow_negative_numbers = true)]
    Transcode(TranscodeArgs),
    /// Make pictures of moments of SRC
    #[command(allow_negative_numbers = true)]
    Thumbnails(ThumbnailsArgs),
    /// Make sheets of pictures of SRC, and the WebVTT file that players find them by
    #[command(allow_negative_numbers = true)]
    Sprites(SpritesArgs),
    /// Make a GIF of a part of SRC
    #[command(allow_negative_numbers = true)]
    Gif(GifArgs),
    /// Show where SRC would be cut, and why, without encoding anything
    #[command(allow_negative_numbers = true)]
    Plan(PlanArgs),
    /// Say what SRC is: duration, tracks, codecs, sizes, rates, tags, chapters
    Probe(ProbeArgs),
    /// Make a clip of numbered pictures with a beep a second
    Sample(SampleArgs),
    /// Say whether this machine, and all that a configuration names, is as it should be, and what mends it
    Doctor(DoctorArgs),
    /// Take jobs and do them, all in this process, without any server
    Serve(ServeArgs),
    /// Take jobs, cut them, have them encoded by workers, and join the results
    Coordinator(CoordinatorArgs),
    /// Do the tasks of a fleet's jobs
    Worker(WorkerArgs),
    /// Hand what OSS tells in queues of MNS to the fleet
    Bridge(BridgeArgs),
    /// Give a job to a coordinator
    #[command(allow_negative_numbers = true)]
    Submit(SubmitArgs),
    /// Look at a coordinator's jobs, cancel them, begin them anew
    Jobs(JobsArgs),
    /// Look at a coordinator's pipelines, and whether it would take others
    Pipelines(PipelinesArgs),
    /// Look at what was given up, and try it again
    Dead(DeadArgs),
    /// Say which workers are there
    Workers(WorkersArgs),
    /// Make a token that somebody may ask a coordinator with
    Token(TokenArgs),
    /// Rebuild a lost store from the work store's objects
    Recover(RecoverArgs),
    /// Submit what lies in a trigger's place and has no job, however old it is
    Sweep(SweepArgs),
    /// A child at work: its parent talks to it
    #[command(hide = true)]
    Media,
    /// Let GStreamer write its registry of plugins
    #[command(hide = true)]
    MediaRegistry,
}

#[derive(Debug, Args)]
pub struct TranscodeArgs {
    #[command(flatten)]
    pub film: FilmArgs,
    /// Encode this many segments at once [default: the cores of this machine or control group]
    #[arg(long, value_name = "N")]
    pub workers: Option<String>,
    /// Replace what stands at an OUT
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub film: FilmArgs,
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// What is wanted of a film: the same for `transcode` and `plan`.
#[derive(Debug, Args)]
pub struct FilmArgs {
    /// The film: a path or a file:// URL
    #[arg(required_unless_present = "job", conflicts_with = "job", value_name = "SRC")]
    pub source: Option<String>,
    /// Files to make, such as film.mp4 or sound.mp3; {stem}, {ext} and {dir} stand for parts of SRC
    #[arg(value_name = "OUT")]
    pub outputs: Vec<String>,
    /// Take source, outputs and settings from a YAML or JSON file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["outputs", "ContainerArgs", "PackageArgs", "VideoArgs", "WatermarkArgs", "AudioArgs", "WorkArgs"])]
    pub job: Option<PathBuf>,
    #[command(flatten)]
    pub container: ContainerArgs,
    #[command(flatten)]
    pub package: PackageArgs,
    #[command(flatten)]
    pub video: VideoArgs,
    #[command(flatten)]
    pub watermark: WatermarkArgs,
    #[command(flatten)]
    pub audio: AudioArgs,
    #[command(flatten)]
    pub work: WorkArgs,
}

#[derive(Debug, Args)]
#[group(multiple = true)]
pub struct ContainerArgs {
    /// Container of every OUT: mp4, fmp4 (in fragments), mov, mkv, webm, ts, flv, avi, m4a, mp3, ogg, flac or wav [default: from the extension of OUT]
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
}

#[derive(Debug, Args)]
#[group(multiple = true)]
#[command(next_help_heading = "Packages")]
pub struct PackageArgs {
    /// How long the segments of a package are, for OUT of .m3u8 (HLS) or .mpd (DASH) [default: 6s]
    #[arg(long, value_name = "DUR", visible_alias = "dash-time")]
    pub hls_time: Option<String>,
    /// What the segments of a playlist are, ts or fmp4 [default: ts]; those of DASH are fmp4
    #[arg(long, value_name = "NAME")]
    pub hls_segment: Option<String>,
    /// Several sizes of a package, as many as SRC is large enough for: auto [default: one]
    #[arg(long, value_name = "auto")]
    pub ladder: Option<String>,
}

#[derive(Debug, Args)]
#[group(multiple = true)]
#[command(next_help_heading = "Pictures")]
pub struct VideoArgs {
    /// h264, hevc, vp8, vp9, av1, mpeg4, none, or copy (SRC's own, as they are) [default: h264; vp9 in webm, mpeg4 in avi]
    #[arg(long, value_name = "CODEC")]
    pub video_codec: Option<String>,
    /// Speed against size, ultrafast to veryslow [default: medium]
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Constant quality: 0 to 51 for h264 (default 23) and hevc (28), 0 to 63 for vp8, vp9 (31) and av1 (32), 1 to 31 for mpeg4 (4)
    #[arg(long, value_name = "N")]
    pub crf: Option<String>,
    /// Bits per second on average over the film, instead of constant quality, such as 2500k
    #[arg(long, value_name = "RATE")]
    pub video_bitrate: Option<String>,
    /// Bits per second that no stretch of the film goes over by more than two seconds' worth
    #[arg(long, value_name = "RATE")]
    pub max_bitrate: Option<String>,
    /// Width and height, both even, such as 1280x720; 1280x and x720 let the other follow from the shape [default: as SRC]
    #[arg(long, value_name = "WxH")]
    pub size: Option<String>,
    /// exact (pixels change their shape), fit (within the size), fill (cut off what stands over) or pad (bars around)
    /// [default: exact, or fit where the size leaves a side open]
    #[arg(long, value_name = "MODE")]
    pub size_mode: Option<String>,
    /// Let fit, fill and pad enlarge small pictures
    #[arg(long)]
    pub upscale: bool,
    /// What becomes of interlaced pictures: weave (they stay so), frame (each one whole picture) or bob (each field one,
    /// twice as many) [default: weave]
    #[arg(long, value_name = "WHAT")]
    pub deinterlace: Option<String>,
    /// Keep this part of the upright picture, all numbers even; without +X+Y its middle
    #[arg(long, value_name = "WxH[+X+Y]")]
    pub crop: Option<String>,
    /// Turn clockwise by 90, 180 or 270 degrees, on top of the source's own orientation
    #[arg(long, value_name = "DEGREES")]
    pub rotate: Option<String>,
    /// horizontal (left becomes right) or vertical (top becomes bottom), after the turn
    #[arg(long, value_name = "WAY")]
    pub flip: Option<String>,
    /// Put the finished picture on a canvas of this size, at X and Y or in the middle
    #[arg(long, value_name = "WxH[+X+Y]")]
    pub pad: Option<String>,
    /// Colour of bars and canvas, such as #202020 or white [default: black]
    #[arg(long, value_name = "COLOUR")]
    pub pad_colour: Option<String>,
    /// keep or square: whether pixels that are not square stay so [default: keep]
    #[arg(long, value_name = "WHAT")]
    pub pixel_aspect: Option<String>,
    /// Convert to bt709, bt601 or bt2020 [default: as SRC]
    #[arg(long, value_name = "NAME")]
    pub colour: Option<String>,
    /// Convert to limited or full range [default: as SRC]
    #[arg(long, value_name = "RANGE")]
    pub colour_range: Option<String>,
    /// Bits of a sample, 8 or 10 [default: 10 where SRC has more than 8]
    #[arg(long, value_name = "BITS")]
    pub depth: Option<String>,
    /// Constant picture rate, 1 to 240, such as 25 or 30000/1001 [default: every picture at its own time]
    #[arg(long, value_name = "RATE")]
    pub fps: Option<String>,
    /// Longest distance between key pictures at the film's nominal rate, such as 2s
    #[arg(long, value_name = "DUR")]
    pub keyframe_interval: Option<String>,
}

#[derive(Debug, Args)]
#[group(multiple = true)]
#[command(next_help_heading = "Watermark")]
pub struct WatermarkArgs {
    /// Mark pictures with this image, a PNG or JPEG
    #[arg(long, value_name = "IMAGE")]
    pub watermark: Option<String>,
    /// Mark pictures with this text
    #[arg(long, value_name = "TEXT")]
    pub watermark_text: Option<String>,
    /// top-left, top, top-right, left, centre, right, bottom-left, bottom or bottom-right [default: bottom-right]
    #[arg(long, value_name = "WHERE")]
    pub watermark_anchor: Option<String>,
    /// Pixels between the mark and the picture's edges [default: 16]
    #[arg(long, value_name = "N")]
    pub watermark_margin: Option<String>,
    /// Of an image WxH, Wx or xH; of a text the pixels of its letters [default: the image's own; 32]
    #[arg(long, value_name = "SIZE")]
    pub watermark_size: Option<String>,
    /// Percent, 1 to 100 [default: 100]
    #[arg(long, value_name = "N")]
    pub watermark_opacity: Option<String>,
    /// Of a text, such as #ffcc00 or white [default: white]
    #[arg(long, value_name = "COLOUR")]
    pub watermark_colour: Option<String>,
    /// Mark the pictures from this time of OUT on
    #[arg(long, value_name = "TIME")]
    pub watermark_from: Option<String>,
    /// Mark the pictures before this time of OUT
    #[arg(long, value_name = "TIME")]
    pub watermark_to: Option<String>,
}

#[derive(Debug, Args)]
#[group(multiple = true)]
#[command(next_help_heading = "Sound")]
pub struct AudioArgs {
    /// aac, mp3, opus, vorbis, flac, pcm, ac3, none, or copy (SRC's own, as it is) [default: the first that the container holds]
    #[arg(long, value_name = "CODEC")]
    pub audio_codec: Option<String>,
    /// Bits per second over all channels [default: 128k, or 64k for each of --channels; ac3 192k and 96k]
    #[arg(long, value_name = "RATE")]
    pub audio_bitrate: Option<String>,
    /// Which of SRC's sound tracks: all, first (the default one, else the first), or a list of numbers from 1 and languages,
    /// such as 1,3 or deu [default: all, first where a container holds one]
    #[arg(long, value_name = "all|first|LIST")]
    pub audio_tracks: Option<String>,
    /// Samples per second [default: as SRC]
    #[arg(long, value_name = "HZ")]
    pub sample_rate: Option<String>,
    /// Number of channels, 1 to 6 [default: as SRC, 6 at most]
    #[arg(long, value_name = "N")]
    pub channels: Option<String>,
    /// Matrix by which channels that are not put out are mixed into the others: itu, or dolby (two channels, Pro Logic II)
    /// [default: itu]
    #[arg(long, value_name = "NAME")]
    pub downmix: Option<String>,
    /// Take off noise around speech
    #[arg(long)]
    pub denoise: bool,
    /// Make the whole track as loud as this, in LUFS (EBU R128), such as -16 [default: as loud as it is]
    #[arg(long, value_name = "LUFS")]
    pub loudness: Option<String>,
    /// With --loudness: no true peak stands above this, in dBTP [default: -1]
    #[arg(long, value_name = "DBTP")]
    pub true_peak: Option<String>,
}

#[derive(Debug, Args)]
#[group(multiple = true)]
#[command(next_help_heading = "Work")]
pub struct WorkArgs {
    /// How the work is cut: a duration such as 5s, auto, or none [default: auto]
    #[arg(long, value_name = "DUR|auto|none")]
    pub segment_duration: Option<String>,
    /// What becomes of a film that is not whole or does not decode everywhere: fail or keep [default: fail]
    #[arg(long, value_name = "WHAT")]
    pub damaged: Option<String>,
    /// Begin here in the film, such as 1m30s or 00:01:30.5
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// End here in the film
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
}

#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// Keep state and segments in a folder of DIR until the job is done [default: $XDG_STATE_HOME/framefleet]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub output: Format,
}

#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// The film: a path or a file:// URL
    #[arg(value_name = "SRC")]
    pub source: String,
    /// How the findings are printed
    #[arg(short, long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub output: Format,
}

#[derive(Debug, Args)]
pub struct SampleArgs {
    /// The file to make (mp4, mov, mkv or ts)
    #[arg(value_name = "OUT")]
    pub out: String,
    /// How long it is
    #[arg(long, default_value = "60s", value_name = "DUR")]
    pub duration: String,
    /// Width and height, both even
    #[arg(long, default_value = "1280x720", value_name = "WxH")]
    pub size: String,
    /// Pictures per second
    #[arg(long, default_value = "25", value_name = "RATE")]
    pub fps: String,
    /// Replace what stands at OUT
    #[arg(long)]
    pub overwrite: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Look at what FILE names as well, read over /etc/framefleet/framefleet.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Try the configuration's own Redis and RabbitMQ, too, with the facts that framefleet's own tests hold each to
    ///
    /// Takes a minute or two, on keys, exchanges and queues below a prefix that is nobody's and that is emptied again.
    /// The user of RabbitMQ must be one who may configure.
    #[arg(long)]
    pub conformance: bool,
    /// How the findings are printed
    #[arg(short, long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub output: Format,
}

impl DoctorArgs {
    pub fn told(&self) -> Result<Told, Fault> {
        Ok(Told { file: self.config.clone(), ..Told::here()? })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
    Yaml,
}
