//! A track's own boxes.

use framefleet_model::media::{Mirror, Orientation};

use super::bytes::{Bytes, Kind};
use super::{Refusal, entry, odd};

/// What a track says of itself, before its samples.
#[derive(Clone)]
pub(crate) struct Track<'a> {
    pub(crate) id: u32,
    pub(crate) enabled: Enabled,
    pub(crate) orientation: Option<Orientation>,
    pub(crate) timescale: u32,
    pub(crate) language: Option<String>,
    pub(crate) handler: Kind,
    /// Who handles it, in words.
    handler_name: String,
    /// The boxes of its `stbl`.
    pub(crate) table: Bytes<'a>,
    /// The boxes of its `trak`.
    pub(crate) boxes: Bytes<'a>,
}

/// Whether players show a track unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enabled {
    Yes,
    No,
}

const UNITY: i32 = 0x0001_0000;
/// Languages by QuickTime's first numbers.
const MACINTOSH: &str = "eng fra deu ita nld swe spa dan por nor heb jpn ara fin ell isl mlt tur hrv zho urd hin tha \
    kor lit pol hun est lav smi fao fas rus zho nld gle sqi ron ces slk slv";

impl<'a> Track<'a> {
    pub(crate) fn read(boxes: Bytes<'a>) -> Result<Self, Refusal> {
        Self::parse(boxes).ok_or_else(|| odd("a track is damaged"))
    }

    fn parse(boxes: Bytes<'a>) -> Option<Self> {
        let mut header = boxes.find(b"tkhd")?;
        let version = header.u8()?;
        let flags = header.take(3)?;
        let enabled = if flags[2] & 1 == 1 { Enabled::Yes } else { Enabled::No };
        header.take(if version == 1 { 16 } else { 8 })?;
        let id = header.u32()?;
        header.take(4 + if version == 1 { 8 } else { 4 } + 16)?;
        let orientation = orientation(&mut header)?;
        let media = boxes.find(b"mdia")?;
        let (timescale, packed) = media_header(media.find(b"mdhd")?)?;
        let extended = media.find(b"elng").and_then(|mut b| b.version().map(|_| b.rest()));
        let language = extended.and_then(text_of).or_else(|| letters(packed));
        let mut handler = media.find(b"hdlr")?;
        handler.take(8)?;
        let kind = handler.kind()?;
        let handler_name = handler_name(&mut handler);
        let handler = kind;
        let table = media.path(&[b"minf", b"stbl"])?;
        Some(Self { id, enabled, orientation, timescale, language, handler, handler_name, table, boxes })
    }

    /// Whether all samples lie in this very file.
    pub(crate) fn check_self_contained(&self) -> Result<(), Refusal> {
        let list = self.boxes.path(&[b"mdia", b"minf", b"dinf", b"dref"]);
        let own = list.is_some_and(|mut list| {
            list.version().zip(list.u32()).is_some()
                && list.boxes().all(|(_, mut entry)| entry.u32().is_some_and(|word| word & 1 == 1))
        });
        if own { Ok(()) } else { Err(odd("samples lie in another file")) }
    }

    /// Ids of tracks that hold this one's chapters.
    pub(crate) fn chapter_tracks(&self) -> Vec<u32> {
        let Some(mut list) = self.boxes.path(&[b"tref", b"chap"]) else { return Vec::new() };
        std::iter::from_fn(|| list.u32()).take(16).collect()
    }

    /// Its name. Most writers call every handler of sound the same; one that differs from all others names its track.
    pub(crate) fn title(&self, all: &[Track<'_>]) -> Option<String> {
        let named = self.boxes.path(&[b"udta", b"name"]).map(|name| String::from_utf8_lossy(name.rest()).into_owned());
        let named = named.map(|name| name.trim_matches('\0').to_owned()).filter(|name| !name.is_empty());
        let mut others = all.iter().filter(|other| other.handler == self.handler && other.id != self.id).peekable();
        let differs = others.peek().is_some() && others.all(|other| other.handler_name != self.handler_name);
        named.or_else(|| Some(self.handler_name.clone()).filter(|name| differs && !name.is_empty()))
    }

    pub(crate) fn describe(&self) -> String {
        let kind = entry::only(self.table).map_or("?".to_owned(), |(kind, _)| entry::name(kind));
        format!("track {}: {} ({})", self.id, kind, entry::name(self.handler))
    }
}

/// A string up to its zero byte; QuickTime puts its length in front.
fn handler_name(handler: &mut Bytes<'_>) -> String {
    let name = handler.take(12).map(|_| handler.rest()).unwrap_or_default();
    let name = match name.split_first() {
        Some((length, text)) if usize::from(*length) == text.len() && !text.is_empty() => text,
        Some(_) | None => name,
    };
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..end]).trim().to_owned()
}

/// `None` within: a matrix that is no quarter turn.
fn orientation(header: &mut Bytes<'_>) -> Option<Option<Orientation>> {
    let mut matrix = [0; 9];
    for value in &mut matrix {
        *value = header.i32()?;
    }
    let [a, b, _, c, d, ..] = matrix;
    let sign = |value: i32| {
        if value == UNITY {
            1
        } else if value == -UNITY {
            -1
        } else {
            value.signum() * 2
        }
    };
    Some(Some(match (sign(a), sign(b), sign(c), sign(d)) {
        (1, 0, 0, 1) => turned(0, Mirror::No),
        (0, 1, -1, 0) => turned(1, Mirror::No),
        (-1, 0, 0, -1) => turned(2, Mirror::No),
        (0, -1, 1, 0) => turned(3, Mirror::No),
        (-1, 0, 0, 1) => turned(0, Mirror::Horizontal),
        (0, 1, 1, 0) => turned(3, Mirror::Horizontal),
        (1, 0, 0, -1) => turned(2, Mirror::Horizontal),
        (0, -1, -1, 0) => turned(1, Mirror::Horizontal),
        _ => return Some(None),
    }))
}

fn turned(quarter_turns: u8, mirror: Mirror) -> Orientation {
    Orientation { quarter_turns, mirror }
}

fn media_header(mut header: Bytes<'_>) -> Option<(u32, u16)> {
    let version = header.version()?;
    header.take(if version == 1 { 16 } else { 8 })?;
    let timescale = header.u32().filter(|timescale| *timescale > 0)?;
    header.wide(version)?;
    Some((timescale, header.u16()?))
}

/// Three letters in five bits each, or one of QuickTime's own numbers of languages.
fn letters(packed: u16) -> Option<String> {
    if packed < 0x400 {
        return MACINTOSH.split_whitespace().nth(usize::from(packed)).map(str::to_owned);
    }
    let letter = |shift: u16| ((packed >> shift & 0x1f) as u8 + 0x60) as char;
    let code: String = [10, 5, 0].map(letter).iter().collect();
    (code != "und" && code.bytes().all(|b| b.is_ascii_lowercase())).then_some(code)
}

fn text_of(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = std::str::from_utf8(&bytes[..end.min(32)]).ok()?;
    (!text.is_empty() && text != "und").then(|| text.to_owned())
}
