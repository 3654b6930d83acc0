//! What a tenant can prove, take out and ask again, and who adds tenants.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use praetor::api::Role;
use praetor::calibrate::Signed;
use praetor::config::ServeConfig;
use praetor::decision::Gate;
use praetor::ledger::{
    Content, Entry, Hash, Kind, RecordLine, SignedCheckpoint, leaf_hash, verify_consistency, verify_inclusion,
};
use praetor::replay::keep_book;
use praetor::store::Sequencer;
use reqwest::Response;
use serde_json::{Value, json};

use super::rules::{strict, value};
use super::support::{PIPELINE, Service, example, problem};
use crate::pipeline::{BOOK, repo};

/// Gives everything its place in the log.
async fn placed(service: &Service) {
    while service.store.log().pending().await.unwrap() > 0 {
        Sequencer::new(&service.store).drain().await.unwrap();
    }
}

async fn post(service: &Service, path: &str, key: &str, body: Value) -> Response {
    service.post(path, key, body.to_string()).send().await.unwrap()
}

fn hashes(list: &Value) -> Vec<Hash> {
    list.as_array().unwrap().iter().map(hash).collect()
}

fn hash(text: &Value) -> Hash {
    text.as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_record_is_proved_in_any_tree_that_holds_it_and_trees_in_one_another() {
    let service = Service::start().await;
    let caller = service.key(Role::Caller, "default").await;
    let stranger = service.key(Role::Caller, "elsewhere").await;
    assert_eq!(service.get("/v1/audit/inclusion?leaf=0", &caller).await.status(), 404, "there is no tree yet");
    let mut ids = Vec::new();
    for n in [1, 2, 3] {
        let made = value(service.decide(&caller, &example(n)).await, 201).await;
        ids.push(made["id"].as_str().unwrap().to_owned());
        let path = format!("/v1/audit/inclusion?kind=decision&id={}", ids[n - 1]);
        assert_eq!(problem(service.get(&path, &caller).await, 409).await["code"], "conflict");
        placed(&service).await;
    }
    let latest = service.store.log().latest().await.unwrap().unwrap().size;
    for (n, id) in ids.iter().enumerate() {
        let path = format!("/v1/audit/inclusion?kind=decision&id={id}");
        let proof = value(service.get(&path, &caller).await, 200).await;
        let (leaf, size, root) =
            (proof["leaf"].as_u64().unwrap(), proof["size"].as_u64().unwrap(), hash(&proof["root"]));
        assert_eq!(size, latest);
        let of = leaf_hash(hash(&proof["commitment"]).as_bytes());
        verify_inclusion(&of, leaf, size, &hashes(&proof["proof"]), &root).unwrap();
        let signed = SignedCheckpoint::parse(proof["checkpoint"].as_str().unwrap()).unwrap();
        assert_eq!(signed.verify(&service.log_keys()).unwrap().root, root);
        // In the smallest tree that holds it, by its place alone.
        let small =
            value(service.get(&format!("/v1/audit/inclusion?leaf={leaf}&size={}", leaf + 1), &caller).await, 200).await;
        verify_inclusion(&of, leaf, leaf + 1, &hashes(&small["proof"]), &hash(&small["root"])).unwrap();
        assert_eq!(
            service.get(&format!("/v1/audit/inclusion?leaf={leaf}&size={leaf}"), &caller).await.status(),
            if leaf == 0 { 400 } else { 404 }
        );
        assert_eq!(service.get(&path, &stranger).await.status(), 404, "another tenant's record {n}");
    }
    for from in 1..=latest {
        let proof = value(service.get(&format!("/v1/audit/consistency?from={from}"), &caller).await, 200).await;
        let (old, new) = (hash(&proof["from_root"]), hash(&proof["to_root"]));
        verify_consistency(from, &old, latest, &new, &hashes(&proof["proof"])).unwrap();
    }
    for (path, status) in [
        ("/v1/audit/inclusion", 400),
        ("/v1/audit/inclusion?kind=decision", 400),
        ("/v1/audit/inclusion?kind=king&id=x", 400),
        ("/v1/audit/inclusion?kind=decision&id=x&leaf=1", 400),
        ("/v1/audit/inclusion?leaf=-1", 400),
        ("/v1/audit/inclusion?leaf=99999999999999999999", 400),
        ("/v1/audit/inclusion?leaf=4503599627370496", 404),
        ("/v1/audit/consistency", 400),
        ("/v1/audit/consistency?from=0", 400),
        ("/v1/audit/consistency?from=1&to=999999", 404),
        ("/v1/audit/consistency?from=3&to=2", 404),
    ] {
        problem(service.get(path, &caller).await, status).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn an_export_is_the_tenants_records_page_by_page_and_each_is_what_its_leaf_commits_to() {
    let service = Service::start().await;
    let caller = service.key(Role::Caller, "default").await;
    let auditor = service.key(Role::Auditor, "default").await;
    let stranger = service.key(Role::Caller, "elsewhere").await;
    for n in 1..=9 {
        assert_eq!(service.decide(&caller, &example(n)).await.status(), 201);
    }
    assert_eq!(service.decide(&stranger, &example(3)).await.status(), 201);
    placed(&service).await;
    let (mut lines, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = service.get(&format!("/v1/audit/export?limit=10{cursor}"), &auditor).await;
        assert_eq!(
            (page.status().as_u16(), page.headers()["content-type"].to_str().unwrap()),
            (200, "application/x-ndjson")
        );
        let next = page.headers().get("next-cursor").map(|next| next.to_str().unwrap().to_owned());
        lines.extend(page.text().await.unwrap().lines().map(str::to_owned));
        let Some(next) = next else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(lines.len(), 12, "two keys, nine decisions and the first page");
    let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
    for line in &lines {
        let RecordLine { commitment, tenant, kind, id, recorded_at, content, .. } = serde_json::from_str(line).unwrap();
        assert_eq!(tenant, "default");
        let Content::Kept { salt, parts, case, .. } = content else { panic!("{line}") };
        let parts = parts.iter().map(|(name, text)| (name.clone(), Hash::of(text.as_bytes()))).collect();
        let entry = Entry { tenant, kind, id, recorded_at, parts };
        assert_eq!(Some(entry.commitment(&salt)), commitment);
        assert_eq!(case.is_some(), kind == Kind::Decision);
        *kinds.entry(kind).or_default() += 1;
    }
    assert_eq!(kinds, [(Kind::Decision, 9), (Kind::Access, 3)].into());
    let only = service.get("/v1/audit/export?kind=decision", &auditor).await.text().await.unwrap();
    assert_eq!(only.lines().count(), 9);
    let exports = service.get("/v1/audit/export?kind=access&limit=200", &auditor).await.text().await.unwrap();
    let acts: Vec<&str> = exports.lines().filter(|line| line.contains("records.export")).collect();
    assert_eq!(acts.len(), 3, "two pages of all, one of decisions; this one is recorded after it was read");
    assert!(acts[2].contains(r#"\"kind\":\"decision\""#) && acts[2].contains(r#"\"records\":9"#), "{}", acts[2]);
    for limit in ["9", "201"] {
        let refused = problem(service.get(&format!("/v1/audit/export?limit={limit}"), &auditor).await, 400).await;
        assert_eq!(refused["code"], "invalid_parameter");
    }
    assert_eq!(problem(service.get("/v1/audit/export?kind=x", &auditor).await, 400).await["code"], "invalid_parameter");
    service.stop().await;
}

#[tokio::test]
async fn a_decision_is_replayed_over_http_as_on_the_command_line() {
    let service = Service::start().await;
    let caller = service.key(Role::Caller, "default").await;
    let operator = service.key(Role::Operator, "default").await;
    let editor = service.key(Role::Editor, "default").await;
    let stranger = service.key(Role::Operator, "elsewhere").await;
    keep_book(&service.store, &BOOK).await.unwrap();
    // The log has its key from the first checkpoint on, which holds the keys made above.
    placed(&service).await;
    let made = value(service.decide(&caller, &example(1)).await, 201).await;
    let path = format!("/v1/decisions/{}/replay", made["id"].as_str().unwrap());
    let ask = async |body: Value| value(post(&service, &path, &operator, body).await, 200).await;

    let waiting = ask(json!({ "level": "r0" })).await;
    assert_eq!(
        (&waiting["agrees"], &waiting["status"]),
        (&json!(false), &json!("whole")),
        "no checkpoint holds it yet"
    );
    placed(&service).await;
    let proven = ask(json!({ "level": "r0" })).await;
    assert_eq!(proven["agrees"], true);
    assert!(proven["included"]["leaf"].is_u64(), "{proven}");
    for body in [json!({}), json!({ "level": "r1" }), json!({ "level": "r2" }), json!({ "rules": "live" })] {
        let same = ask(body).await;
        assert_eq!((&same["agrees"], &same["status"]), (&json!(true), &json!("identical")), "{same}");
    }
    let late = ask(json!({ "set": ["timeliness=expired"] })).await;
    assert_eq!((&late["level"], &late["agrees"]), (&json!("r3"), &json!(false)));
    assert_eq!(late["change"]["remedy"], json!(["partial_refund", "reject_claim"]));
    let draft = post(&service, "/v1/sops/publications", &editor, json!({ "files": strict() })).await;
    let id = value(draft, 201).await["id"].as_str().unwrap().to_owned();
    let under = ask(json!({ "rules": id })).await;
    assert_eq!(
        (&under["change"]["remedy"][1], &under["divergence"]["cause"]),
        (&json!("reject_claim"), &json!("rule"))
    );

    for (body, name) in [
        (json!({ "level": "r1", "set": ["timeliness=expired"] }), "level"),
        (json!({ "level": "r3" }), "level"),
        (json!({ "set": ["colour=red"] }), "set"),
        (json!({ "set": vec!["timeliness=expired"; 21] }), "set"),
        (json!({ "set_case": ["x"] }), "set_case"),
        (json!({ "thresholds": { "mood": 0.5 } }), "thresholds"),
        (json!({ "rules": "theirs" }), "rules"),
    ] {
        let refused = problem(post(&service, &path, &operator, body).await, 400).await;
        assert!(refused["detail"].as_str().unwrap().starts_with(name), "{refused}");
    }
    let none = json!({ "rules": format!("pub_{}", "0".repeat(32)) });
    assert_eq!(post(&service, &path, &operator, none).await.status(), 404);
    assert_eq!(post(&service, &path, &stranger, json!({})).await.status(), 404);
    assert_eq!(
        problem(post(&service, &path, &operator, json!({ "level": "r4" })).await, 400).await["code"],
        "invalid_body"
    );
    service.stop().await;
}

#[tokio::test]
async fn the_first_tenants_admin_adds_tenants_and_no_other() {
    let service = Service::start().await;
    let admin = service.key(Role::Admin, "default").await;
    let made = value(post(&service, "/v1/tenants", &admin, json!({ "id": "shop-7" })).await, 201).await;
    let theirs = made["token"].as_str().unwrap();
    assert_eq!(
        problem(post(&service, "/v1/tenants", &admin, json!({ "id": "shop-7" })).await, 409).await["code"],
        "conflict"
    );
    for wrong in
        [json!({ "id": "Shop" }), json!({ "id": "" }), json!({ "id": "a".repeat(65) }), json!({ "id": "*" }), json!({})]
    {
        assert_eq!(problem(post(&service, "/v1/tenants", &admin, wrong).await, 400).await["code"], "invalid_body");
    }
    // Its first key makes others, and adds no tenants.
    let key = value(post(&service, "/v1/keys", theirs, json!({ "role": "caller" })).await, 201).await;
    let decided = service.decide(key["token"].as_str().unwrap(), &example(1)).await;
    assert_eq!(decided.status(), 201);
    assert_eq!(
        problem(post(&service, "/v1/tenants", theirs, json!({ "id": "shop-8" })).await, 403).await["code"],
        "forbidden"
    );
    assert_eq!(service.get("/v1/tenants", theirs).await.status(), 403);
    let first = value(service.get("/v1/tenants?limit=1", &admin).await, 200).await;
    assert_eq!((&first["items"][0]["id"], &first["next_cursor"]), (&json!("default"), &json!("default")));
    let second = value(service.get("/v1/tenants?limit=1&cursor=default", &admin).await, 200).await;
    assert_eq!((&second["items"][0]["id"], &second["next_cursor"]), (&json!("shop-7"), &Value::Null));
    // Who added it stands first among its records.
    let records = service.store.tenant(&"shop-7".parse().unwrap()).list_records(Kind::Access, 0, 10).await.unwrap();
    let body: Value = serde_json::from_slice(records[0].body.kept().unwrap()).unwrap();
    assert_eq!(
        (&body["action"], &body["actor"]["key_id"]),
        (&json!("tenant.create"), &json!(admin.split('_').nth(1).unwrap()))
    );
    service.stop().await;
}

#[tokio::test]
async fn the_certificate_in_force_is_on_record_with_every_tenant() {
    let signed = Signed::open(&repo("models/certificates/first-pass.json"), &repo("models/trusted_keys.pem")).unwrap();
    let pipeline = PIPELINE.under(BOOK.clone()).unwrap();
    let gate = signed.gate(pipeline.pins(), false).unwrap();
    let service = Service::deciding(ServeConfig::default(), Arc::new(pipeline.gated(gate)), Gate::Shut).await;
    let admin = service.key(Role::Admin, "default").await;
    let hash = signed.hash();
    let current = value(service.get("/v1/certificates/current", &admin).await, 200).await;
    assert_eq!((&current["id"], &current["in_force"]), (&json!(hash), &json!(true)));
    assert_eq!(current["certificate"]["binds"]["rulebook"], BOOK.hash().to_string());
    let made = value(post(&service, "/v1/tenants", &admin, json!({ "id": "shop" })).await, 201).await;
    for key in [admin.as_str(), made["token"].as_str().unwrap()] {
        let mut listed = json!({});
        for _ in 0..50 {
            listed = value(service.get("/v1/certificates", key).await, 200).await;
            if listed["items"] != json!([]) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!((&listed["items"][0]["id"], &listed["items"][0]["in_force"]), (&json!(hash), &json!(true)));
        assert!(listed["items"][0]["recorded_at"].is_string());
    }
    let other = format!("/v1/certificates/{}", "0".repeat(64));
    assert_eq!(service.get(&other, &admin).await.status(), 404);
    // Other rules are not what it was issued for: nothing is automatic under them.
    let (a, b) = (service.key(Role::Editor, "default").await, service.key(Role::Editor, "default").await);
    let id = super::rules::in_shadow(&service, &a, &strict()).await;
    let live = post(&service, &format!("/v1/sops/publications/{id}/approve"), &b, json!({})).await;
    assert_eq!(live.status(), 200);
    assert_eq!(service.get("/v1/certificates/current", &admin).await.status(), 404);
    let caller = service.key(Role::Caller, "default").await;
    let decided = value(service.decide(&caller, &example(1)).await, 201).await;
    assert_eq!((&decided["outcome"], &decided["pins"]["certificate"]), (&json!("review"), &json!("none")));
    let old = value(service.get(&format!("/v1/certificates/{hash}"), &admin).await, 200).await;
    assert_eq!(old["in_force"], false);
    service.stop().await;
}
