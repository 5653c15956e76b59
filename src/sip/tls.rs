//! TLS for SIP: the files it needs, read again when they change, and the two ends of a handshake.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::{
    net::TcpStream,
    sync::{Notify, watch},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tracing::{error, info, warn};

use super::{certificate::names_one_of, flow::Proof, introduction::Introduction, wire::Host};

/// How often the files are looked at. They are loaded when they have been the same for two looks: whoever renews a certificate may
/// write it in pieces, or a moment before its key.
const LOOK: Duration = Duration::from_secs(2);
/// No certificate, key or list of authorities is longer, in bytes.
const LONGEST_FILE: u64 = 4 * 1024 * 1024;
/// TLS 1.2 and 1.3; older ones are broken.
const VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// The files and names of TLS. All are PEM.
#[derive(Clone, Debug, Default)]
pub struct TlsSettings {
    /// Our certificate, followed by those that lead to its authority.
    pub certificate: Option<PathBuf>,
    /// Our certificate's private key.
    pub key: Option<PathBuf>,
    /// The authorities whose client certificates are believed.
    pub client_authorities: Option<PathBuf>,
    /// The names in a client certificate that make its owner a trusted peer.
    pub trusted_names: Vec<String>,
    /// The authorities of servers that we connect to; without it, the system's.
    pub peer_authorities: Option<PathBuf>,
}

impl TlsSettings {
    /// Reads everything once, to find what is wrong before it matters.
    ///
    /// # Errors
    ///
    /// When a file cannot be used.
    pub fn check(&self) -> Result<(), TlsError> {
        Loaded::read(self)?;
        self.peer_authorities.as_deref().map(authorities).transpose()?;
        Ok(())
    }
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing, too long, or not ours to read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is no PEM with what is wanted from it.
    #[error("{} holds no {what} in PEM", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
    },
    /// The certificate and the key do not go together, or are of a kind that nobody takes.
    #[error("{} and its key cannot be used", path.display())]
    Unfit {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The authorities' certificates cannot be used.
    #[error("{} cannot be used", path.display())]
    Authorities {
        /// The authorities' file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The settings name no certificate or no key.
    #[error("TLS needs a certificate and its key")]
    NotConfigured,
}

/// What TLS connections are made with; renewed while the server runs.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    settings: Arc<TlsSettings>,
    current: watch::Receiver<Arc<Loaded>>,
}

/// What was in the files.
#[derive(Debug)]
struct Loaded {
    /// None without a certificate: then we can connect, but nobody to us.
    server: Option<Arc<ServerConfig>>,
    /// Made when it is first needed, for the system has many authorities.
    client: tokio::sync::OnceCell<Arc<ClientConfig>>,
}

/// Keeps a [`Tls`] in step with its files.
#[derive(Debug)]
pub(super) struct Renewal {
    settings: Arc<TlsSettings>,
    current: watch::Sender<Arc<Loaded>>,
    loaded: Vec<Option<Look>>,
    asked: Arc<Notify>,
}

/// Lets the files be read again at once.
#[derive(Clone, Debug)]
pub struct RenewalHandle(Arc<Notify>);

impl RenewalHandle {
    /// Reads them, whether they seem to have changed or not; the log says what came of it.
    pub fn renew(&self) {
        self.0.notify_one();
    }
}

/// What tells one state of a file from another.
type Look = (SystemTime, u64, u64);

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// When one of them cannot be used, or `must_serve` and there is none.
    pub(super) fn load(settings: &TlsSettings, must_serve: bool) -> Result<(Self, Renewal), TlsError> {
        if must_serve && (settings.certificate.is_none() || settings.key.is_none()) {
            return Err(TlsError::NotConfigured);
        }
        let settings = Arc::new(settings.clone());
        let looks = look(&settings);
        let (sender, current) = watch::channel(Arc::new(Loaded::read(&settings)?));
        Ok((
            Self { settings: settings.clone(), current },
            Renewal { settings, current: sender, loaded: looks, asked: Arc::default() },
        ))
    }

    /// Shakes hands with somebody who has connected; tells what the peer has proven.
    ///
    /// # Errors
    ///
    /// When the peer speaks no TLS of ours, or shows a certificate that is none of our authorities'.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Introduction)> {
        let server = self.current.borrow().server.clone().ok_or_else(|| io::Error::other(TlsError::NotConfigured))?;
        let stream = TlsAcceptor::from(server).accept(stream).await?;
        let introduction = self.introduction(stream.get_ref().1.peer_certificates());
        Ok((stream.into(), introduction))
    }

    /// Shakes hands with a server that we have connected to, and makes sure that its certificate names `name`.
    ///
    /// # Errors
    ///
    /// When the server is another one, or speaks no TLS of ours.
    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        name: ServerName<'static>,
    ) -> io::Result<(TlsStream<TcpStream>, Introduction)> {
        let loaded = self.current.borrow().clone();
        let settings = self.settings.clone();
        let read = || async {
            let read = tokio::task::spawn_blocking(move || client_config(&settings)).await;
            read.map_err(io::Error::other)?.map_err(io::Error::other)
        };
        let client = loaded.client.get_or_try_init(read).await?.clone();
        let stream = TlsConnector::from(client).connect(name, stream).await?;
        let introduction = self.introduction(stream.get_ref().1.peer_certificates());
        Ok((stream.into(), introduction))
    }

    /// What the certificates prove, whose signatures the handshake has checked.
    fn introduction(&self, certificates: Option<&[CertificateDer<'_>]>) -> Introduction {
        let own = certificates.and_then(<[_]>::first);
        let is_trusted = own.is_some_and(|own| names_one_of(own, &self.settings.trusted_names));
        Introduction::new(if is_trusted { Proof::TrustedName } else { Proof::Nothing }, own)
    }
}

