//! The services behind a fleet. They know nothing of framefleet but its prefix.

use super::post::{self, Taken};
use super::rabbit::Rabbit;
use super::redis::RedisServer;
use super::relay::Relay;
use super::s3::{HOSTED_BUCKET, KEY_ID, Manners, S3Server, SECRET, Trouble};
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::runtime::Runtime;

/// Every write is on disk before its answer, so that a barrier costs no time.
const REDIS: [&str; 2] = ["--appendfsync", "always"];

pub struct Servers {
    rabbit: Rabbit,
    redis: RedisServer,
}

impl Servers {
    pub fn start() -> Self {
        Self::start_with(&REDIS)
    }

    /// With a Redis of these options, as on its command line.
    pub fn start_with(redis: &[&str]) -> Self {
        let rabbit = Rabbit::start();
        Self { rabbit, redis: RedisServer::start(redis) }
    }

    pub fn amqp(&self) -> String {
        self.rabbit.url()
    }

    pub fn redis(&self) -> String {
        self.redis.url()
    }

    /// As an administrator does; everything confirmed is kept.
    pub fn restart_rabbit(&mut self) {
        self.stop_rabbit();
        self.run_rabbit();
    }

    pub fn stop_rabbit(&mut self) {
        self.rabbit.stop();
    }

    /// As a power cut does; only after it was stopped and run once since its queues were declared.
    pub fn kill_rabbit(&mut self) {
        self.rabbit.kill();
    }

    pub fn run_rabbit(&mut self) {
        self.rabbit.run();
    }

    pub fn rabbitmqctl(&self, words: &[&str]) -> String {
        self.rabbit.ctl(words)
    }

    /// A shell in which RabbitMQ's tools speak to this server.
    pub fn rabbit_shell(&self, script: &str) -> Command {
        self.rabbit.shell(script)
    }

    /// What waits in the queues below a prefix, delivered or not.
    pub fn queues(&self, prefix: &str) -> Vec<(String, u64)> {
        let told = self.rabbitmqctl(&["--quiet", "--no-table-headers", "list_queues", "name", "messages"]);
        let rows = told.lines().filter_map(|line| line.split_once('\t'));
        let ours = rows.filter(|(name, _)| name.starts_with(&format!("{prefix}.")));
        ours.map(|(name, count)| (name.to_owned(), count.trim().parse().expect("a number of messages"))).collect()
    }

    /// Takes everything that lies in a queue: ids and bodies.
    pub fn take(&self, queue: &str) -> Vec<(String, String)> {
        self.taken(queue).into_iter().map(|taken| (taken.id, taken.body)).collect()
    }

    /// The same, with where their senders were.
    pub fn taken(&self, queue: &str) -> Vec<Taken> {
        post::take(&self.rabbit.url(), queue).expect("an administrator may take from a queue that is there")
    }

    /// The same by whoever this address is of, who may not.
    pub fn try_to_take(&self, url: &str, queue: &str) -> Result<Vec<Taken>, String> {
        post::take(url, queue)
    }

    /// A message of whoever this address is of, who may not.
    pub fn try_to_post(&self, url: &str, exchange: &str) -> Result<(), String> {
        post::put(url, (exchange, "a"), (None, b"b"))
    }

    pub fn amqp_port(&self) -> u16 {
        self.rabbit.port()
    }

    pub fn redis_port(&self) -> u16 {
        self.redis.port()
    }

    /// Publishes a message to an exchange with a key, of somebody who is at this place in a trace.
    pub fn tell(&self, to: (&str, &str), (place, body): (&str, &[u8])) {
        post::put(&self.rabbit.url(), to, (Some(place), body)).expect("an administrator may tell anybody");
    }

    /// From now on the server takes no messages, or takes them again.
    pub fn sound_alarm(&self, alarm: Alarm) {
        let mark = match alarm {
            Alarm::On => "0.00001",
            Alarm::Off => "0.8",
        };
        self.rabbitmqctl(&["set_vm_memory_high_watermark", mark]);
    }

    /// Any other program's message on an exchange.
    pub fn post(&self, exchange: &str, key: &str, body: &str) {
        let publish = format!(
            "rabbit_basic:publish({{resource, <<\"/\">>, exchange, <<\"{exchange}\">>}}, <<\"{key}\">>, \
             rabbit_basic:properties([{{delivery_mode, 2}}]), base64:decode(\"{}\")).",
            base64(body.as_bytes())
        );
        self.rabbitmqctl(&["eval", &publish]);
    }

    /// A queue that is not as a fleet needs it.
    pub fn declare_classic(&self, queue: &str) {
        let declare = format!(
            "rabbit_amqqueue:declare({{resource, <<\"/\">>, queue, <<\"{queue}\">>}}, true, false, [], none, <<\"test\">>)."
        );
        self.rabbitmqctl(&["eval", &declare]);
    }

