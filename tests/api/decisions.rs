//! Handing tickets in and reading what was decided.

use std::sync::Arc;

use praetor::api::Role;
use praetor::case::Case;
use praetor::config::ServeConfig;
use praetor::decision::Gate;
use praetor::judge::{Judge, JudgeConfig};
use praetor::ledger::Receipt;
use praetor::pipeline::Pipeline;
use praetor::store::Sequencer;
use serde_json::{Value, json};

use super::support::{PIPELINE, Service, example, problem};
use crate::pipeline::{BOOK, repo};
use crate::store::ledger::sequence;

#[tokio::test]
async fn a_ticket_is_decided_recorded_and_read_back_byte_for_byte() {
    let service = Service::start().await;
    let key = service.key(Role::Caller, "default").await;
    let ticket = example(2);
    let response = service.decide(&key, &ticket).await;
    assert_eq!(response.status(), 201);
    let (location, tag) = (response.headers()["location"].clone(), response.headers()["etag"].clone());
    let bytes = response.bytes().await.unwrap();

    let case = Case::parse(ticket.as_bytes()).unwrap();
    let direct = PIPELINE.decide(&[case], None).unwrap().remove(0);
    assert_eq!(bytes, direct.decision.canonical().unwrap());
    assert_eq!(location, format!("/v1/decisions/{}", direct.decision.id));

    let read = service.get(location.to_str().unwrap(), &key).await;
    assert_eq!(read.headers()["etag"], tag);
    assert_eq!(read.bytes().await.unwrap(), bytes);
    let again = service.request(reqwest::Method::GET, location.to_str().unwrap(), &key).header("if-none-match", tag);
    assert_eq!(again.send().await.unwrap().status(), 304);
    service.stop().await;
}

#[tokio::test]
async fn an_idempotency_key_replays_its_answer_and_takes_no_other_body() {
    let service = Service::start().await;
    let (key, other) = (service.key(Role::Caller, "default").await, service.key(Role::Caller, "elsewhere").await);
    let send = async |key: &str, ticket: &str, path: &str| {
        service.post(path, key, ticket.to_owned()).header("idempotency-key", "order-1").send().await.unwrap()
    };
    let first = send(&key, &example(1), "/v1/decisions").await;
    assert_eq!(first.status(), 201);
    assert!(!first.headers().contains_key("idempotent-replayed"));
    let bytes = first.bytes().await.unwrap();
    let second = send(&key, &example(1), "/v1/decisions").await;
    assert_eq!(second.status(), 201);
    assert_eq!(second.headers()["idempotent-replayed"], "true");
    assert_eq!(second.bytes().await.unwrap(), bytes);
    for (ticket, path) in [(example(2), "/v1/decisions"), (example(1), "/v1/decisions?as_of=2026-08-01T00:00:00Z")] {
        assert_eq!(problem(send(&key, &ticket, path).await, 409).await["code"], "idempotency_conflict");
    }
    // Another tenant's keys are its own.
    assert_eq!(send(&other, &example(2), "/v1/decisions").await.status(), 201);
    service.stop().await;
}

#[tokio::test]
async fn a_bad_ticket_is_told_place_value_and_rule_and_is_kept() {
    let service = Service::start().await;
    let key = service.key(Role::Caller, "default").await;
    let bad = example(16);
    for (lang, words) in [("zh-CN", "数量"), ("en", "a quantity is 1 to 1000000")] {
        let request = service.post("/v1/decisions", &key, bad.clone()).header("accept-language", lang);
        let body = problem(request.send().await.unwrap(), 422).await;
        assert_eq!(body["code"], "invalid_ticket");
        let first = &body["errors"][0];
        assert_eq!(first["path"], "$.order.items[0].quantity");
        assert_eq!(first["rule"], "quantity_range");
        assert_eq!(first["value"], "0");
        assert!(first["message"].as_str().unwrap().contains(words), "{first}");
    }
    let kept = service.store.tenant(&"default".parse().unwrap()).rejections("api").await.unwrap();
    assert_eq!(kept.len(), 1, "the same input is kept once");
    assert_eq!(kept[0].input.kept().unwrap(), bad.as_bytes());
    service.stop().await;
}

