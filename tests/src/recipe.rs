//! How each source of the covering list is made: by ffmpeg and by two generators of ours, never by framefleet.

use crate::axis::{Codec, Container, Rate, Shape};

/// What tells one source from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    pub codec: Codec,
    pub container: Container,
    pub rate: Rate,
    pub shape: Shape,
    pub gop: Gop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gop {
    Second,
    /// Longer than most segments.
    ThreeSeconds,
}

/// A program of the oracle's side with its arguments; `{out}` stands for the file to make, `{base}` for one made before.
pub struct Command {
    pub program: &'static str,
    pub arguments: Vec<String>,
}

/// An edit list begins the film at this picture, inside a GOP. (Between two pictures ffmpeg would move the next one.)
pub const EDIT_PICTURE: u64 = 18;

impl Source {
    pub fn seconds(&self) -> u32 {
        if self.rate.pictures_per_second() >= 50 { 3 } else { 4 }
    }

    /// As many pictures as are put in; an edit list then hides some.
    pub fn pictures(&self) -> u32 {
        match self.rate {
            Rate::Film | Rate::Ntsc | Rate::Ntsc2 => self.seconds() * self.rate.pictures_per_second() * 1000 / 1001,
            Rate::Pal | Rate::Pal2 => self.seconds() * self.rate.pictures_per_second(),
            // two seconds at 30, two at 20
            Rate::Variable => 100,
        }
    }

