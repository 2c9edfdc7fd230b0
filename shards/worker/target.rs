//! Where a URL points.

use crate::request::{CallError, CallErrorCode, shortened};
use hyper::Uri;
use std::net::IpAddr;

/// The longest URL. Unit: bytes.
const URL_BYTES_MAX: usize = 8 * 1024;

/// A checked URL.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    origin: Origin,
    authority: String,
    path: Uri,
}

/// What a connection leads to: two requests to the same origin can share one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    pub(crate) tls: bool,
    /// A name in lower case, or an address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Origin {
    /// The address, if the host is one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, CallError> {
        let bad = |why: &str| {
            CallError::never(
                CallErrorCode::BadUrl,
                format!("`{}` cannot be called: {why}", shortened(&without_credentials(url))),
            )
        };
        if url.len() > URL_BYTES_MAX {
            return Err(bad(&format!("it has more than {URL_BYTES_MAX} bytes")));
        }
        let uri: Uri = url.parse().map_err(|error| bad(&format!("{error}")))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad("it begins with neither http:// nor https://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("a user and password belong into an authorization header"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(bad("it names no host"));
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            // A port that is no number is no port to the parser, and would be left out silently.
            None if authority.as_str().len() > authority.host().len() => {
                return Err(bad("its port is not a number below 65536"));
            }
            None if tls => 443,
            None => 80,
        };
        if port == 0 {
            return Err(bad("its port is 0"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = path.parse().map_err(|error| bad(&format!("{error}")))?;
        let origin = Origin { tls, host: host.to_ascii_lowercase(), port };
        Ok(Self { origin, authority: authority.as_str().to_owned(), path })
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The `Host` header: the host as written, and the port if it was.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query.
    pub(crate) fn path(&self) -> Uri {
        self.path.clone()
    }
}

/// A URL for a message: what is between `//` and `@` may be a secret.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("//") else { return url.to_owned() };
    let authority_end = rest.find('/').unwrap_or(rest.len());
    match rest[..authority_end].rfind('@') {
        Some(at) => format!("{scheme}//…{}", &rest[at..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests;
