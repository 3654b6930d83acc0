//! Webhooks, with a receiver that verifies, fails and comes back, and a dispatcher that is stopped and started again.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use praetor::api::{Dispatcher, Role};
use praetor::config::{ServeConfig, WebhookConfig};
use praetor::store::{RecordKind, Sequencer, TenantId};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::batches;
use super::receiver::{Received, next, receive};
use super::reviews;
use super::support::{Service, example, problem};

fn config() -> WebhookConfig {
    WebhookConfig {
        allowed_hosts: vec!["127.0.0.1".to_owned()],
        retry_ms: NonZeroU64::new(50).unwrap(),
        ..WebhookConfig::default()
    }
}

async fn service(webhooks: WebhookConfig) -> Service {
    Service::with(ServeConfig { webhooks, ..ServeConfig::default() }).await
}

/// A dispatcher at work, until it is told to stop.
struct Working(watch::Sender<bool>, JoinHandle<()>);

impl Working {
    fn start(service: &Service, config: &WebhookConfig) -> Self {
        let (stop, stopped) = watch::channel(false);
        let dispatcher = Dispatcher::new(Arc::clone(&service.store), config).unwrap();
        Self(stop, tokio::spawn(dispatcher.run(stopped)))
    }

    async fn stop(self) {
        self.0.send(true).unwrap();
        self.1.await.unwrap();
    }
}

/// Decides the n-th example and gives it its place in the ledger; its id.
async fn decide(service: &Service, key: &str, n: usize) -> String {
    let answer = service.decide(key, &example(n)).await;
    assert_eq!(answer.status(), 201);
    let id = serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap()["id"].as_str().unwrap().to_owned();
    place_all(service).await;
    id
}

