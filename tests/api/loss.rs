//! The database goes away and comes back while the service runs: meanwhile it says so and refuses what it cannot keep, and
//! afterwards it serves as before, without a restart. A go-between on the way to the database cuts every connection.

use std::path::Path;
use std::time::{Duration, Instant};

use praetor::api::Role;
use reqwest::{Client, Response};
use serde_json::Value;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;

use super::cut::{Serving, apart};
use super::support::{example, key_in, problem};

/// Passes connections on to the database's socket while the receiver says so; cuts them when it does not. Returns its port.
async fn between(socket: &Path, there: watch::Receiver<bool>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let socket = socket.join(".s.PGSQL.5432");
    tokio::spawn(async move {
        while let Ok((mut service, _)) = listener.accept().await {
            let mut there = there.clone();
            if !*there.borrow_and_update() {
                continue;
            }
            let Ok(mut database) = UnixStream::connect(&socket).await else { continue };
            tokio::spawn(async move {
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut service, &mut database) => {}
                    _ = there.wait_for(|there| !there) => {}
                }
            });
        }
    });
    port
}

/// Asks until the status is this one.
async fn until(client: &Client, url: &str, key: &str, status: u16) -> Response {
    let began = Instant::now();
    loop {
        let answer = client.get(url).bearer_auth(key).send().await.unwrap();
        if answer.status().as_u16() == status {
            return answer;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{url} still answers {}", answer.status());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_and_comes_back_needs_no_restart() {
    let (database, folder, store) = apart().await;
    let key = key_in(&store, Role::Caller, "default", None).await;
    let (there, seen) = watch::channel(true);
    let port = between(database.cluster.socket_dir(), seen).await;
    let url = format!("postgres://postgres@127.0.0.1:{port}/{}?sslmode=disable", database.name);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().no_proxy().build().unwrap();
    let serving = Serving::start(&url, folder.path()).await;
    let ready = format!("{}/readyz", serving.base);
    until(&client, &ready, &key, 200).await;
    assert_eq!(serving.decide(&client, &key, "before", &example(1)).await.unwrap().status(), 201);

    there.send(false).unwrap();
    until(&client, &ready, &key, 503).await;
    let alive = client.get(format!("{}/healthz", serving.base)).send().await.unwrap();
    assert_eq!(alive.status(), 200);
    let refused = serving.decide(&client, &key, "meanwhile", &example(2)).await.unwrap();
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(problem(refused, 503).await["code"], "database_unavailable");

    there.send(true).unwrap();
    until(&client, &ready, &key, 200).await;
    let retried = serving.decide(&client, &key, "meanwhile", &example(2)).await.unwrap();
    assert_eq!(retried.status(), 201);
    let decided: Value = serde_json::from_str(&retried.text().await.unwrap()).unwrap();
    let again = serving.decide(&client, &key, "before", &example(1)).await.unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    // The ledger goes on too.
    let receipt = format!("{}/v1/decisions/{}/receipt", serving.base, decided["id"].as_str().unwrap());
    until(&client, &receipt, &key, 200).await;
    drop(serving);
    store.close().await.unwrap();
    database.drop().await;
}
