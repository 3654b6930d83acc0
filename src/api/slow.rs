//! Clients that send too slowly are cut: a body must arrive within the allowed time plus a second for each 16 KiB of it.
//! The head of a request is bounded by the server itself. Nothing here looks at what is sent.

use std::io;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
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
    Payload::Stream { payload: chunks.boxed_local() }
}
