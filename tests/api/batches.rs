//! Backlogs over HTTP: uploads in every coding, what becomes of each line, and how a batch ends.

use std::collections::HashSet;
use std::io::Write;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use praetor::api::{MAX_TICKET, Role};
use praetor::config::BatchConfig;
use reqwest::{Method, Response};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use super::support::{Service, example, problem};
use crate::pipeline::repo;

/// Public tickets, one a line.
pub(super) fn tickets(count: usize) -> Vec<String> {
    let all = std::fs::read_to_string(repo("models/training/data/public/tickets.jsonl")).unwrap();
    let tickets: Vec<String> = all.lines().take(count).map(str::to_owned).collect();
    assert_eq!(tickets.len(), count);
    tickets
}

pub(super) fn small_chunks(tickets: u32) -> BatchConfig {
    BatchConfig { chunk_lines: NonZeroU32::new(tickets).unwrap(), ..BatchConfig::default() }
}

pub(super) async fn json(response: Response, status: u16) -> Value {
    let got = response.status().as_u16();
    let text = response.text().await.unwrap();
    assert_eq!(got, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

pub(super) async fn upload(service: &Service, key: &str, query: &str, body: impl Into<reqwest::Body>) -> Response {
    let request = service.request(Method::POST, &format!("/v1/batches{query}"), key);
    request.header("content-type", "application/x-ndjson").body(body).send().await.unwrap()
}

/// The batch once it has ended.
pub(super) async fn ended(service: &Service, key: &str, location: &str) -> Value {
    let began = Instant::now();
    loop {
        let batch = json(service.get(location, key).await, 200).await;
        if batch["ended_at"].is_string() {
            return batch;
        }
        assert!(began.elapsed() < Duration::from_secs(240), "{batch}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(super) async fn results(service: &Service, key: &str, location: &str, query: &str) -> Vec<Value> {
    let response = service.get(&format!("{location}/results{query}"), key).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    response.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn location(response: &Response) -> String {
    response.headers()["location"].to_str().unwrap().to_owned()
}

/// The same from a Parquet file: a row an object, without what is null.
async fn columns(service: &Service, key: &str, location: &str, query: &str) -> Vec<Value> {
    let request = service.request(Method::GET, &format!("{location}/results{query}"), key);
    let response = request.header("accept", "text/html;q=0.1, application/vnd.apache.parquet").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/vnd.apache.parquet");
    let file = SerializedFileReader::new(response.bytes().await.unwrap()).unwrap();
    let mut rows = Vec::new();
    for row in file.get_row_iter(None).unwrap() {
        let row = row.unwrap();
        let mut object = serde_json::Map::new();
        for (name, field) in row.get_column_iter() {
            let value = match field {
                Field::Str(text) if name == "errors" => serde_json::from_str(text).unwrap(),
                Field::Str(text) => text.as_str().into(),
                Field::Long(number) => (*number).into(),
                Field::Int(number) => (*number).into(),
                Field::Null => continue,
                other => panic!("{name}: {other}"),
            };
            object.insert(name.clone(), value);
        }
        rows.push(object.into());
    }
    rows
}

#[tokio::test]
async fn a_backlog_is_decided_as_single_tickets_are_and_read_back_in_order() {
    let config = small_chunks(4);
    let service = Service::with_batch(&config).await;
    let (key, caller) = (service.key(Role::Operator, "default").await, service.key(Role::Caller, "default").await);
    let body: Vec<String> = (1..=10).map(example).collect();
    let response = upload(&service, &key, "?name=%E7%A7%AF%E5%8E%8B", body.join("\n\n")).await;
    let location = location(&response);
    let batch = json(response, 202).await;
    assert_eq!(
        (batch["state"].as_str(), batch["lines"].as_i64(), batch["chunks"].as_i64()),
        (Some("received"), Some(10), Some(3))
    );
    assert_eq!(batch["name"], "积压");
    assert!(results(&service, &key, &location, "").await.is_empty());

    let (stop, worker) = service.work(&config);
    let batch = ended(&service, &key, &location).await;
    assert_eq!((batch["state"].as_str(), batch["chunks_done"].as_i64()), (Some("done"), Some(3)));
    assert_eq!(batch["auto"].as_i64().unwrap() + batch["review"].as_i64().unwrap(), 10);
    assert!(batch["started_at"].is_string());

    let lines = results(&service, &key, &location, "").await;
    assert_eq!(
        lines.iter().map(|l| l["line"].as_i64().unwrap()).collect::<Vec<_>>(),
        (0..10).map(|n| 2 * n + 1).collect::<Vec<_>>()
    );
    for (n, line) in lines.iter().enumerate() {
        let single = json(service.decide(&caller, &body[n]).await, 201).await;
        assert_eq!(line["decision_id"], single["id"], "line {}", line["line"]);
        assert_eq!((&line["ticket_id"], &line["outcome"]), (&single["ticket_id"], &single["outcome"]));
        assert_eq!(line["remedy"], single["remedy"]["kind"]);
    }
    assert_eq!(
        service.count("SELECT count(*) FROM praetor.leaves WHERE kind = 'decision'").await,
        10,
        "deciding again records nothing"
    );
    assert_eq!(service.count("SELECT count(*) FROM praetor.batch_inputs").await, 0, "what was handed in is kept once");
    // In pages, by the number of the last line.
    let (mut paged, mut after) = (Vec::new(), 0);
    loop {
        let page = results(&service, &key, &location, &format!("?after={after}&limit=3")).await;
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 3);
        after = last["line"].as_i64().unwrap();
        paged.extend(page);
    }
    assert_eq!(paged, lines);
    assert_eq!(columns(&service, &key, &location, "").await, lines);
    let list = json(service.get("/v1/batches?limit=1", &key).await, 200).await;
    assert_eq!(list["items"][0], batch);
    for bad in ["after=-1", "after=x", "limit=0", "limit=1000001", "colour=red"] {
        problem(service.get(&format!("{location}/results?{bad}"), &key).await, 400).await;
    }
    let foreign = service.key(Role::Operator, "elsewhere").await;
    for of_it in ["", "/results", "/events"] {
        problem(service.get(&format!("{location}{of_it}"), &foreign).await, 404).await;
    }
    problem(service.request(Method::POST, &format!("{location}/cancel"), &foreign).send().await.unwrap(), 404).await;
    assert!(json(service.get("/v1/batches", &foreign).await, 200).await["items"].as_array().unwrap().is_empty());
    problem(service.request(Method::POST, &format!("{location}/cancel"), &key).send().await.unwrap(), 409).await;
    stop.send_replace(true);
    worker.await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn every_coding_gives_the_same_batch_and_a_broken_one_gives_none() {
    let service = Service::start().await;
    let key = service.key(Role::Operator, "default").await;
    let text = tickets(30).join("\n");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(text.as_bytes(), 19).unwrap();
    // Two frames, one after the other, are one text.
    let (head, tail) = text.split_at(text.len() / 2);
    let two = [zstd::encode_all(head.as_bytes(), 3).unwrap(), zstd::encode_all(tail.as_bytes(), 3).unwrap()].concat();
    let send = async |body: Vec<u8>, coding: &str| {
        let request = service.request(Method::POST, "/v1/batches", &key).header("content-type", "application/x-ndjson");
        request.header("content-encoding", coding).header("idempotency-key", "night-1").body(body).send().await.unwrap()
    };
    let first = send(text.clone().into_bytes(), "identity").await;
    assert!(!first.headers().contains_key("idempotent-replayed"));
    let first = json(first, 202).await;
    assert_eq!(first["lines"], 30);
    for (body, coding) in
        [(gzip.clone(), "gzip"), (zstd.clone(), "zstd"), (two, "zstd"), (text.clone().into_bytes(), "identity")]
    {
        let again = send(body, coding).await;
        assert_eq!(again.headers()["idempotent-replayed"], "true", "{coding}");
        assert_eq!(json(again, 202).await, first, "{coding}");
    }
    let other = send(tickets(29).join("\n").into_bytes(), "identity").await;
    assert_eq!(problem(other, 409).await["code"], "idempotency_conflict");
    let send = async |body: Vec<u8>, coding: &str| {
        let request = service.request(Method::POST, "/v1/batches", &key).header("content-type", "application/x-ndjson");
        request.header("content-encoding", coding).body(body).send().await.unwrap()
    };
    for (body, coding) in [
        (gzip[..gzip.len() - 9].to_vec(), "gzip"),
        (zstd[..zstd.len() - 9].to_vec(), "zstd"),
        (text.clone().into_bytes(), "gzip"),
        (text.clone().into_bytes(), "zstd"),
        (b" \n\n".to_vec(), "identity"),
        (Vec::new(), "identity"),
    ] {
        assert_eq!(problem(send(body, coding).await, 400).await["code"], "invalid_body", "{coding}");
    }
    problem(send(text.clone().into_bytes(), "br").await, 415).await;
    problem(service.post("/v1/batches", &key, text).send().await.unwrap(), 415).await;
    assert_eq!(service.count("SELECT count(*) FROM praetor.batches").await, 1);
    service.stop().await;
}

#[tokio::test]
async fn a_poison_line_is_refused_with_reasons_and_stops_nobody() {
    let config = small_chunks(3);
    let service = Service::with_batch(&config).await;
    let key = service.key(Role::Operator, "default").await;
    let long = format!("{{\"ticket_id\":\"{}\"}}", "x".repeat(MAX_TICKET));
    let body = [
        example(1).into_bytes(),
        b"{nonsense".to_vec(),
        vec![0xff, 0xfe, 0x00],
        example(16).into_bytes(),
        long.into_bytes(),
        b"[]".to_vec(),
        example(2).into_bytes(),
    ];
    let response = upload(&service, &key, "", body.join(&b'\n')).await;
    let location = location(&response);
    assert_eq!(json(response, 202).await["lines"], 7);
    let (stop, worker) = service.work(&config);
    let batch = ended(&service, &key, &location).await;
    assert_eq!((batch["state"].as_str(), batch["rejected"].as_i64()), (Some("done"), Some(5)));
    let lines = results(&service, &key, &location, "").await;
    assert_eq!(lines.len(), 7);
    for line in &lines[1..6] {
        assert_eq!(line["outcome"], "rejected");
        assert!(line["decision_id"].is_null());
        assert!(line["errors"][0]["rule"].is_string() && line["errors"][0]["path"].is_string(), "{line}");
    }
    assert_eq!(lines[4]["errors"][0]["rule"], "line_too_long");
    assert_eq!(lines[3]["errors"][0]["path"], "$.order.items[0].quantity");
    assert_eq!(columns(&service, &key, &location, "").await, lines, "a Parquet file says the same");
    assert_eq!(columns(&service, &key, &location, "?after=2&limit=3").await, lines[2..5]);
    assert_eq!(columns(&service, &key, &location, "?after=7").await, Vec::<Value>::new());
    let id = location.rsplit('/').next().unwrap();
    let kept = service.store.tenant(&"default".parse().unwrap()).rejections(&format!("batch:{id}")).await.unwrap();
    assert_eq!(kept.iter().map(|r| r.line).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
    assert_eq!(kept[1].input.kept().unwrap(), [0xff, 0xfe, 0x00]);
    stop.send_replace(true);
    worker.await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn what_is_too_large_or_breaks_off_leaves_nothing() {
    let config = BatchConfig { max_bytes: 4 << 20, max_lines: 20, ..small_chunks(5) };
    let service = Service::with_batch(&config).await;
    let key = service.key(Role::Operator, "default").await;
    let many = upload(&service, &key, "", tickets(21).join("\n")).await;
    assert_eq!(problem(many, 413).await["code"], "body_too_large");
    let bomb = zstd::encode_all(&vec![b'\n'; 512 << 20][..], 3).unwrap();
    assert!(bomb.len() < 1 << 20);
    let request = service.request(Method::POST, "/v1/batches", &key).header("content-type", "application/x-ndjson");
    problem(request.header("content-encoding", "zstd").body(bomb).send().await.unwrap(), 413).await;
    // A client that announces more than it sends, and goes.
    let address = service.base.strip_prefix("http://").unwrap();
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let half = tickets(12).join("\n");
    let head = format!(
        "POST /v1/batches HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n{half}\n",
        2 * half.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    while service.count("SELECT count(*) FROM praetor.batch_inputs").await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(socket);
    let began = Instant::now();
    while service.count("SELECT count(*) FROM praetor.batch_inputs").await > 0 {
        assert!(began.elapsed() < Duration::from_secs(30), "inputs of a broken upload stay");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(json(service.get("/v1/batches", &key).await, 200).await["items"].as_array().unwrap().is_empty());
    assert_eq!(service.count("SELECT count(*) FROM praetor_jobs._private_jobs").await, 0);
    for bad in ["as_of=2026-03-01", "name=", "name=a%0Ab", "colour=red"] {
        let answer = upload(&service, &key, &format!("?{bad}"), example(1)).await;
        assert_eq!(problem(answer, 400).await["code"], "invalid_parameter", "{bad}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_cancelled_batch_stops_where_it_is() {
    let config = small_chunks(10);
    let service = Service::with_batch(&config).await;
    let key = service.key(Role::Operator, "default").await;
    let response = upload(&service, &key, "", tickets(200).join("\n")).await;
    let location = location(&response);
    let (stop, worker) = service.work(&config);
    while json(service.get(&location, &key).await, 200).await["chunks_done"] == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let cancel = async || {
        let request = service.request(Method::POST, &format!("{location}/cancel"), &key);
        json(request.send().await.unwrap(), 200).await
    };
    let batch = cancel().await;
    assert_eq!(batch["state"], "cancelled");
    let done = batch["chunks_done"].as_i64().unwrap();
    assert!((1..20).contains(&done), "{batch}");
    assert_eq!(cancel().await, batch, "cancelling twice changes nothing");
    // The jobs that are left find nothing to do.
    let began = Instant::now();
    while service.count("SELECT count(*) FROM praetor_jobs._private_jobs").await > 0 {
        assert!(began.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(json(service.get(&location, &key).await, 200).await, batch);
    assert_eq!(service.count("SELECT count(*) FROM praetor.decisions").await, done * 10);
    assert_eq!(results(&service, &key, &location, "").await.len() as i64, done * 10);
    stop.send_replace(true);
    worker.await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn a_client_follows_a_batch_to_its_end() {
    let config = BatchConfig { streams: 1, ..small_chunks(20) };
    let service = Service::with_batch(&config).await;
    let key = service.key(Role::Operator, "default").await;
    let response = upload(&service, &key, "", tickets(60).join("\n")).await;
    let path = format!("{}/events", location(&response));
    let follow = service.get(&path, &key).await;
    assert_eq!(follow.headers()["content-type"], "text/event-stream");
    assert_eq!(problem(service.get(&path, &key).await, 503).await["code"], "overloaded");
    let (stop, worker) = service.work(&config);
    let text = follow.text().await.unwrap();
    let events: Vec<(&str, Value)> = text
        .split_terminator("\n\n")
        .filter_map(|event| event.strip_prefix("event: ")?.split_once("\ndata: "))
        .map(|(kind, data)| (kind, serde_json::from_str(data).unwrap()))
        .collect();
    assert_eq!((events[0].0, &events[0].1["state"]), ("progress", &Value::from("received")));
    let (last, batch) = events.last().unwrap();
    assert_eq!((*last, &batch["state"], &batch["chunks_done"]), ("end", &Value::from("done"), &Value::from(3)));
    assert_eq!(events.iter().filter(|(kind, _)| *kind == "end").count(), 1);
    let distinct: HashSet<String> = events.iter().map(|(_, batch)| batch.to_string()).collect();
    assert_eq!(distinct.len(), events.len(), "an event is news");
    // Its place is free again, and a batch that has ended says so at once.
    let again = service.get(&path, &key).await.text().await.unwrap();
    assert!(again.starts_with("event: end\n"), "{again}");
    let metrics = service.get("/metrics", "").await.text().await.unwrap();
    assert!(
        metrics.contains("praetor_batch_lines_total{outcome=\"review\"}")
            && metrics.contains("praetor_batch_chunk_seconds_count")
    );
    stop.send_replace(true);
    worker.await.unwrap();
    service.stop().await;
}
