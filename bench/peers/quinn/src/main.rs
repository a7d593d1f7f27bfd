//! quinn's side of the benchmark: the programs of `bench/peers/side.py` in Rust.
//!
//! `server` prints its port, and its figures on SIGTERM; `client` does one work and prints its
//! figures, one JSON line each.

mod client;
mod client_http3;
mod common;
mod server;

use common::{Failure, Words};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let part = words.next().unwrap_or_default();
    let words = Words::parse(words)?;
    match (part.as_str(), words.text("protocol").as_str()) {
        ("server", _) => server::run(&words).await,
        ("client", "http3") => client_http3::run(&words).await,
        ("client", _) => client::run(&words).await,
        _ => Err("use: quinn-bench server|client --name value ...".into()),
    }
}
