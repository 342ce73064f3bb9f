//! Media work without media: films, segments and outputs are short texts, made alike by every attempt.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use framefleet_common::child::{Attempt, Media, Objects};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{Digest, TaskId, TaskKind};
use framefleet_model::index::{AudioTrack, Divisible, Index, IndexHeader, Key, Method, Standing, Unit, VideoTrack};
use framefleet_model::ledger::{
    AudioProof, AudioReadback, ImageProof, OutputProof, Part, Produced, SegmentProof, Stand, VideoReadback,
};
use framefleet_model::media::{AudioFormat, Colour, Container, Geometry, Orientation, Scan, Tags, VideoFormat};
use framefleet_model::plan::{Decode, output_end, output_times, shown_times};
use framefleet_model::probe::Shown;
use framefleet_model::task::{
    AudioWork, EncodeWork, ImageWork, IndexDone, IndexWork, MergeWork, Outcome, Progress, Work, object,
};
use framefleet_model::time::{MediaTime, Rational, Span};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

const READ_BYTES: u32 = 1 << 20;
/// How long the others take.
const HELD_OTHERS: Duration = Duration::from_secs(3);
/// Lines in each file of an output that has several.
const LINES_PER_PAGE: usize = 40;

/// How the next attempts fare.
#[async_trait]
pub trait Fate: Send + Sync {
    /// Called as an attempt begins; whatever it answers, time passes first.
    async fn of(&self, work: &Work) -> Result<(), Fault>;
}

/// Every attempt succeeds, after this long.
pub struct Smooth(pub Duration);

#[async_trait]
impl Fate for Smooth {
    async fn of(&self, _work: &Work) -> Result<(), Fault> {
        tokio::time::sleep(self.0).await;
        Ok(())
    }
}

/// One task stands still until it is let go; all others succeed, after some seconds.
pub struct Held {
    task: TaskId,
    pub begun: Notify,
    pub let_go: CancellationToken,
}

impl Held {
    pub fn at(task: TaskId) -> Self {
        Self { task, begun: Notify::new(), let_go: CancellationToken::new() }
    }
}

#[async_trait]
impl Fate for Held {
    async fn of(&self, work: &Work) -> Result<(), Fault> {
        let is_held = match work {
            Work::Index(_) => self.task == TaskId::INDEX,
            Work::Encode(work) => self.task == TaskId::new(TaskKind::Encode, work.segment.number),
            Work::Audio(_) | Work::Image(_) | Work::Merge(_) | Work::Probe(_) => false,
        };
        if is_held {
            self.begun.notify_one();
            self.let_go.cancelled().await;
        } else {
            tokio::time::sleep(HELD_OTHERS).await;
        }
        Ok(())
    }
}

/// Films are texts of `pictures=250 gop=25`: 25 pictures a second, with as much sound; `sounds=3` makes it three tracks.
pub struct TextMedia<F> {
    pub fate: F,
    /// Segments of another build do not fit.
    build: String,
    /// Encodes of each segment.
    encodes: Mutex<BTreeMap<u32, u32>>,
}

impl<F: Fate> TextMedia<F> {
    pub fn new(fate: F) -> Self {
        Self::of_build(fate, "test")
    }

    pub fn of_build(fate: F, build: &str) -> Self {
        Self { fate, build: build.to_owned(), encodes: Mutex::default() }
    }

    /// Segments encoded so far, by whatever attempt.
    pub fn encodes(&self) -> u32 {
        self.counts().values().sum()
    }

