//! Objects in folders and in buckets keep the same promises.

#![allow(clippy::unwrap_used, reason = "a test program")]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use framefleet_common::adapters::blob::root::Root;
use framefleet_common::adapters::blob::storages::{StorageSettings, Storages};
use framefleet_common::adapters::blob::{Content, Object, OnExisting, Presence, Published, Side, Staged, url};
use framefleet_model::event::Provider;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{Digest, JobId, Nonce};
use framefleet_model::key::ObjectKey;

mod bounds;
mod buckets;
mod hostile_names;
mod lists;
#[path = "../servers/s3.rs"]
mod s3;
mod troubles;

use s3::S3Server;

/// A place for test objects: a folder, or a bucket of a server.
struct Ground {
    folder: tempfile::TempDir,
    server: Option<S3Server>,
    storages: Storages,
}

impl Ground {
    fn both() -> [Self; 2] {
        [Self::folder(), Self::bucket()]
    }

    fn folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storages = Storages::new(vec![StorageSettings::folder(folder.path())]).unwrap();
        Self { folder, server: None, storages }
    }

    fn bucket() -> Self {
        let server = S3Server::start();
        server.bucket("films");
        let storages = Storages::new(vec![server.settings("s3://films")]).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), server: Some(server), storages }
    }

    fn server(&self) -> &S3Server {
        self.server.as_ref().unwrap()
    }

    fn url(&self, name: &str) -> String {
        match self.server {
            None => url::of_path(&self.folder.path().join(name)),
            Some(_) => url::of_key(Provider::S3, ("films", name)),
        }
    }

    fn root(&self) -> Root {
        self.storages.root(&self.url("work")).unwrap()
    }

    fn object(&self, name: &str, side: Side) -> Object {
        self.storages.object(&self.url(name), side).unwrap()
    }

    fn local(&self, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join("local");
        std::fs::write(&path, content).unwrap();
        path
    }
}

async fn stage(object: &Object, from: &Path, (attempt, content): (&Nonce, Content)) -> Result<Staged, Fault> {
    let begun = object.begin(attempt, content).await?;
    object.fill(&begun, from).await
}

fn nonce(n: u8) -> Nonce {
    Nonce::from_bytes([n; 16])
}

fn content(bytes: &[u8]) -> Content {
    Content { size: bytes.len() as u64, digest: Digest::of(bytes) }
}

#[tokio::test]
async fn what_is_put_is_read_back_by_ranges() {
    for ground in Ground::both() {
        let object = ground.object("film.mov", Side::Work);
        let bytes: Vec<u8> = (0..1_300_000_u32).map(|n| (n / 7) as u8).collect();
        object.put(bytes.clone().into()).await.unwrap();
        let reader = object.reader().await.unwrap();
        assert_eq!(reader.facts().size, 1_300_000);
        assert_eq!(reader.read(10, 100).await.unwrap(), bytes[10..110]);
        assert_eq!(reader.read(1_299_990, 100).await.unwrap(), bytes[1_299_990..], "short at the end");
        assert!(reader.read(1_300_000, 100).await.unwrap().is_empty());
        assert!(reader.read(u64::MAX, 100).await.unwrap().is_empty());
        assert!(reader.read(5, 0).await.unwrap().is_empty());
        assert_eq!(object.read_all(1_300_000).await.unwrap(), bytes);
        assert_eq!(object.content().await.unwrap(), content(&bytes));
        assert!(object.read_all(1_299_999).await.is_err(), "over its bound");
    }
}

#[tokio::test]
async fn a_put_replaces_and_a_delete_repeats() {
    for ground in Ground::both() {
        let object = ground.object("a", Side::Work);
        assert_eq!(object.presence().await, Ok(Presence::Absent));
        object.put(Bytes::from_static(b"one")).await.unwrap();
        object.put_file(&ground.local(b"second")).await.unwrap();
        assert_eq!(object.read_all(100).await.unwrap(), "second");
        object.put_file(&ground.local(b"")).await.unwrap();
        assert_eq!(object.content().await.unwrap(), content(b""));
        assert_eq!(object.presence().await, Ok(Presence::Present));
        for _ in 0..2 {
            object.delete().await.unwrap();
            assert_eq!(object.presence().await, Ok(Presence::Absent));
        }
    }
}

