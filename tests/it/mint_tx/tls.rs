//! The way to a remote signer, encrypted: whose certificate is believed, and who is let in.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use stxworx::daemon::mint_parts::{self, MintPartsError};
use stxworx::daemon::signer::serve;
use stxworx_indexer::error_chain;
use stxworx_reconciler::mint::ports::Signer as _;
use stxworx_reconciler::mint::signer::service::Service;
use stxworx_reconciler::mint::signer::{AnySigner, RemoteError, SharedSecret};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{bounds, mint, minter};
use crate::support::app::config;
use crate::support::run;

const SECRET: &str = "5d1c0ffee5d1c0ffee5d1c0ffee5d1c0";

/// Somebody who says whom to believe.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    certificate: rustls::pki_types::CertificateDer<'static>,
}

/// A certificate with its key.
struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
        }
    }

    fn issue(&self, name: &str) -> Identity {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { certificate, key }
    }
}

/// A signer behind something that speaks TLS and lets in whom an authority vouches for, or everybody.
struct Signer {
    at: SocketAddr,
    _stop: DropGuard,
}

impl Signer {
    async fn start(identity: &Identity, clients: Option<&Authority>) -> Self {
        let stop = CancellationToken::new();
        let secret = SharedSecret::new(SECRET.to_owned()).unwrap();
        let service = Service::new(minter(), secret, 100);
        let (tell, told) = tokio::sync::oneshot::channel();
        let until = stop.clone();
        tokio::spawn(async move {
            let any = "127.0.0.1:0".parse().unwrap();
            serve(any, service, until, |at, _| tell.send(at).unwrap())
                .await
                .unwrap();
        });
        let behind = told.await.unwrap();
        // One provider serves the whole process; a second installation is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = ServerConfig::builder();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate.clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots));
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = identity.key.serialize_der().try_into().unwrap();
        let tls = builder
            .with_single_cert(vec![identity.certificate.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let until = stop.clone();
        tokio::spawn(until.run_until_cancelled_owned(front(listener, tls, behind)));
        Self {
            at,
            _stop: stop.drop_guard(),
        }
    }
}

async fn front(listener: TcpListener, tls: ServerConfig, behind: SocketAddr) {
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            match acceptor.accept(stream).into_fallible().await {
                Ok(mut inner) => {
                    let mut outer = TcpStream::connect(behind).await.unwrap();
                    // Either side may hang up without a word.
                    let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
                }
                // A socket that is closed with something unread takes back what was said last.
                Err((_, mut stream)) => {
                    let mut rest = Vec::new();
                    let read = stream.read_to_end(&mut rest);
                    let _ = tokio::time::timeout(Duration::from_secs(5), read).await;
                }
            }
        });
    }
}

/// What the minter is told of certificates, in files.
struct Files(TempDir);

impl Files {
    fn write(&self, name: &str, pem: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path
    }

    fn identity(&self, name: &str, of: &Identity) -> PathBuf {
        self.write(name, &(of.certificate.pem() + &of.key.serialize_pem()))
    }
}

/// The signer, as the minter of this configuration finds it.
async fn connect(
    at: SocketAddr,
    authorities: Option<&PathBuf>,
    identity: Option<&PathBuf>,
) -> Result<AnySigner, MintPartsError> {
    let quoted = |path: Option<&PathBuf>| format!("{:?}", path.map_or("", |p| p.to_str().unwrap()));
    let settings = [
        (
            "mint.signer_url",
            format!("\"https://localhost:{}\"", at.port()),
        ),
        ("mint.signer_secret", format!("{SECRET:?}")),
        ("mint.signer_ca_file", quoted(authorities)),
        ("mint.signer_identity_file", quoted(identity)),
    ];
    let settings: Vec<(&'static str, &str)> =
        settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
    mint_parts::signer(&config(&settings), bounds()).await
}

/// Why there is none.
async fn refused(
    at: SocketAddr,
    authorities: Option<&PathBuf>,
    identity: Option<&PathBuf>,
) -> (RemoteError, String) {
    match connect(at, authorities, identity).await {
        Err(MintPartsError::Signer(error)) => {
            let chain = error_chain(&error).to_string();
            (error, chain)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signer_is_believed_by_the_authority_that_is_named_and_by_no_other() {
    run(async {
        let files = Files(tempfile::tempdir().unwrap());
        let (ours, another) = (Authority::new("ours"), Authority::new("another"));
        let (right, wrong) = (
            files.write("ours.pem", &ours.pem),
            files.write("another.pem", &another.pem),
        );
        let signer = Signer::start(&ours.issue("localhost"), None).await;
        let remote = connect(signer.at, Some(&right), None).await.unwrap();
        let wanted = mint(minter().address(), 1, 0, 400);
        let there = remote.sign(&wanted).await.unwrap();
        assert_eq!(there, minter().sign(&wanted).await.unwrap());

        // Another authority, and those of the system.
        for authorities in [Some(&wrong), None] {
            let (error, chain) = refused(signer.at, authorities, None).await;
            assert!(matches!(error, RemoteError::Untrusted(_)), "{error:?}");
            assert!(
                chain.contains("not believed") && chain.contains("UnknownIssuer"),
                "{chain}"
            );
            assert!(chain.contains("mint.signer_ca_file"), "{chain}");
        }
        // The right authority, for somebody else.
        let elsewhere = Signer::start(&ours.issue("signer.example"), None).await;
        let (error, chain) = refused(elsewhere.at, Some(&right), None).await;
        assert!(matches!(error, RemoteError::Untrusted(_)), "{error:?}");
        assert!(chain.contains("signer.example"), "{chain}");
        // A file that is none.
        let none = files.write("none.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
        let (error, chain) = refused(signer.at, Some(&none), None).await;
        assert!(matches!(error, RemoteError::Setup { .. }), "{error:?}");
        assert!(chain.contains("authorities"), "{chain}");
    });
}

#[test]
fn a_signer_that_wants_a_certificate_lets_in_whoever_shows_the_right_one() {
    run(async {
        let files = Files(tempfile::tempdir().unwrap());
        let (ours, another) = (Authority::new("ours"), Authority::new("another"));
        let right = files.write("ours.pem", &ours.pem);
        let signer = Signer::start(&ours.issue("localhost"), Some(&ours)).await;
        let own = files.identity("minter.pem", &ours.issue("minter"));
        let remote = connect(signer.at, Some(&right), Some(&own)).await.unwrap();
        let wanted = mint(minter().address(), 1, 0, 400);
        let there = remote.sign(&wanted).await.unwrap();
        assert_eq!(there, minter().sign(&wanted).await.unwrap());

        let strange = files.identity("strange.pem", &another.issue("minter"));
        for identity in [None, Some(&strange)] {
            let (error, chain) = refused(signer.at, Some(&right), identity).await;
            assert!(matches!(error, RemoteError::Unwelcome(_)), "{error:?}");
            assert!(chain.contains("mint.signer_identity_file"), "{chain}");
        }
        // A certificate without its key.
        let half = files.write("half.pem", &ours.pem);
        let (error, chain) = refused(signer.at, Some(&right), Some(&half)).await;
        assert!(matches!(error, RemoteError::Setup { .. }), "{error:?}");
        assert!(chain.contains("our certificate and its key"), "{chain}");
    });
}