    /// `kill -9`, and its start on the file that it appended to.
    pub fn crash_redis(&mut self) {
        self.without_redis(|| {});
    }

    /// What is done while it is dead; then it begins on what it is left with.
    pub fn without_redis(&mut self, act: impl FnOnce()) {
        self.redis.kill();
        act();
        self.redis.restart();
    }

    /// Another one with further options, and nothing in it.
    pub fn replace_redis(&mut self, options: &[&str]) {
        self.redis = RedisServer::start(&[&REDIS[..], options].concat());
    }

    /// Where it keeps what it appends to.
    pub fn redis_folder(&self) -> &Path {
        self.redis.folder()
    }

    pub fn forget_everything(&self) {
        assert!(self.redis.ask(&["FLUSHALL"]).contains("OK"), "FLUSHALL");
    }

    pub fn redis_command(&self, words: &[&str]) -> String {
        self.redis.ask(words)
    }

    /// The same by a user of the server.
    pub fn redis_command_as(&self, user: (&str, &str), words: &[&str]) -> String {
        self.redis.ask_as(user, words)
    }

    /// Keys that match.
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        let answer = self.redis.ask(&["KEYS", pattern]);
        answer.lines().filter(|line| !line.starts_with(['*', '$'])).map(str::to_owned).collect()
    }

    pub fn amqp_line(&self) -> Line {
        let url = self.rabbit.url();
        Line::to(self.rabbit.port(), |port| url.replace(&format!(":{}", self.rabbit.port()), &format!(":{port}")))
    }

    pub fn redis_line(&self) -> Line {
        Line::to(self.redis.port(), |port| format!("redis://127.0.0.1:{port}"))
    }
}

/// Whether the server believes to be short of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    On,
    Off,
}

/// A line to a server that can be cut without either side being told.
pub struct Line {
    pub url: String,
    relay: Relay,
    _runtime: Runtime,
}

impl Line {
    fn to(port: u16, url: impl FnOnce(u16) -> String) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a thread can be started");
        let relay = runtime.block_on(Relay::to(port));
        Self { url: url(relay.port), relay, _runtime: runtime }
    }

    pub fn swallow(&self) {
        self.relay.swallow();
    }

    pub fn pass(&self) {
        self.relay.pass();
    }
}

/// A real S3 server with buckets for films, for work and for what comes of it.
pub struct Buckets(S3Server);

impl Buckets {
    pub const FILMS: &str = "films";
    pub const WORK: &str = "work";
    pub const MADE: &str = "made";
    const ALL: [&str; 3] = [Self::FILMS, Self::WORK, Self::MADE];

    pub fn start() -> Self {
        let server = S3Server::start();
        Self::ALL.iter().for_each(|bucket| server.bucket(bucket));
        Self(server)
    }

    /// `[[storage]]` of each.
    pub fn settings(&self) -> String {
        let endpoint = self.0.endpoint();
        let one = |bucket: &&str| {
            format!(
                "[[storage]]\nurl = \"s3://{bucket}\"\nendpoint = \"{endpoint}\"\nkey_id = \"{KEY_ID}\"\n\
                 secret = \"{SECRET}\"\nhttp = \"plain\"\n"
            )
        };
        Self::ALL.iter().map(one).collect()
    }

    /// Where `bucket/key` lies on disk.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    /// The next so many requests of this kind are answered with 503.
    pub fn refuse(&self, what: &str, times: usize) {
        self.0.cause(Trouble::SlowDown, what, times);
    }

    pub fn calm(&self) {
        self.0.calm();
    }

    /// Uploads that were begun and neither completed nor given up.
    pub fn uploads(&self) -> usize {
        self.0.uploads()
    }
}

/// The same server with the manners and refusals of Alibaba's OSS, and its one bucket.
pub struct OssBucket(S3Server);

impl OssBucket {
    pub const NAME: &str = HOSTED_BUCKET;

    pub fn start() -> Self {
        let server = S3Server::start();
        server.bucket(Self::NAME);
        server.set_manners(Manners::Oss);
        Self(server)
    }

    /// Its `[[storage]]`.
    pub fn settings(&self) -> String {
        format!(
            "[[storage]]\nurl = \"oss://{}\"\nendpoint = \"{}\"\nregion = \"cn-hangzhou\"\nkey_id = \"{KEY_ID}\"\n\
             secret = \"{SECRET}\"\nhttp = \"plain\"\n",
            Self::NAME,
            self.0.endpoint()
        )
    }

    /// Where an object lies on disk.
    pub fn path(&self, key: &str) -> PathBuf {
        self.0.path(&[Self::NAME, "/", key].concat())
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let word = three.iter().chain([0; 2].iter()).take(3).fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        for place in 0..4 {
            let letter = LETTERS[(word >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_is_the_usual_one() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(super::base64(plain.as_bytes()), coded);
        }
    }
}
