//! The axes along which exactness is shown, and which of their values exist together.
//!
//! An axis is a list of names; a name says all there is to say about its value, in test names and in the stored list.

/// Expands to an enum with a stable name for each value.
macro_rules! axis {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$value_doc])* $value,)* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$value,)*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$value => $text,)* }
            }

            pub fn named(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.name() == text)
            }
        }
    };
}

axis! {
    /// How the source's pictures are coded.
    Codec {
        H264Closed = "h264-closed",
        H264Open = "h264-open",
        /// One key picture at the start, none after.
        H264OneKey = "h264-onekey",
        H264Intra = "h264-intra",
        /// Each field a picture of its own (PAFF).
        H264Field = "h264-field",
        /// Open GOPs that begin with CRA pictures and have leading pictures.
        HevcRasl = "hevc-rasl",
        /// With pictures that are coded but never shown.
        Vp8 = "vp8",
        Vp9 = "vp9",
        Av1 = "av1",
        Mpeg2 = "mpeg2",
        /// With B-pictures; packed in AVI, as DivX did.
        Mpeg4 = "mpeg4",
    }
}

axis! {
    Container {
        /// Tables first.
        Mp4 = "mp4",
        /// Tables last, PCM sound.
        Mov = "mov",
        FragmentedMp4 = "fmp4",
        Mkv = "mkv",
        Webm = "webm",
        /// Starts at an hour.
        Ts = "ts",
        /// The 33-bit clock wraps in the middle.
        TsWrap = "tswrap",
        Ps = "ps",
        Flv = "flv",
        Avi = "avi",
    }
}

axis! {
    Rate {
        Film = "23.976",
        Pal = "25",
        Ntsc = "29.97",
        Pal2 = "50",
        Ntsc2 = "59.94",
        /// Uneven distances, and another rate from the middle on.
        Variable = "vfr",
    }
}

axis! {
    /// What is odd about the source beside its coding.
    Shape {
        Plain = "plain",
        /// The film begins inside a GOP by an edit list.
        EditList = "editlist",
        /// Decoding times start at zero, composition offsets are negative. (Plain MP4 with B-pictures has the other
        /// way round: an edit list that makes the first decoding time negative.)
        NegativeCts = "negcts",
        /// Neither width nor height is even.
        OddSize = "oddsize",
    }
}

axis! {
    /// How the work is cut.
    Segments {
        Half = "500ms",
        One = "1s",
        Two = "2s",
        /// A multiple of nothing in the source.
        Uneven = "1370ms",
        /// Into a source whose GOPs are several times longer.
        Inside = "700ms",
        /// Longer than the film.
        Over = "60s",
    }
}

axis! {
    Target {
        Mp4 = "mp4",
        Mkv = "mkv",
        Ts = "ts",
    }
}

axis! {
    TargetCodec {
        H264 = "h264",
        Hevc = "hevc",
    }
}

impl Codec {
    /// Containers that hold this codec in the wild.
    pub fn containers(self) -> &'static [Container] {
        use Container::{Avi, Flv, FragmentedMp4, Mkv, Mov, Mp4, Ps, Ts, TsWrap, Webm};
        match self {
            Self::H264Closed | Self::H264Open | Self::H264OneKey | Self::H264Intra => {
                &[Mp4, Mov, FragmentedMp4, Mkv, Ts, TsWrap, Flv, Avi]
            }
            Self::H264Field | Self::HevcRasl => &[Mp4, Mov, FragmentedMp4, Mkv, Ts, TsWrap],
            Self::Vp8 => &[Mkv, Webm],
            Self::Vp9 | Self::Av1 => &[Mp4, FragmentedMp4, Mkv, Webm],
            Self::Mpeg2 => &[Mp4, Mkv, Ts, TsWrap, Ps, Avi],
            Self::Mpeg4 => &[Mp4, Mov, Mkv, Avi],
        }
    }

    fn has_b_pictures(self) -> bool {
        matches!(self, Self::H264Closed | Self::H264Open | Self::H264OneKey | Self::HevcRasl)
    }

    fn may_vary(self) -> bool {
        !matches!(self, Self::H264Field | Self::Mpeg2)
    }
}

impl Container {
    fn may_vary(self) -> bool {
        !matches!(self, Self::Ps | Self::Avi)
    }
}

impl Rate {
    /// As ffmpeg writes it; the nominal rate where it varies.
    pub fn ratio(self) -> &'static str {
        match self {
            Self::Film => "24000/1001",
            Self::Pal => "25",
            Self::Ntsc => "30000/1001",
            Self::Variable => "30",
            Self::Pal2 => "50",
            Self::Ntsc2 => "60000/1001",
        }
    }

    pub fn pictures_per_second(self) -> u32 {
        match self {
            Self::Film => 24,
            Self::Pal => 25,
            Self::Ntsc | Self::Variable => 30,
            Self::Pal2 => 50,
            Self::Ntsc2 => 60,
        }
    }
}

/// Whether a source of these properties exists.
pub fn exists(codec: Codec, container: Container, rate: Rate, shape: Shape) -> bool {
    let varies = rate != Rate::Variable || (codec.may_vary() && container.may_vary());
    let is_plain_isobmff = matches!(container, Container::Mp4 | Container::Mov);
    let shaped = match shape {
        Shape::Plain => true,
        // ffmpeg's AV1 decoder shows what an edit list hides, it hides half of the field pictures, and it reads
        // negative offsets in fragments late: there would be no oracle
        Shape::EditList => is_plain_isobmff && !matches!(codec, Codec::Av1 | Codec::H264Field),
        Shape::NegativeCts => is_plain_isobmff && codec.has_b_pictures(),
        Shape::OddSize => codec != Codec::H264Field,
    };
    codec.containers().contains(&container) && varies && shaped
}

/// Whether work can be cut so: where every picture is a key there is no inside of a GOP.
pub fn can_be_cut(codec: Codec, segments: Segments) -> bool {
    segments != Segments::Inside || codec != Codec::H264Intra
}
