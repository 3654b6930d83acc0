//! Keys and roles: who gets in, and to what.

use chrono::{TimeDelta, Utc};
use praetor::api::Role;
use praetor::store::RecordKind;
use reqwest::Method;
use serde_json::{Value, json};

use super::support::{Service, example, problem};

/// Every operation and the roles that it serves; an operation that is missing here fails the test.
const MATRIX: &[(&str, &str, &[Role])] = {
    use Role::{Admin, Auditor, Caller, Editor, Operator, Reviewer};
    &[
        ("post", "/v1/decisions", &[Caller, Operator]),
        ("get", "/v1/decisions", &[Caller, Operator, Reviewer, Auditor, Admin]),
        ("get", "/v1/decisions/{id}", &[Caller, Operator, Reviewer, Auditor, Admin]),
        ("get", "/v1/decisions/{id}/trace", &[Operator, Reviewer, Auditor]),
        ("get", "/v1/decisions/{id}/explanation", &[Caller, Operator, Reviewer, Auditor, Admin]),
        ("get", "/v1/decisions/{id}/receipt", &[Caller, Operator, Auditor]),
        ("post", "/v1/batches", &[Operator]),
        ("get", "/v1/batches", &[Operator, Auditor]),
        ("get", "/v1/batches/{id}", &[Operator, Auditor]),
        ("get", "/v1/batches/{id}/results", &[Operator, Auditor]),
        ("get", "/v1/batches/{id}/events", &[Operator, Auditor]),
        ("post", "/v1/batches/{id}/cancel", &[Operator]),
        ("get", "/v1/audit/checkpoint", &[Caller, Operator, Auditor]),
        ("post", "/v1/decisions/{id}/replay", &[Operator, Auditor]),
        ("get", "/v1/audit/inclusion", &[Caller, Operator, Auditor]),
        ("get", "/v1/audit/consistency", &[Caller, Operator, Auditor]),
        ("get", "/v1/audit/export", &[Auditor]),
        ("get", "/v1/certificates", &[Operator, Reviewer, Auditor, Editor, Admin]),
        ("get", "/v1/certificates/{id}", &[Operator, Reviewer, Auditor, Editor, Admin]),
        ("post", "/v1/tenants", &[Admin]),
        ("get", "/v1/tenants", &[Admin]),
        ("post", "/v1/keys", &[Admin]),
        ("get", "/v1/keys", &[Admin]),
        ("delete", "/v1/keys/{id}", &[Admin]),
        ("post", "/v1/keys/{id}/rotate", &[Admin]),
        ("post", "/v1/sops/check", &[Editor, Admin]),
        ("post", "/v1/sops/diff", &[Editor, Admin]),
        ("post", "/v1/sops/publications", &[Editor]),
        ("get", "/v1/sops/publications", &[Operator, Auditor, Editor, Admin]),
        ("get", "/v1/sops/publications/{id}", &[Operator, Auditor, Editor, Admin]),
        ("post", "/v1/sops/publications/{id}/shadow", &[Editor, Admin]),
        ("get", "/v1/sops/publications/{id}/shadow", &[Operator, Auditor, Editor, Admin]),
        ("post", "/v1/sops/publications/{id}/approve", &[Editor, Admin]),
        ("post", "/v1/sops/rollback", &[Editor, Admin]),
        ("post", "/v1/webhooks", &[Admin]),
        ("get", "/v1/webhooks", &[Admin]),
        ("get", "/v1/webhooks/{id}", &[Admin]),
        ("delete", "/v1/webhooks/{id}", &[Admin]),
        ("post", "/v1/webhooks/{id}/secret", &[Admin]),
        ("post", "/v1/webhooks/{id}/test", &[Admin]),
        ("get", "/v1/webhooks/{id}/deliveries", &[Admin]),
        ("get", "/v1/decisions/{id}/standing", &[Caller, Operator, Reviewer, Auditor, Admin]),
        ("post", "/v1/decisions/{id}/appeal", &[Caller, Operator]),
        ("get", "/v1/reviews", &[Operator, Reviewer, Auditor]),
        ("post", "/v1/reviews/claim", &[Reviewer]),
        ("get", "/v1/reviews/reasons", &[Operator, Reviewer, Auditor]),
        ("get", "/v1/reviews/agreement", &[Operator, Reviewer, Auditor, Editor, Admin]),
        ("get", "/v1/reviews/diagnosis", &[Operator, Reviewer, Auditor, Editor, Admin]),
        ("get", "/v1/reviews/{id}", &[Operator, Reviewer, Auditor]),
        ("post", "/v1/reviews/{id}/claim", &[Reviewer]),
        ("post", "/v1/reviews/{id}/release", &[Reviewer]),
        ("post", "/v1/reviews/{id}/resolve", &[Reviewer]),
        ("get", "/v1/sops", &[Caller, Operator, Reviewer, Auditor, Editor, Admin]),
        ("get", "/v1/sops/{id}", &[Caller, Operator, Reviewer, Auditor, Editor, Admin]),
    ]
};

