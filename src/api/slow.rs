//! Clients that send too slowly are cut: a body must arrive within the allowed time plus a second for each 16 KiB of it.
//! The head of a request is bounded by the server itself. And a body is handed on in small slices, so that none unpacks to
//! much before its length is looked at. Nothing here looks at what is sent.

use std::io;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::{Instant, timeout_at};

/// Bytes a second that a body must make at least, in the long run.
const LEAST_RATE: u64 = 16 << 10;

/// A body that fails with `TimedOut` when it is too slow.
pub(super) fn bounded(payload: Payload, allowed: Duration) -> Payload {
    if matches!(payload, Payload::None) {
        return payload;
    }
    let until = Instant::now() + allowed;
    let chunks = stream::unfold(Some((payload, 0u64)), move |reading| async move {
        let (mut payload, received) = reading?;
        let earned = Duration::from_millis(received.saturating_mul(1_000) / LEAST_RATE);
        match timeout_at(until + earned, payload.next()).await {
            Ok(None) => None,
            Ok(Some(Err(error))) => Some((Err(error), None)),
            Ok(Some(Ok(chunk))) => {
                let received = received.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
                Some((Ok(chunk), Some((payload, received))))
            }
            Err(_) => Some((Err(PayloadError::Io(io::ErrorKind::TimedOut.into())), None)),
        }
    });
    Payload::Stream { payload: chunks.flat_map(|chunk| stream::iter(slices(chunk))).boxed_local() }
}

/// Bytes handed on at a time. The most that gzip makes of them is half a mebibyte, and zstd 16.
const SLICE: usize = 512;

/// The same bytes in small pieces.
fn slices(chunk: Result<Bytes, PayloadError>) -> Vec<Result<Bytes, PayloadError>> {
    match chunk {
        Ok(bytes) => {
            (0..bytes.len()).step_by(SLICE).map(|at| Ok(bytes.slice(at..bytes.len().min(at + SLICE)))).collect()
        }
        Err(error) => vec![Err(error)],
    }
}
