//! Whom https calls trust.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::sync::{Arc, Mutex, PoisonError};

/// Whose certificates an https server's must lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The machine's own roots (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured), loaded once per
    /// process, at the first https call, off the core.
    Machine,
    /// Only these: certificates as PEM.
    Pem(Vec<u8>),
}

/// There is nobody to trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The machine has no usable root certificate.
    #[error(
        "this machine has no trusted root certificates{0}: install its package ca-certificates, \
         or name a file by SSL_CERT_FILE"
    )]
    NoRoots(String),
    /// A text that holds no certificate.
    #[error("not PEM certificates: {0}")]
    BadPem(String),
    /// The TLS library refused its own settings.
    #[error("cannot set up TLS: {0}")]
    Setup(String),
    /// Too many blocking jobs wait.
    #[error(transparent)]
    Busy(#[from] runtime::OffloadFull),
}

static MACHINE: Mutex<Option<Arc<ClientConfig>>> = Mutex::new(None);

impl Trust {
    /// The settings for TLS. Blocks for some 10 ms when the machine's roots are not loaded yet.
    fn load(&self) -> Result<Arc<ClientConfig>, TrustError> {
        match self {
            Self::Pem(pem) => configure(read_pem(pem)?).map(Arc::new),
            Self::Machine => {
                // Held while loading: those who come at the same time want the same. A failure is
                // not kept, so that installing the package helps without a restart.
                let mut machine = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(config) = &*machine {
                    return Ok(Arc::clone(config));
                }
                let config = Arc::new(configure(machine_roots()?)?);
                *machine = Some(Arc::clone(&config));
                Ok(config)
            }
        }
    }

    /// As [`Trust::load`], off the core.
    pub(crate) async fn load_off_core(&self) -> Result<Arc<ClientConfig>, TrustError> {
        let trust = self.clone();
        runtime::offload(move || trust.load())?.await
    }
}

fn machine_roots() -> Result<RootCertStore, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some machines carry a certificate or two that no parser likes; the others still count.
    let (added, _refused) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        return Err(TrustError::NoRoots(why));
    }
    Ok(roots)
}

fn read_pem(pem: &[u8]) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| TrustError::BadPem(error.to_string()))?;
        roots.add(certificate).map_err(|error| TrustError::BadPem(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(TrustError::BadPem("there is none in the text".to_owned()));
    }
    Ok(roots)
}

fn configure(roots: RootCertStore) -> Result<ClientConfig, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TrustError::Setup(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests;