#[tokio::test]
async fn every_operation_serves_its_roles_and_no_others() {
    let service = Service::start().await;
    let mut keys = Vec::new();
    for role in Role::ALL {
        keys.push((role, service.key(role, "default").await));
    }
    let contract = praetor::api::openapi();
    let mut tried = 0;
    for (path, operations) in contract["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if operation["security"] == json!([{}]) || operation["security"] == json!([]) {
                assert!(!path.starts_with("/v1/"), "{path} is open");
                continue;
            }
            let row = MATRIX.iter().find(|(m, p, _)| m == method && p == path);
            let (_, _, allowed) = row.unwrap_or_else(|| panic!("{method} {path} is not in the matrix"));
            let url = path.replace("{id}", "dec_00000000000000000000000000000000");
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let send = async |key: &str| {
                let request = service.request(method.clone(), &url, key).header("content-type", "application/json");
                request.body("{}").send().await.unwrap()
            };
            assert_eq!(send("").await.status(), 401, "{method} {path}");
            for (role, key) in &keys {
                let status = send(key).await.status().as_u16();
                match allowed.contains(role) {
                    true => {
                        assert!(![401, 403].contains(&status) && status < 500, "{role:?} {method} {path}: {status}")
                    }
                    false => assert_eq!(status, 403, "{role:?} {method} {path}"),
                }
                tried += 1;
            }
        }
    }
    assert_eq!(tried, MATRIX.len() * Role::ALL.len());
    service.stop().await;
}

#[tokio::test]
async fn a_key_that_is_wrong_revoked_or_out_of_time_gets_nothing() {
    let service = Service::start().await;
    let admin = service.key(Role::Admin, "default").await;
    let good = service.key(Role::Caller, "default").await;
    assert_eq!(service.get("/v1/decisions", &good).await.status(), 200);
    let expired = service.key_until(Role::Caller, "default", Some(Utc::now() - TimeDelta::seconds(1))).await;
    // The right id with another secret; a key that never was; no key at all.
    let (head, tail) = good.split_at(good.len() - 1);
    let forged = format!("{head}{}", if tail == "0" { "1" } else { "0" });
    for key in [expired.as_str(), &forged, "prk_000000000000_0000", "x"] {
        let answer = service.get("/v1/decisions", key).await;
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        assert_eq!(problem(answer, 401).await["code"], "unauthenticated");
    }
    let id = good.split('_').nth(1).unwrap();
    let revoke = async |key: &str| {
        service.request(Method::DELETE, &format!("/v1/keys/{id}"), key).send().await.unwrap().status().as_u16()
    };
    let foreign = service.key(Role::Admin, "elsewhere").await;
    assert_eq!(revoke(&foreign).await, 404, "another tenant's admin");
    assert_eq!(service.get("/v1/decisions", &good).await.status(), 200);
    assert_eq!(revoke(&admin).await, 204);
    assert_eq!(service.get("/v1/decisions", &good).await.status(), 401);
    service.stop().await;
}

