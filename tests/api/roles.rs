//! Who may call what: every route of the contract × nobody, each role, and another tenant. The table is written by hand;
//! a route that is not in it fails the test, and so does one that serves a role the table does not name.

use std::collections::{BTreeMap, BTreeSet};

use praetor::api::Role;
use reqwest::Method;

use super::support::{Service, problem};

/// The letters of the table.
const LETTERS: [(char, Role); 6] = [
    ('c', Role::Caller),
    ('o', Role::Operator),
    ('r', Role::Reviewer),
    ('a', Role::Auditor),
    ('e', Role::Editor),
    ('d', Role::Admin),
];

/// Every operation below /v1, and whom it serves.
pub(super) const TABLE: &[(&str, &str)] = &[
    ("GET /v1/audit/checkpoint", "co-a--"),
    ("GET /v1/audit/consistency", "co-a--"),
    ("GET /v1/audit/export", "---a--"),
    ("GET /v1/audit/inclusion", "co-a--"),
    ("GET /v1/batches", "-o-a--"),
    ("GET /v1/batches/{id}", "-o-a--"),
    ("GET /v1/batches/{id}/events", "-o-a--"),
    ("GET /v1/batches/{id}/results", "-o-a--"),
    ("POST /v1/batches", "-o----"),
    ("POST /v1/batches/{id}/cancel", "-o----"),
    ("GET /v1/certificates", "-oraed"),
    ("GET /v1/certificates/{id}", "-oraed"),
    ("GET /v1/decisions", "cora-d"),
    ("GET /v1/decisions/{id}", "cora-d"),
    ("GET /v1/decisions/{id}/explanation", "cora-d"),
    ("GET /v1/decisions/{id}/receipt", "co-a--"),
    ("GET /v1/decisions/{id}/standing", "cora-d"),
    ("GET /v1/decisions/{id}/trace", "-ora--"),
    ("POST /v1/decisions", "co----"),
    ("POST /v1/decisions/{id}/appeal", "co----"),
    ("POST /v1/decisions/{id}/replay", "-o-a--"),
    ("DELETE /v1/keys/{id}", "-----d"),
    ("GET /v1/keys", "-----d"),
    ("POST /v1/keys", "-----d"),
    ("POST /v1/keys/{id}/rotate", "-----d"),
    ("GET /v1/reviews", "-ora--"),
    ("GET /v1/reviews/agreement", "-oraed"),
    ("GET /v1/reviews/diagnosis", "-oraed"),
    ("GET /v1/reviews/reasons", "-ora--"),
    ("GET /v1/reviews/{id}", "-ora--"),
    ("POST /v1/reviews/claim", "--r---"),
    ("POST /v1/reviews/{id}/claim", "--r---"),
    ("POST /v1/reviews/{id}/release", "--r---"),
    ("POST /v1/reviews/{id}/resolve", "--r---"),
    ("GET /v1/sops", "coraed"),
    ("GET /v1/sops/publications", "-o-aed"),
    ("GET /v1/sops/publications/{id}", "-o-aed"),
    ("GET /v1/sops/publications/{id}/shadow", "-o-aed"),
    ("GET /v1/sops/{id}", "coraed"),
    ("POST /v1/sops/check", "----ed"),
    ("POST /v1/sops/diff", "----ed"),
    ("POST /v1/sops/publications", "----e-"),
    ("POST /v1/sops/publications/{id}/approve", "----ed"),
    ("POST /v1/sops/publications/{id}/shadow", "----ed"),
    ("POST /v1/sops/rollback", "----ed"),
    ("GET /v1/tenants", "-----d"),
    ("POST /v1/tenants", "-----d"),
    ("DELETE /v1/webhooks/{id}", "-----d"),
    ("GET /v1/webhooks", "-----d"),
    ("GET /v1/webhooks/{id}", "-----d"),
    ("GET /v1/webhooks/{id}/deliveries", "-----d"),
    ("POST /v1/webhooks", "-----d"),
    ("POST /v1/webhooks/{id}/rotate", "-----d"),
    ("POST /v1/webhooks/{id}/test", "-----d"),
];

/// Every operation of the contract, as the table writes it.
pub(super) fn operations() -> BTreeSet<String> {
    let contract = praetor::api::openapi();
    let paths = contract["paths"].as_object().unwrap();
    let methods = paths.iter().flat_map(|(path, operations)| {
        operations.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    methods.collect()
}

/// Method and path with an id that nothing has.
pub(super) fn parts(operation: &str) -> (Method, String) {
    let (method, path) = operation.split_once(' ').unwrap();
    let unknown = if path.starts_with("/v1/decisions") { "dec_00000000000000000000000000000000" } else { "000000000000" };
    (method.parse().unwrap(), path.replace("{id}", unknown))
}

#[test]
fn the_table_names_every_route_of_the_contract_and_no_other() {
    let table: BTreeSet<String> = TABLE.iter().map(|(operation, _)| (*operation).to_owned()).collect();
    let served: BTreeSet<String> = operations().into_iter().filter(|o| o.contains(" /v1/")).collect();
    assert_eq!(served, table);
    assert!(TABLE.iter().all(|(_, roles)| roles.chars().zip(LETTERS).all(|(c, (letter, _))| c == '-' || c == letter)));
}

#[tokio::test]
async fn every_route_serves_the_roles_of_the_table_and_nobody_else() {
    let service = Service::start().await;
    let mut keys = BTreeMap::new();
    for (letter, role) in LETTERS {
        keys.insert(letter, service.key(role, "default").await);
    }
    for (operation, roles) in TABLE {
        let (method, path) = parts(operation);
        let call = |key: String| {
            let request = service.request(method.clone(), &path, &key).header("content-type", "application/json");
            if method == Method::GET { request } else { request.body("[]") }
        };
        problem(call(String::new()).send().await.unwrap(), 401).await;
        for (letter, key) in &keys {
            let answer = call(key.clone()).send().await.unwrap();
            let status = answer.status().as_u16();
            if roles.contains(*letter) {
                assert!(status < 500 && status != 401 && status != 403, "{operation} as {letter}: {status}");
            } else {
                assert_eq!(problem(answer, 403).await["code"], "forbidden", "{operation} as {letter}");
            }
        }
    }
    service.stop().await;
}
