//! The client over QUIC, work by work.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, VarInt};
use rustls::pki_types::{pem::PemObject, CertificateDer};
use tokio::task::JoinSet;

use crate::common::*;
use crate::server::pour;

/// Opens connections of one endpoint, as a client of many does.
pub struct Dialer {
    endpoint: quinn::Endpoint,
    remote: SocketAddr,
}

impl Dialer {
    pub fn new(words: &Words) -> Result<Dialer, Failure> {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(words.text("ca"))? {
            roots.add(certificate?)?;
        }
        let mut tls = rustls::ClientConfig::builder_with_provider(provider(words)?)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = protocols(words);
        tls.resumption = rustls::client::Resumption::disabled();
        let crypto = QuicClientConfig::try_from(tls)?;
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(transport(words)?);
        let mut endpoint = endpoint(None)?;
        endpoint.set_default_client_config(config);
        let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(words.number("port")?)?));
        Ok(Dialer { endpoint, remote })
    }

    pub async fn dial(&self) -> Result<Connection, Failure> {
        Ok(self.endpoint.connect(self.remote, "localhost")?.await?)
    }

    /// Waits until the peer has been told of all that was closed.
    pub async fn done(&self) {
        self.endpoint.wait_idle().await;
    }
}

pub async fn run(words: &Words) -> Result<(), Failure> {
    let dialer = Arc::new(Dialer::new(words)?);
    match words.text("work").as_str() {
        "handshakes" => return handshakes(dialer, words).await,
        "idle" => return idle(&dialer, words).await,
        _ => {}
    }
    let connection = dialer.dial().await?;
    let before = connection.stats().udp_rx.datagrams;
    let started = Clock::start();
    let found = match words.text("work").as_str() {
        "requests" => requests(&connection, words).await?,
        "messages" => messages(&connection, words).await?,
        "datagrams" => datagrams(&connection, words).await?,
        "latency" => latency(&connection, words).await?,
        _ => bulk(&connection, words).await?,
    };
    let packets = connection.stats().udp_rx.datagrams - before;
    say(&format!(
        "{found}, \"packets\": {packets}, {}",
        started.facts()
    ));
    connection.close(VarInt::from_u32(0), b"");
    dialer.done().await;
    Ok(())
}

/// Asks for `down` bytes with a request of `up` bytes, and reads the answer.
async fn exchange(connection: &Connection, down: usize, up: usize) -> Result<usize, Failure> {
    let (mut sending, mut receiving) = connection.open_bi().await?;
    let whole = up <= CHUNK;
    let mut head = vec![0; if whole { up.max(HEADER) } else { HEADER }];
    head[..HEADER].copy_from_slice(&(down as u64).to_be_bytes());
    let sent = head.len();
    sending.write_chunk(Bytes::from(head)).await?;
    pour(&mut sending, up.saturating_sub(sent)).await?;
    sending.finish()?;
    let mut size = 0;
    while let Some(piece) = receiving.read_chunk(CHUNK, true).await? {
        size += piece.bytes.len();
    }
    Ok(size)
}

async fn bulk(connection: &Connection, words: &Words) -> Result<String, Failure> {
    let count = words.number("count")?;
    let mut transfers = JoinSet::new();
    let mut begin = |down: usize, up: usize| {
        let connection = connection.clone();
        transfers.spawn(async move { exchange(&connection, down, HEADER + up).await });
    };
    match words.text("work").as_str() {
        "both" => {
            begin(count / 2, 0);
            begin(0, count - count / 2);
        }
        "download" => shares(count, words.number("parallel")?).for_each(|share| begin(share, 0)),
        "upload" => shares(count, words.number("parallel")?).for_each(|share| begin(0, share)),
        other => return Err(format!("unknown work {other}").into()),
    }
    let mut received = 0;
    while let Some(transfer) = transfers.join_next().await {
        received += transfer??;
    }
    Ok(format!("\"received\": {received}"))
}

