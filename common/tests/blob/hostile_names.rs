//! Lists in which somebody put names that nothing can be asked for by.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::Query;
use framefleet_common::adapters::blob::listing::Below;
use framefleet_common::adapters::blob::storages::{Http, StorageSettings, Storages};

const BUCKET: Below<'static> = Below { url: "s3://films/", prefix: "in/" };

/// A server that knows lists and nothing else, and any key in them.
async fn serve(keys: BTreeSet<String>) -> Storages {
    let answer = move |Query(query): Query<BTreeMap<String, String>>| {
        let after = query.get("continuation-token").or(query.get("start-after")).cloned().unwrap_or_default();
        let count_max: usize = query["max-keys"].parse().unwrap();
        let rest: Vec<&String> = keys.iter().filter(|key| key.starts_with(&query["prefix"]) && **key > after).collect();
        let page = &rest[..rest.len().min(count_max)];
        let contents: String = page
            .iter()
            .map(|key| {
                format!("<Contents><Key>{key}</Key><Size>9</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>")
            })
            .collect();
        let next = page.last().filter(|_| rest.len() > page.len());
        let next = next.map(|key| format!("<NextContinuationToken>{key}</NextContinuationToken>")).unwrap_or_default();
        let text = format!("<?xml version=\"1.0\"?><ListBucketResult>{contents}{next}</ListBucketResult>");
        async move { text }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Some(format!("http://{}", listener.local_addr().unwrap()));
    let app = axum::Router::new().fallback(axum::routing::get(answer));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let credentials = framefleet_common::adapters::blob::storages::Credentials {
        key_id: "a".to_owned(),
        secret: "b".to_owned(),
        token: None,
    };
    let settings = StorageSettings {
        url: "s3://films".to_owned(),
        endpoint,
        region: Some("us-east-1".to_owned()),
        credentials: Some(credentials),
        http: Http::Plain,
        ..StorageSettings::folder(std::path::Path::new("/"))
    };
    Storages::new(vec![settings]).unwrap()
}

async fn listed(storages: &Storages, below: Below<'_>) -> (BTreeSet<String>, usize) {
    let (mut found, mut refused, mut after) = (BTreeSet::new(), 0, None::<String>);
    loop {
        let page = storages.list(below, after.as_deref()).await.unwrap();
        for one in page.found {
            assert!(found.insert(one.key.to_string()), "listed twice: {}", one.key);
        }
        refused += page.refused;
        let Some(next) = page.next else { return (found, refused) };
        assert_ne!(Some(&next), after.as_ref(), "a list that does not go on");
        after = Some(next);
    }
}

#[tokio::test]
async fn names_that_cannot_be_asked_for_hide_no_others() {
    let good: BTreeSet<String> = (0..2500).map(|n| format!("in/{n:04}/film.mov")).collect();
    let mut bad: BTreeSet<String> = (0..150).map(|n| format!("in/1500//{n:04}.mov")).collect();
    bad.extend(["in//a.mov", "in/../etc/passwd", "in/0999/./film.mov", "in/9999//"].map(str::to_owned));
    let storages = serve(good.union(&bad).cloned().collect()).await;
    let (found, refused) = listed(&storages, BUCKET).await;
    assert_eq!(found, good);
    assert_eq!(refused, bad.len());
}

#[tokio::test]
async fn a_list_of_nothing_but_hostile_names_ends() {
    let bad: BTreeSet<String> = (0..300).map(|n| format!("in//{n:04}")).collect();
    let storages = serve(bad).await;
    assert_eq!(listed(&storages, BUCKET).await, (BTreeSet::new(), 300));
}

#[tokio::test]
async fn files_are_listed_by_the_letters_of_their_names_and_odd_ones_passed_over() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("in");
    std::fs::create_dir_all(root.join("deep")).unwrap();
    let names: BTreeSet<String> = (0..2100).map(|n| format!("deep/{n:04}.mov")).collect();
    for name in names.iter().map(String::as_str).chain(["de.mov", "other.mov", "deep/a\nb.mov"]) {
        std::fs::write(root.join(name), "film").unwrap();
    }
    std::fs::write(root.join(std::ffi::OsStr::from_bytes(b"deep/\xff.mov")), "film").unwrap();
    std::fs::write(folder.path().join("outside.mov"), "film").unwrap();
    std::os::unix::fs::symlink(folder.path().join("outside.mov"), root.join("deep/link.mov")).unwrap();
    let url = framefleet_common::adapters::blob::url::of_path(&root);
    let storages = Storages::new(vec![StorageSettings::folder(&root)]).unwrap();
    let below = |prefix| Below { url: &url, prefix };
    assert_eq!(listed(&storages, below("deep/")).await, (names.clone(), 2));
    assert_eq!(listed(&storages, below("deep/00")).await.0.len(), 100);
    let all: BTreeSet<String> = names.into_iter().chain(["de.mov", "other.mov"].map(str::to_owned)).collect();
    assert_eq!(listed(&storages, below("")).await.0, all);
    assert_eq!(listed(&storages, below("de")).await.0.len(), 2101);
    let elsewhere = storages.list(Below { url: "file:///etc/", prefix: "" }, None).await.unwrap_err();
    assert!(elsewhere.message.contains("lies in no storage"), "{elsewhere}");
}
