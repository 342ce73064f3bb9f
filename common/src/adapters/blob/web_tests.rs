//! Sources behind servers in all moods.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::IntoResponse as _;
use framefleet_model::fault::FaultKind;

use crate::adapters::blob::storages::Storages;
use crate::adapters::blob::web::Web;
use crate::adapters::blob::{Object, Presence, Side};
use crate::adapters::egress::Egress;

const FILM: &[u8] = b"0123456789";
const SUNDAY: &str = "Sun, 01 Nov 2026 00:00:00 GMT";

/// How often it was asked.
type Asked = Arc<AtomicUsize>;

async fn server() -> (String, Asked) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let router = Router::new().fallback(answer).with_state(asked.clone());
    tokio::spawn(axum::serve(listener, router).into_future());
    (base, asked)
}

async fn answer(State(asked): State<Asked>, uri: Uri, headers: HeaderMap) -> axum::response::Response {
    let count = asked.fetch_add(1, Ordering::SeqCst);
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let range = text(header::RANGE).unwrap();
    let (from, to) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
    let part = FILM[from..(to + 1).min(FILM.len())].to_vec();
    let told = (header::CONTENT_RANGE, format!("bytes {from}-{to}/{}", FILM.len()));
    let etag = (header::ETAG, "\"e\"".to_owned());
    let date = (header::LAST_MODIFIED, SUNDAY.to_owned());
    let partial = StatusCode::PARTIAL_CONTENT;
    let away = |to: &str| (StatusCode::FOUND, [(header::LOCATION, to.to_owned())]).into_response();
    match uri.path() {
        "/film" => {
            assert!(count == 0 || text(header::IF_MATCH).is_none_or(|etag| etag == "\"e\""));
            (partial, [told, etag, date], part).into_response()
        }
        "/dated" => (partial, [told, date], part).into_response(),
        "/nameless" => (partial, [told], part).into_response(),
        "/whole" => ([etag], FILM.to_vec()).into_response(),
        "/endless" => (partial, [told, etag], vec![0; 1 << 16]).into_response(),
        "/packed" => (partial, [told, etag, (header::CONTENT_ENCODING, "gzip".to_owned())], part).into_response(),
        "/changes" => (partial, [told, (header::ETAG, format!("\"{count}\""))], part).into_response(),
        "/precise" if headers.contains_key(header::IF_MATCH) => StatusCode::PRECONDITION_FAILED.into_response(),
        "/precise" => (partial, [told, etag], part).into_response(),
        "/busy" if count == 0 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        "/busy" => (partial, [told, etag], part).into_response(),
        "/empty" => (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, "bytes */0")]).into_response(),
        "/moved" => away("/film"),
        "/round" => away("/round"),
        "/inside" => away("http://127.0.0.2:1/secret"),
        "/forbidden" => StatusCode::FORBIDDEN.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn storages(bytes_max: u64) -> Storages {
    let client = Egress::new(vec!["127.0.0.1/32".parse().unwrap()]).client().unwrap();
    Storages::new(Vec::new()).unwrap().reading_web(Some(Web { client, bytes_max }))
}

async fn object(path: &str) -> Object {
    let (base, _) = server().await;
    storages(100).object(&[&base, path].concat(), Side::Source).unwrap()
}

#[tokio::test]
async fn a_film_is_read_by_range_wherever_a_redirect_leads() {
    for path in ["/film", "/moved", "/busy"] {
        let film = object(path).await;
        let reader = film.reader().await.unwrap();
        assert_eq!((reader.facts().size, reader.facts().version.as_str()), (10, "\"e\""), "{path}");
        assert_eq!(reader.read(3, 4).await.unwrap(), &FILM[3..7], "{path}");
        assert_eq!(reader.read(8, 100).await.unwrap(), &FILM[8..], "{path}");
    }
    let dated = object("/dated").await.stat().await.unwrap();
    assert_eq!(
        (dated.facts.version.as_str(), dated.modified.to_string().as_str()),
        (SUNDAY, "2026-11-01T00:00:00.000Z")
    );
    assert_eq!(object("/empty").await.facts().await.unwrap().size, 0);
    assert_eq!(object("/none").await.presence().await, Ok(Presence::Absent));
}

#[tokio::test]
async fn servers_that_cannot_hold_a_film_still_are_refused_by_name() {
    let cases = [
        ("/whole", FaultKind::SourceUnreadable, "answers no ranges"),
        ("/nameless", FaultKind::SourceUnreadable, "neither ETag nor Last-Modified"),
        ("/packed", FaultKind::SourceUnreadable, "packs what it is to give"),
        ("/endless", FaultKind::SourceUnreadable, "answers more than was asked for"),
        ("/round", FaultKind::SourceUnreadable, "more than 5 redirects"),
        ("/inside", FaultKind::SourceUnreadable, "127.0.0.2 is loopback"),
        ("/forbidden", FaultKind::SourceUnreadable, "status 403"),
        ("/none", FaultKind::SourceMissing, "does not exist"),
    ];
    for (path, kind, why) in cases {
        let fault = object(path).await.facts().await.unwrap_err();
        assert_eq!(fault.kind, kind, "{path}: {fault}");
        assert!(fault.message.contains(why), "{path}: {fault}");
    }
    for path in ["/changes", "/precise"] {
        let reader = object(path).await.reader().await.unwrap();
        assert_eq!(reader.read(0, 5).await.unwrap_err().kind, FaultKind::SourceChanged, "{path}");
    }
    let (base, _) = server().await;
    let large = storages(9).object(&[&base, "/film"].concat(), Side::Source).unwrap().facts().await.unwrap_err();
    assert_eq!(large.kind, FaultKind::Limits);
    assert!(large.message.ends_with("/film has 10 bytes, 9 at most"), "{large}");
}

#[tokio::test]
async fn what_is_behind_http_is_read_where_that_is_allowed_and_never_written() {
    let refused = |storages: &Storages, url: &str, side| storages.object(url, side).err().unwrap().message;
    let closed = Storages::new(Vec::new()).unwrap();
    assert!(refused(&closed, "https://films.example/a.mov", Side::Source).contains("sources.http"));
    let open = storages(100);
    assert!(refused(&open, "https://films.example/a.mp4", Side::Destination).contains("nothing goes"));
    let user = refused(&open, "https://u:hunter2@films.example/a.mov", Side::Source);
    assert!(user.contains("has a user in it") && !user.contains("hunter2"), "{user}");
    let (base, asked) = server().await;
    let inside = base.replace("127.0.0.1", "localhost");
    let film = Egress::new(Vec::new()).client().unwrap();
    let closed = Storages::new(Vec::new()).unwrap().reading_web(Some(Web { client: film, bytes_max: 100 }));
    let object = closed.object(&[&inside, "/film?token=hunter2"].concat(), Side::Source).unwrap();
    let fault = object.facts().await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::SourceUnreadable, "{fault}");
    assert!(fault.message.contains("loopback") && !fault.to_string().contains("hunter2"), "{fault}");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}
