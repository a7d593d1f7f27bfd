//! quinn with h3 as the far end of the interop cases: a file server and a client.
//!
//! `serve` answers GET and HEAD with files of a folder, and POST with the SHA-256 of the body;
//! it prints `READY` once it listens. `get` prints one JSON line with what it saw.

use std::{collections::HashMap, error::Error, net::SocketAddr, path::PathBuf, sync::Arc};

use bytes::{Buf, Bytes};
use http::{Method, Request, Response, StatusCode};
use quinn::{crypto::rustls::QuicClientConfig, crypto::rustls::QuicServerConfig, VarInt};
use rustls::crypto::{ring, CryptoProvider};
use rustls::pki_types::{pem::PemObject, CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

type Failure = Box<dyn Error + Send + Sync>;

const H3_NO_ERROR: u32 = 0x100;

/// Words of the command line: `--name value`, or `--name` alone.
struct Words(HashMap<String, String>);

impl Words {
    fn parse(words: impl Iterator<Item = String>) -> Words {
        let mut found = HashMap::new();
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            let value = match words.peek() {
                Some(next) if !next.starts_with("--") => words.next().unwrap_or_default(),
                _ => String::new(),
            };
            found.insert(word.trim_start_matches("--").to_owned(), value);
        }
        Words(found)
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or("")
    }

    fn number(&self, name: &str) -> Result<u32, Failure> {
        let text = self.text(name);
        Ok(if text.is_empty() { 0 } else { text.parse()? })
    }
}

/// All of ring's algorithms, or only the one group that `--group` names.
fn provider(words: &Words) -> Result<Arc<CryptoProvider>, Failure> {
    let mut provider = ring::default_provider();
    match words.text("group") {
        "" => {}
        "P-256" => provider.kx_groups = vec![ring::kx_group::SECP256R1],
        "P-384" => provider.kx_groups = vec![ring::kx_group::SECP384R1],
        other => return Err(format!("unknown group {other}").into()),
    }
    Ok(Arc::new(provider))
}

/// quinn's defaults, or windows of `--window` bytes each.
fn transport(words: &Words) -> Result<Arc<quinn::TransportConfig>, Failure> {
    let mut transport = quinn::TransportConfig::default();
    let window = words.number("window")?;
    if window > 0 {
        transport.stream_receive_window(VarInt::from_u32(window));
        transport.receive_window(VarInt::from_u32(window));
    }
    Ok(Arc::new(transport))
}

fn hexadecimal(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A string as JSON; what this program prints needs no more than this.
fn quoted(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c == '"' || c == '\\' || c.is_control() { ' ' } else { c })
        .collect();
    format!("\"{plain}\"")
}

async fn serve(words: &Words) -> Result<(), Failure> {
    let chain = CertificateDer::pem_file_iter(words.text("certificate"))?
        .collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(words.text("key"))?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider(words)?)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(transport(words)?);
    let mut below = quinn::EndpointConfig::default();
    if words.has("version") {
        below.supported_versions(vec![words.number("version")?]);
    }
    let socket = std::net::UdpSocket::bind(words.text("listen"))?;
    let endpoint =
        quinn::Endpoint::new(below, Some(config), socket, Arc::new(quinn::TokioRuntime))?;
    println!("READY");
    let root = PathBuf::from(words.text("root"));
    while let Some(incoming) = endpoint.accept().await {
        if words.has("retry") && !incoming.remote_address_validated() {
            incoming.retry().map_err(|_| "no Retry possible")?;
            continue;
        }
        let root = root.clone();
        tokio::spawn(async move {
            match incoming.await {
                Ok(connection) => answer_all(connection, root).await,
                Err(error) => println!("{{\"refused\": {}}}", quoted(&error.to_string())),
            }
        });
    }
    Ok(())
}

async fn answer_all(connection: quinn::Connection, root: PathBuf) {
    let ending = connection.clone();
    let mut session = match h3::server::Connection::new(h3_quinn::Connection::new(connection)).await
    {
        Ok(session) => session,
        Err(error) => return println!("{{\"refused\": {}}}", quoted(&error.to_string())),
    };
    loop {
        match session.accept().await {
            Ok(Some(resolver)) => {
                let root = root.clone();
                tokio::spawn(async move {
                    match resolver.resolve_request().await {
                        Ok((request, stream)) => {
                            if let Err(error) = answer(request, stream, root).await {
                                println!("{{\"broken\": {}}}", quoted(&error.to_string()));
                            }
                        }
                        Err(error) => println!("{{\"broken\": {}}}", quoted(&error.to_string())),
                    }
                });
            }
            Ok(None) => break,
            Err(error) => {
                println!("{{\"session_end\": {}}}", quoted(&error.to_string()));
                break;
            }
        }
    }
    drop(session);
    let why = ending.closed().await;
    println!("{{\"ended\": true, \"why\": {}}}", quoted(&why.to_string()));
}

