//! HTTPS: a certificate and its key from PEM files, by rustls. TLS 1.2 and 1.3, no client certificates.

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};

use crate::config::TlsConfig;

/// The certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or holds nothing of the kind.
    #[error("{what} in {}: {reason}", path.display())]
    File {
        /// `the certificate` or `the private key`.
        what: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        reason: String,
    },
    /// The two do not belong together, or are of a kind that is not supported.
    #[error("the certificate {} and the key {} cannot be used: {source}", files.certificate.display(), files.key.display())]
    Pair {
        /// The files.
        files: TlsConfig,
        /// Why.
        source: rustls::Error,
    },
}

/// The server's half of TLS.
pub(super) fn open(files: &TlsConfig) -> Result<ServerConfig, TlsError> {
    // Somebody else may have installed one: any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
        .map_err(|error| refused("the certificate", &files.certificate, &error))?;
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|error| refused("the private key", &files.key, &error))?;
    ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|source| TlsError::Pair { files: files.clone(), source })
}

fn refused(what: &'static str, path: &std::path::Path, error: &pem::Error) -> TlsError {
    let reason = match error {
        pem::Error::NoItemsFound => "the file holds none in PEM form".to_owned(),
        pem::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    };
    TlsError::File { what, path: path.to_owned(), reason }
}
