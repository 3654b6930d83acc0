//! What the service tells of itself: logs without personal data, spans to a collector, figures that the dashboard shows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use praetor::api::{Observed, Role};
use serde_json::{Value, json};

use super::program::Program;
use super::receiver::{Received, receive};
use super::reviews;
use super::support::{Service, example};
use crate::pipeline::repo;

/// What parties wrote, and their names.
fn personal(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| personal(item, into)),
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str().filter(|text| text.chars().count() >= 4) {
                    Some(text)
                        if ["text", "content", "statement", "name", "title", "buyer_id"].contains(&name.as_str()) =>
                    {
                        into.push(text.to_owned());
                    }
                    _ => personal(field, into),
                }
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn no_personal_data_and_no_secret_is_logged_even_when_all_is() {
    let program = Program::start(&[("PRAETOR_LOG", "debug"), ("PRAETOR_LOG_FORMAT", "json")]).await;
    let mut ticket: Value = serde_json::from_str(&example(1)).unwrap();
    ticket["buyer_id"] = json!("buyer-20260919-7731");
    ticket["dialogue"][0]["text"] = json!("我叫欧阳静怡，电话 13900007788，快点处理");
    assert_eq!(program.decide(&ticket.to_string(), &[("idempotency-key", "once-551")]).await.status(), 201);
    // What is refused must not be told either, whatever is wrong with it.
    let mut broken = ticket.clone();
    broken["order"]["total"] = json!("欧阳静怡的五十块");
    assert_eq!(program.decide(&broken.to_string(), &[]).await.status(), 422);
    assert_eq!(program.decide(&ticket.to_string()[..900], &[]).await.status(), 422);
    assert_eq!(program.decide(&ticket.to_string(), &[("content-type", "text/plain")]).await.status(), 415);
    let listed = program.client.get(format!("{}/v1/decisions?limit=欧阳静怡", program.base));
    assert_eq!(listed.bearer_auth(&program.key).send().await.unwrap().status(), 400);
    let lost = program.client.get(format!("{}/v1/decisions/13900007788/欧阳静怡", program.base)).send().await.unwrap();
    assert_eq!(lost.status(), 404);
    let secret = program.key.rsplit('_').next().unwrap().to_owned();
    let log = program.stop().await;
    let mut seen = 0;
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        seen += usize::from(line["message"] == "answered" && line["span"]["request_id"].is_string());
    }
    assert_eq!(seen, 6, "{log}");
    assert!(log.contains("\"DEBUG\""), "debug is on");
    let mut private = vec![secret, "once-551".to_owned(), "欧阳静怡".to_owned(), "13900007788".to_owned()];
    personal(&ticket, &mut private);
    assert!(private.len() > 15);
    for text in &private {
        let start: String = text.chars().take(12).collect();
        assert!(!log.contains(&start), "`{start}` is logged: {}", log.lines().find(|l| l.contains(&start)).unwrap());
    }
}

/// The fields of a protobuf message that are texts, bytes or messages.
fn fields(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let (first, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(first & 0x7f) << shift;
            shift += 7;
            if first & 0x80 == 0 {
                return value;
            }
        }
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let skipped = match tag & 7 {
            0 => {
                varint(&mut bytes);
                0
            }
            1 => 8,
            5 => 4,
            2 => {
                let length = varint(&mut bytes) as usize;
                found.push((tag >> 3, &bytes[..length]));
                length
            }
            other => panic!("wire type {other}"),
        };
        bytes = &bytes[skipped..];
    }
    found
}

fn inner<'a>(messages: &[&'a [u8]], field: u64) -> Vec<&'a [u8]> {
    messages.iter().flat_map(|m| fields(m)).filter(|(number, _)| *number == field).map(|(_, bytes)| bytes).collect()
}

