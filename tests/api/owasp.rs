//! One named test for each item of the OWASP API Security Top 10 of 2023, against the running service. Some rest on
//! tests elsewhere for the finer points; each can fail by itself.

use std::collections::BTreeSet;
use std::io::Write;

use praetor::api::{MAX_TICKET, Role};
use praetor::config::{ServeConfig, WebhookConfig};
use praetor::sop::read_pack;
use reqwest::{Method, Response};
use serde_json::{Map, Value, json};

use super::receiver::receive;
use super::support::{Service, example, problem};
use crate::pipeline::repo;

async fn json(response: Response, status: u16) -> Value {
    let (found, text) = (response.status().as_u16(), response.text().await.unwrap());
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn id(value: &Value) -> String {
    value["id"].as_str().unwrap_or_else(|| panic!("no id in {value}")).to_owned()
}

/// A service whose webhooks may go to this machine.
async fn service() -> Service {
    let webhooks = WebhookConfig { allowed_hosts: vec!["127.0.0.1".to_owned()], ..WebhookConfig::default() };
    Service::with(ServeConfig { webhooks, ..ServeConfig::default() }).await
}

/// One of each thing that has an id, made by a tenant: the collection's path and the id.
async fn one_of_each(service: &Service, tenant: &str) -> Vec<(&'static str, String)> {
    let [operator, admin, editor, reviewer] = [Role::Operator, Role::Admin, Role::Editor, Role::Reviewer];
    let (operator, admin) = (service.key(operator, tenant).await, service.key(admin, tenant).await);
    let (editor, reviewer) = (service.key(editor, tenant).await, service.key(reviewer, tenant).await);
    let mut made = Vec::new();
    for n in 1..=14 {
        let decision = json(service.decide(&operator, &example(n)).await, 201).await;
        if n == 1 {
            made.push(("/v1/decisions", id(&decision)));
        }
    }
    let reviews = json(service.get("/v1/reviews", &reviewer).await, 200).await;
    made.push(("/v1/reviews", id(&reviews["items"][0])));
    let key = service.post("/v1/keys", &admin, json!({ "role": "caller" }).to_string()).send().await.unwrap();
    made.push(("/v1/keys", id(&json(key, 201).await)));
    let hook = json!({ "url": "http://127.0.0.1:9/", "events": ["decision.recorded"] });
    let hook = service.post("/v1/webhooks", &admin, hook.to_string()).send().await.unwrap();
    made.push(("/v1/webhooks", id(&json(hook, 201).await)));
    let batch = service.request(Method::POST, "/v1/batches", &operator).header("content-type", "application/x-ndjson");
    made.push(("/v1/batches", id(&json(batch.body(example(1)).send().await.unwrap(), 202).await)));
    let files: Map<String, Value> =
        read_pack(&repo("sop_rules/demo")).unwrap().into_iter().map(|f| (f.name, f.text.into())).collect();
    let draft = service.post("/v1/sops/publications", &editor, json!({ "files": files }).to_string());
    made.push(("/v1/sops/publications", id(&json(draft.send().await.unwrap(), 201).await)));
    made
}

#[tokio::test]
async fn api1_broken_object_level_authorization() {
    let service = service().await;
    let made = one_of_each(&service, "one").await;
    let mut keys = Vec::new();
    for role in Role::ALL {
        keys.push(service.key(role, "two").await);
    }
    // Every operation on every one of these things, as every role of another tenant: not there, or not allowed.
    let contract = praetor::api::openapi();
    let mut tried = BTreeSet::new();
    for (path, operations) in contract["paths"].as_object().unwrap() {
        let Some((collection, _)) = path.split_once("/{id}") else { continue };
        let Some((_, id)) = made.iter().find(|(of, _)| *of == collection) else { continue };
        for method in operations.as_object().unwrap().keys() {
            let mut missing = 0;
            for key in &keys {
                let method: Method = method.to_uppercase().parse().unwrap();
                let request = service.request(method.clone(), &path.replace("{id}", id), key);
                let body = match path.as_str() {
                    "/v1/keys/{id}/rotate" | "/v1/decisions/{id}/replay" => json!({}),
                    "/v1/reviews/{id}/resolve" => json!({ "verdict": "accept" }),
                    "/v1/decisions/{id}/appeal" => json!({ "party": "seller", "grounds": "no" }),
                    _ => Value::Null,
                };
                let request = request.header("content-type", "application/json").body(body.to_string());
                let answer = request.send().await.unwrap();
                let status = answer.status().as_u16();
                let text = answer.text().await.unwrap();
                assert!(matches!(status, 403 | 404), "{method:?} {path} of another tenant: {status} {text}");
                assert!(!text.contains(id.as_str()), "{path} tells {text}");
                missing += usize::from(status == 404);
            }
            assert!(missing > 0, "{method} {path} serves no role at all");
            tried.insert(collection.to_owned());
        }
    }
    assert_eq!(tried.len(), made.len(), "{tried:?}");
    // Nor does any list show them.
    for (collection, id) in &made {
        for key in &keys {
            let listed = service.get(collection, key).await.text().await.unwrap();
            assert!(!listed.contains(id.as_str()), "{collection} lists {id}");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn api2_broken_authentication() {
    let service = Service::start().await;
    let (good, other) = (service.key(Role::Admin, "default").await, service.key(Role::Caller, "default").await);
    let (prefix, secret) = good.rsplit_once('_').unwrap();
    let (_, others) = other.rsplit_once('_').unwrap();
    let wrong = [
        String::new(),
        prefix.to_owned(),
        format!("{prefix}_"),
        format!("{prefix}_{others}"),
        format!("{prefix}_{}", "0".repeat(secret.len())),
        format!("{prefix}_{}", &secret[1..]),
        format!("{good} "),
        good.to_uppercase(),
        "' OR 1=1 --".to_owned(),
        // {"alg":"none"}.{"sub":"admin"}: no token is taken where none is configured.
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.".to_owned(),
    ];
    let mut answers = BTreeSet::new();
    for (n, key) in wrong.iter().enumerate() {
        let request = service.request(Method::GET, "/v1/keys", "").header("authorization", format!("Bearer {key}"));
        let answer = request.send().await.unwrap();
        if n == 6 {
            assert_eq!(answer.status(), 200, "white space around a key is no part of it");
            continue;
        }
        let mut body = problem(answer, 401).await;
        body["request_id"] = Value::Null;
        answers.insert(body.to_string());
    }
    // A wrong secret, an unknown key and a malformed one look the same.
    assert_eq!(answers.len(), 1);
    for (header, value) in [("authorization", format!("Basic {good}")), ("x-api-key", good.clone())] {
        let request = service.request(Method::GET, "/v1/keys", "").header(header, value);
        problem(request.send().await.unwrap(), 401).await;
    }
    problem(service.get(&format!("/v1/keys?access_token={good}"), "").await, 401).await;
    service.stop().await;
}

#[tokio::test]
async fn api3_broken_object_property_level_authorization() {
    let service = Service::start().await;
    let admin = service.key(Role::Admin, "default").await;
    // Nothing is set that the form does not have: no tenant, no id, no secret.
    for (field, value) in [("tenant", "two"), ("id", "000000000000"), ("token", "x"), ("secret_sha256", "00")] {
        let body = json!({ "role": "caller", field: value });
        let answer = service.post("/v1/keys", &admin, body.to_string()).send().await.unwrap();
        problem(answer, 400).await;
    }
    let made = service.post("/v1/keys", &admin, json!({ "role": "caller", "name": "shop" }).to_string());
    let made = json(made.send().await.unwrap(), 201).await;
    let (_, secret) = made["token"].as_str().unwrap().rsplit_once('_').unwrap();
    let listed = service.get("/v1/keys", &admin).await.text().await.unwrap();
    assert!(listed.contains("shop") && !listed.contains(secret) && !listed.contains("sha256"));
    // What a ticket claims of its own outcome is no part of the decision.
    let mut forged: Value = serde_json::from_str(&example(1)).unwrap();
    let caller = service.key(Role::Caller, "default").await;
    let plain = json(service.decide(&caller, &forged.to_string()).await, 201).await;
    forged["outcome"] = json!("auto");
    forged["remedy"] = json!({ "kind": "refund", "refund_fen": 1 });
    let decided = json(service.decide(&caller, &forged.to_string()).await, 201).await;
    assert_eq!((&decided["outcome"], &decided["remedy"]), (&plain["outcome"], &plain["remedy"]));
    service.stop().await;
}

#[tokio::test]
async fn api4_unrestricted_resource_consumption() {
    let config = ServeConfig { rate_per_key: 20.try_into().unwrap(), ..ServeConfig::default() };
    let service = Service::with(config).await;
    let operator = service.key(Role::Operator, "default").await;
    // A small body that unpacks to a large one.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 64 * MAX_TICKET]).unwrap();
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < MAX_TICKET);
    let sent = service.request(Method::POST, "/v1/decisions", &operator).header("content-type", "application/json");
    problem(sent.header("content-encoding", "gzip").body(bomb).send().await.unwrap(), 413).await;
    let deep = service.post("/v1/decisions", &operator, "[".repeat(100_000)).send().await.unwrap();
    assert!(deep.status().is_client_error());
    for limit in ["0", "201", "1000000000000", "-1", "x"] {
        problem(service.get(&format!("/v1/decisions?limit={limit}"), &operator).await, 400).await;
    }
    let mut refused = 0;
    for _ in 0..60 {
        let answer = service.get("/v1/sops", &operator).await;
        if answer.status() == 429 {
            assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
            refused += 1;
        }
    }
    assert!(refused > 0, "60 requests at 20 a second, and none was refused");
    service.stop().await;
}

#[tokio::test]
async fn api5_broken_function_level_authorization() {
    // Every route × every role is in `keys::every_operation_serves_its_roles_and_no_others`. Here: no other method on a
    // route reaches past its policy, whatever a header says of the method.
    let service = Service::start().await;
    let caller = service.key(Role::Caller, "default").await;
    for path in ["/v1/keys", "/v1/tenants", "/v1/sops/rollback", "/v1/reviews/claim", "/v1/webhooks"] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"] {
            for header in ["x-http-method-override", "x-original-url", "x-forwarded-user"] {
                let request = service.request(method.parse().unwrap(), path, &caller).header(header, "GET");
                let request = request.header("content-type", "application/json").body("{}");
                let status = request.send().await.unwrap().status().as_u16();
                assert!(matches!(status, 403 | 405), "{method} {path}: {status}");
            }
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn api6_unrestricted_access_to_sensitive_business_flows() {
    // Money flows through three doors: a rate for each key and tenant (api4), two pairs of eyes on new rules, and a
    // claim that keeps a case for one person.
    let service = service().await;
    let editor = service.key(Role::Editor, "default").await;
    let made = one_of_each(&service, "default").await;
    let find = |of: &str| made.iter().find(|(collection, _)| *collection == of).map(|(_, id)| id.clone()).unwrap();
    let files: Map<String, Value> =
        read_pack(&repo("sop_rules/demo")).unwrap().into_iter().map(|f| (f.name, f.text.into())).collect();
    let draft = service.post("/v1/sops/publications", &editor, json!({ "files": files }).to_string());
    let draft = id(&json(draft.send().await.unwrap(), 201).await);
    let path = |step: &str| format!("/v1/sops/publications/{draft}/{step}");
    let shadow = service.post(&path("shadow"), &editor, "{}").send().await.unwrap();
    json(shadow, 200).await;
    let own = service.post(&path("approve"), &editor, "{}").send().await.unwrap();
    assert!(own.status() == 403 || own.status() == 409, "the maker approves: {}", own.status());
    let (one, two) = (service.key(Role::Reviewer, "default").await, service.key(Role::Reviewer, "default").await);
    let claim = format!("/v1/reviews/{}/claim", find("/v1/reviews"));
    json(service.post(&claim, &one, "null").send().await.unwrap(), 200).await;
    problem(service.post(&claim, &two, "null").send().await.unwrap(), 409).await;
    service.stop().await;
}

#[tokio::test]
async fn api7_server_side_request_forgery() {
    let service = Service::start().await;
    let admin = service.key(Role::Admin, "default").await;
    for url in [
        "http://example.com/",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://user:word@example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
    ] {
        let body = json!({ "url": url, "events": ["decision.recorded"] });
        let answer = service.post("/v1/webhooks", &admin, body.to_string()).send().await.unwrap();
        assert!(answer.status().is_client_error(), "{url}: {}", answer.status());
    }
    assert_eq!(json(service.get("/v1/webhooks", &admin).await, 200).await["items"], json!([]));
    service.stop().await;
}

#[tokio::test]
async fn api8_security_misconfiguration() {
    let service = Service::start().await;
    let caller = service.key(Role::Caller, "default").await;
    for (path, key) in [("/v1/decisions", caller.as_str()), ("/v1/decisions", ""), ("/nowhere", ""), ("/healthz", "")] {
        let request = service.request(Method::GET, path, key).header("origin", "https://elsewhere.example");
        let answer = request.send().await.unwrap();
        let headers = answer.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["x-frame-options"], "DENY");
        assert!(!headers.contains_key("server") && !headers.contains_key("x-powered-by"));
        assert!(!headers.contains_key("access-control-allow-origin"));
        assert!(!headers.contains_key("set-cookie"));
    }
    let broken = service.post("/v1/decisions", &caller, "{\"ticket_id\":").send().await.unwrap();
    let text = broken.text().await.unwrap();
    for inner in ["src/", ".rs", "panicked", "sqlx", "SELECT", "actix"] {
        assert!(!text.contains(inner), "an error tells {inner}: {text}");
    }
    let trace = service.request(Method::TRACE, "/v1/decisions", &caller).send().await.unwrap();
    assert_eq!(trace.status(), 405);
    service.stop().await;
}

#[tokio::test]
async fn api9_improper_inventory_management() {
    // What is registered is what the contract names, and nothing is served outside /v1 but what is open to all.
    let source = std::fs::read_to_string(repo("src/api/routes/mod.rs")).unwrap();
    let mut served = BTreeSet::new();
    let (head, v1) = source.split_once("web::scope(\"/v1\")").unwrap();
    for (part, prefix) in [(head, ""), (v1, "/v1")] {
        for after in part.split("resource(").skip(1) {
            let text = after.trim_start();
            if let Some(path) = text.strip_prefix('"').and_then(|rest| rest.split('"').next()) {
                served.insert(format!("{prefix}{path}"));
            }
        }
    }
    let contract = praetor::api::openapi();
    let named: BTreeSet<String> = contract["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(served, named);
    let open: Vec<&String> = named.iter().filter(|path| !path.starts_with("/v1/")).collect();
    assert_eq!(open, ["/docs", "/healthz", "/metrics", "/openapi.json", "/readyz"]);
    let service = Service::start().await;
    for path in ["/v0/decisions", "/v2/decisions", "/debug", "/admin", "/actuator", "/.env", "/v1", "/v1/"] {
        problem(service.get(path, "").await, 404).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn api10_unsafe_consumption_of_apis() {
    // A receiver of webhooks is somebody else's: its redirects are not followed and its answer is not believed.
    let (inner, reached) = receive(|_| ("HTTP/1.1 200 OK", String::new()));
    let redirect: &str = Box::leak(format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {inner}/").into_boxed_str());
    let (outer, asked) = receive(move |_| (redirect, String::new()));
    let service = service().await;
    let admin = service.key(Role::Admin, "default").await;
    let hook = json!({ "url": outer, "events": ["decision.recorded"] });
    let made = service.post("/v1/webhooks", &admin, hook.to_string()).send().await.unwrap();
    let hook = id(&json(made, 201).await);
    let tried = service.post(&format!("/v1/webhooks/{hook}/test"), &admin, "").send().await.unwrap();
    let tried = tried.text().await.unwrap();
    assert!(tried.contains("307") || tried.contains("false"), "a redirect passes for a delivery: {tried}");
    assert!(asked.try_recv().is_ok(), "nothing was sent");
    assert!(reached.try_recv().is_err(), "the redirect was followed");
    service.stop().await;
}
