//! What the work store says is in it.

use std::collections::BTreeSet;

use bytes::Bytes;
use framefleet_common::adapters::blob::root::{Cursor, Page, Root, Stored};
use framefleet_common::adapters::blob::{Presence, Side};
use framefleet_model::fault::Fault;
use framefleet_model::id::{JobId, TaskId, TaskKind};
use framefleet_model::key::{FileName, ObjectKey};

use super::{Ground, nonce};

/// More than a page, however the server counts it.
const FILES: u32 = 1100;

fn keys(job: &JobId) -> Vec<ObjectKey> {
    let file = FileName::new("video-0.seg").unwrap();
    let task = TaskId::new(TaskKind::Encode, 1);
    vec![ObjectKey::request(job), ObjectKey::index(job, &nonce(1)), ObjectKey::attempt(job, task, &nonce(2), file)]
}

async fn all<T: Ord, F>(mut ask: impl FnMut(Option<Cursor>) -> F) -> BTreeSet<T>
where
    F: Future<Output = Result<Page<T>, Fault>>,
{
    let (mut all, mut after) = (BTreeSet::new(), None);
    loop {
        let page = ask(after).await.unwrap();
        for found in page.found {
            assert!(all.insert(found), "listed twice");
        }
        let Some(next) = page.next else { return all };
        after = Some(next);
    }
}

async fn listed(root: &Root, job: Option<&JobId>) -> BTreeSet<Stored> {
    all(|after| async move { root.list(job, after.as_ref()).await }).await
}

async fn jobs(root: &Root) -> BTreeSet<JobId> {
    all(|after| async move { root.jobs(after.as_ref()).await }).await
}

#[tokio::test]
async fn jobs_and_their_objects_are_listed_and_removed() {
    for ground in Ground::both() {
        let root = ground.root();
        assert!(jobs(&root).await.is_empty() && listed(&root, None).await.is_empty(), "an empty store has nothing");
        let (one, two) = (JobId::of_parts(&["one"]), JobId::of_parts(&["two"]));
        for key in keys(&one).iter().chain(&keys(&two)) {
            root.object(key).put(Bytes::from_static(b"{}")).await.unwrap();
        }
        let odd = format!("{one}/left over %2F é+.part");
        ground.object(&format!("work/{odd}"), Side::Work).put(Bytes::from_static(b"?")).await.unwrap();
        ground.object("work/no-job", Side::Work).put(Bytes::from_static(b"?")).await.unwrap();
        ground.object("beside-the-root", Side::Work).put(Bytes::from_static(b"?")).await.unwrap();

        assert_eq!(jobs(&root).await, BTreeSet::from([one.clone(), two.clone()]));
        let unknown = Stored::Unknown(format!("{one}/left%20over%20%252F%20%C3%A9%2B.part"));
        let of_one: BTreeSet<_> = keys(&one).into_iter().map(Stored::Known).chain([unknown]).collect();
        assert_eq!(listed(&root, Some(&one)).await, of_one);
        let everything = listed(&root, None).await;
        assert_eq!(everything.len(), of_one.len() + keys(&two).len() + 1);
        assert!(everything.contains(&Stored::Unknown("no-job".to_owned())));

        for stored in &of_one {
            for _ in 0..2 {
                root.delete(stored).await.unwrap();
            }
        }
        assert!(listed(&root, Some(&one)).await.is_empty());
        assert_eq!(jobs(&root).await, BTreeSet::from([two]));
        assert_eq!(ground.object("beside-the-root", Side::Work).presence().await, Ok(Presence::Present));
    }
}

#[tokio::test]
async fn a_long_list_comes_by_pages() {
    for ground in Ground::both() {
        let (root, job) = (ground.root(), JobId::of_parts(&["long"]));
        let folder = match &ground.server {
            None => ground.folder.path().join("work"),
            Some(server) => server.path("films/work"),
        };
        let task = TaskId::new(TaskKind::Encode, 1);
        let key = |n: u32| ObjectKey::attempt(&job, task, &nonce(1), FileName::new(&format!("video-{n}.seg")).unwrap());
        std::fs::create_dir_all(folder.join(key(0).to_string()).parent().unwrap()).unwrap();
        for n in 0..FILES {
            std::fs::write(folder.join(key(n).to_string()), "x").unwrap();
        }
        let first = root.list(Some(&job), None).await.unwrap();
        assert!(first.found.len() < FILES as usize && first.next.is_some());
        assert_eq!(listed(&root, Some(&job)).await, (0..FILES).map(|n| Stored::Known(key(n))).collect());
        // What is removed between two pages hides nothing of the next one.
        for stored in &first.found {
            root.delete(stored).await.unwrap();
        }
        let rest = root.list(Some(&job), first.next.as_ref()).await.unwrap();
        assert_eq!(rest.found.len() + first.found.len(), FILES as usize);
        let many: BTreeSet<_> = (0..FILES).map(|n| JobId::of_parts(&["many", &n.to_string()])).collect();
        for job in &many {
            std::fs::create_dir(folder.join(job.as_str())).unwrap();
            std::fs::write(folder.join(job.as_str()).join("end.json"), "{}").unwrap();
        }
        assert!(jobs(&root).await.is_superset(&many));
    }
}

#[tokio::test]
async fn nothing_outside_of_the_root_is_removed() {
    for ground in Ground::both() {
        ground.object("beside-the-root", Side::Work).put(Bytes::from_static(b"?")).await.unwrap();
        let root = ground.root();
        for name in ["../beside-the-root", "/etc/passwd", "%2E%2E/beside-the-root", "%zz"] {
            assert!(root.delete(&Stored::Unknown(name.to_owned())).await.is_err(), "{name}");
        }
        assert_eq!(ground.object("beside-the-root", Side::Work).presence().await, Ok(Presence::Present));
    }
}