#[tokio::test]
async fn a_key_made_over_http_works_and_is_listed_without_its_secret() {
    let service = Service::start().await;
    let admin = service.key(Role::Admin, "default").await;
    let wanted = json!({ "role": "caller", "name": "客服后台" }).to_string();
    let made = service.post("/v1/keys", &admin, wanted).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let made: Value = serde_json::from_str(&made.text().await.unwrap()).unwrap();
    let token = made["token"].as_str().unwrap();
    assert_eq!(service.decide(token, &example(1)).await.status(), 201);
    let listed = service.get("/v1/keys", &admin).await.text().await.unwrap();
    let secret = token.rsplit('_').next().unwrap();
    assert!(listed.contains("客服后台") && listed.contains(made["id"].as_str().unwrap()));
    assert!(!listed.contains(secret));
    for wrong in [json!({ "role": "king" }), json!({ "role": "caller", "tenant": "elsewhere" }), json!({})] {
        let answer = service.post("/v1/keys", &admin, wrong.to_string()).send().await.unwrap();
        assert_eq!(problem(answer, 400).await["code"], "invalid_body");
    }
    service.stop().await;
}

/// The privileged actions on record: action and details.
async fn acts(service: &Service, by: &str) -> Vec<(String, Value)> {
    let records = service.store.tenant(&"default".parse().unwrap()).list_records(RecordKind::Access, 0, 100).await;
    let bodies = records.unwrap().into_iter().map(|r| serde_json::from_slice::<Value>(r.body.kept().unwrap()).unwrap());
    let mine = bodies.filter(|body| body["actor"]["key_id"] == by.split('_').nth(1).unwrap());
    mine.map(|body| (body["action"].as_str().unwrap().to_owned(), body["details"].clone())).collect()
}

#[tokio::test]
async fn a_rotated_key_serves_for_its_grace_and_what_is_done_to_keys_is_on_record() {
    let service = Service::start().await;
    let admin = service.key(Role::Admin, "default").await;
    let old = service.key_until(Role::Caller, "default", Some(Utc::now() + TimeDelta::days(9))).await;
    let id = old.split('_').nth(1).unwrap().to_owned();
    let rotate = async |id: &str, grace: Value| {
        let body = json!({ "grace_seconds": grace }).to_string();
        service.post(&format!("/v1/keys/{id}/rotate"), &admin, body).send().await.unwrap()
    };
    for wrong in [json!(-1), json!(2_592_001), json!("day")] {
        assert_eq!(rotate(&id, wrong).await.status(), 400);
    }
    assert_eq!(problem(rotate("000000000000", json!(0)).await, 404).await["code"], "not_found");
    let made = rotate(&id, json!(1)).await;
    assert_eq!(made.status(), 201);
    let made: Value = serde_json::from_str(&made.text().await.unwrap()).unwrap();
    let new = made["token"].as_str().unwrap();
    assert_eq!(service.get("/v1/decisions", &old).await.status(), 200, "in its grace");
    assert_eq!(service.get("/v1/decisions", new).await.status(), 200);
    assert_eq!(problem(rotate(&id, json!(1)).await, 409).await["code"], "conflict", "it has a successor");
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!(service.get("/v1/decisions", &old).await.status(), 401);
    assert_eq!(service.get("/v1/decisions", new).await.status(), 200);
    let listed: Value = serde_json::from_str(&service.get("/v1/keys", &admin).await.text().await.unwrap()).unwrap();
    let of = |id: &str| listed["items"].as_array().unwrap().iter().find(|k| k["id"] == id).unwrap().clone();
    let successor = made["id"].as_str().unwrap();
    assert_eq!(of(&id)["successor"], successor);
    assert_eq!(of(&id)["expires_at"], made["old_expires_at"]);
    // The new key ends when the old one was to end, and has its role.
    assert!(of(successor)["expires_at"].as_str().unwrap() > of(&id)["expires_at"].as_str().unwrap());
    assert_eq!(of(successor)["role"], "caller");
    for _ in 0..2 {
        let revoke = service.request(Method::DELETE, &format!("/v1/keys/{successor}"), &admin).send().await.unwrap();
        assert_eq!(revoke.status(), 204);
    }
    assert_eq!(problem(rotate(successor, json!(1)).await, 409).await["code"], "conflict", "it is revoked");
    // What was refused or changed nothing left no record.
    let expected = [
        ("key.rotate".to_owned(), json!({ "key": id, "successor": successor, "grace_seconds": 1 })),
        ("key.revoke".to_owned(), json!({ "key": successor })),
    ];
    assert_eq!(acts(&service, &admin).await, expected);
    let leaves = service.store.tenant(&"default".parse().unwrap()).rows().await.unwrap();
    assert_eq!(leaves.leaves, 4, "two keys made by the tests, and these two actions");
    service.stop().await;
}