#[tokio::test]
async fn a_list_is_filtered_and_paged_and_another_tenant_sees_nothing_of_it() {
    let service = Service::start().await;
    let (key, other) = (service.key(Role::Operator, "default").await, service.key(Role::Operator, "elsewhere").await);
    let mut ids = Vec::new();
    for n in 1..=5 {
        let body: Value = serde_json::from_str(&service.decide(&key, &example(n)).await.text().await.unwrap()).unwrap();
        ids.push(body["id"].as_str().unwrap().to_owned());
    }
    let page = async |query: &str, key: &str| -> Value {
        let response = service.get(&format!("/v1/decisions{query}"), key).await;
        assert_eq!(response.status(), 200);
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    };
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = page(&format!("?limit=2{cursor}"), &key).await;
        let items = page["items"].as_array().unwrap();
        assert!((1..=2).contains(&items.len()));
        seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    ids.reverse();
    assert_eq!(seen, ids, "newest first, each once");
    let one = page("?ticket_id=EX003", &key).await;
    assert_eq!(one["items"].as_array().unwrap().len(), 1);
    assert_eq!(one["items"][0]["ticket_id"], "EX003");
    assert_eq!(page("", &other).await["items"].as_array().unwrap().len(), 0);
    let path = format!("/v1/decisions/{}", ids[0]);
    for of_it in ["", "/trace", "/explanation"] {
        problem(service.get(&format!("{path}{of_it}"), &other).await, 404).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn an_explanation_is_in_the_language_asked_for() {
    let service = Service::start().await;
    let key = service.key(Role::Operator, "default").await;
    let location = service.decide(&key, &example(1)).await.headers()["location"].to_str().unwrap().to_owned();
    let path = format!("{location}/explanation");
    let mut texts = Vec::new();
    for lang in ["zh", "en"] {
        let request = service.request(reqwest::Method::GET, &path, &key).header("accept-language", lang);
        let body: Value = serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
        assert_eq!(body["lang"], lang);
        texts.push(body["explanation"][0].as_str().unwrap().to_owned());
    }
    assert_ne!(texts[0], texts[1]);
    let trace: Value =
        serde_json::from_str(&service.get(&format!("{location}/trace"), &key).await.text().await.unwrap()).unwrap();
    assert!(trace["nodes"].as_array().is_some_and(|nodes| nodes.len() > 4));
    service.stop().await;
}

#[tokio::test]
async fn a_receipt_comes_once_the_decision_has_its_place_and_then_verifies() {
    let service = Service::start().await;
    let key = service.key(Role::Caller, "default").await;
    let location = service.decide(&key, &example(1)).await.headers()["location"].to_str().unwrap().to_owned();
    let path = format!("{location}/receipt");
    assert_eq!(problem(service.get(&path, &key).await, 409).await["code"], "conflict");
    sequence(&mut Sequencer::new(&service.store), &service.store).await;
    let receipt = service.get(&path, &key).await.bytes().await.unwrap();
    let receipt = Receipt::parse(&receipt).unwrap();
    let checkpoint = service.get("/v1/audit/checkpoint", &key).await.text().await.unwrap();
    assert_eq!(checkpoint, service.store.log().latest().await.unwrap().unwrap().note);
    assert_eq!(receipt.verify(&service.log_keys()).unwrap().size, 2, "the making of the key and the decision");
    service.stop().await;
}

#[tokio::test]
async fn a_reward_model_that_does_not_answer_is_told_and_nothing_is_recorded() {
    let pipeline = tokio::task::spawn_blocking(|| {
        // Nothing listens there.
        let endpoint = json!({ "url": "http://127.0.0.1:9/v1", "model": "none", "retries": 0 });
        let config =
            JudgeConfig { endpoint: Some(serde_json::from_value(endpoint).unwrap()), ..JudgeConfig::default() };
        let judge = Judge::open(&repo("models"), &config).unwrap();
        Arc::new(Pipeline::new(BOOK.clone(), judge).unwrap().gated(Gate::Open))
    });
    let service = Service::deciding(ServeConfig::default(), pipeline.await.unwrap(), Gate::Open).await;
    let key = service.key(Role::Caller, "default").await;
    let tickets = [1, 2, 3].map(example);
    for response in futures_util::future::join_all(tickets.iter().map(|ticket| service.decide(&key, ticket))).await {
        assert!(response.headers().contains_key("retry-after"));
        assert_eq!(problem(response, 503).await["code"], "reward_model_unavailable");
    }
    assert_eq!(service.count("SELECT count(*) FROM praetor.decisions").await, 0);
    service.stop().await;
}
