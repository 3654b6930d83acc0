//! Rules that tenants publish: checked, compared, drafted, tried, approved by another, followed by every process, rolled back.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use praetor::api::{Application, Role};
use praetor::config::{ReviewConfig, ServeConfig};
use praetor::decision::Gate;
use praetor::sop::read_pack;
use praetor::store::{RecordKind, Sequencer};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::support::{PIPELINE, Service, example, problem};
use crate::pipeline::{BOOK, repo};

/// The file that governs the first example, which asks for a refund 32 hours after signing.
const FILE: &str = "fresh_spoiled.produce.yaml";

/// The demo pack as a body, with changes to the file of the first example.
fn pack(changes: &[(&str, &str)]) -> BTreeMap<String, String> {
    let files = read_pack(&repo("sop_rules/demo")).unwrap();
    let mut files: BTreeMap<String, String> = files.into_iter().map(|f| (f.name, f.text)).collect();
    let text = files.get_mut(FILE).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        *text = text.replace(from, to);
    }
    files
}

/// The demo pack with a clock of 24 hours for the first example, which is late under it; without the scenarios that
/// count on 48.
pub(super) fn strict() -> BTreeMap<String, String> {
    let mut files = pack(&[("within: 48h, stop", "within: 24h, stop")]);
    let text = files.get_mut(FILE).unwrap();
    text.truncate(text.find("\ntests:").unwrap() + 1);
    files
}

