//! The contract: the committed copy is the served one, and its schemas describe what really goes in and out.

use praetor::case::Case;
use serde_json::{Value, json};

use super::support::{PIPELINE, Service};
use crate::pipeline::{PUBLIC, repo};

fn lines(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(repo(path)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A schema of the contract, with all others at hand.
fn schema(name: &str) -> jsonschema::Validator {
    let contract = praetor::api::openapi();
    let root = json!({ "$ref": format!("#/components/schemas/{name}"), "components": contract["components"] });
    jsonschema::draft202012::new(&root).unwrap()
}

#[test]
fn the_committed_contract_is_the_one_served() {
    let served = serde_json::to_string_pretty(&praetor::api::openapi()).unwrap() + "\n";
    let path = repo("docs/openapi.json");
    if std::env::var_os("PRAETOR_BLESS").is_some() {
        std::fs::write(&path, &served).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == served, "docs/openapi.json differs; PRAETOR_BLESS=1 cargo test writes it anew");
}

#[test]
fn the_ticket_schema_takes_every_ticket_and_refuses_the_broken_one() {
    let ticket = schema("Ticket");
    let mut tickets = lines("models/training/data/public/tickets.jsonl");
    tickets.extend(lines("examples/tickets.jsonl"));
    let broken = tickets.pop().unwrap();
    for each in &tickets {
        assert!(Case::parse(each.to_string().as_bytes()).is_ok());
        let errors: Vec<_> = ticket.iter_errors(each).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", each["ticket_id"]);
    }
    assert!(!ticket.is_valid(&broken));
}

#[test]
fn the_decision_schema_describes_every_tenth_public_decision() {
    let decision = schema("Decision");
    let cases: Vec<Case> = PUBLIC.iter().step_by(10).map(|(case, _)| case.clone()).collect();
    for decided in PIPELINE.decide(&cases, None).unwrap() {
        let value = serde_json::to_value(&decided.decision).unwrap();
        let errors: Vec<_> = decision.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", decided.decision.ticket_id);
        for field in value.as_object().unwrap().keys() {
            assert!(praetor::api::openapi()["components"]["schemas"]["Decision"]["properties"][field].is_object());
        }
    }
}

#[tokio::test]
async fn health_metrics_and_contract_are_open_and_hardened() {
    let service = Service::start().await;
    for (path, kind) in [
        ("/healthz", "application/json"),
        ("/readyz", "application/json"),
        ("/metrics", "text/plain"),
        ("/openapi.json", "application/json"),
        ("/docs", "text/html"),
    ] {
        let answer = service.get(path, "").await;
        assert_eq!(answer.status(), 200, "{path}");
        let headers = answer.headers();
        assert!(headers["content-type"].to_str().unwrap().starts_with(kind), "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["x-frame-options"], "DENY");
        assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
        assert!(headers.contains_key("x-request-id"));
        assert!(!headers.contains_key("access-control-allow-origin"));
    }
    let own = service.request(reqwest::Method::GET, "/healthz", "").header("x-request-id", "call-7");
    assert_eq!(own.send().await.unwrap().headers()["x-request-id"], "call-7");
    let forged = service.request(reqwest::Method::GET, "/healthz", "").header("x-request-id", "a\tb");
    assert_ne!(forged.send().await.unwrap().headers()["x-request-id"], "a\tb");
    let counted = service.get("/metrics", "").await.text().await.unwrap();
    assert!(counted.contains("praetor_http_requests_total{route=\"/healthz\",method=\"GET\",status=\"200\"}"));
    service.stop().await;
}
