//! The command line, the settings that all stacks get, and the figures.

use std::collections::HashMap;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::{congestion::CubicConfig, EndpointConfig, TokioRuntime, TransportConfig, VarInt};
use rustls::crypto::{aws_lc_rs, CryptoProvider};
use socket2::{Domain, Socket, Type};

pub type Failure = Box<dyn Error + Send + Sync>;

pub const HEADER: usize = 8;
pub const CHUNK: usize = 256 * 1024;
pub const BACKGROUND_BYTES: usize = 100_000_000;
pub const PATIENCE: Duration = Duration::from_millis(100);
pub const LOOK: Duration = Duration::from_secs(1);
const WINDOW: u32 = 16 << 20;
const RECEIVE_BUFFER: usize = 4 << 20;
const IDLE: Duration = Duration::from_secs(120);

pub static ZEROS: [u8; CHUNK] = [0; CHUNK];

/// Words of the command line: `--name value`.
#[derive(Clone)]
pub struct Words(HashMap<String, String>);

impl Words {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Words, Failure> {
        let mut found = HashMap::new();
        while let Some(name) = words.next() {
            let value = words.next().ok_or("every name takes a value")?;
            found.insert(name.trim_start_matches("--").to_owned(), value);
        }
        Ok(Words(found))
    }

    pub fn text(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_default()
    }

    pub fn number(&self, name: &str) -> Result<usize, Failure> {
        let default = match name {
            "mtu" => "1452",
            "ask" => "100",
            "answer" => "1000",
            "port" => "0",
            _ => "1",
        };
        Ok(self
            .0
            .get(name)
            .map(String::as_str)
            .unwrap_or(default)
            .parse()?)
    }

    pub fn seconds(&self) -> Result<Duration, Failure> {
        let text = self.0.get("seconds").map(String::as_str).unwrap_or("2.0");
        Ok(Duration::from_secs_f64(text.parse()?))
    }
}

/// One line of JSON; the fields are written already.
pub fn say(fields: &str) {
    println!("{{{fields}}}");
}

/// Wall time and this process's CPU time, user and system, since it was made.
pub struct Clock(Instant, f64);

fn cpu_seconds() -> f64 {
    // SAFETY: getrusage fills the structure that it is given, and all zeros is a valid one.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

impl Clock {
    pub fn start() -> Clock {
        Clock(Instant::now(), cpu_seconds())
    }

    pub fn facts(&self) -> String {
        let (wall, cpu) = (self.0.elapsed().as_secs_f64(), cpu_seconds() - self.1);
        format!("\"seconds\": {wall}, \"cpu\": {cpu}")
    }
}

/// AES-128-GCM and one group, in the hands of AWS-LC.
pub fn provider(words: &Words) -> Result<Arc<CryptoProvider>, Failure> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = match words.text("group").as_str() {
        "" | "X25519" => vec![aws_lc_rs::kx_group::X25519],
        "X25519MLKEM768" => vec![aws_lc_rs::kx_group::X25519MLKEM768],
        other => return Err(format!("unknown group {other}").into()),
    };
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
    Ok(Arc::new(provider))
}

pub fn protocols(words: &Words) -> Vec<Vec<u8>> {
    let name: &[u8] = if words.text("protocol") == "http3" {
        b"h3"
    } else {
        b"perf"
    };
    vec![name.to_vec()]
}

pub fn transport(words: &Words) -> Result<Arc<TransportConfig>, Failure> {
    let mut transport = TransportConfig::default();
    transport
        .stream_receive_window(VarInt::from_u32(WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(u64::from(WINDOW))
        .initial_mtu(u16::try_from(words.number("mtu")?)?)
        .mtu_discovery_config(None)
        .congestion_controller_factory(Arc::new(CubicConfig::default()))
        .max_idle_timeout(Some(IDLE.try_into()?));
    Ok(Arc::new(transport))
}

/// An endpoint on a socket with the receive buffer that all stacks get.
pub fn endpoint(server: Option<quinn::ServerConfig>) -> Result<quinn::Endpoint, Failure> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let runtime = Arc::new(TokioRuntime);
    Ok(quinn::Endpoint::new(
        EndpointConfig::default(),
        server,
        socket.into(),
        runtime,
    )?)
}

/// `count` in `parts` as equal as can be.
pub fn shares(count: usize, parts: usize) -> impl Iterator<Item = usize> {
    (0..parts).map(move |part| count / parts + usize::from(part < count % parts))
}
