//! A server that takes whatever it is sent, answers as a test says, and tells the test.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

/// A request as it came.
pub(super) struct Received {
    /// Request line and headers, whose names are in lower case.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Received {
    pub(super) fn header(&self, name: &str) -> &str {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
    }
}

/// Starts it; `answer` gives status line and further header lines, and the body, for the n-th request from 0.
pub(super) fn receive(
    answer: impl Fn(usize) -> (&'static str, String) + Send + 'static,
) -> (String, mpsc::Receiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, received) = mpsc::channel();
    std::thread::spawn(move || {
        for (n, mut stream) in listener.incoming().map_while(Result::ok).enumerate() {
            let (mut read, mut chunk) = (Vec::new(), [0; 4096]);
            stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            while let Ok(count @ 1..) = stream.read(&mut chunk) {
                read.extend_from_slice(&chunk[..count]);
                let Some(end) = read.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
                let head = String::from_utf8_lossy(&read[..end]).into_owned();
                let head: String = head
                    .lines()
                    .map(|line| match line.split_once(": ") {
                        Some((name, value)) => format!("{}: {value}\n", name.to_lowercase()),
                        None => format!("{line}\n"),
                    })
                    .collect();
                let received = Received { head, body: read[end + 4..].to_vec() };
                let length = received.header("content-length").parse().unwrap_or(0);
                if received.body.len() >= length {
                    let (status, body) = answer(n);
                    let _ = sender.send(received);
                    let head =
                        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                    let _ = stream.write_all((head + &body).as_bytes());
                    break;
                }
            }
        }
    });
    (address, received)
}

/// The next request, for which a test waits some seconds.
pub(super) async fn next(received: &mpsc::Receiver<Received>) -> Received {
    for _ in 0..400 {
        if let Ok(one) = received.try_recv() {
            return one;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing came")
}
