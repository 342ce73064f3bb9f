//! What may be used and what may not.

use std::os::unix::fs::symlink;

use framefleet_common::adapters::blob::storages::{Addressing, Credentials, Http, StorageSettings, Storages};
use framefleet_common::adapters::blob::{OnExisting, Side, url};
use framefleet_model::fault::{Fault, FaultKind};

use super::s3::S3Server;

fn refusal(storages: &Storages, url: &str) -> Fault {
    let Err(fault) = storages.object(url, Side::Source).map(drop) else { panic!("{url} was taken") };
    assert_eq!(fault.kind, FaultKind::Settings, "{fault}");
    fault
}

#[test]
fn a_url_that_nothing_covers_is_refused_with_what_may_be_used() {
    let server = S3Server::start();
    let settings = vec![
        StorageSettings::folder("/srv/films".as_ref()),
        server.settings("s3://films"),
        server.settings("s3://shared/ours"),
    ];
    let storages = Storages::new(settings).unwrap();
    for url in ["file:///srv/films/a/b.mov", "s3://films/a/b.mov", "s3://shared/ours/b.mov"] {
        assert!(storages.object(url, Side::Source).is_ok(), "{url}");
    }
    for url in [
        "file:///etc/passwd",
        "file:///srv/films2/a.mov",
        "file:///srv/films/../../etc/passwd",
        "s3://other/a.mov",
        "s3://shared/b.mov",
        "s3://shared/ours2/b.mov",
        "oss://films/a.mov",
    ] {
        let fault = refusal(&storages, url);
        let may = "which may use file:///srv/films, s3://films, s3://shared/ours";
        assert_eq!(fault.message, format!("{url:?} lies in no storage of this fleet, {may}"));
    }
    assert!(storages.root("s3://shared/ours/work").is_ok() && storages.root("s3://shared").is_err());
    assert!(storages.root("file:///srv/films").is_ok() && storages.root("file:///srv").is_err());
    assert!(refusal(&Storages::new(Vec::new()).unwrap(), "file:///a").message.ends_with("which may use nothing"));
}

#[test]
fn one_process_uses_every_file_and_nothing_else() {
    let local = Storages::local();
    assert!(local.object("file:///anywhere/film.mov", Side::Source).is_ok());
    assert_eq!(
        refusal(&local, "s3://films/a.mov").message,
        "\"s3://films/a.mov\" lies in no storage of this fleet, which may use file:///"
    );
}

#[test]
fn a_key_that_cannot_be_asked_for_is_refused() {
    let server = S3Server::start();
    let storages = Storages::new(vec![server.settings("s3://films")]).unwrap();
    for key in ["a//b", "/a", "a/", "../a", "a/./b", "", "a/%2e%2e/b"] {
        let fault = refusal(&storages, &format!("s3://films/{key}"));
        assert!(fault.message.contains("has a key with a part that is empty, . or .."), "{fault}");
    }
}

#[tokio::test]
async fn a_link_does_not_lead_out_of_an_allowed_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("inside"), folder.path().join("outside"));
    std::fs::create_dir(&inside).unwrap();
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "secret").unwrap();
    std::fs::write(inside.join("film"), "film").unwrap();
    symlink(outside.join("secret"), inside.join("film-link")).unwrap();
    symlink(&outside, inside.join("folder-link")).unwrap();
    symlink(inside.join("film"), inside.join("own-link")).unwrap();
    // Back in again: what is written beside it would still be outside.
    symlink(inside.join("film"), outside.join("back-link")).unwrap();
    let storages = Storages::new(vec![StorageSettings::folder(&inside)]).unwrap();
    let object = |name: &str, side| storages.object(&url::of_path(&inside.join(name)), side).unwrap();
    for name in ["film", "own-link"] {
        assert_eq!(object(name, Side::Source).read_all(10).await.unwrap(), "film");
    }
    for name in ["film-link", "folder-link/secret", "folder-link/back-link"] {
        let Err(fault) = object(name, Side::Source).reader().await else { panic!("{name} was opened") };
        assert_eq!(fault.kind, FaultKind::SourceUnreadable, "{fault}");
        assert!(fault.message.ends_with("it leads out of the folders that may be used"), "{fault}");
    }
    for name in ["folder-link/new", "folder-link/secret", "folder-link/back-link"] {
        let fault = object(name, Side::Destination).try_out(OnExisting::Replace).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::DestinationDenied, "{fault}");
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 2, "nothing was written");
}

#[test]
fn settings_that_cannot_work_are_refused_at_once() {
    let settings = StorageSettings {
        url: "s3://films".to_owned(),
        endpoint: Some("https://films.example.org".to_owned()),
        region: None,
        credentials: Some(Credentials { key_id: "k".into(), secret: "hidden".into(), token: Some("hidden".into()) }),
        addressing: Addressing::VirtualHost,
        http: Http::Tls,
    };
    assert!(Storages::new(vec![settings.clone()]).is_ok());
    let shown = format!("{settings:?}");
    assert!(!shown.contains("hidden") && shown.contains("\"k\""), "{shown}");
    let refused = |change: fn(&mut StorageSettings), text: &str| {
        let mut settings = settings.clone();
        change(&mut settings);
        let fault = Storages::new(vec![settings]).map(drop).unwrap_err();
        assert_eq!((fault.kind, fault.message.as_str()), (FaultKind::Settings, text));
    };
    refused(
        |s| s.endpoint = Some("https://oss.example.org".into()),
        "storage s3://films has the endpoint https://oss.example.org: addressed by host, it has to begin with films.",
    );
    refused(
        |s| s.endpoint = Some("http://films.example.org".into()),
        "storage s3://films has the endpoint http://films.example.org without TLS, which is not allowed",
    );
    refused(
        |s| s.endpoint = Some("films.example.org".into()),
        "storage s3://films has an endpoint that is no https://host",
    );
    refused(
        |s| s.endpoint = Some("https://user:word@films.example.org".into()),
        "storage s3://films has an endpoint with more in it than host, port and path",
    );
    refused(|s| s.url = "file:///srv/../etc".into(), "\"file:///srv/../etc\" has a .. in it");
    refused(
        |s| s.url = "gs://films".into(),
        "\"gs://films\" cannot be opened: file://, s3:// and oss:// can, gs:// cannot",
    );
}