#[tokio::test]
async fn a_source_that_changes_while_it_is_read_is_a_fault() {
    for ground in Ground::both() {
        let film = ground.object("film.mov", Side::Source);
        film.put(Bytes::from_static(b"the first film")).await.unwrap();
        let reader = film.reader().await.unwrap();
        assert_eq!(reader.read(4, 5).await.unwrap(), "first");
        let before = film.facts().await.unwrap();
        match ground.server {
            // Overwritten in place, as by a camera that still records.
            None => std::fs::write(ground.folder.path().join("film.mov"), "the other film, longer").unwrap(),
            Some(_) => film.put(Bytes::from_static(b"the other film, longer")).await.unwrap(),
        }
        assert_eq!(reader.read(4, 5).await.unwrap_err().kind, FaultKind::SourceChanged);
        assert_ne!(film.facts().await.unwrap(), before);
    }
}

#[tokio::test]
async fn a_staged_content_is_invisible_until_it_is_published() {
    for ground in Ground::both() {
        let out = ground.object("out.mp4", Side::Destination);
        let staged = stage(&out, &ground.local(b"made"), (&nonce(1), content(b"made"))).await.unwrap();
        assert_eq!(out.presence().await, Ok(Presence::Absent));
        let kept = serde_json::to_string(&staged).unwrap();
        let staged = serde_json::from_str(&kept).unwrap();
        for _ in 0..3 {
            assert_eq!(out.publish(&staged, OnExisting::Fail).await, Ok(Published::Stands));
            assert_eq!(out.read_all(100).await.unwrap(), "made");
        }
        out.discard(&staged).await.unwrap();
        assert_eq!(out.read_all(100).await.unwrap(), "made", "discarding later harms nothing");
    }
}

#[tokio::test]
async fn what_stands_at_the_final_key_is_replaced_only_when_asked() {
    for ground in Ground::both() {
        let out = ground.object("out.mp4", Side::Destination);
        out.put(Bytes::from_static(b"somebody else's")).await.unwrap();
        let staged = stage(&out, &ground.local(b"made"), (&nonce(1), content(b"made"))).await.unwrap();
        let refused = out.publish(&staged, OnExisting::Fail).await.unwrap_err();
        assert_eq!(refused.kind, FaultKind::DestinationExists);
        assert!(refused.message.ends_with("out.mp4 exists already"), "{refused}");
        assert_eq!(out.read_all(100).await.unwrap(), "somebody else's");
        out.publish(&staged, OnExisting::Replace).await.unwrap();
        assert_eq!(out.read_all(100).await.unwrap(), "made");
    }
}

#[tokio::test]
async fn a_discarded_content_leaves_nothing() {
    for ground in Ground::both() {
        let out = ground.object("out.mp4", Side::Destination);
        let staged = stage(&out, &ground.local(b"made"), (&nonce(1), content(b"made"))).await.unwrap();
        for _ in 0..2 {
            out.discard(&staged).await.unwrap();
        }
        assert_eq!(out.publish(&staged, OnExisting::Fail).await, Ok(Published::Gone));
        assert_eq!(out.presence().await, Ok(Presence::Absent));
        let left: Vec<_> = std::fs::read_dir(ground.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name == "local"), "{left:?}");
    }
}

#[tokio::test]
async fn what_a_dead_attempt_began_is_discarded_by_its_note() {
    for ground in Ground::both() {
        let out = ground.object("out.mp4", Side::Destination);
        let begun = out.begin(&nonce(1), content(b"made")).await.unwrap();
        let note = serde_json::to_string(&begun).unwrap();
        // All of it is there, and the attempt dies before it can say so.
        out.fill(&begun, &ground.local(b"made")).await.unwrap();
        for _ in 0..2 {
            out.discard(&serde_json::from_str(&note).unwrap()).await.unwrap();
        }
        assert_eq!(ground.server.as_ref().map_or(0, S3Server::uploads), 0);
        let left: Vec<_> = std::fs::read_dir(ground.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name == "local"), "{left:?}");
    }
}

#[tokio::test]
async fn a_destination_is_tried_out_without_a_trace() {
    for ground in Ground::both() {
        let out = ground.object("out.mp4", Side::Destination);
        for on_existing in [OnExisting::Fail, OnExisting::Replace] {
            assert_eq!(out.try_out(on_existing).await, Ok(()));
            assert_eq!(out.presence().await, Ok(Presence::Absent));
        }
        out.put(Bytes::from_static(b"somebody else's")).await.unwrap();
        assert_eq!(out.try_out(OnExisting::Fail).await.unwrap_err().kind, FaultKind::DestinationExists);
        assert_eq!(out.try_out(OnExisting::Replace).await, Ok(()));
        assert_eq!(out.read_all(100).await.unwrap(), "somebody else's");
        assert_eq!(ground.server.as_ref().map_or(0, S3Server::uploads), 0);
        let left = std::fs::read_dir(ground.folder.path()).unwrap().count();
        assert_eq!(left, usize::from(ground.server.is_none()), "the output and nothing else");
    }
}

