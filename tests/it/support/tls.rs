//! Servers that speak TLS, and clients that are made by hand.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use super::{caller::PATIENCE, certificate::Authority, server::Server};

/// What the certificate of a test server names.
pub const SERVER_NAMES: &str = "DNS:localhost,IP:127.0.0.1";

/// A server with a TLS and a WebSocket address, and the authority of its certificate.
pub fn server(sip: &str) -> (Server, Authority) {
    server_in(tempfile::tempdir().unwrap(), sip)
}

/// The same on a folder with what else it needs.
pub fn server_in(folder: TempDir, sip: &str) -> (Server, Authority) {
    let authority = Authority::new(&folder.path().join("tls"));
    authority.certify("server", "/CN=localhost", SERVER_NAMES);
    let files = "tls_certificate = \"tls/server-certificate.pem\"\ntls_key = \"tls/server-key.pem\"\n";
    (Server::start_listening(folder, &["tls:127.0.0.1:0", "wss:127.0.0.1:0"], &format!("[sip]\n{files}{sip}")), authority)
}

/// A client of one version of TLS that believes an authority.
pub fn connector(authority: &Authority, version: &'static SupportedProtocolVersion) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.certificate()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// A server that shows this certificate (and has its key).
pub fn acceptor((certificate, key): &(PathBuf, PathBuf)) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()))
}

/// Shakes hands with a server on localhost.
pub async fn connect(server: SocketAddr, connector: &TlsConnector) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(server).await.unwrap();
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.expect("hands are shaken")
}

/// Waits until the server closes a connection, whatever it says before.
pub async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut buffer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut buffer)).await.is_ok()
}