    /// How often this segment was encoded.
    pub fn encodes_of(&self, segment: u32) -> u32 {
        self.counts().get(&segment).copied().unwrap_or_default()
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<u32, u32>> {
        self.encodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<F: Fate> Media for TextMedia<F> {
    async fn run(&self, work: Work, attempt: Attempt<'_>) -> Result<Outcome, Fault> {
        let doing = async {
            self.fate.of(&work).await?;
            attempt.progress.send_replace(Progress { steps: 1, position: MediaTime::ZERO });
            match work {
                Work::Index(work) => index(&work, &attempt).await,
                Work::Encode(work) => {
                    *self.counts().entry(work.segment.number).or_default() += 1;
                    encode(&work, &attempt, &self.build).await
                }
                Work::Audio(work) => sound(&work, &attempt).await,
                Work::Image(work) => pictures(&work, &attempt).await,
                Work::Merge(work) => merge(&work, &attempt).await,
                Work::Probe(_) => Err(Fault::new(FaultKind::Internal, "a fleet probes nothing")),
            }
        };
        tokio::select! {
            biased;
            () = attempt.cancel.cancelled() => Err(Fault::new(FaultKind::Cancelled, "told to stop")),
            done = doing => done,
        }
    }
}

async fn index(_work: &IndexWork, attempt: &Attempt<'_>) -> Result<Outcome, Fault> {
    let index = source(attempt).await?;
    let units = u32::try_from(index.units.len()).unwrap_or(u32::MAX);
    let file = produce(attempt.scratch, "film.index", &index.to_bytes()).await?;
    Ok(Outcome::Index(IndexDone { file, units }))
}

/// The film that the source's text tells of.
async fn source(attempt: &Attempt<'_>) -> Result<Index, Fault> {
    let text = whole(&attempt.objects, object::SOURCE).await?;
    let number = |name: &str| {
        let found = text.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        found.and_then(|n| n.parse::<i64>().ok()).ok_or_else(|| Fault::new(FaultKind::Corrupt, "this is no film"))
    };
    let mut index = film(number("pictures")?, number("gop")?);
    let sounds = number("sounds").ok().and_then(|sounds| u32::try_from(sounds).ok()).unwrap_or(1);
    let first = index.header.audio.first().cloned();
    let track = |number| first.clone().map(|first| AudioTrack { number, id: format!("audio-{number}"), ..first });
    index.header.audio = (1..=sounds).filter_map(track).collect();
    Ok(index)
}

/// An index of closed GOPs without reordering.
pub fn film(pictures: i64, gop: i64) -> Index {
    let rate = Rational::new(25, 1).expect("25 is positive");
    let unit = |n: i64| Unit {
        pts: Some(rate.time_of(n)),
        dts: Some(rate.time_of(n)),
        duration: Some(rate.time_of(1)),
        size: 100,
        key: if n % gop == 0 { Key::Yes } else { Key::No },
        shows: 1,
        hash: n.unsigned_abs(),
        offset: None,
    };
    let span = Span::new(MediaTime::ZERO, rate.time_of(pictures));
    let format = VideoFormat {
        geometry: Geometry { width: 320, height: 180 },
        layout: "I420".into(),
        pixel_aspect: Rational::ONE,
        rate: Some(rate),
        scan: Scan::Progressive,
        colour: Colour::UNSPECIFIED,
        mastering: None,
        light: None,
        orientation: Orientation::UPRIGHT,
    };
    let video = VideoTrack {
        id: "video".into(),
        codec: "video/x-text".into(),
        name: "text".into(),
        decoder: "reader".into(),
        caps: vec![],
        format,
        span,
        divisible: Divisible::Yes,
    };
    let audio = AudioTrack {
        number: 1,
        id: "audio".into(),
        codec: "audio/x-text".into(),
        name: "text".into(),
        decoder: "reader".into(),
        format: AudioFormat { rate: 48_000, channels: 2 },
        language: None,
        title: None,
        shown: Shown::Default,
        standing: Standing::Beside,
        span,
    };
    let header = IndexHeader {
        container: "text/plain".into(),
        method: Method::Pass,
        video: Some(video),
        audio: vec![audio],
        silent: vec![],
        ignored: vec![],
        tags: Tags::default(),
        chapters: vec![],
        missing: Vec::new(),
        blocks: vec![],
    };
    Index { header, units: (0..pictures).map(unit).collect() }
}

async fn encode(work: &EncodeWork, attempt: &Attempt<'_>, build: &str) -> Result<Outcome, Fault> {
    let bytes = read_whole(&attempt.objects, object::INDEX).await?;
    let index = Index::from_bytes(&bytes).map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))?;
    let Decode::Slice { from, to, .. } = work.segment.decode else {
        return Err(Fault::new(FaultKind::Unsupported, "texts are always cut"));
    };
    let shown = shown_times(&index.units[from as usize..to as usize], work.segment.span);
    let mut proofs = Vec::new();
    for rendition in &work.renditions {
        let line = rendition.line(work.origin);
        let times = output_times(&shown, work.segment.span, line);
        let lines: String = times.iter().map(|t| format!("{} {}\n", rendition.number, t.ns())).collect();
        let text = format!("{build}\n{lines}");
        let file = produce(attempt.scratch, &format!("video-{}.seg", rendition.number), text.as_bytes()).await?;
        proofs.push(SegmentProof {
            rendition: rendition.number,
            decoded: u32::try_from(shown.len()).unwrap_or(u32::MAX),
            pictures: u32::try_from(times.len()).unwrap_or(u32::MAX),
            first: times.first().copied().unwrap_or_default(),
            last: times.last().copied().unwrap_or_default(),
            end: output_end(work.segment.span, line),
            header: Digest::of(build.as_bytes()),
            content: Digest::of(text.as_bytes()),
            dts_need: MediaTime::ZERO,
            lost: vec![],
            build: String::new(),
            fingerprint: "text".into(),
            file,
        });
    }
    Ok(Outcome::Encode(proofs))
}

async fn sound(work: &AudioWork, attempt: &Attempt<'_>) -> Result<Outcome, Fault> {
    let heard = source(attempt).await?.header.audio.first().map_or(work.span.end, |audio| audio.span.end);
    let length = work.span.end.min(heard) - work.span.start;
    let mut proofs = Vec::new();
    for rendition in &work.renditions {
        let rate = rendition.format.rate;
        let samples = length.to_ticks(rate).unsigned_abs();
        let text = format!("sound {} {samples}\n", rendition.number);
        let file = produce(attempt.scratch, &format!("audio-{}.seg", rendition.number), text.as_bytes()).await?;
        proofs.push(AudioProof {
            rendition: rendition.number,
            samples,
            first: MediaTime::ZERO,
            units: 1,
            lost: 0,
            silences: vec![],
            overlapped_samples: 0,
            loudness: None,
            header: Digest::of(b"sound"),
            content: Digest::of(text.as_bytes()),
            fingerprint: "text".into(),
            file,
        });
    }
    Ok(Outcome::Audio(proofs))
}

/// Each picture is a line that says when it is shown.
async fn pictures(work: &ImageWork, attempt: &Attempt<'_>) -> Result<Outcome, Fault> {
    let shown = work.plan.shots.iter().map(|shot| shot.picture.unwrap_or(shot.at) - work.origin);
    let taken: Vec<MediaTime> = shown.collect();
    let mut files = Vec::new();
    for number in 1..=work.plan.files() {
        let text = format!("pictures {number} of {taken:?}\n");
        files.push(produce(attempt.scratch, &format!("image-{number}.jpg"), text.as_bytes()).await?);
    }
    let pictures = u32::try_from(taken.len()).unwrap_or(u32::MAX);
    let (image, fingerprint) = (work.plan.number, "text".into());
    Ok(Outcome::Image(ImageProof { image, taken, lost: 0, pictures, duration: None, fingerprint, files }))
}

async fn merge(work: &MergeWork, attempt: &Attempt<'_>) -> Result<Outcome, Fault> {
    let (mut text, mut headers) = (String::new(), BTreeSet::new());
    let inputs = work.video.iter().flat_map(|video| &video.segments);
    for input in inputs {
        let segment = whole(&attempt.objects, input.object).await?;
        let (header, lines) = segment.split_once('\n').unwrap_or_default();
        headers.insert(header.to_owned());
        text.push_str(lines);
    }
    if headers.len() > 1 {
        return Err(Fault::new(FaultKind::Internal, format!("unequal headers are not joined: {headers:?}")));
    }
    let times: Vec<i64> = text.lines().filter_map(|line| line.split(' ').nth(1)?.parse().ok()).collect();
    for audio in &work.audio {
        text.push_str(&whole(&attempt.objects, audio.object).await?);
    }
    let (file, stands, beside) = bring(work, attempt, &text).await?;
    let time = |t: Option<&i64>| MediaTime(t.copied().unwrap_or_default());
    let video = work.video.as_ref().map(|_| VideoReadback {
        pictures: u32::try_from(times.len()).unwrap_or(u32::MAX),
        first: time(times.first()),
        last: time(times.last()),
        off_max: MediaTime::ZERO,
    });
    let heard = AudioReadback { units: 1, left_out: 0, first: MediaTime::ZERO, off_max: MediaTime::ZERO };
    let audio = vec![heard; work.audio.len()];
    let (output, duration) = (work.output, time(times.last()));
    Ok(Outcome::Merge(OutputProof { output, file, stands, beside, duration, video, audio, variants: Vec::new() }))
}

/// An output's text in one file; as a package of a file for each segment's worth of lines, whose master names them; or as
/// pages of their own.
async fn bring(work: &MergeWork, attempt: &Attempt<'_>, text: &str) -> Result<(Produced, Stand, Vec<Part>), Fault> {
    let stands: fn(u32) -> Stand = match work.container {
        Container::Ts => |_| Stand::Within,
        Container::Mkv => Stand::Numbered,
        _ => return Ok((produce(attempt.scratch, "output", text.as_bytes()).await?, Stand::Named, Vec::new())),
    };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (mut parts, mut master) = (Vec::new(), String::new());
    for (lines, number) in lines.chunks(LINES_PER_PAGE).zip(1..) {
        let name = format!("page-{number}.txt");
        let file = produce(attempt.scratch, &name, lines.concat().as_bytes()).await?;
        master.push_str(&format!("{}/{name}\n", work.folder));
        parts.push(Part { file, stands: stands(number) });
    }
    match work.container {
        Container::Ts => Ok((produce(attempt.scratch, "master.txt", master.as_bytes()).await?, Stand::Named, parts)),
        _ => {
            let last = parts.pop().ok_or_else(|| Fault::new(FaultKind::Corrupt, "no pages"))?;
            Ok((last.file, last.stands, parts))
        }
    }
}

/// What a package holds, by its master and the files that it leads to.
pub fn unpacked(master: &Path) -> std::io::Result<String> {
    let folder = master.parent().unwrap_or(master);
    std::fs::read_to_string(master)?.lines().map(|member| std::fs::read_to_string(folder.join(member))).collect()
}

async fn produce(scratch: &Path, name: &str, bytes: &[u8]) -> Result<Produced, Fault> {
    let written = std::fs::write(scratch.join(name), bytes);
    written.map_err(|e| Fault::new(FaultKind::ScratchFull, e.to_string()))?;
    Ok(Produced { name: name.to_owned(), size: bytes.len() as u64, digest: Digest::of(bytes) })
}

async fn whole(objects: &Arc<dyn Objects>, object: u32) -> Result<String, Fault> {
    let bytes = read_whole(objects, object).await?;
    String::from_utf8(bytes).map_err(|e| Fault::new(FaultKind::Corrupt, e.to_string()))
}

async fn read_whole(objects: &Arc<dyn Objects>, object: u32) -> Result<Vec<u8>, Fault> {
    let size = objects.size(object).await?;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < size {
        bytes.extend_from_slice(&objects.read(object, bytes.len() as u64, READ_BYTES).await?);
    }
    Ok(bytes)
}
