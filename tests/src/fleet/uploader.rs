//! Whoever uploads a film to a simulated fleet: its storage tells of it once, several times or never, and somebody may
//! cancel what comes of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use framefleet_common::adapters::blob::storages::Storages;
use framefleet_common::adapters::blob::{Side, url};
use framefleet_coordinator::ops::Ops as _;
use framefleet_model::event::{BucketName, Claims, Format, Provider, Upload, UploadKey, UploadKind, WallTime, encode};
use framefleet_model::fault::FaultKind;
use framefleet_model::id::JobId;
use framefleet_model::pipeline::{OnExisting, Request};
use framefleet_model::plan::SourceFacts;
use framefleet_model::terms::Terms;
use framefleet_model::trigger::pipeline::Pipeline;
use framefleet_model::trigger::template::Template;
use framefleet_model::trigger::{Found, Place, Trigger};

use crate::fleet::dice::Dice;
use crate::fleet::peril::Mortal;
use crate::fleet::world::{Film, World};
use crate::fleet::{receiver, request};

/// The folder that films lie in, below a run's own.
pub const SOURCES: &str = "in";
const BUCKET: &str = "films";
const PAUSE: Duration = Duration::from_secs(1);
/// Before anything that ends: later news begins nothing anew.
const UPLOADED: WallTime = WallTime(1_767_225_600_000);

pub struct Uploader {
    world: Arc<World>,
    film: Film,
    dice: Dice,
}

/// The rule that makes a job of this one film.
pub fn trigger(folder: &Path, film: &Film) -> Trigger {
    let name = |path: &Path| path.file_name().expect("a film has a name").to_string_lossy().into_owned();
    let asked = request("", std::slice::from_ref(&film.out));
    let mut request = Request { on_existing: OnExisting::Replace, steps: receiver::steps(), ..asked };
    request.outputs[0].to = name(&film.out);
    let id = "films@1".parse().expect("a pipeline's name");
    let sources = [url::of_path(&folder.join(SOURCES)), "/".to_owned()].concat();
    let key = film.source.strip_prefix(&sources).expect("films lie in the folder").to_owned();
    Trigger {
        name: "films".to_owned(),
        place: Place::Folder { url: sources, called: BucketName::new(BUCKET).ok() },
        prefix: key,
        suffix: String::new(),
        kinds: UploadKind::WHOLE.into(),
        quiet_ms: 0,
        pipeline: Arc::new(Pipeline::new(id, request).expect("names of outputs")),
        canary: None,
        terms: Terms::default(),
        output: Template::of_folder(&url::of_path(folder)).expect("a folder"),
    }
}

impl Uploader {
    pub fn new(world: Arc<World>, film: Film) -> Self {
        Self { dice: world.dice.of("uploader"), world, film }
    }

    /// The job that must come of it, with the number of its film.
    pub async fn upload(&self) -> Option<(JobId, usize)> {
        let trigger = self.world.trigger.as_ref().expect("an upload has a trigger");
        let object = Storages::local().object(&self.film.source, Side::Source).expect("a file");
        let stat = object.stat().await.expect("the film was just written");
        let source = SourceFacts { url: self.film.source.clone(), size: stat.facts.size, version: stat.facts.version };
        let id = trigger.wish(&Found { source, modified: stat.modified }).expect("a film").id;
        // Lost events are the sweep's.
        for _ in 0..self.dice.roll(5) {
            self.wait(20_000).await;
            self.tell();
        }
        if self.dice.falls(1, 3) {
            self.wait(20_000).await;
            self.cancel(&id).await;
            self.tell();
        }
        Some((id, self.film.number))
    }

    fn tell(&self) {
        let key = self.film.source.rsplit('/').next().and_then(|key| UploadKey::new(key).ok());
        let upload = Upload {
            provider: Provider::S3,
            bucket: BucketName::new(BUCKET).expect("a bucket's name"),
            key: key.expect("a plain name"),
            kind: UploadKind::Put,
            event: "ObjectCreated:Put".to_owned(),
            id: "1".to_owned(),
            time: Some(UPLOADED),
            region: None,
            claims: Claims::default(),
        };
        self.world.storm.tell("told of upload", format_args!("film {} is told of", self.film.number));
        self.world.post.post_upload(encode(&upload, Format::S3));
    }

    async fn wait(&self, ms_max: u64) {
        tokio::time::sleep(Duration::from_millis(self.dice.roll(ms_max))).await;
    }

    /// If the job is there already.
    async fn cancel(&self, id: &JobId) {
        let peril = self.world.peril("uploader", Mortal::No);
        let ops = self.world.coordinator(&peril, self.world.scratches().join("uploader")).ops();
        loop {
            match ops.cancel(id, "as rolled").await {
                Ok(()) => return,
                Err(fault) if fault.kind == FaultKind::StoreAway => tokio::time::sleep(PAUSE).await,
                Err(_) => return,
            }
        }
    }
}
