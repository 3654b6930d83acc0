//! A reward model behind an OpenAI-compatible server: how it is asked, how often, how many at once, and what comes of a
//! server that fails.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use praetor::judge::{Answer, Judge, JudgeConfig, JudgeError, Task};
use serde_json::{Value, json};

use super::second_pass::{MODELS, TEXTS, questions};

/// A server on this machine that answers as it is told, and counts.
struct Server {
    url: String,
    asked: Arc<AtomicUsize>,
    most_at_once: Arc<AtomicUsize>,
}

impl Server {
    /// `reply` gives status and pause by the request's number from nought.
    fn start(reply: impl Fn(usize) -> (u16, Duration) + Send + Sync + 'static) -> Server {
        let reply = Arc::new(reply);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let [asked, at_once, most_at_once] = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
        let server = Server { url, asked: asked.clone(), most_at_once: most_at_once.clone() };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (asked, at_once, most) = (asked.clone(), at_once.clone(), most_at_once.clone());
                let reply = reply.clone();
                thread::spawn(move || {
                    let stream = stream.unwrap();
                    while let Some(body) = request(&stream) {
                        assert_eq!((&body["max_tokens"], &body["temperature"]), (&json!(1), &json!(0)));
                        most.fetch_max(1 + at_once.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
                        let (status, pause) = reply(asked.fetch_add(1, Ordering::SeqCst));
                        thread::sleep(pause);
                        at_once.fetch_sub(1, Ordering::SeqCst);
                        answer(&stream, status, body["prompt"].as_str().unwrap());
                    }
                });
            }
        });
        server
    }

    fn judge(&self, more: Value) -> Judge {
        let mut endpoint = json!({ "url": self.url, "model": "told", "retries": 2, "timeout_seconds": 20 });
        endpoint.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        judge(endpoint)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn judge(endpoint: Value) -> Judge {
    open(endpoint).unwrap()
}

fn open(endpoint: Value) -> Result<Judge, JudgeError> {
    let endpoint = Some(serde_json::from_value(endpoint).unwrap());
    Judge::open(MODELS.path(), &JudgeConfig { endpoint, ..JudgeConfig::default() })
}

/// The body of the next request on a connection; none when the other side has gone.
fn request(stream: &TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(serde_json::from_slice(&body).unwrap())
}

/// The longer the prompt, the surer that it is right; so answers can be told apart.
fn answer(mut stream: &TcpStream, status: u16, prompt: &str) {
    let right = prompt.len() as f64 / 10_000.0;
    let logs = json!({ "对": right.ln(), "错": (1.0 - right).ln() });
    let body = match status {
        200 => {
            json!({ "choices": [{ "text": "对", "logprobs": { "top_logprobs": [logs] } }], "usage": { "prompt_tokens": 7 } })
        }
        _ => json!({ "error": "told to" }),
    };
    let body = body.to_string();
    // A client that has stopped waiting is no fault of the server's.
    let _ = write!(stream, "HTTP/1.1 {status} told\r\ncontent-length: {}\r\n\r\n{body}", body.len());
}

fn said_right(answers: &[Answer]) -> Vec<u32> {
    answers.iter().map(|a| a.heads["first_token"].get("right").millionths()).collect()
}

#[test]
fn a_failure_that_may_pass_is_asked_again_and_one_that_will_not_is_not() {
    let passing = Server::start(|n| (if n < 2 { 503 } else { 200 }, Duration::ZERO));
    let answers = passing.judge(json!({})).answer(&questions(Task::Verify, &TEXTS[..1])).unwrap();
    assert_eq!((passing.asked(), answers.len()), (3, 1));
    assert_eq!(answers[0].said.as_ref().unwrap().response_sha256.as_ref().unwrap().len(), 64);

    for (status, times) in [(503, 3), (429, 3), (400, 1), (401, 1)] {
        let server = Server::start(move |_| (status, Duration::ZERO));
        let error = server.judge(json!({})).answer(&questions(Task::Verify, &TEXTS[..1])).unwrap_err();
        assert!(matches!(&error, JudgeError::Server { reason } if reason.contains(&status.to_string())), "{error}");
        assert_eq!(server.asked(), times, "{status}");
    }
}

#[test]
fn a_server_that_takes_too_long_is_not_waited_for() {
    let server = Server::start(|n| (200, Duration::from_secs(if n == 0 { 5 } else { 0 })));
    let judge = server.judge(json!({ "timeout_seconds": 1 }));
    assert_eq!(judge.answer(&questions(Task::Verify, &TEXTS[..1])).unwrap().len(), 1);
    assert_eq!(server.asked(), 2);
    let server = Server::start(|_| (200, Duration::from_secs(5)));
    let judge = server.judge(json!({ "timeout_seconds": 1, "retries": 0 }));
    let error = judge.answer(&questions(Task::Verify, &TEXTS[..1])).unwrap_err();
    assert!(matches!(error, JudgeError::Server { .. }), "{error}");
    assert_eq!(server.asked(), 1);
}

#[test]
fn no_more_are_under_way_than_allowed_and_answers_keep_their_places() {
    let asked = questions(Task::Verify, &TEXTS[..12]);
    let one = Server::start(|_| (200, Duration::ZERO));
    let expected = said_right(&one.judge(json!({ "concurrency": 1 })).answer(&asked).unwrap());
    assert_eq!(one.most_at_once.load(Ordering::SeqCst), 1);
    assert!(expected.iter().any(|p| *p != expected[0]));
    // The first ones take longest.
    let three = Server::start(|n| (200, Duration::from_millis(if n < 3 { 300 } else { 40 })));
    assert_eq!(said_right(&three.judge(json!({ "concurrency": 3 })).answer(&asked).unwrap()), expected);
    assert_eq!((three.asked(), three.most_at_once.load(Ordering::SeqCst)), (12, 3));
}

#[test]
fn what_changes_a_score_is_pinned() {
    let server = Server::start(|_| (200, Duration::ZERO));
    let pinned = |more| server.judge(more).second_pass().unwrap().clone();
    let plain = pinned(json!({}));
    assert!(plain.model.starts_with("told "), "{}", plain.model);
    assert_eq!(pinned(json!({ "concurrency": 2, "retries": 0, "timeout_seconds": 9 })), plain);
    for more in [json!({ "model": "another" }), json!({ "characters": 2_000 }), json!({ "top": 5 })] {
        assert_ne!(pinned(more.clone()), plain, "{more}");
    }
    assert_eq!(server.asked(), 0);
}

#[test]
fn a_setting_out_of_bounds_is_named() {
    let lines = [
        (json!({ "characters": 800 }), "endpoint: characters is 800, expected 1120 to 65536"),
        (json!({ "concurrency": 0 }), "endpoint: concurrency is 0, expected 1 to 1024"),
        (json!({ "top": 101 }), "endpoint: top is 101, expected 1 to 100"),
        (json!({ "retries": 11 }), "endpoint: retries is 11, expected 0 to 10"),
        (json!({ "timeout_seconds": 0 }), "endpoint: timeout_seconds is 0, expected 1 to 3600"),
        (json!({ "url": "127.0.0.1:9/v1" }), "endpoint: url is no address: relative URL without a base"),
        (
            json!({ "url": "localhost:9" }),
            "endpoint: url begins with localhost:, expected http:// or https:// and a host",
        ),
    ];
    for (more, line) in lines {
        let mut endpoint = json!({ "url": "http://127.0.0.1:9/v1", "model": "told" });
        endpoint.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let error = open(endpoint).unwrap_err().to_string();
        assert!(error.ends_with(line), "{error}");
    }
}

/// Asks a real server. `PRAETOR_TEST_ENDPOINT=http://127.0.0.1:8080/v1` (and `PRAETOR_TEST_ENDPOINT_MODEL`) names it.
#[test]
#[allow(clippy::print_stdout)] // why it was skipped, what the server said
fn a_server_is_scored_by_its_log_probabilities() {
    let Ok(url) = std::env::var("PRAETOR_TEST_ENDPOINT") else {
        println!("skipped: PRAETOR_TEST_ENDPOINT names no OpenAI-compatible server");
        return;
    };
    let model = std::env::var("PRAETOR_TEST_ENDPOINT_MODEL").unwrap_or_else(|_| "test".to_owned());
    let judge = judge(json!({ "url": url, "model": model, "timeout_seconds": 300 }));
    assert!(judge.second_pass().unwrap().model.starts_with(&model));
    let questions = questions(Task::Verify, &TEXTS[..3]);
    let answers = judge.answer(&questions).unwrap();
    for answer in &answers {
        let said = answer.said.as_ref().unwrap();
        println!("{} {said:?}", answer.heads["first_token"].get("right"));
        assert!(said.read > 100 && said.decoded == 1);
        assert_eq!(said.response_sha256.as_ref().unwrap().len(), 64);
    }
    // A server that computes the same gives the same.
    let again = judge.answer(&questions[..1]).unwrap();
    assert_eq!(again[0].heads, answers[0].heads);
}

/// Nobody listens there: it is asked again, and then that is an error and no verdict.
#[test]
fn a_server_that_is_not_there_is_an_error() {
    let judge = judge(json!({ "url": "http://127.0.0.1:9/v1", "model": "none", "retries": 1, "timeout_seconds": 2 }));
    let error = judge.answer(&questions(Task::Verify, &TEXTS[..1])).unwrap_err();
    assert!(matches!(error, JudgeError::Server { .. }), "{error}");
}