pub(super) async fn value(response: Response, status: u16) -> Value {
    let (found, text) = (response.status().as_u16(), response.text().await.unwrap());
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn post(service: &Service, path: &str, key: &str, body: Value) -> Response {
    service.post(path, key, body.to_string()).send().await.unwrap()
}

/// A draft that is in shadow, and its id.
pub(super) async fn in_shadow(service: &Service, editor: &str, files: &BTreeMap<String, String>) -> String {
    let made = value(post(service, "/v1/sops/publications", editor, json!({ "files": files })).await, 201).await;
    let id = made["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/sops/publications/{id}/shadow");
    assert_eq!(value(post(service, &path, editor, json!({})).await, 200).await["status"], "shadow");
    id
}

#[tokio::test]
async fn a_pack_is_checked_with_the_place_of_each_finding() {
    let service = Service::start().await;
    let editor = service.key(Role::Editor, "default").await;
    let checked = value(post(&service, "/v1/sops/check", &editor, json!({ "files": pack(&[]) })).await, 200).await;
    assert_eq!((&checked["clean"], &checked["sops"], &checked["findings"]), (&json!(true), &json!(55), &json!([])));
    assert_eq!(checked["rulebook"], BOOK.hash().to_string());

    let gap = pack(&[("timeliness: expired", "timeliness: in_time")]);
    let checked = value(post(&service, "/v1/sops/check", &editor, json!({ "files": gap })).await, 200).await;
    let findings = checked["findings"].as_array().unwrap();
    assert_eq!(checked["clean"], false);
    assert!(
        findings.iter().all(|f| f["file"] == FILE && f["line"].as_u64() > Some(1) && f["column"].as_u64() > Some(0))
    );
    let codes: Vec<&str> = findings.iter().map(|f| f["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"table.gap") && codes.contains(&"table.overlap"), "{codes:?}");
    assert!(findings.iter().any(|f| f["witness"].is_string()));

    let scenario = pack(&[("within: 48h, stop", "within: 24h, stop")]);
    let refused = post(&service, "/v1/sops/publications", &editor, json!({ "files": scenario })).await;
    let refused = problem(refused, 422).await;
    assert_eq!(refused["code"], "invalid_pack");
    assert_eq!(
        (&refused["errors"][0]["rule"], &refused["errors"][0]["path"]),
        (&json!("scenario.failed"), &json!("fresh_spoiled.produce"))
    );
    let none = service.get("/v1/sops/publications", &editor).await;
    assert_eq!(value(none, 200).await["items"], json!([]));

    for wrong in [
        r#"{"files":{"../pack.yaml":""}}"#,
        r#"{"files":{"pack.yaml":"","pack.yaml":""}}"#,
        r#"{"files":{"pack.yml":""}}"#,
        r#"{"files":[]}"#,
        r#"{"files":{},"more":1}"#,
    ] {
        let answer = service.post("/v1/sops/check", &editor, wrong).send().await.unwrap();
        assert_eq!(problem(answer, 400).await["code"], "invalid_body", "{wrong}");
    }
    let long = json!({ "files": { "pack.yaml": "a".repeat(8 << 20) } }).to_string();
    let answer = problem(service.post("/v1/sops/check", &editor, long).send().await.unwrap(), 413).await;
    assert!(answer["detail"].as_str().unwrap().contains(&(8 << 20).to_string()), "{answer}");
    service.stop().await;
}

#[tokio::test]
async fn a_comparison_names_the_region_and_the_cases_that_change() {
    let service = Service::start().await;
    let editor = service.key(Role::Editor, "default").await;
    let caller = service.key(Role::Caller, "default").await;
    for n in [1, 2] {
        assert_eq!(service.decide(&caller, &example(n)).await.status(), 201);
    }
    let body = json!({ "files": strict(), "cases": 50 });
    let found = value(post(&service, "/v1/sops/diff", &editor, body).await, 200).await;
    assert_eq!(found["old"], BOOK.hash().to_string());
    let sops = found["sops"].as_array().unwrap();
    assert_eq!(
        (sops.len(), &sops[0]["id"], &sops[0]["change"]),
        (1, &json!("fresh_spoiled.produce"), &json!("changed"))
    );
    let regions = sops[0]["regions"].as_array().unwrap();
    assert!(!regions.is_empty() && regions.iter().all(|r| r["when"]["elapsed"] == "(24h, 48h]"), "{regions:?}");
    assert_eq!((&found["transitions"]["cases"], &found["transitions"]["changed"]), (&json!(2), &json!(1)));
    assert_eq!(found["cases"][0]["change"]["remedy"], json!(["partial_refund", "reject_claim"]));
    let same = value(post(&service, "/v1/sops/diff", &editor, json!({ "files": pack(&[]) })).await, 200).await;
    assert_eq!((&same["sops"], &same["transitions"]), (&json!([]), &Value::Null));
    let many = post(&service, "/v1/sops/diff", &editor, json!({ "files": {}, "cases": 51 })).await;
    assert_eq!(problem(many, 400).await["code"], "invalid_parameter");
    service.stop().await;
}

#[tokio::test]
async fn a_draft_is_tried_approved_by_another_followed_everywhere_and_rolled_back() {
    let service = Service::start().await;
    let maker = service.key(Role::Editor, "default").await;
    let other = service.key(Role::Editor, "default").await;
    let admin = service.key(Role::Admin, "default").await;
    let caller = service.key(Role::Caller, "default").await;
    let foreign = service.key(Role::Editor, "elsewhere").await;
    // A second process over the same database.
    let config = ServeConfig { listen: ([127, 0, 0, 1], 0).into(), ..ServeConfig::default() };
    let (pipeline, open) = (Arc::clone(&PIPELINE), Arc::new(|_: &_| Gate::Open));
    let second =
        Application::build(&config, &ReviewConfig::default(), pipeline, open, Arc::clone(&service.store)).unwrap();
    let (base, handle) = (format!("http://{}", second.address()), second.handle());
    let second = tokio::spawn(second.run());
    let seen_there = async || {
        let answer = service.client.get(format!("{base}/v1/sops")).bearer_auth(&caller).send().await.unwrap();
        value(answer, 200).await["rulebook"].as_str().unwrap().to_owned()
    };
    let old = BOOK.hash().to_string();
    assert_eq!(seen_there().await, old);

    let draft = json!({ "files": strict(), "note": "生鲜 24 小时" });
    let made = value(post(&service, "/v1/sops/publications", &maker, draft).await, 201).await;
    let (id, new) = (made["id"].as_str().unwrap().to_owned(), made["rulebook"].as_str().unwrap().to_owned());
    assert_eq!((&made["status"], &made["maker"]), (&json!("draft"), &json!(maker.split('_').nth(1).unwrap())));
    assert_eq!(
        problem(service.get(&format!("/v1/sops/publications/{id}"), &foreign).await, 404).await["code"],
        "not_found"
    );
    let step = async |name: &str, key: &str| {
        post(&service, &format!("/v1/sops/publications/{id}/{name}"), key, json!({})).await
    };
    assert_eq!(problem(step("approve", &other).await, 409).await["code"], "conflict", "not before it was tried");
    assert_eq!(problem(step("shadow", &foreign).await, 404).await["code"], "not_found");
    assert_eq!(value(step("shadow", &maker).await, 200).await["status"], "shadow");
    assert_eq!(problem(step("shadow", &maker).await, 409).await["code"], "conflict");

    // In shadow, decisions are made by the old rules and compared.
    let mut decisions = Vec::new();
    for n in [1, 2] {
        let made = value(service.decide(&caller, &example(n)).await, 201).await;
        assert_eq!(made["pins"]["rulebook"], old);
        decisions.push(made);
    }
    let mut report = json!({});
    for _ in 0..100 {
        report = value(service.get(&format!("/v1/sops/publications/{id}/shadow"), &maker).await, 200).await;
        if report["cases"] == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((&report["cases"], &report["remedies_differ"]), (&json!(2), &json!(1)), "{report}");
    let differing = &report["differences"]["items"][0];
    assert_eq!(differing["decision_id"], decisions[0]["id"]);
    assert_eq!(differing["change"]["remedy"], json!(["partial_refund", "reject_claim"]));

    // Neither the maker's key nor the key that takes its place may approve.
    assert_eq!(problem(step("approve", &maker).await, 403).await["code"], "same_maker");
    let rotate = format!("/v1/keys/{}/rotate", maker.split('_').nth(1).unwrap());
    let heir = value(post(&service, &rotate, &admin, json!({})).await, 201).await;
    assert_eq!(problem(step("approve", heir["token"].as_str().unwrap()).await, 403).await["code"], "same_maker");
    let live = value(step("approve", &other).await, 200).await;
    assert_eq!((&live["status"], live["steps"].as_array().unwrap().len()), (&json!("live"), 2));
    assert_eq!(problem(step("approve", &other).await, 409).await["code"], "conflict");

    // This process decides by it at once, the other within a second or so, another tenant never.
    let strictly = value(service.decide(&caller, &example(1)).await, 201).await;
    assert_eq!((&strictly["pins"]["rulebook"], &strictly["remedy"]["kind"]), (&json!(new), &json!("reject_claim")));
    assert_eq!(value(service.get("/v1/sops", &caller).await, 200).await["publication"], json!(id));
    assert_eq!(value(service.get("/v1/sops", &foreign).await, 200).await["rulebook"], old);
    for round in 0.. {
        if seen_there().await == new {
            break;
        }
        assert!(round < 50, "the other process does not follow");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let back = value(post(&service, "/v1/sops/rollback", &admin, json!({})).await, 200).await;
    assert_eq!((&back["publication"], &back["rulebook"], &back["before"]), (&Value::Null, &json!(old), &json!(new)));
    let again = value(service.decide(&caller, &example(1)).await, 201).await;
    assert_eq!(again, decisions[0], "the same bytes as before");
    assert_eq!(problem(post(&service, "/v1/sops/rollback", &admin, json!({})).await, 409).await["code"], "conflict");
    let list = value(service.get("/v1/sops/publications?limit=1", &admin).await, 200).await;
    assert_eq!((&list["items"][0]["status"], &list["next_cursor"]), (&json!("retired"), &Value::Null));

    // Every step is a record with a leaf.
    let records = service.store.tenant(&"default".parse().unwrap());
    // A transaction of another test on the same server may hold the sequencer back.
    while service.store.log().pending().await.unwrap() > 0 {
        Sequencer::new(&service.store).drain().await.unwrap();
    }
    let mut steps = Vec::new();
    for record in records.list_records(RecordKind::SopPublication, 0, 10).await.unwrap() {
        let body: Value = serde_json::from_slice(record.body.kept().unwrap()).unwrap();
        assert!(records.leaf(RecordKind::SopPublication, &record.id).await.unwrap().unwrap().index.is_some());
        assert!(body["actor"]["key_id"].is_string() && body["rulebook"].is_string());
        steps.push(body["step"].as_str().unwrap().to_owned());
    }
    assert_eq!(steps, ["draft", "shadow", "live", "rollback"]);
    handle.stop(true).await;
    second.await.unwrap().unwrap();
    service.stop().await;
}

#[tokio::test]
async fn rules_go_back_one_publication_at_a_time() {
    let service = Service::start().await;
    let (a, b) = (service.key(Role::Editor, "default").await, service.key(Role::Editor, "default").await);
    let mut books = vec![BOOK.hash().to_string()];
    for version in [2, 3, 4] {
        let mut files = pack(&[]);
        let head = files.get_mut("pack.yaml").unwrap();
        *head = head.replace("version: 1", &format!("version: {version}"));
        let id = in_shadow(&service, &a, &files).await;
        let live = post(&service, &format!("/v1/sops/publications/{id}/approve"), &b, json!({})).await;
        books.push(value(live, 200).await["rulebook"].as_str().unwrap().to_owned());
        if version == 3 {
            // What was taken back is skipped by the next publication's way back.
            books.pop();
            let back = value(post(&service, "/v1/sops/rollback", &b, json!({})).await, 200).await;
            assert_eq!(back["rulebook"], books[1]);
        }
    }
    for book in books.iter().rev().skip(1) {
        let back = value(post(&service, "/v1/sops/rollback", &b, json!({})).await, 200).await;
        assert_eq!(back["rulebook"], **book);
        assert_eq!(value(service.get("/v1/sops", &a).await, 200).await["rulebook"], **book);
    }
    assert_eq!(post(&service, "/v1/sops/rollback", &b, json!({})).await.status(), 409);
    service.stop().await;
}

#[tokio::test]
async fn a_switch_under_load_gives_every_request_one_book_or_the_other() {
    // On a busy machine nobody is to be sent away.
    let longest_ms = NonZeroU64::new(120_000).unwrap();
    let config = ServeConfig { deadline_ms: 120_000, longest_ms, ..ServeConfig::default() };
    let service = Arc::new(Service::with(config).await);
    let caller = service.key(Role::Caller, "default").await;
    let (a, b) = (service.key(Role::Editor, "default").await, service.key(Role::Editor, "default").await);
    let id = in_shadow(&service, &a, &strict()).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..60u64 {
        let (service, caller) = (Arc::clone(&service), caller.clone());
        tasks.spawn(async move {
            tokio::time::sleep(Duration::from_millis(n * 30)).await;
            let made = value(service.decide(&caller, &example(1)).await, 201).await;
            let text = |path: &str| made.pointer(path).unwrap().as_str().unwrap().to_owned();
            (text("/pins/rulebook"), text("/remedy/kind"))
        });
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    let live = post(&service, &format!("/v1/sops/publications/{id}/approve"), &b, json!({})).await;
    let new = value(live, 200).await["rulebook"].as_str().unwrap().to_owned();
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    for pair in tasks.join_all().await {
        *seen.entry(pair).or_default() += 1;
    }
    let old = BOOK.hash().to_string();
    let expected = [(old, "partial_refund".to_owned()), (new, "reject_claim".to_owned())];
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(expected.iter().all(|pair| seen.contains_key(pair)), "{seen:?}");
    let answer = service.request(Method::GET, "/v1/decisions?limit=5", &caller).send().await.unwrap();
    assert_eq!(value(answer, 200).await["items"].as_array().unwrap().len(), 2);
    Arc::into_inner(service).unwrap().stop().await;
}