#[tokio::test]
async fn a_collector_gets_a_span_for_each_node_in_the_trace_of_the_request() {
    let (address, received) = receive(|_| ("200 OK", String::new()));
    let program = Program::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &address)]).await;
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let traceparent = format!("00-{trace}-{parent}-01");
    assert_eq!(program.decide(&example(1), &[("traceparent", &traceparent)]).await.status(), 201);
    program.stop().await;
    let received: Vec<Received> = received.try_iter().collect();
    for request in &received {
        assert!(request.head.starts_with("POST /v1/traces "), "{}", request.head);
        assert_eq!(request.header("content-type"), "application/x-protobuf");
    }
    let requests: Vec<&[u8]> = received.iter().map(|request| request.body.as_slice()).collect();
    // ExportTraceServiceRequest.resource_spans, ResourceSpans.scope_spans, ScopeSpans.spans.
    let resources = inner(&requests, 1);
    assert!(inner(&resources, 1).iter().any(|r| r.windows(7).any(|w| w == b"praetor")));
    let mut names = BTreeSet::new();
    for span in inner(&inner(&resources, 2), 2) {
        let one = |field| inner(&[span], field).first().map(|bytes| bytes.to_vec()).unwrap_or_default();
        if hex::encode(one(1)) == trace {
            let name = String::from_utf8(one(5)).unwrap();
            assert!(name != "POST /v1/decisions" || hex::encode(one(4)) == parent);
            names.insert(name);
        }
    }
    let nodes = ["label", "settlement", "policy", "timeliness", "evidence", "measure", "remedy"];
    for name in nodes.iter().chain(&["POST /v1/decisions", "batch", "decide", "judge", "record"]) {
        assert!(names.contains(*name), "{name} is missing among {names:?}");
    }
}

/// The names of metrics in a query.
fn metrics(query: &str, into: &mut BTreeSet<String>) {
    for word in query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|w| w.starts_with("praetor_")) {
        into.insert(word.to_owned());
    }
}

#[tokio::test]
async fn the_dashboard_shows_only_what_the_service_counts() {
    let service = Service::start().await;
    let (key, reviewer) = (service.key(Role::Operator, "default").await, service.key(Role::Reviewer, "default").await);
    let decision = reviews::decided(&service, &key).await;
    let task = format!("/v1/reviews/{}", reviews::task_of(&decision));
    reviews::post(&service, &format!("{task}/claim"), &reviewer, &Value::Null, 200).await;
    reviews::post(&service, &format!("{task}/resolve"), &reviewer, &reviews::ordered(&decision, "1.00"), 201).await;
    assert_eq!(service.decide(&key, "{}").await.status(), 422);
    let counted = service.get("/metrics", "").await.text().await.unwrap();
    let names: BTreeSet<&str> =
        counted.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split(['{', ' ']).next()).collect();
    let text = std::fs::read_to_string(repo("docs/grafana/praetor.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut shown = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            metrics(target["expr"].as_str().unwrap(), &mut shown);
        }
    }
    assert!(shown.len() >= 10, "{shown:?}");
    let missing: Vec<_> = shown.iter().filter(|name| !names.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?} among {names:?}");
    // And what it counts is explained.
    for name in names.iter().filter(|name| name.starts_with("praetor_")) {
        let base = ["_bucket", "_sum", "_count"].iter().fold(*name, |n, end| n.strip_suffix(end).unwrap_or(n));
        assert!(counted.contains(&format!("# HELP {base} ")), "{base}");
    }
    for node in ["label", "policy", "remedy"] {
        assert!(counted.contains(&format!("praetor_node_seconds_count{{node=\"{node}\"}}")), "{node}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_worker_tells_how_it_is_and_nothing_else() {
    let service = Service::start().await;
    let observed = Observed::build("127.0.0.1:0".parse().unwrap()).unwrap();
    let at = format!("http://{}", observed.address());
    let running = tokio::spawn(observed.run(Arc::clone(&service.store)));
    let get = |path: &str| service.client.get(format!("{at}{path}")).send();
    let mut counted = String::new();
    for _ in 0..50 {
        counted = get("/metrics").await.unwrap().text().await.unwrap();
        if counted.contains("praetor_ledger_lag_seconds ") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for name in
        ["batch_lines_total{outcome=\"auto\"}", "batch_chunks_waiting", "ledger_lag_seconds", "process_resident_bytes"]
    {
        assert!(counted.contains(&format!("\npraetor_{name} ")), "{name} in {counted}");
    }
    let alive = get("/healthz").await.unwrap();
    assert_eq!((alive.status().as_u16(), alive.text().await.unwrap()), (200, r#"{"status":"alive"}"#.to_owned()));
    for path in ["/v1/decisions", "/docs", "/"] {
        assert_eq!(get(path).await.unwrap().status().as_u16(), 404, "{path}");
    }
    running.abort();
    service.stop().await;
}
