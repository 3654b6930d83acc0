//! The review queue as reviewers use it, and what becomes of a decision.

use std::num::NonZeroU32;

use praetor::api::Role;
use praetor::case::Case;
use praetor::config::ReviewConfig;
use praetor::decision::Outcome;
use praetor::record::stored;
use praetor::review::task;
use praetor::store::{RecordKind, TenantId, Whose};
use reqwest::Method;
use serde_json::{Value, json};

use super::support::{PIPELINE, Service, example, problem};
use crate::pipeline::PUBLIC;

async fn read(service: &Service, path: &str, key: &str) -> Value {
    let response = service.get(path, key).await;
    assert_eq!(response.status(), 200, "{path}");
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

pub(super) async fn post(service: &Service, path: &str, key: &str, body: &Value, status: u16) -> Value {
    let response = service.post(path, key, body.to_string()).send().await.unwrap();
    let (code, text) = (response.status().as_u16(), response.text().await.unwrap());
    assert_eq!(code, status, "{path}: {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// Hands all good examples in; the decision that waits for a person with a remedy that has an amount.
pub(super) async fn decided(service: &Service, caller: &str) -> Value {
    let mut found = Value::Null;
    for n in 1..=15 {
        let response = service.decide(caller, &example(n)).await;
        let decision: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        if decision["outcome"] == "review" && decision["sop"]["id"].is_string() {
            found = decision;
        }
    }
    assert!(found.is_object(), "an example waits for a person");
    found
}

pub(super) fn task_of(decision: &Value) -> String {
    decision["id"].as_str().unwrap().replace("dec_", "rev_")
}

/// The proposed remedy as a request names it, with another refund.
fn remedy(decision: &Value, refund: &str) -> Value {
    let r = &decision["remedy"];
    json!({ "kind": r["kind"], "refund": refund, "compensation": r["compensation"], "freight_by": r["freight_by"],
            "return_goods": r["return_goods"] })
}

pub(super) fn ordered(decision: &Value, refund: &str) -> Value {
    json!({ "verdict": "override", "corrections": [{ "reason": "amount" }], "remedy": remedy(decision, refund) })
}

#[tokio::test]
async fn a_decision_is_claimed_overridden_appealed_and_settled() {
    let service = Service::start().await;
    let (caller, one) = (service.key(Role::Caller, "default").await, service.key(Role::Reviewer, "default").await);
    let two = service.key(Role::Reviewer, "default").await;
    let decision = decided(&service, &caller).await;
    let (id, task) = (decision["id"].as_str().unwrap().to_owned(), task_of(&decision));
    let bytes = service.get(&format!("/v1/decisions/{id}"), &caller).await.bytes().await.unwrap();
    let standing = format!("/v1/decisions/{id}/standing");
    let said = read(&service, &standing, &caller).await;
    assert_eq!((&said["state"], &said["remedy"], &said["since"]), (&json!("in_review"), &Value::Null, &Value::Null));

    // The queue is in order, and holds what waits alone.
    let list = read(&service, "/v1/reviews?limit=200", &one).await;
    let items = list["items"].as_array().unwrap();
    assert!(items.iter().any(|t| t["id"] == task.as_str()));
    let order: Vec<(i64, &str)> =
        items.iter().map(|t| (t["priority"].as_i64().unwrap(), t["due_at"].as_str().unwrap())).collect();
    assert!(order.is_sorted(), "{order:?}");
    let first = read(&service, "/v1/reviews?limit=1", &one).await;
    assert_eq!(first["items"][0], items[0]);
    if items.len() > 1 {
        let cursor = first["next_cursor"].as_str().unwrap();
        assert_eq!(read(&service, &format!("/v1/reviews?limit=1&cursor={cursor}"), &one).await["items"][0], items[1]);
    }

    let next = post(&service, "/v1/reviews/claim", &one, &Value::Null, 200).await;
    assert_eq!(next["id"], items[0]["id"]);
    let path = format!("/v1/reviews/{}/release", next["id"].as_str().unwrap());
    assert_eq!(service.request(Method::POST, &path, &one).send().await.unwrap().status(), 204);
    let (claim, resolve) = (format!("/v1/reviews/{task}/claim"), format!("/v1/reviews/{task}/resolve"));
    let accept = json!({ "verdict": "accept" });
    post(&service, &resolve, &one, &accept, 409).await;
    let held = post(&service, &claim, &one, &Value::Null, 200).await;
    assert_eq!(held["state"], "claimed");
    assert_eq!(read(&service, "/v1/reviews?mine=true", &one).await["items"][0]["id"], task.as_str());
    post(&service, &claim, &two, &Value::Null, 409).await;
    post(&service, &resolve, &two, &accept, 409).await;

    // What an override must say.
    let wrong_scene = json!({ "reason": "scene", "value": decision["labels"]["scene"]["id"] });
    for (corrections, refund, rule) in [
        (json!([]), "1.00", "corrections"),
        (json!([{ "reason": "amount" }]), decision["remedy"]["refund"].as_str().unwrap(), "remedy"),
        (json!([wrong_scene]), "1.00", "differs from what was decided"),
        (json!([{ "reason": "scene" }]), "1.00", "says what is right"),
        (json!([{ "reason": "scene", "value": "No Such" }]), "1.00", "is an id"),
        (json!([{ "reason": "first_report", "value": "yesterday" }]), "1.00", "RFC 3339"),
        (json!([{ "reason": "evidence_item", "about": "nothing", "value": "valid" }]), "1.00", "is in the decision"),
        (json!([{ "reason": "amount", "value": "3" }]), "1.00", "is not given for amount"),
        (json!([{ "reason": "amount" }, { "reason": "amount" }]), "1.00", "each finding once"),
        (json!([{ "reason": "nonsense" }]), "1.00", "unknown variant"),
        (json!([{ "reason": "amount" }]), "1.005", "money"),
        (json!([{ "reason": "amount" }]), "-1", "money"),
    ] {
        let body = json!({ "verdict": "override", "corrections": corrections, "remedy": remedy(&decision, refund) });
        let request = service.post(&resolve, &one, body.to_string()).header("accept-language", "en");
        let said = problem(request.send().await.unwrap(), 400).await["detail"].to_string();
        assert!(said.contains(rule) || rule == "money", "{body}: {said}");
    }
    let mut unknown = ordered(&decision, "1.00");
    unknown["remedy"]["kind"] = json!("hang_him");
    post(&service, &resolve, &one, &unknown, 400).await;

    let mut other = ordered(&decision, "1.00");
    other["note"] = json!("买家已另行举证");
    let resolved = post(&service, &resolve, &one, &other, 201).await;
    assert_eq!(resolved["state"], "resolved");
    let said = read(&service, &standing, &caller).await;
    assert_eq!((&said["state"], &said["remedy"]), (&json!("overridden"), &remedy(&decision, "1.00")));
    assert_eq!(said["resolution"], resolved["id"]);
    let detail = read(&service, &format!("/v1/reviews/{task}"), &two).await;
    let record = &detail["resolutions"][0];
    assert_eq!((&record["note"], &record["right"], &record["final"]), (&other["note"], &json!(false), &json!(true)));
    assert_eq!((&record["decision_id"], &record["actor"]["role"]), (&decision["id"], &json!("reviewer")));
    assert_eq!(detail["decision"], decision);

    // The appeal goes to another; until it is decided the override holds.
    let appeal = format!("/v1/decisions/{id}/appeal");
    post(&service, &appeal, &caller, &json!({ "party": "seller", "grounds": " " }), 400).await;
    post(&service, &appeal, &caller, &json!(["seller", "an array of the fields"]), 400).await;
    let queued = post(&service, &appeal, &caller, &json!({ "party": "seller", "grounds": "凭证系伪造" }), 201).await;
    post(&service, &appeal, &caller, &json!({ "party": "seller", "grounds": "again" }), 409).await;
    let said = read(&service, &standing, &caller).await;
    assert_eq!((&said["state"], &said["remedy"]["refund"]), (&json!("under_appeal"), &json!("1.00")));
    let appealed = queued["id"].as_str().unwrap();
    post(&service, &format!("/v1/reviews/{appealed}/claim"), &one, &Value::Null, 409).await;
    let next = post(&service, "/v1/reviews/claim?kind=appeal", &two, &Value::Null, 200).await;
    assert_eq!(next["id"], appealed);
    post(&service, &format!("/v1/reviews/{appealed}/resolve"), &two, &accept, 201).await;
    let said = read(&service, &standing, &caller).await;
    assert_eq!((&said["state"], &said["remedy"]["refund"]), (&json!("accepted"), &decision["remedy"]["refund"]));
    assert_eq!(service.get(&format!("/v1/decisions/{id}"), &caller).await.bytes().await.unwrap(), bytes);

    // Both are leaves; once the subject is erased, the words are gone and the figures stay.
    let records = service.store.tenant(&"default".parse().unwrap());
    assert_eq!(records.list_records(RecordKind::Review, 0, 10).await.unwrap().len(), 2);
    assert_eq!(records.list_records(RecordKind::Appeal, 0, 10).await.unwrap().len(), 1);
    let ticket = decision["ticket_id"].as_str().unwrap().to_owned();
    records.erase(&Whose::Ticket(ticket), |_, _| b"{}".to_vec()).await.unwrap();
    let detail = read(&service, &format!("/v1/reviews/{task}"), &two).await;
    assert_eq!((&detail["decision"], &detail["resolutions"]), (&Value::Null, &json!([])));
    let metrics = service.get("/metrics", "").await.text().await.unwrap();
    for name in [
        "praetor_review_open{kind=\"review\"}",
        "praetor_review_overdue 0",
        "praetor_review_seconds_count{kind=\"appeal\"}",
        "praetor_review_overrides_total{reason=\"amount\"}",
    ] {
        assert!(metrics.contains(name), "{name}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_large_amount_takes_two_who_do_not_see_each_other_and_a_third_where_they_differ() {
    let review = ReviewConfig { second_reviewer_fen: NonZeroU32::MIN, ..ReviewConfig::default() };
    let service = Service::reviewing(review).await;
    let caller = service.key(Role::Caller, "default").await;
    let decision = decided(&service, &caller).await;
    let task = task_of(&decision);
    let (claim, resolve) = (format!("/v1/reviews/{task}/claim"), format!("/v1/reviews/{task}/resolve"));
    let detail = format!("/v1/reviews/{task}");
    let mut reviewers = Vec::new();
    for (n, (refund, after)) in [("7.00", "open"), ("8.00", "open"), ("9.00", "resolved")].into_iter().enumerate() {
        let reviewer = service.key(Role::Reviewer, "default").await;
        post(&service, &claim, &reviewer, &Value::Null, 200).await;
        let seen = read(&service, &detail, &reviewer).await;
        assert_eq!((&seen["resolutions"], &seen["task"]["resolutions"]), (&json!([]), &json!(n)));
        assert_eq!(post(&service, &resolve, &reviewer, &ordered(&decision, refund), 201).await["state"], after);
        reviewers.push(reviewer);
        if after == "open" {
            post(&service, &claim, &reviewers[n], &Value::Null, 409).await;
            assert_eq!(read(&service, &detail, &reviewers[n]).await["resolutions"].as_array().unwrap().len(), 1);
        }
    }
    assert_eq!(read(&service, &detail, &reviewers[0]).await["resolutions"].as_array().unwrap().len(), 3);
    let standing = format!("/v1/decisions/{}/standing", decision["id"].as_str().unwrap());
    assert_eq!(read(&service, &standing, &caller).await["remedy"]["refund"], "9.00");

    let operator = service.key(Role::Operator, "default").await;
    let agreement = read(&service, "/v1/reviews/agreement", &operator).await;
    assert_eq!((&agreement["cases"], &agreement["same_remedy"]), (&json!(1), &json!(0)));
    assert_eq!((&agreement["stands"]["share"], &agreement["stands"]["alpha"]), (&json!(1.0), &Value::Null));
    let diagnosis = read(&service, "/v1/reviews/diagnosis?since=2020-01-01T00:00:00Z", &operator).await;
    let scenes = diagnosis["scenes"].as_array().unwrap();
    let scene = scenes.iter().find(|s| s["scene"] == decision["labels"]["scene"]["id"]).unwrap();
    let of = |node: usize| {
        (scene["nodes"][node]["review"]["right"].clone(), scene["nodes"][node]["review"]["judged"].clone())
    };
    assert_eq!((of(0), of(6)), ((json!(1), json!(1)), (json!(0), json!(1))));
    assert_eq!((&scene["enough"], &scene["weakest"]), (&json!(false), &Value::Null));
    let reasons = read(&service, "/v1/reviews/reasons", &reviewers[0]).await;
    assert_eq!(reasons["items"][0]["code"], "scene");
    for bad in ["state=lost", "kind=x", "scene=A", "mine=perhaps", "limit=0", "cursor=z", "colour=red"] {
        problem(service.get(&format!("/v1/reviews?{bad}"), &operator).await, 400).await;
    }
    for bad in ["rev_1", "%00", "dec_00000000000000000000000000000000"] {
        problem(service.get(&format!("/v1/reviews/{bad}"), &operator).await, 404).await;
    }
    service.stop().await;
}

/// Judges all that waits: every fourth is overridden.
async fn judge_all(service: &Service) -> usize {
    let (mut judged, mut last) = (0, usize::MAX);
    while judged != last {
        last = judged;
        let reviewer = service.key(Role::Reviewer, "default").await;
        loop {
            let next = service.request(Method::POST, "/v1/reviews/claim", &reviewer).send().await.unwrap();
            if next.status() == 204 {
                break;
            }
            let task: Value = serde_json::from_str(&next.text().await.unwrap()).unwrap();
            let path = format!("/v1/reviews/{}", task["id"].as_str().unwrap());
            let decision = read(service, &path, &reviewer).await["decision"].take();
            let verdict = match judged % 4 {
                0 => ordered(&decision, "0.07"),
                _ => json!({ "verdict": "accept" }),
            };
            post(service, &format!("{path}/resolve"), &reviewer, &verdict, 201).await;
            judged += 1;
        }
    }
    judged
}

#[tokio::test]
async fn what_reviewers_decide_is_what_calibration_reads() {
    let service = Service::start().await;
    let cases: Vec<Case> = PUBLIC.iter().step_by(40).map(|(case, _)| case.clone()).collect();
    let mut decided = PIPELINE.decide(&cases, None).unwrap();
    let config = ReviewConfig::default();
    let mut automatic = 0;
    let new = cases.iter().zip(&mut decided).map(|(case, decided)| {
        // As though the lot drew every automatic one.
        decided.decision.audit = decided.decision.outcome == Outcome::Auto;
        automatic += usize::from(decided.decision.audit);
        stored(case, decided, task(&config, case, &decided.decision)).unwrap()
    });
    let new: Vec<_> = new.collect();
    service.store.tenant(&TenantId::default()).record(&new).await.unwrap();
    assert!(judge_all(&service).await >= cases.len());

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (decisions, labels) = (path("decisions.jsonl"), path("labels.jsonl"));
    let export = ["review", "export", "--decisions", &decisions, "--labels", &labels];
    let labelled = |audits: bool| {
        let said = service.praetor(&[&export[..], if audits { &["--kind", "audit"] } else { &[] }].concat());
        assert!(said.status.success(), "{said:?}");
        let lines = |path: &str| -> Vec<Value> {
            std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        assert_eq!(lines(&decisions).len(), lines(&labels).len());
        lines(&labels)
    };
    let audits = labelled(true);
    assert!(audits.len() == automatic && audits.iter().all(|label| label["kind"] == "audit"), "{automatic}");
    let all = labelled(false);
    assert_eq!(all.len(), cases.len());
    assert!(all.iter().any(|label| label["right"] == true) && all.iter().any(|label| label["right"] == false));

    let (certificate, key) = (path("certificate.json"), path("key.pem"));
    let calibrate = ["calibrate", &labels, "--decisions", &decisions, "--out", &certificate, "--key", &key];
    let said = service.praetor(&calibrate);
    assert!(said.status.success(), "{said:?}");
    let signed: Value = serde_json::from_str(&std::fs::read_to_string(&certificate).unwrap()).unwrap();
    let basis = &signed["certificate"]["basis"];
    assert_eq!(basis["labels"], "review");
    assert_eq!(basis["tuning"].as_u64().unwrap() + basis["calibration"].as_u64().unwrap(), cases.len() as u64);

    let page = path("page.html");
    service.praetor(&["calibrate", "report", "--out", &page]);
    let page = std::fs::read_to_string(&page).unwrap();
    assert!(page.contains(&format!("/ {automatic} (")), "all audited decisions have an answer");
    let said = service.praetor(&["diagnose", "--format", "json"]);
    let diagnosis: Value = serde_json::from_slice(&said.stdout).unwrap();
    let judged: u64 = diagnosis["scenes"].as_array().unwrap().iter().map(|s| s["judged"].as_u64().unwrap()).sum();
    assert_eq!((judged, &diagnosis["audited"]), (cases.len() as u64, &json!(1.0)));
    assert!(service.praetor(&["diagnose"]).status.success());
    let said = service.praetor(&["review", "list", "--state", "resolved", "--limit", "1000"]);
    assert_eq!(String::from_utf8(said.stdout).unwrap().lines().count(), cases.len());
    service.stop().await;
}