impl Renewal {
    /// Whoever has it can let the files be read.
    pub(super) fn handle(&self) -> RenewalHandle {
        RenewalHandle(self.asked.clone())
    }

    /// Loads the files whenever they change or it is asked to. New ones that cannot be used are an error in the log, and the old stay in
    /// use.
    pub(super) async fn run(mut self) {
        let mut earlier = self.loaded.clone();
        loop {
            let is_asked = tokio::select! {
                () = tokio::time::sleep(LOOK) => false,
                () = self.asked.notified() => true,
            };
            let settings = self.settings.clone();
            let Ok(looks) = tokio::task::spawn_blocking(move || look(&settings)).await else { continue };
            let is_settled = looks == earlier;
            earlier.clone_from(&looks);
            if !is_asked && (!is_settled || looks == self.loaded) {
                continue;
            }
            self.loaded = looks;
            let settings = self.settings.clone();
            match tokio::task::spawn_blocking(move || Loaded::read(&settings)).await {
                Ok(Ok(loaded)) => {
                    info!("the TLS files are read again; new connections get what is in them");
                    self.current.send_replace(Arc::new(loaded));
                }
                Ok(Err(error)) => error!(
                    error = &error as &dyn std::error::Error,
                    "the new TLS certificate cannot be used; connections go on with the old one"
                ),
                Err(error) => error!(error = &error as &dyn std::error::Error, "the TLS files could not be looked at"),
            }
        }
    }
}

impl Loaded {
    fn read(settings: &TlsSettings) -> Result<Self, TlsError> {
        let server = match identity(settings)? {
            Some((path, certificates, key)) => Some(Arc::new(server_config(settings, path, certificates, key)?)),
            None => None,
        };
        Ok(Self { server, client: tokio::sync::OnceCell::new() })
    }
}

fn server_config(
    settings: &TlsSettings,
    path: &Path,
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    let unfit = |source| TlsError::Unfit { path: path.to_owned(), source };
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(VERSIONS).map_err(unfit)?;
    let builder = match &settings.client_authorities {
        Some(path) => {
            let roots = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).allow_unauthenticated().build();
            let unusable = |error| TlsError::Authorities { path: path.clone(), source: Box::new(error) };
            builder.with_client_cert_verifier(verifier.map_err(unusable)?)
        }
        None => builder.with_no_client_auth(),
    };
    builder.with_single_cert(certificates, key).map_err(unfit)
}

/// How we connect: believing the configured authorities or the system's, and showing our certificate to those who ask for it.
fn client_config(settings: &TlsSettings) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = match &settings.peer_authorities {
        Some(path) => authorities(path)?,
        None => {
            let mut roots = RootCertStore::empty();
            let system = rustls_native_certs::load_native_certs();
            let (usable, _) = roots.add_parsable_certificates(system.certs);
            if usable == 0 {
                warn!("this system knows no certificate authorities: set sip.tls_peer_authorities to connect to others by TLS");
            }
            roots
        }
    };
    let path = settings.certificate.clone().unwrap_or_default();
    let unfit = |source| TlsError::Unfit { path, source };
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(VERSIONS);
    let config = builder.and_then(|builder| {
        let builder = builder.with_root_certificates(roots);
        match identity(settings).ok().flatten() {
            Some((_, certificates, key)) => builder.with_client_auth_cert(certificates, key),
            None => Ok(builder.with_no_client_auth()),
        }
    });
    config.map(Arc::new).map_err(unfit)
}

/// What a server's certificate must say, to be the host that we meant.
pub(super) fn server_name(host: &Host) -> Option<ServerName<'static>> {
    match host {
        Host::Ip(address) => Some(ServerName::IpAddress((*address).into())),
        Host::Name(name) => ServerName::try_from(name.clone()).ok(),
    }
}

/// What ciphers and signatures are made with.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

type Identity<'a> = (&'a Path, Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Our certificate and its key, if they are configured.
fn identity(settings: &TlsSettings) -> Result<Option<Identity<'_>>, TlsError> {
    let (Some(path), Some(key_path)) = (&settings.certificate, &settings.key) else { return Ok(None) };
    let certificates = certificates(path)?;
    let key = PrivateKeyDer::from_pem_slice(&read(key_path)?);
    let key = key.map_err(|_| TlsError::Empty { path: key_path.clone(), what: "private key" })?;
    Ok(Some((path, certificates, key)))
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|source| TlsError::Authorities { path: path.to_owned(), source: Box::new(source) })?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let empty = || TlsError::Empty { path: path.to_owned(), what: "certificate" };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    certificates.ok().filter(|certificates| !certificates.is_empty()).ok_or_else(empty)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = || match fs::metadata(path)?.len() {
        ..=LONGEST_FILE => fs::read(path),
        _ => Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is too long")),
    };
    read().map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })
}

/// How the files look at the moment, in a fixed order.
fn look(settings: &TlsSettings) -> Vec<Option<Look>> {
    use std::os::unix::fs::MetadataExt as _;
    let TlsSettings { certificate, key, client_authorities, trusted_names: _, peer_authorities } = settings;
    [certificate, key, client_authorities, peer_authorities]
        .into_iter()
        .map(|path| {
            let metadata = fs::metadata(path.as_ref()?).ok()?;
            Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
        })
        .collect()
}