#[tokio::test]
async fn a_missing_object_is_the_fault_of_its_side() {
    let missing = [
        (Side::Source, FaultKind::SourceMissing),
        (Side::Destination, FaultKind::DestinationMissing),
        (Side::Work, FaultKind::StorageAway),
    ];
    for ground in Ground::both() {
        for (side, kind) in missing {
            let fault = ground.object("film.mov", side).facts().await.unwrap_err();
            assert_eq!(fault.kind, kind, "{fault}");
            assert!(fault.message.ends_with("film.mov does not exist"), "{fault}");
        }
    }
}

#[tokio::test]
async fn odd_file_names_are_kept_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let names: [&[u8]; 9] = [
        b"with space.mov",
        b"100%.mov",
        b"a%20b.mov",
        b"take#1",
        b"film#123",
        b".hidden",
        "été 映画 🎬.mov".as_bytes(),
        b"?*<>|\"'\\.mov",
        b"not-utf8-\xff\xfe.mov",
    ];
    for name in names {
        let path = folder.path().join(OsStr::from_bytes(name));
        let object = Storages::local().object(&url::of_path(&path), Side::Destination).unwrap();
        let from = folder.path().join("from");
        std::fs::write(&from, name).unwrap();
        let staged = stage(&object, &from, (&nonce(1), content(name))).await.unwrap();
        object.publish(&staged, OnExisting::Fail).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), name);
        assert_eq!(object.read_all(100).await.unwrap(), name);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), names.len());
}

#[tokio::test]
async fn what_is_no_file_is_no_source() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    let a_file = folder.path().join("file");
    std::fs::write(&a_file, "x").unwrap();
    let below_a_file = a_file.join("film.mov");
    let cases: [(&Path, FaultKind, &str); 4] = [
        (folder.path(), FaultKind::SourceUnreadable, "is a folder"),
        (&pipe, FaultKind::SourceUnreadable, "is no regular file"),
        (Path::new("/dev/null"), FaultKind::SourceUnreadable, "is no regular file"),
        (&below_a_file, FaultKind::SourceMissing, "does not exist"),
    ];
    for (path, kind, text) in cases {
        let Err(fault) = Object::file(path, Side::Source).reader().await else { panic!("{path:?} was opened") };
        assert_eq!(fault.kind, kind, "{fault}");
        assert!(fault.message.ends_with(text), "{fault}");
    }
}

#[tokio::test]
async fn a_destination_needs_its_folder_and_is_none_itself() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("from");
    std::fs::write(&from, "made").unwrap();
    let nowhere = Object::file(&folder.path().join("no/such/out.mp4"), Side::Destination);
    let fault = stage(&nowhere, &from, (&nonce(1), content(b"made"))).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::DestinationMissing);
    let occupied = folder.path().join("out.mp4");
    std::fs::create_dir(&occupied).unwrap();
    let occupied = Object::file(&occupied, Side::Destination);
    let staged = stage(&occupied, &from, (&nonce(1), content(b"made"))).await.unwrap();
    let fault = occupied.publish(&staged, OnExisting::Replace).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::DestinationDenied, "{fault}");
    occupied.discard(&staged).await.unwrap();
}

#[tokio::test]
async fn a_file_comes_whole_from_another_file_system() {
    let folder = tempfile::tempdir().unwrap();
    // Where both are one file system this is a rename, which the other tests show.
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let from = memory.path().join("from");
    let bytes = vec![7; 300_000];
    std::fs::write(&from, &bytes).unwrap();
    let out = Object::file(&folder.path().join("out.mp4"), Side::Destination);
    let staged = stage(&out, &from, (&nonce(1), content(&bytes))).await.unwrap();
    out.publish(&staged, OnExisting::Fail).await.unwrap();
    assert_eq!(out.content().await.unwrap(), content(&bytes));
}

#[tokio::test]
async fn work_objects_make_their_own_folders() {
    let folder = tempfile::tempdir().unwrap();
    let root = Storages::local().root(&url::of_path(&folder.path().join("work here"))).unwrap();
    let object = root.object(&ObjectKey::request(&JobId::of_parts(&["film"])));
    object.put(Bytes::from_static(b"{}")).await.unwrap();
    assert_eq!(object.read_all(10).await.unwrap(), "{}");
}
