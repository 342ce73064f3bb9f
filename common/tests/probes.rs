//! Probes as they are asked: over a socket, by an HTTP client.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use framefleet_common::adapters::clock::ManualClock;
use framefleet_common::ports::clock::Clock;
use framefleet_common::process::metrics;
use framefleet_common::process::probes::{BoundProbes, Check, Probes};
use framefleet_common::process::tls;
use prometheus::Registry;
use reqwest::Client;
use tokio_util::sync::CancellationToken;

/// A check that finds this; nothing: it never ends.
struct Found(&'static str, Option<Result<(), &'static str>>);

#[async_trait]
impl Check for Found {
    fn name(&self) -> &str {
        self.0
    }

    async fn check(&self) -> Result<String, String> {
        match self.1 {
            Some(found) => found.map(|()| String::new()).map_err(str::to_owned),
            None => pending().await,
        }
    }
}

struct Scene {
    clock: Arc<ManualClock>,
    draining: CancellationToken,
    registry: Registry,
    probes: BoundProbes,
}

async fn scene(checks: Vec<Found>) -> Scene {
    let (clock, draining, registry) = (Arc::new(ManualClock::default()), CancellationToken::new(), Registry::new());
    let checks = checks.into_iter().map(|check| Arc::new(check) as Arc<dyn Check>).collect();
    let probes = Probes { registry: registry.clone(), checks, draining: draining.clone(), clock: clock.clone() };
    let probes = probes.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    Scene { clock, draining, registry, probes }
}

fn client() -> Client {
    tls::install();
    Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap()
}

async fn ask(url: String) -> (u16, String) {
    let answer = client().get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn ready_is_who_passes_every_check() {
    let Scene { probes, .. } = scene(vec![Found("store", Some(Ok(()))), Found("broker", Some(Ok(())))]).await;
    let url = format!("http://{}/readyz", probes.address());
    assert_eq!(probes.beside(ask(url)).await, (200, "store: ok\nbroker: ok\n".to_owned()));
}

#[tokio::test]
async fn what_is_wrong_is_said_on_one_line_each() {
    let wrong = "evicts keys (allkeys-lru):\nset maxmemory-policy noeviction";
    let scene = scene(vec![Found("store", Some(Err(wrong))), Found("broker", Some(Ok(())))]).await;
    let url = format!("http://{}/readyz", scene.probes.address());
    let text = "store: evicts keys (allkeys-lru): set maxmemory-policy noeviction\nbroker: ok\n";
    assert_eq!(scene.probes.beside(ask(url)).await, (503, text.to_owned()));
}

#[tokio::test]
async fn a_check_that_does_not_end_has_failed() {
    let scene = scene(vec![Found("store", None)]).await;
    let clock = scene.clock.clone();
    let url = format!("http://{}/readyz", scene.probes.address());
    // Time begins to pass once somebody waits for it.
    let passing = async {
        loop {
            clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
    };
    let asked = async {
        tokio::select! {
            answer = ask(url) => answer,
            () = passing => unreachable!("it has no end"),
        }
    };
    assert_eq!(scene.probes.beside(asked).await, (503, "store: no answer within 5 s\n".to_owned()));
}

#[tokio::test]
async fn a_process_that_drains_is_not_ready_and_lives() {
    let scene = scene(vec![Found("store", Some(Ok(())))]).await;
    let address = scene.probes.address();
    scene.draining.cancel();
    let asked = async { (ask(format!("http://{address}/readyz")).await, ask(format!("http://{address}/livez")).await) };
    let (ready, lives) = scene.probes.beside(asked).await;
    assert_eq!(ready, (503, "draining: takes nothing more, another will\n".to_owned()));
    assert_eq!(lives, (200, "ok\n".to_owned()));
}

/// On another thread, whoever asks sees a loop that stands still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_no_longer_turns_is_seen() {
    let scene = scene(Vec::new()).await;
    let (clock, url) = (scene.clock.clone(), format!("http://{}/livez", scene.probes.address()));
    let runtime = tokio::runtime::Handle::current();
    let stuck = async move {
        clock.advance(Duration::from_secs(31));
        // The loop does not get on before the answer is there.
        tokio::task::block_in_place(|| runtime.block_on(ask(url)))
    };
    let text = "the program's loop has not turned for 31 s, 30 at most\n";
    assert_eq!(scene.probes.beside(stuck).await, (503, text.to_owned()));
}

#[tokio::test]
async fn a_loop_that_turns_lives_on() {
    let scene = scene(Vec::new()).await;
    let (clock, url) = (scene.clock.clone(), format!("http://{}/livez", scene.probes.address()));
    let turning = async {
        for _ in 0..60 {
            clock.advance(Duration::from_secs(1));
            tokio::task::yield_now().await;
        }
        ask(url).await
    };
    assert_eq!(scene.probes.beside(turning).await, (200, "ok\n".to_owned()));
}

#[tokio::test]
async fn figures_are_those_of_the_registry() {
    let scene = scene(Vec::new()).await;
    metrics::gauge(&scene.registry, ("framefleet_jobs", "Jobs.")).set(3);
    let address = scene.probes.address();
    let asked = async {
        let answer = client().get(format!("http://{address}/metrics")).send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (kind, answer.text().await.unwrap(), ask(format!("http://{address}/")).await)
    };
    let (kind, text, lost) = scene.probes.beside(asked).await;
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    assert!(text.contains("framefleet_jobs 3\n"), "{text}");
    assert_eq!(lost, (404, "there are /livez, /readyz and /metrics\n".to_owned()));
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let first = scene(Vec::new()).await;
    let address = first.probes.address();
    let clock: Arc<dyn Clock> = first.clock.clone();
    let second = Probes { registry: Registry::new(), checks: Vec::new(), draining: CancellationToken::new(), clock };
    let fault = second.bind(address).await.err().unwrap();
    assert_eq!(fault.kind.exit_code(), 64);
    assert_eq!(
        fault.message,
        format!("ops_listen {address} cannot be listened on: Address already in use (os error 98)")
    );
}
