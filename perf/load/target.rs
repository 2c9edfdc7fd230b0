//! Where requests go: `http://HOST[:PORT]`.

use anyhow::{Context as _, bail, ensure};
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs as _};

/// A server's address.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// What the user wrote, without a slash at the end.
    url: String,
    /// The `Host` header.
    pub(crate) host: String,
    /// Where to connect: the name's first address.
    pub(crate) address: SocketAddr,
}

impl Target {
    /// Reads a URL and looks its name up.
    pub(crate) fn parse(url: &str) -> anyhow::Result<Self> {
        let url = url.trim_end_matches('/');
        if url.starts_with("https://") {
            bail!("--url {url}: https is not supported; measure without TLS, on the same machine");
        }
        let host = url.strip_prefix("http://").unwrap_or(url);
        ensure!(
            !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']),
            "--url {url}: expected http://HOST:PORT without a path"
        );
        let has_port = host.rsplit_once(':').is_some_and(|(name, port)| {
            !port.is_empty()
                && port.bytes().all(|b| b.is_ascii_digit())
                && (!name.contains(':') || name.ends_with(']'))
        });
        let name = if has_port { host.to_owned() } else { format!("{host}:80") };
        let address = name
            .to_socket_addrs()
            .with_context(|| format!("--url {url}: cannot look up {name}"))?
            .next()
            .with_context(|| format!("--url {url}: {name} has no address"))?;
        Ok(Self { url: format!("http://{host}"), host: host.to_owned(), address })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}
