//! The server: bulk, requests and echoes over QUIC, or GET and POST over HTTP/3.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::Response;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::pki_types::{pem::PemObject, CertificateDer, PrivateKeyDer};
use tokio::signal::unix::{signal, SignalKind};

use crate::common::*;

/// Packets of all connections that have ended.
static RECEIVED: AtomicU64 = AtomicU64::new(0);

type Http3Stream = h3::server::RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

pub async fn run(words: &Words) -> Result<(), Failure> {
    let chain =
        CertificateDer::pem_file_iter(words.text("certificate"))?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(words.text("key"))?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider(words)?)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    tls.alpn_protocols = protocols(words);
    tls.send_tls13_tickets = 0; // every handshake shall be a full one
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(transport(words)?);
    let endpoint = endpoint(Some(config))?;
    let mut ending = signal(SignalKind::terminate())?;
    let started = Clock::start();
    say(&format!("\"port\": {}", endpoint.local_addr()?.port()));
    let over_http3 = words.text("protocol") == "http3";
    let echoes = words.text("work") == "datagrams";
    loop {
        tokio::select! {
            incoming = endpoint.accept() => {
                let Some(incoming) = incoming else { break };
                tokio::spawn(async move {
                    let Ok(connection) = incoming.await else { return };
                    if over_http3 {
                        answer_requests(connection.clone()).await;
                        // h3 ends before the connection does.
                        connection.closed().await;
                    } else {
                        if echoes {
                            tokio::spawn(echo(connection.clone()));
                        }
                        answer_streams(&connection).await;
                    }
                    let received = connection.stats().udp_rx.datagrams;
                    RECEIVED.fetch_add(received, Ordering::Relaxed);
                });
            }
            _ = ending.recv() => break,
        }
    }
    say(&format!(
        "\"packets\": {}, {}",
        RECEIVED.load(Ordering::Relaxed),
        started.facts()
    ));
    Ok(())
}

async fn answer_streams(connection: &quinn::Connection) {
    while let Ok((sending, receiving)) = connection.accept_bi().await {
        tokio::spawn(async move {
            // A client may go away in the middle of its background transfer.
            let _ = answer_stream(sending, receiving).await;
        });
    }
}

async fn answer_stream(
    mut sending: quinn::SendStream,
    mut receiving: quinn::RecvStream,
) -> Result<(), Failure> {
    let mut head = [0; HEADER];
    receiving.read_exact(&mut head).await?;
    while receiving.read_chunk(CHUNK, true).await?.is_some() {}
    pour(&mut sending, usize::try_from(u64::from_be_bytes(head))?).await?;
    sending.finish()?;
    Ok(())
}

/// Writes `size` bytes, by reference, as quinn's own benchmark does.
pub async fn pour(stream: &mut quinn::SendStream, mut size: usize) -> Result<(), Failure> {
    while size > 0 {
        let piece = size.min(CHUNK);
        stream
            .write_chunk(Bytes::from_static(&ZEROS[..piece]))
            .await?;
        size -= piece;
    }
    Ok(())
}

async fn echo(connection: quinn::Connection) {
    while let Ok(datagram) = connection.read_datagram().await {
        if connection.send_datagram(datagram).is_err() {
            return;
        }
    }
}

async fn answer_requests(connection: quinn::Connection) {
    let made = h3::server::builder()
        .build(h3_quinn::Connection::new(connection))
        .await;
    let Ok(mut session): Result<h3::server::Connection<_, Bytes>, _> = made else {
        return;
    };
    while let Ok(Some(resolver)) = session.accept().await {
        tokio::spawn(async move {
            let Ok((request, stream)) = resolver.resolve_request().await else {
                return;
            };
            let size = request.uri().path()[1..].parse().unwrap_or(0);
            let _ = answer_request(stream, size).await;
        });
    }
}

async fn answer_request(mut stream: Http3Stream, mut size: usize) -> Result<(), Failure> {
    while let Some(mut piece) = stream.recv_data().await? {
        piece.advance(piece.remaining());
    }
    let head = Response::builder()
        .status(200)
        .header("content-length", size)
        .body(())?;
    stream.send_response(head).await?;
    while size > 0 {
        let piece = size.min(CHUNK);
        stream
            .send_data(Bytes::from_static(&ZEROS[..piece]))
            .await?;
        size -= piece;
    }
    stream.finish().await?;
    Ok(())
}