/// Gives every leaf its place. One waits for each transaction of the cluster that began earlier, those of other tests
/// included.
async fn place_all(service: &Service) {
    let mut sequencer = Sequencer::new(&service.store);
    while service.store.log().pending().await.unwrap() > 0 {
        sequencer.drain().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn body(answer: reqwest::Response, status: u16) -> Value {
    let (got, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert_eq!(got, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Makes a webhook; its id and secret.
async fn make(service: &Service, admin: &str, url: &str, events: &[&str]) -> (String, Vec<u8>) {
    let wanted = json!({ "url": url, "events": events }).to_string();
    let made = body(service.post("/v1/webhooks", admin, wanted).send().await.unwrap(), 201).await;
    (made["id"].as_str().unwrap().to_owned(), secret(&made))
}

fn secret(made: &Value) -> Vec<u8> {
    STANDARD.decode(made["secret"].as_str().unwrap().strip_prefix("whsec_").unwrap()).unwrap()
}

/// As a receiver verifies: how many of the signatures are by this secret.
fn signed(received: &Received, secret: &[u8]) -> usize {
    let (id, at) = (received.header("webhook-id"), received.header("webhook-timestamp"));
    assert!((chrono::Utc::now().timestamp() - at.parse::<i64>().unwrap()).abs() < 60);
    let mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    let mac = mac.chain_update(format!("{id}.{at}.")).chain_update(&received.body).finalize().into_bytes();
    let expected = format!("v1,{}", STANDARD.encode(mac));
    received.header("webhook-signature").split(' ').filter(|one| *one == expected).count()
}

fn data(received: &Received) -> Value {
    serde_json::from_slice::<Value>(&received.body).unwrap()["data"].clone()
}

#[tokio::test]
async fn each_event_arrives_signed_and_in_order_through_failures_and_a_restart() {
    let service = service(config()).await;
    let (admin, caller) = (service.key(Role::Admin, "default").await, service.key(Role::Caller, "default").await);
    // What was recorded before is not told.
    decide(&service, &caller, 4).await;
    let (url, received) =
        receive(|n| if n < 3 { ("503 Service Unavailable", String::new()) } else { ("204 No Content", String::new()) });
    let (id, first) = make(&service, &admin, &format!("{url}/hook?x=1"), &["decision.recorded"]).await;
    let working = Working::start(&service, &config());
    let mut decided = Vec::new();
    for n in 1..=3 {
        decided.push(decide(&service, &caller, n).await);
    }
    let mut arrived = Vec::new();
    let mut messages = Vec::new();
    while arrived.len() < 3 {
        let one = next(&received).await;
        assert!(one.head.starts_with("POST /hook?x=1 "), "{}", one.head);
        assert_eq!(signed(&one, &first), 1);
        let text = String::from_utf8(one.body.clone()).unwrap();
        assert!(!text.contains("猕猴桃") && text.len() < 600, "{text}");
        messages.push(one.header("webhook-id").to_owned());
        // The first three attempts were refused.
        if messages.len() > 3 {
            arrived.push(data(&one)["decision_id"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(arrived, decided);
    assert_eq!(messages[..4], [messages[0].as_str(); 4], "a message keeps its id");
    working.stop().await;
    // Nobody delivers now; then two try, and one does.
    let fourth = decide(&service, &caller, 5).await;
    let both = [Working::start(&service, &config()), Working::start(&service, &config())];
    let one = next(&received).await;
    assert_eq!(data(&one)["decision_id"], fourth.as_str());
    assert!(["auto", "review"].contains(&data(&one)["outcome"].as_str().unwrap()));
    // A new secret signs beside the one before.
    let rotated = body(service.post(&format!("/v1/webhooks/{id}/secret"), &admin, "").send().await.unwrap(), 201).await;
    let second = secret(&rotated);
    decide(&service, &caller, 6).await;
    let one = next(&received).await;
    assert_eq!((signed(&one, &first), signed(&one, &second)), (1, 1));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(received.try_recv().is_err(), "nothing is told twice without need");
    // What was tried can be read, and another tenant's admin sees none of it.
    let path = format!("/v1/webhooks/{id}");
    let listed = body(service.get(&format!("{path}/deliveries?limit=200"), &admin).await, 200).await;
    let attempts = listed["items"].as_array().unwrap();
    assert_eq!(attempts.len(), 8);
    assert_eq!(attempts.iter().filter(|a| a["delivered"] == true).count(), 5);
    assert_eq!(attempts[7]["problem"], "it answered 503");
    assert_eq!(body(service.get(&path, &admin).await, 200).await["state"], "active");
    let stranger = service.key(Role::Admin, "elsewhere").await;
    for hidden in [path.clone(), format!("{path}/deliveries")] {
        assert_eq!(service.get(&hidden, &stranger).await.status(), 404);
    }
    assert_eq!(body(service.get("/v1/webhooks", &stranger).await, 200).await["items"], json!([]));
    // One that is ended hears nothing more. All of this is on record.
    let end = async |key: &str| service.request(Method::DELETE, &path, key).send().await.unwrap().status().as_u16();
    assert_eq!((end(&stranger).await, end(&admin).await, end(&admin).await), (404, 204, 404));
    decide(&service, &caller, 7).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(received.try_recv().is_err());
    let acts = service.store.tenant(&TenantId::default()).list_records(RecordKind::Access, 0, 100).await.unwrap();
    let acts: Vec<Value> = acts.iter().map(|r| serde_json::from_slice(r.body.kept().unwrap()).unwrap()).collect();
    let done: Vec<&str> =
        acts.iter().map(|a| a["action"].as_str().unwrap()).filter(|a| a.starts_with("webhook")).collect();
    assert_eq!(done, ["webhook.create", "webhook.rotate", "webhook.delete"]);
    for working in both {
        working.stop().await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_receiver_that_stays_away_is_paused_and_woken_by_a_test() {
    let patient = WebhookConfig { give_up_seconds: NonZeroU64::new(1).unwrap(), ..config() };
    let service = service(patient.clone()).await;
    let (admin, caller) = (service.key(Role::Admin, "default").await, service.key(Role::Caller, "default").await);
    let away = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let shared = Arc::clone(&away);
    let (url, received) = receive(move |_| match shared.load(std::sync::atomic::Ordering::Relaxed) {
        true => ("500 Internal Server Error", String::new()),
        false => ("200 OK", "thanks".to_owned()),
    });
    let (id, _) = make(&service, &admin, &url, &["decision.recorded", "review.resolved"]).await;
    let working = Working::start(&service, &patient);
    let decided = decide(&service, &caller, 1).await;
    let state = async || body(service.get(&format!("/v1/webhooks/{id}"), &admin).await, 200).await;
    let mut shown = state().await;
    for _ in 0..100 {
        if shown["state"] == "paused" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        shown = state().await;
    }
    assert_eq!(shown["state"], "paused", "{shown}");
    assert!(shown["failures"].as_i64().unwrap() >= 2 && shown["failing_since"].is_string(), "{shown}");
    tokio::time::sleep(Duration::from_millis(700)).await;
    while received.try_recv().is_ok() {}
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(received.try_recv().is_err(), "nothing is sent while it is paused");
    let test = async || {
        let sent = service.post(&format!("/v1/webhooks/{id}/test"), &admin, "").send().await.unwrap();
        body(sent, 200).await
    };
    let failed = test().await;
    assert_eq!((&failed["delivered"], &failed["status"]), (&json!(false), &json!(500)), "{failed}");
    assert_eq!(state().await["state"], "paused");
    away.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(test().await["delivered"], true);
    for _ in 0..2 {
        next(&received).await;
    }
    let told = next(&received).await;
    assert_eq!(data(&told)["decision_id"], decided.as_str());
    working.stop().await;
    service.stop().await;
}

#[tokio::test]
async fn a_webhook_cannot_reach_what_only_the_service_can_reach() {
    let service = service(config()).await;
    let admin = service.key(Role::Admin, "default").await;
    for url in [
        "http://hooks.example/",
        "https://10.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://localhost/",
        "https://user:secret@hooks.example/",
        "file:///etc/passwd",
        "https://2130706434/",
        "x",
    ] {
        let wanted = json!({ "url": url, "events": ["decision.recorded"] }).to_string();
        let refused = problem(service.post("/v1/webhooks", &admin, wanted).send().await.unwrap(), 400).await;
        assert_eq!(refused["code"], "invalid_parameter", "{url}");
    }
    for events in [json!([]), json!(["decision.recorded", "decision.recorded"]), json!(["everything"])] {
        let wanted = json!({ "url": "https://hooks.example/", "events": events }).to_string();
        assert_eq!(service.post("/v1/webhooks", &admin, wanted).send().await.unwrap().status(), 400, "{events}");
    }
    // A redirect is an answer like any other, and is not followed.
    let (inner, reached) = receive(|_| ("200 OK", String::new()));
    let location: &'static str = Box::leak(format!("302 Found\r\nlocation: {inner}/secret").into_boxed_str());
    let (url, _received) = receive(move |_| (location, String::new()));
    let (id, _) = make(&service, &admin, &url, &["decision.recorded"]).await;
    let sent = service.post(&format!("/v1/webhooks/{id}/test"), &admin, "").send().await.unwrap();
    let sent = body(sent, 200).await;
    assert_eq!((&sent["delivered"], &sent["status"]), (&json!(false), &json!(302)), "{sent}");
    assert!(reached.try_recv().is_err());
    // A tenant has a bounded number of them.
    let mut last = 201;
    for _ in 0..20 {
        let wanted = json!({ "url": "https://hooks.example/", "events": ["appeal.opened"] }).to_string();
        last = service.post("/v1/webhooks", &admin, wanted).send().await.unwrap().status().as_u16();
    }
    assert_eq!(last, 409);
    service.stop().await;
}

#[tokio::test]
async fn what_people_decide_is_told_without_their_words() {
    let service = service(config()).await;
    let (admin, caller) = (service.key(Role::Admin, "default").await, service.key(Role::Caller, "default").await);
    let reviewer = service.key(Role::Reviewer, "default").await;
    let (url, received) = receive(|_| ("200 OK", String::new()));
    let (_, secret) = make(&service, &admin, &url, &["review.resolved", "appeal.opened"]).await;
    let decision = reviews::decided(&service, &caller).await;
    let (id, task) = (decision["id"].as_str().unwrap(), format!("/v1/reviews/{}", reviews::task_of(&decision)));
    reviews::post(&service, &format!("{task}/claim"), &reviewer, &Value::Null, 200).await;
    let mut resolution = reviews::ordered(&decision, "1.00");
    resolution["note"] = json!("买家欧阳静怡很着急");
    reviews::post(&service, &format!("{task}/resolve"), &reviewer, &resolution, 201).await;
    let appeal = json!({ "party": "buyer", "grounds": "我不同意，我叫欧阳静怡" });
    reviews::post(&service, &format!("/v1/decisions/{id}/appeal"), &caller, &appeal, 201).await;
    place_all(&service).await;
    let working = Working::start(&service, &config());
    for (event, what) in [("review.resolved", "review_id"), ("appeal.opened", "appeal_id")] {
        let told = next(&received).await;
        assert_eq!(signed(&told, &secret), 1);
        let text = String::from_utf8(told.body.clone()).unwrap();
        assert!(text.contains(event) && !text.contains("欧阳"), "{text}");
        assert_eq!(data(&told)["decision_id"], id);
        assert!(data(&told)[what].is_string(), "{text}");
    }
    working.stop().await;
    service.stop().await;
}

#[tokio::test]
async fn the_end_of_a_batch_is_told_once() {
    let service = service(config()).await;
    let (admin, operator) = (service.key(Role::Admin, "default").await, service.key(Role::Operator, "default").await);
    let (url, received) =
        receive(|n| if n == 0 { ("500 Internal Server Error", String::new()) } else { ("200 OK", String::new()) });
    let upload = async || {
        let made = batches::upload(&service, &operator, "", batches::tickets(2).join("\n")).await;
        let location = made.headers()["location"].to_str().unwrap().to_owned();
        body(service.post(&format!("{location}/cancel"), &operator, "").send().await.unwrap(), 200).await
    };
    // What ended before is not told.
    upload().await;
    let (_, secret) = make(&service, &admin, &url, &["batch.finished"]).await;
    let batch = upload().await;
    let working = Working::start(&service, &config());
    for _ in 0..2 {
        let told = next(&received).await;
        assert_eq!(signed(&told, &secret), 1);
        assert_eq!(data(&told), json!({ "batch_id": batch["id"], "state": "cancelled" }));
    }
    working.stop().await;
    let again = Working::start(&service, &config());
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(received.try_recv().is_err());
    again.stop().await;
    service.stop().await;
}
