//! A server that knows `WAITAOF`, which came with Redis 7.2: whatever else it is asked, a real server behind it
//! answers.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(crate) struct Double {
    port: u16,
    waits: Arc<Mutex<Waits>>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Waits {
    /// Disks here and disks of replicas that followed in time.
    follow: (u64, u64),
    /// What was asked on one connection: the command before, and the words of `WAITAOF`.
    heard: Vec<(String, Vec<String>)>,
}

/// One message as it came, and its strings.
struct Spoken {
    raw: Vec<u8>,
    words: Vec<String>,
}

impl Double {
    pub(crate) async fn start(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let waits = Arc::new(Mutex::new(Waits::default()));
        let mut tasks = JoinSet::new();
        let shared = waits.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await.unwrap();
                connections.spawn(speak(client, server, shared.clone()));
            }
        });
        Self { port, waits, _tasks: tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn follow(&self, here: u64, replicas: u64) {
        self.waits.lock().unwrap().follow = (here, replicas);
    }

    /// What was waited for since the last call, with the command before it; questions that wait for nobody apart.
    pub(crate) fn heard(&self) -> Vec<(String, Vec<String>)> {
        let mut heard = std::mem::take(&mut self.waits.lock().unwrap().heard);
        heard.retain(|(_, words)| words[1..] != ["0", "0", "0"]);
        heard
    }
}

async fn speak(client: TcpStream, server: TcpStream, waits: Arc<Mutex<Waits>>) {
    let (mut client, mut server) = (BufReader::new(client), BufReader::new(server));
    let mut before = String::new();
    while let Some(request) = listen(&mut client).await {
        let verb = request.words[0].clone();
        let answer = if verb == "WAITAOF" {
            let mut waits = waits.lock().unwrap();
            let (here, replicas) = waits.follow;
            waits.heard.push((before, request.words));
            format!("*2\r\n:{here}\r\n:{replicas}\r\n").into_bytes()
        } else {
            server.write_all(&request.raw).await.unwrap();
            let Some(answer) = listen(&mut server).await else { return };
            answer.raw
        };
        if client.write_all(&answer).await.is_err() {
            return;
        }
        if verb == "SUBSCRIBE" {
            // From here on both speak when they like.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            return;
        }
        before = verb;
    }
}

/// One whole message: a list counts its members, a string its bytes, all else is a line.
async fn listen(stream: &mut BufReader<TcpStream>) -> Option<Spoken> {
    let mut spoken = Spoken { raw: Vec::new(), words: Vec::new() };
    let mut wanted = 1;
    while wanted > 0 {
        let mut line = Vec::new();
        stream.read_until(b'\n', &mut line).await.ok().filter(|length| *length > 0)?;
        spoken.raw.extend(&line);
        let count: i64 = std::str::from_utf8(&line[1..]).unwrap_or_default().trim_end().parse().unwrap_or_default();
        wanted += match line[0] {
            b'*' => count.max(0) - 1,
            _ => -1,
        };
        if line[0] == b'$' && count >= 0 {
            let mut string = vec![0; usize::try_from(count).unwrap() + 2];
            stream.read_exact(&mut string).await.ok()?;
            spoken.raw.extend(&string);
            string.truncate(string.len() - 2);
            spoken.words.push(String::from_utf8_lossy(&string).into_owned());
        }
    }
    Some(spoken)
}
