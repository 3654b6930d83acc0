//! The edge towards the network: TLS, other origins, clients that are slow or nest without end.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use praetor::api::{Application, Role};
use praetor::config::{ReviewConfig, ServeConfig, TlsConfig};
use praetor::decision::Gate;
use reqwest::{Certificate, Client, Method};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{PIPELINE, Service, example, problem};
use crate::pipeline::repo;
use crate::store::support::Database;

fn tls(certificate: &str, key: &str) -> ServeConfig {
    let file = |name: &str| repo("tests/fixtures/tls").join(name);
    ServeConfig { tls: Some(TlsConfig { certificate: file(certificate), key: file(key) }), ..ServeConfig::default() }
}

#[tokio::test]
async fn https_is_served_by_the_configured_certificate_and_told_to_stay() {
    let mut service = Service::with(tls("certificate.pem", "key.pem")).await;
    let pem = std::fs::read(repo("tests/fixtures/tls/certificate.pem")).unwrap();
    let trusted = Certificate::from_pem(&pem).unwrap();
    service.client = Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap();
    let plain = service.base.clone();
    service.base = plain.replace("http://", "https://");
    let answer = service.get("/healthz", "").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
    let key = service.key(Role::Caller, "default").await;
    assert_eq!(service.decide(&key, &example(2)).await.status(), 201);
    // Neither plain HTTP nor a client that knows nobody gets through.
    assert!(service.client.get(format!("{plain}/healthz")).send().await.is_err());
    let stranger = Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    assert!(stranger.get(format!("{}/healthz", service.base)).send().await.is_err());
    service.stop().await;
    let service = Service::start().await;
    assert!(!service.get("/healthz", "").await.headers().contains_key("strict-transport-security"));
    service.stop().await;
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_at_start_and_says_why() {
    let (database, store) = Database::migrated().await;
    let store = Arc::new(store);
    let pipeline = tokio::task::spawn_blocking(|| Arc::clone(&PIPELINE)).await.unwrap();
    let refused = |mut config: ServeConfig| {
        config.listen = ([127, 0, 0, 1], 0).into();
        let gate_of = Arc::new(|_: &_| Gate::Shut);
        Application::build(&config, &ReviewConfig::default(), Arc::clone(&pipeline), gate_of, Arc::clone(&store))
            .unwrap_err()
            .to_string()
    };
    let said = refused(tls("nothing.pem", "key.pem"));
    assert!(said.starts_with("the certificate in ") && said.contains("nothing.pem"), "{said}");
    let said = refused(tls("key.pem", "key.pem"));
    assert!(said.contains("the certificate in") && said.contains("none in PEM form"), "{said}");
    let said = refused(tls("certificate.pem", "certificate.pem"));
    assert!(said.contains("the private key in") && said.contains("none in PEM form"), "{said}");
    let said = refused(tls("certificate.pem", "other_key.pem"));
    assert!(said.contains("other_key.pem cannot be used"), "{said}");
    for origin in ["*", "https://desk.example/", "null"] {
        let said = refused(ServeConfig { cors_origins: vec![origin.to_owned()], ..ServeConfig::default() });
        assert!(said.contains(&format!("`{origin}` is no origin")), "{said}");
    }
    Arc::into_inner(store).unwrap().close().await.unwrap();
    database.drop().await;
}

#[tokio::test]
async fn pages_of_other_origins_may_call_only_if_they_are_named() {
    let desk = "https://desk.example";
    let service = Service::with(ServeConfig { cors_origins: vec![desk.to_owned()], ..ServeConfig::default() }).await;
    let ask = async |origin: &str| {
        let request = service.request(Method::OPTIONS, "/v1/decisions", "").header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        request.header("access-control-request-headers", "authorization,content-type").send().await.unwrap()
    };
    let granted = ask(desk).await;
    assert_eq!(granted.headers()["access-control-allow-origin"], desk);
    assert!(!granted.headers().contains_key("access-control-allow-credentials"));
    assert!(!ask("https://evil.example").await.headers().contains_key("access-control-allow-origin"));
    // A page must be able to read why it was refused.
    let refused = service.request(Method::GET, "/v1/decisions", "").header("origin", desk).send().await.unwrap();
    assert_eq!(refused.headers()["access-control-allow-origin"], desk);
    assert_eq!(problem(refused, 401).await["code"], "unauthenticated");
    service.stop().await;
}

#[tokio::test]
async fn a_hundred_thousand_brackets_are_refused_and_nothing_breaks() {
    let service = Service::start().await;
    let (caller, admin) = (service.key(Role::Caller, "default").await, service.key(Role::Admin, "default").await);
    for deep in ["[".repeat(100_000), "{\"a\":".repeat(100_000), format!("{{\"x\":{}", "[".repeat(100_000))] {
        let body = problem(service.decide(&caller, &deep).await, 422).await;
        assert_eq!(body["errors"][0]["rule"], "json_depth", "{body}");
        let answer = service.post("/v1/keys", &admin, deep).send().await.unwrap();
        assert_eq!(problem(answer, 400).await["code"], "invalid_body");
    }
    assert_eq!(service.get("/healthz", "").await.status(), 200);
    service.stop().await;
}

/// Sends a byte every 100 ms until the other side has had enough; what it said, and after how long.
async fn drip(mut stream: impl AsyncRead + AsyncWrite + Unpin, drop: &[u8]) -> (String, Duration) {
    let (started, mut said) = (Instant::now(), Vec::new());
    loop {
        let mut chunk = [0; 1024];
        match tokio::time::timeout(Duration::from_millis(100), stream.read(&mut chunk)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(count)) => said.extend_from_slice(&chunk[..count]),
            Err(_) => _ = stream.write_all(drop).await,
        }
        assert!(started.elapsed() < Duration::from_secs(20), "never cut: {}", String::from_utf8_lossy(&said));
    }
    (String::from_utf8_lossy(&said).into_owned(), started.elapsed())
}

