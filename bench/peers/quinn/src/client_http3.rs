//! The client over HTTP/3 (h3 on quinn).

use bytes::{Buf, Bytes};
use http::Request;
use quinn::{Connection, VarInt};
use tokio::task::{JoinHandle, JoinSet};

use crate::client::{settle, Dialer};
use crate::common::*;

const H3_NO_ERROR: u32 = 0x100;

type Sender = h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>;

/// One HTTP/3 connection and the task that drives it.
struct Session {
    quic: Connection,
    sender: Sender,
    driving: JoinHandle<()>,
}

impl Session {
    async fn open(dialer: &Dialer) -> Result<Session, Failure> {
        let quic = dialer.dial().await?;
        let above = h3_quinn::Connection::new(quic.clone());
        let (mut driver, sender) = h3::client::new(above).await?;
        let driving = tokio::spawn(async move {
            std::future::poll_fn(|context| driver.poll_close(context)).await;
        });
        Ok(Session {
            quic,
            sender,
            driving,
        })
    }
}

pub async fn run(words: &Words) -> Result<(), Failure> {
    let dialer = Dialer::new(words)?;
    if words.text("work") == "idle" {
        return idle(&dialer, words).await;
    }
    let mut sessions = Vec::new();
    for _ in 0..words.number("connections")? {
        sessions.push(Session::open(&dialer).await?);
    }
    let packets = || {
        sessions
            .iter()
            .map(|one| one.quic.stats().udp_rx.datagrams)
            .sum::<u64>()
    };
    let before = packets();
    let started = Clock::start();
    let count = words.number("count")?;
    let found = match words.text("work").as_str() {
        "download" => {
            let received = fetch(sessions[0].sender.clone(), words, count, 0).await?;
            format!("\"received\": {received}")
        }
        "upload" => {
            let received = fetch(sessions[0].sender.clone(), words, 0, count).await?;
            format!("\"received\": {received}")
        }
        "requests" => requests(&sessions, words).await?,
        other => return Err(format!("no {other} over HTTP/3").into()),
    };
    say(&format!(
        "{found}, \"packets\": {}, {}",
        packets() - before,
        started.facts()
    ));
    for one in sessions {
        one.quic.close(VarInt::from_u32(H3_NO_ERROR), b"");
        one.driving.abort();
    }
    dialer.done().await;
    Ok(())
}

async fn fetch(
    mut sender: Sender,
    words: &Words,
    down: usize,
    mut up: usize,
) -> Result<usize, Failure> {
    let method = if up > 0 { "POST" } else { "GET" };
    let uri = format!("https://localhost:{}/{down}", words.text("port"));
    let request = Request::builder().method(method).uri(uri).body(())?;
    let mut stream = sender.send_request(request).await?;
    while up > 0 {
        let piece = up.min(CHUNK);
        stream
            .send_data(Bytes::from_static(&ZEROS[..piece]))
            .await?;
        up -= piece;
    }
    stream.finish().await?;
    stream.recv_response().await?;
    let mut size = 0;
    while let Some(mut piece) = stream.recv_data().await? {
        size += piece.remaining();
        piece.advance(piece.remaining());
    }
    Ok(size)
}

async fn requests(sessions: &[Session], words: &Words) -> Result<String, Failure> {
    let (count, answer) = (words.number("count")?, words.number("answer")?);
    let mut workers = JoinSet::new();
    let all = sessions.len() * words.number("parallel")?;
    for (number, share) in shares(count, all).enumerate() {
        let sender = sessions[number % sessions.len()].sender.clone();
        let words = words.clone();
        workers.spawn(async move {
            for _ in 0..share {
                let size = fetch(sender.clone(), &words, answer, 0).await?;
                if size != answer {
                    return Err(Failure::from(format!("{size} bytes came")));
                }
            }
            Ok(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(format!("\"done\": {count}"))
}

async fn idle(dialer: &Dialer, words: &Words) -> Result<(), Failure> {
    let mut kept = Vec::new();
    for name in ["count", "connections"] {
        let wanted = words.number(name)?;
        for _ in 0..wanted {
            kept.push(Session::open(dialer).await?);
        }
        settle(words, wanted).await?;
    }
    Ok(())
}
