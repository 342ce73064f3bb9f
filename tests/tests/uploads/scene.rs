//! A fleet whose triggers make a film of whatever is dropped into its bucket.

use std::path::PathBuf;

use framefleet_coordinator::ops::wire::JobJson;
use framefleet_model::event::{BucketName, Claims, Format, Provider, Upload, UploadKey, UploadKind, WallTime, encode};
use framefleet_tests::processes::fleet::Fleet;
use framefleet_tests::processes::servers::{Buckets, Servers};
use framefleet_tests::processes::{jobs, until};

pub(crate) struct Scene {
    pub(crate) servers: Servers,
    pub(crate) buckets: Buckets,
    pub(crate) fleet: Fleet,
}

/// `films/in/*.mov` to `made/web`, by this version of the pipeline.
pub(crate) fn rules(version: u32) -> String {
    format!(
        "[[pipelines]]\nname = \"web\"\nversion = \"{version}\"\nsegment_duration = \"{}\"\n\
         outputs = [{{ to = \"{{stem}}-v{version}.mp4\", video = {{ preset = \"ultrafast\" }} }}]\n\
         [[triggers]]\nname = \"films\"\nbucket = \"s3://films\"\nprefix = \"in/\"\nsuffix = \".mov\"\n\
         pipeline = \"web@{version}\"\ntenant = \"news\"\noutput = \"s3://made/web\"\n",
        jobs::CUT
    )
}

impl Scene {
    /// `sweep`: how often buckets are looked through.
    pub(crate) fn new(prefix: &str, sweep: &str) -> Self {
        let (servers, buckets) = (Servers::start(), Buckets::start());
        let fleet = Fleet::on_buckets(&servers, prefix, &buckets);
        std::fs::create_dir(buckets.path("films/in")).unwrap();
        let scene = Self { servers, buckets, fleet };
        let known = std::fs::read_to_string(scene.fleet.config()).unwrap();
        let known = [&known, "[coordinator]\nsweep_every = \"", sweep, "\"\n"].concat();
        std::fs::write(scene.fleet.path("known.toml"), known).unwrap();
        scene.configure(&rules(1));
        scene
    }

    /// What processes that begin from now on are told.
    pub(crate) fn configure(&self, rules: &str) {
        let known = std::fs::read_to_string(self.fleet.path("known.toml")).unwrap();
        std::fs::write(self.fleet.config(), [known.as_str(), rules].concat()).unwrap();
    }

    /// A film in the bucket, of which nobody has told.
    pub(crate) fn drop_film(&self, name: &str) {
        std::fs::copy(jobs::film(), self.buckets.path(&format!("films/in/{name}"))).unwrap();
    }

    pub(crate) fn tell(&self, key: &str, format: Format) {
        let oss = format.provider() == Some(Provider::Oss);
        let upload = Upload {
            provider: if oss { Provider::Oss } else { Provider::S3 },
            bucket: BucketName::new("films").unwrap(),
            key: UploadKey::new(key).unwrap(),
            kind: UploadKind::Put,
            event: if oss { "ObjectCreated:PutObject" } else { "ObjectCreated:Put" }.to_owned(),
            id: key.to_owned(),
            time: Some(WallTime(0)),
            region: None,
            claims: Claims::default(),
        };
        self.post(&String::from_utf8(encode(&upload, format)).unwrap());
    }

    pub(crate) fn post(&self, message: &str) {
        self.servers.post(&format!("{}.ingest", self.fleet.prefix), "uploads", message);
    }

    pub(crate) fn jobs(&self) -> Vec<JobJson> {
        self.fleet.client.jobs(&self.fleet.apis())
    }

    /// Waits until so many jobs are over; there are no more.
    pub(crate) fn ended(&self, count: usize) -> Vec<JobJson> {
        until(&format!("{count} jobs are over"), || {
            self.jobs().iter().filter(|job| job.ended_ms.is_some()).count() >= count
        });
        let jobs = self.jobs();
        assert_eq!(jobs.len(), count, "{jobs:?}");
        jobs.iter().for_each(|job| drop(self.fleet.over(&job.id)));
        jobs
    }

    /// No message waits or is held.
    pub(crate) fn heeded(&self) {
        let queue = format!("{}.ingest.uploads", self.fleet.prefix);
        until("every message is acknowledged", || {
            self.servers.queues(&self.fleet.prefix).iter().any(|(name, count)| *name == queue && *count == 0)
        });
    }

    /// What came of uploads, by all coordinators that run.
    pub(crate) fn uploads(&self, what: &str) -> u64 {
        let names = self.fleet.roles().iter().filter(|role| role.is_running()).map(|role| role.name().to_owned());
        let series = format!("framefleet_uploads_total{{what=\"{what}\"}}");
        names.filter(|name| name.starts_with('c')).map(|name| self.fleet.figure(&name, &series)).sum()
    }

    pub(crate) fn made(&self, name: &str) -> PathBuf {
        self.buckets.path(&format!("made/web/{name}"))
    }
}