#[tokio::test]
async fn under_tls_too_a_client_that_sends_a_byte_at_a_time_is_cut() {
    let read_ms = NonZeroU64::new(1_000).unwrap();
    let service = Service::with(ServeConfig { read_ms, ..tls("certificate.pem", "key.pem") }).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(repo("tests/fixtures/tls/certificate.pem")).unwrap()).unwrap();
    let trusting = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(trusting));
    let (host, port) = service.base.strip_prefix("http://").unwrap().rsplit_once(':').unwrap();
    let plain = TcpStream::connect((host, port.parse().unwrap())).await.unwrap();
    let mut stream = connector.connect(host.to_owned().try_into().unwrap(), plain).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /healthz HTTP/1.1\r\nx-slow: ").await.unwrap();
    let (said, took) = drip(stream, b"a").await;
    assert!(said.contains("200 OK") && took < Duration::from_secs(10), "{took:?}: {said}");
    service.stop().await;
}

#[tokio::test]
async fn a_client_that_sends_a_byte_at_a_time_is_cut() {
    let read_ms = NonZeroU64::new(1_000).unwrap();
    let service = Service::with(ServeConfig { read_ms, ..ServeConfig::default() }).await;
    let key = service.key(Role::Caller, "default").await;
    let address = service.base.strip_prefix("http://").unwrap().to_owned();
    let connect = async |sent: &str| {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        stream
    };
    let start = "GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ";
    let (said, took) = drip(connect(start).await, b"a").await;
    assert!(said.contains("408") && took < Duration::from_secs(4), "{took:?}: {said}");
    // Also when an honest request came first over the same connection.
    let (said, took) = drip(connect(&format!("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n{start}")).await, b"a").await;
    assert!(said.contains("200 OK") && took < Duration::from_secs(10), "{took:?}: {said}");
    // And with a body that never ends, whether its length is told or not.
    for length in ["content-length: 100000", "transfer-encoding: chunked"] {
        let head = format!(
            "POST /v1/decisions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n{length}\r\n\r\n"
        );
        let drop: &[u8] = if length.starts_with('c') { b"{" } else { b"1\r\n{\r\n" };
        let (said, took) = drip(connect(&head).await, drop).await;
        assert!(said.contains("408") && said.contains("body_too_slow"), "{said}");
        assert!(took < Duration::from_secs(6), "{took:?}");
    }
    assert_eq!(service.decide(&key, &example(1)).await.status(), 201);
    service.stop().await;
}
