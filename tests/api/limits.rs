//! Bounds: sizes, rates, methods, the queue.

use std::io::Write;
use std::num::{NonZeroU32, NonZeroUsize};

use praetor::api::{MAX_TICKET, Role};
use praetor::config::ServeConfig;
use reqwest::Method;

use super::support::{Service, example, problem};

#[tokio::test]
async fn a_body_is_measured_after_decompression() {
    let service = Service::start().await;
    let key = service.key(Role::Caller, "default").await;
    let gzip = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    };
    let send = async |body: Vec<u8>, coding: &str| {
        service.post("/v1/decisions", &key, body).header("content-encoding", coding).send().await.unwrap()
    };
    assert_eq!(send(gzip(example(1).as_bytes()), "gzip").await.status(), 201);
    let packed = zstd::encode_all(example(2).as_bytes(), 3).unwrap();
    assert_eq!(send(packed, "zstd").await.status(), 201);
    let bomb = gzip(&vec![b' '; 64 * MAX_TICKET]);
    assert!(bomb.len() < MAX_TICKET / 8);
    assert_eq!(problem(send(bomb, "gzip").await, 413).await["code"], "body_too_large");
    let bomb = zstd::encode_all(&vec![b' '; 512 * MAX_TICKET][..], 3).unwrap();
    assert!(bomb.len() < MAX_TICKET / 8);
    assert_eq!(problem(send(bomb, "zstd").await, 413).await["code"], "body_too_large");
    assert_eq!(send(vec![b' '; MAX_TICKET + 1], "identity").await.status(), 413);
    service.stop().await;
}

#[tokio::test]
async fn wrong_methods_types_paths_and_parameters_are_told_apart() {
    let service = Service::start().await;
    let key = service.key(Role::Operator, "default").await;
    let put = service.request(Method::PUT, "/v1/decisions", &key).send().await.unwrap();
    assert_eq!(put.headers()["allow"], "GET, POST");
    assert_eq!(problem(put, 405).await["code"], "method_not_allowed");
    let text = service.request(Method::POST, "/v1/decisions", &key).header("content-type", "text/plain").body("{}");
    assert_eq!(problem(text.send().await.unwrap(), 415).await["code"], "unsupported_media_type");
    assert_eq!(problem(service.get("/v1/nothing", &key).await, 404).await["code"], "not_found");
    for query in ["limit=0", "limit=201", "limit=x", "cursor=1", "outcome=maybe", "from=2026-01-01", "colour=red"] {
        let body = problem(service.get(&format!("/v1/decisions?{query}"), &key).await, 400).await;
        assert_eq!(body["code"], "invalid_parameter", "{query}");
    }
    let early = service.post("/v1/decisions?as_of=2026-03-01T00:00:00", &key, example(1)).send().await.unwrap();
    let detail = problem(early, 400).await["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("as_of：") && detail.contains("2026-03-01T00:00:00"), "{detail}");
    for (key_given, status) in [("", 400), ("with space", 400), ("fine", 201)] {
        let request = service.post("/v1/decisions", &key, example(1)).header("idempotency-key", key_given);
        assert_eq!(request.send().await.unwrap().status(), status, "{key_given:?}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_key_that_asks_too_often_waits_and_others_do_not() {
    let two = NonZeroU32::new(2).unwrap();
    let service = Service::with(ServeConfig { rate_per_key: two, ..ServeConfig::default() }).await;
    let (key, other) = (service.key(Role::Caller, "default").await, service.key(Role::Caller, "default").await);
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let answer = service.get("/v1/decisions", &key).await;
        if answer.status() == 429 {
            assert!(answer.headers()["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        }
        statuses.push(answer.status().as_u16());
    }
    assert_eq!(statuses[..2], [200, 200]);
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(service.get("/v1/decisions", &other).await.status(), 200);
    service.stop().await;
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_answers_what_it_took() {
    let one = NonZeroUsize::MIN;
    let service = Service::with(ServeConfig { queue: one, batch: one, ..ServeConfig::default() }).await;
    let key = service.key(Role::Caller, "default").await;
    let sent = (0..24).map(|n| {
        let request = service.post("/v1/decisions", &key, example(1 + n % 15));
        tokio::spawn(async move {
            let answer = request.send().await.unwrap();
            let retry = answer.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
            (answer.status().as_u16(), retry)
        })
    });
    let mut answers = Vec::new();
    for each in sent.collect::<Vec<_>>() {
        answers.push(each.await.unwrap());
    }
    assert!(answers.iter().all(|(status, _)| [201, 503].contains(status)), "{answers:?}");
    assert!(answers.iter().any(|(status, _)| *status == 201));
    let refused: Vec<_> = answers.iter().filter(|(status, _)| *status == 503).collect();
    assert!(!refused.is_empty() && refused.iter().all(|(_, retry)| retry.is_some()), "{answers:?}");
    // When the rush is over everything is as before.
    assert_eq!(service.decide(&key, &example(3)).await.status(), 201);
    service.stop().await;
}

#[tokio::test]
async fn a_service_that_is_told_to_stop_answers_what_it_has_accepted() {
    let service = Service::start().await;
    let key = service.key(Role::Caller, "default").await;
    let sent: Vec<_> = (1..=8).map(|n| tokio::spawn(service.post("/v1/decisions", &key, example(n)).send())).collect();
    // Some have arrived by now and some may not have; whoever is answered is answered in full.
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    service.stop().await;
    let mut answered = 0;
    for each in sent {
        if let Ok(answer) = each.await.unwrap() {
            assert_eq!(answer.status(), 201);
            assert!(answer.text().await.unwrap().ends_with('}'));
            answered += 1;
        }
    }
    assert!(answered > 0);
}