    pub fn extension(&self) -> &'static str {
        match self.container {
            Container::Mp4 | Container::FragmentedMp4 => "mp4",
            Container::Mov => "mov",
            Container::Mkv => "mkv",
            Container::Webm => "webm",
            Container::Ts | Container::TsWrap => "ts",
            Container::Ps => "mpg",
            Container::Flv => "flv",
            Container::Avi => "avi",
        }
    }

    /// The commands in order, each making a file that the next calls `{base}`; the last makes the source.
    pub fn commands(&self) -> Vec<Command> {
        match (self.codec, self.shape) {
            (Codec::H264Field, _) => self.field_coded(),
            (_, Shape::EditList) => vec![self.numbered(&[]), self.cut_by_edit_list()],
            _ => vec![self.numbered(&self.muxing())],
        }
    }

    fn keyframes(&self) -> u32 {
        self.rate.pictures_per_second()
            * match self.gop {
                Gop::Second => 1,
                Gop::ThreeSeconds => 3,
            }
    }

    /// A numbered, beeping clip made in one go.
    fn numbered(&self, muxing: &[&str]) -> Command {
        let mut coding = self.coding();
        coding.extend(muxing.iter().map(|&word| word.to_owned()));
        let size = if self.shape == Shape::OddSize { "321x181" } else { "320x180" };
        let odd_and_x26x = self.shape == Shape::OddSize && self.codec.is_x26x();
        let seconds = self.seconds().to_string();
        let aargs = self.sound().join(" ");
        let mut arguments = strings(&["tests/oracle/seamcheck.py", "make", "{out}", "--seconds", &seconds]);
        arguments.extend(strings(&["--fps", self.rate.ratio(), "--size", size, "--aargs", &aargs]));
        // x264 and x265 take odd sizes in 4:4:4 only
        arguments.extend(strings(&["--pix-fmt", if odd_and_x26x { "yuv444p" } else { "yuv420p" }]));
        if self.rate == Rate::Variable {
            let uneven = r"if(lt(N\,60)\,N*1000\,60000+(N-60)*1500)+300*eq(mod(N\,5)\,2)";
            arguments.extend(strings(&["--times", uneven]));
        }
        arguments.extend(["--vargs".to_owned(), coding.join(" ")]);
        Command { program: "python3", arguments }
    }

    fn coding(&self) -> Vec<String> {
        let gop = self.keyframes();
        let text = match self.codec {
            Codec::H264Closed => x264(&format!("-g {gop} -x264-params open-gop=0:scenecut=0")),
            Codec::H264Open => x264(&format!("-g {gop} -flags -cgop -x264-params open-gop=1:scenecut=0")),
            Codec::H264OneKey => x264("-g 9999 -x264-params scenecut=0"),
            Codec::H264Intra => x264("-g 1"),
            Codec::H264Field => String::new(),
            Codec::HevcRasl => format!(
                "-c:v libx265 -preset ultrafast -tag:v hvc1 -x265-params \
                 log-level=error:keyint={gop}:min-keyint={gop}:open-gop=1:bframes=3:scenecut=0:pools=1:frame-threads=1"
            ),
            Codec::Vp8 => {
                format!("-c:v libvpx -b:v 600k -g {gop} -auto-alt-ref 1 -lag-in-frames 16 -deadline good -cpu-used 5")
            }
            Codec::Vp9 => format!(
                "-c:v libvpx-vp9 -b:v 600k -g {gop} -auto-alt-ref 1 -lag-in-frames 16 -deadline good -cpu-used 5"
            ),
            Codec::Av1 => format!("-c:v libsvtav1 -preset 12 -g {gop} -svtav1-params lp=1"),
            Codec::Mpeg2 => format!("-c:v mpeg2video -q:v 3 -bf 2 -g {gop} -sc_threshold 1000000000"),
            // numbered anew, or the encoder's delay becomes empty chunks, which repeat pictures
            Codec::Mpeg4 if self.container == Container::Avi => {
                format!("-c:v libxvid -q:v 3 -bf 2 -g {gop} -bsf:v setts=ts=N")
            }
            Codec::Mpeg4 => format!("-c:v mpeg4 -q:v 3 -bf 2 -g {gop} -sc_threshold 1000000000"),
        };
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// Sound as each container usually carries it.
    fn sound(&self) -> &'static [&'static str] {
        match self.container {
            Container::Mov => &["-c:a", "pcm_s16le"],
            Container::Mkv => &["-c:a", "ac3"],
            Container::Webm if self.codec == Codec::Vp8 => &["-c:a", "libvorbis"],
            Container::Webm => &["-c:a", "libopus"],
            Container::TsWrap | Container::Ps => &["-c:a", "mp2"],
            Container::Avi => &["-c:a", "libmp3lame"],
            Container::Mp4 | Container::FragmentedMp4 | Container::Ts | Container::Flv => &["-c:a", "aac"],
        }
    }

    fn muxing(&self) -> Vec<&'static str> {
        let negative = self.shape == Shape::NegativeCts;
        match self.container {
            Container::Mp4 if negative => vec!["-movflags", "+faststart+negative_cts_offsets"],
            Container::Mov if negative => vec!["-movflags", "+negative_cts_offsets"],
            Container::FragmentedMp4 => vec!["-movflags", "+frag_keyframe+delay_moov+default_base_moof"],
            Container::Mp4 => vec!["-movflags", "+faststart"],
            Container::Ts => vec!["-output_ts_offset", "3600"],
            // the clock of 33 bits at 90 kHz wraps at 95443.7 s
            Container::TsWrap => vec!["-output_ts_offset", "95441.5"],
            Container::Ps => vec!["-f", "vob"],
            // or the sound's delay is made up for by an empty chunk, which repeats the first picture
            Container::Avi => vec!["-avoid_negative_ts", "disabled"],
            Container::Mov | Container::Mkv | Container::Webm | Container::Flv => vec![],
        }
    }

    fn cut_by_edit_list(&self) -> Command {
        let microseconds = match self.rate {
            Rate::Film | Rate::Ntsc | Rate::Ntsc2 => 1_001_000,
            Rate::Pal | Rate::Pal2 | Rate::Variable => 1_000_000,
        };
        let start = format!("{}us", EDIT_PICTURE * microseconds / u64::from(self.rate.pictures_per_second()));
        let mut arguments = strings(&["-v", "error", "-y", "-ss", &start, "-i", "{base}", "-c", "copy"]);
        arguments.extend(self.muxing().into_iter().map(str::to_owned));
        arguments.push("{out}".to_owned());
        Command { program: "ffmpeg", arguments }
    }

    /// Fields first, then frames with times, then the container with sound.
    fn field_coded(&self) -> Vec<Command> {
        let (rate, seconds) = (self.rate.ratio(), self.seconds());
        let (frames, gop) = (self.pictures().to_string(), self.keyframes().to_string());
        let fields = ["tests/oracle/paff.py", "{out}", "--frames", &frames, "--gop", &gop, "--fps", rate];
        let timed =
            ["-v", "error", "-y", "-f", "h264", "-framerate", rate, "-i", "{base}", "-c", "copy", "-f", "mp4", "{out}"];
        let beeps = format!(r"aevalsrc=exprs='0.8*sin(2*PI*1000*t)*lt(mod(t\,1)\,0.05)':s=48000:d={seconds}");
        let mut whole = strings(&["-v", "error", "-y", "-i", "{base}", "-f", "lavfi", "-i", &beeps]);
        whole.extend(strings(&["-map", "0:v", "-map", "1:a", "-c:v", "copy"]));
        whole.extend(self.sound().iter().chain(&self.muxing()).map(|&word| word.to_owned()));
        whole.push("{out}".to_owned());
        vec![
            Command { program: "python3", arguments: strings(&fields) },
            Command { program: "ffmpeg", arguments: strings(&timed) },
            Command { program: "ffmpeg", arguments: whole },
        ]
    }
}

impl Codec {
    fn is_x26x(self) -> bool {
        matches!(self, Self::H264Closed | Self::H264Open | Self::H264OneKey | Self::H264Intra | Self::HevcRasl)
    }
}

fn x264(settings: &str) -> String {
    format!("-c:v libx264 -preset veryfast -threads 1 -bf 3 {settings}")
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