async fn answer(
    request: Request<()>,
    mut stream: h3::server::RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>,
    root: PathBuf,
) -> Result<(), Failure> {
    let mut status = StatusCode::OK;
    // The body is read to its end even where there should be none: quinn would otherwise stop
    // a stream whose FIN has not come yet, and curl takes that for a failed request.
    let mut digest = Sha256::new();
    while let Some(mut piece) = stream.recv_data().await? {
        while piece.has_remaining() {
            let part = piece.chunk();
            digest.update(part);
            let length = part.len();
            piece.advance(length);
        }
    }
    let body = if request.method() == Method::POST {
        Bytes::from(hexadecimal(digest.finalize()))
    } else {
        let name = request.uri().path().trim_start_matches('/');
        match tokio::fs::read(root.join(name)).await {
            Ok(content) if !name.contains("..") => Bytes::from(content),
            _ => {
                status = StatusCode::NOT_FOUND;
                Bytes::new()
            }
        }
    };
    let kind = match request.uri().path().rsplit('.').next() {
        Some("html") => "text/html",
        Some("svg") => "image/svg+xml",
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        _ => "text/plain",
    };
    let head = Response::builder()
        .status(status)
        .header("content-type", kind)
        .header("content-length", body.len())
        .body(())?;
    stream.send_response(head).await?;
    if request.method() != Method::HEAD && !body.is_empty() {
        stream.send_data(body).await?;
    }
    stream.finish().await?;
    Ok(())
}

/// What became of one request.
struct Seen {
    status: u16,
    bytes: usize,
    content_length: String,
    sha256: String,
    body: String,
}

type Sender = h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>;

async fn ask(mut sender: Sender, method: Method, uri: String, upload: Bytes) -> Result<Seen, Failure> {
    let request = Request::builder().method(method).uri(uri).body(())?;
    let mut stream = sender.send_request(request).await?;
    if !upload.is_empty() {
        stream.send_data(upload).await?;
    }
    stream.finish().await?;
    let response = stream.recv_response().await?;
    let mut content = Vec::new();
    while let Some(mut piece) = stream.recv_data().await? {
        while piece.has_remaining() {
            let part = piece.chunk();
            content.extend_from_slice(part);
            let length = part.len();
            piece.advance(length);
        }
    }
    let length = response.headers().get("content-length");
    Ok(Seen {
        status: response.status().as_u16(),
        bytes: content.len(),
        content_length: length.and_then(|v| v.to_str().ok()).unwrap_or("").to_owned(),
        sha256: hexadecimal(Sha256::digest(&content)),
        body: String::from_utf8_lossy(&content[..content.len().min(80)]).into_owned(),
    })
}

async fn get(words: &Words) -> Result<(), Failure> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(words.text("ca"))? {
        roots.add(certificate?)?;
    }
    let mut tls = rustls::ClientConfig::builder_with_provider(provider(words)?)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    config.transport_config(transport(words)?);
    if words.has("version") {
        config.version(words.number("version")?);
    }
    let remote: SocketAddr = words.text("connect").parse()?;
    let any = if remote.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let mut endpoint = quinn::Endpoint::client(any.parse()?)?;
    endpoint.set_default_client_config(config);
    let connection = endpoint.connect(remote, "localhost")?.await?;
    if words.has("key-update") {
        // quinn would do it at once, before the handshake is confirmed, against RFC 9001 6.1.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        connection.force_key_update();
    }
    let (mut driver, sender) =
        h3::client::new(h3_quinn::Connection::new(connection.clone())).await?;
    let driving = tokio::spawn(async move {
        std::future::poll_fn(|context| driver.poll_close(context)).await
    });
    let method = Method::from_bytes(words.text("method").as_bytes()).unwrap_or(Method::GET);
    let upload = match words.text("upload") {
        "" => Bytes::new(),
        path => Bytes::from(std::fs::read(path)?),
    };
    let uri = format!("https://localhost:{}{}", remote.port(), words.text("path"));
    let count = words.number("count")?.max(1);
    let gate = Arc::new(tokio::sync::Semaphore::new(words.number("parallel")?.max(1) as usize));
    let mut tasks = Vec::new();
    for number in 0..count {
        let uri = if count > 1 { format!("{uri}?n={number}") } else { uri.clone() };
        let (sender, method, upload) = (sender.clone(), method.clone(), upload.clone());
        let gate = gate.clone();
        tasks.push(tokio::spawn(async move {
            let _place = gate.acquire_owned().await?;
            ask(sender, method, uri, upload).await
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await??);
    }
    drop(sender);
    let first = &all[0];
    let same = all.iter().all(|s| s.sha256 == first.sha256 && s.status == first.status);
    println!(
        "{{\"protocol\": \"h3\", \"completed\": {}, \"alike\": {}, \"status\": {}, \"bytes\": {}, \
         \"content_length\": {}, \"sha256\": \"{}\", \"body\": {}}}",
        all.len(), same, first.status, first.bytes, quoted(&first.content_length), first.sha256,
        quoted(&first.body),
    );
    connection.close(VarInt::from_u32(H3_NO_ERROR), b"");
    endpoint.wait_idle().await;
    println!("{{\"closed\": true}}");
    driving.abort();
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let part = words.next().unwrap_or_default();
    let words = Words::parse(words);
    match part.as_str() {
        "serve" => serve(&words).await,
        "get" => get(&words).await,
        _ => Err("use: quinn-peer serve|get --name value ...".into()),
    }
}