async fn requests(connection: &Connection, words: &Words) -> Result<String, Failure> {
    let (count, ask, answer) = (
        words.number("count")?,
        words.number("ask")?,
        words.number("answer")?,
    );
    let mut workers = JoinSet::new();
    for share in shares(count, words.number("parallel")?) {
        let connection = connection.clone();
        workers.spawn(async move {
            for _ in 0..share {
                let size = exchange(&connection, answer, ask).await?;
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

async fn messages(connection: &Connection, words: &Words) -> Result<String, Failure> {
    let count = words.number("count")?;
    let (mut sending, mut receiving) = connection.open_bi().await?;
    sending.write_all(&[0; HEADER]).await?;
    let message = vec![0; words.number("ask")?];
    for _ in 0..count {
        sending.write_all(&message).await?;
    }
    sending.finish()?;
    while receiving.read_chunk(CHUNK, true).await?.is_some() {}
    Ok(format!("\"done\": {count}"))
}

async fn datagrams(connection: &Connection, words: &Words) -> Result<String, Failure> {
    let (count, parallel) = (words.number("count")?, words.number("parallel")?);
    let payload = Bytes::from(vec![0; words.number("ask")?]);
    let (mut done, mut lost, mut under_way) = (0, 0, 0_usize);
    while done < count {
        while under_way < parallel.min(count - done) {
            connection.send_datagram(payload.clone())?;
            under_way += 1;
        }
        match tokio::time::timeout(PATIENCE, connection.read_datagram()).await {
            Ok(datagram) => {
                datagram?;
                done += 1;
                under_way = under_way.saturating_sub(1);
            }
            Err(_) => {
                lost += under_way;
                under_way = 0;
            }
        }
    }
    Ok(format!("\"done\": {done}, \"lost\": {lost}"))
}

async fn latency(connection: &Connection, words: &Words) -> Result<String, Failure> {
    let (ask, answer, length) = (
        words.number("ask")?,
        words.number("answer")?,
        words.seconds()?,
    );
    let beside = connection.clone();
    let background =
        tokio::spawn(
            async move { while exchange(&beside, BACKGROUND_BYTES, HEADER).await.is_ok() {} },
        );
    tokio::time::sleep(length / 4).await; // past slow start
    let mut taken = Vec::new();
    let end = Instant::now() + length;
    while Instant::now() < end {
        let began = Instant::now();
        exchange(connection, answer, ask).await?;
        taken.push(began.elapsed().as_secs_f64() * 1e3);
    }
    background.abort();
    taken.sort_by(f64::total_cmp);
    let at = |part: f64| taken[((taken.len() - 1) as f64 * part).round() as usize];
    Ok(format!(
        "\"count\": {}, \"p50\": {}, \"p99\": {}",
        taken.len(),
        at(0.5),
        at(0.99)
    ))
}

async fn handshakes(dialer: Arc<Dialer>, words: &Words) -> Result<(), Failure> {
    let count = words.number("count")?;
    let started = Clock::start();
    let mut workers = JoinSet::new();
    for share in shares(count, words.number("parallel")?) {
        let dialer = dialer.clone();
        workers.spawn(async move {
            for _ in 0..share {
                dialer.dial().await?.close(VarInt::from_u32(0), b"");
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    say(&format!("\"done\": {count}, {}", started.facts()));
    dialer.done().await;
    Ok(())
}

async fn idle(dialer: &Dialer, words: &Words) -> Result<(), Failure> {
    let mut kept = Vec::new();
    for name in ["count", "connections"] {
        let wanted = words.number(name)?;
        for _ in 0..wanted {
            kept.push(dialer.dial().await?);
        }
        settle(words, wanted).await?;
    }
    Ok(())
}

/// Silence, and time for the runner to look at the server.
pub async fn settle(words: &Words, wanted: usize) -> Result<(), Failure> {
    tokio::time::sleep(words.seconds()?).await;
    say(&format!("\"settled\": {wanted}"));
    tokio::time::sleep(LOOK).await;
    Ok(())
}
