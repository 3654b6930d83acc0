//! Cuts connections on which nothing is asked for too long. The server itself bounds the head of a connection's first
//! request only; a client that then sends a second one byte by byte, or goes on with a body that was refused, would hold its
//! place for ever. So would one that asks for much and does not read it.

use std::any::Any;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Extensions;
use actix_web::web::Bytes;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(250);

/// How long a connection stays open for a next request that does not begin: the server's own keep-alive.
const KEPT_ALIVE: Duration = Duration::from_secs(5);

/// How long a client may leave what it asked for in the pipe.
const LEFT_UNREAD: Duration = Duration::from_secs(60);

/// How long one that is to be closed may take to go by itself.
const FAREWELL: Duration = Duration::from_secs(1);

/// A client's connection.
#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    /// Requests that are not answered to the end yet.
    asked: AtomicUsize,
    closing: AtomicBool,
    idle_since: Mutex<Instant>,
    /// When a piece of an answer was handed over after which no more was fetched.
    full_since: Mutex<Option<Instant>>,
}

impl Connection {
    fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            asked: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            idle_since: Mutex::new(Instant::now()),
            full_since: Mutex::new(None),
        }
    }

    /// A request came; it is answered once what is returned is dropped.
    pub(super) fn ask(self: &Arc<Self>) -> Asked {
        self.asked.fetch_add(1, Ordering::AcqRel);
        Asked(Arc::clone(self))
    }

    /// Nothing more is wanted of this client.
    pub(super) fn close_soon(&self) {
        self.closing.store(true, Ordering::Release);
    }

    fn is_overdue(&self, patience: Duration) -> bool {
        let limit = if self.closing.load(Ordering::Acquire) { FAREWELL } else { KEPT_ALIVE + patience };
        let since = *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner);
        let full = *self.full_since.lock().unwrap_or_else(PoisonError::into_inner);
        match self.asked.load(Ordering::Acquire) {
            0 => since.elapsed() > limit,
            _ => full.is_some_and(|since| since.elapsed() > LEFT_UNREAD),
        }
    }

    fn full(&self, since: Option<Instant>) {
        *self.full_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// The socket of a connection, plain or under TLS.
fn socket(connection: &dyn Any) -> Option<TcpStream> {
    type Plain = actix_web::rt::net::TcpStream;
    let under_tls = || Some(connection.downcast_ref::<TlsStream<Plain>>()?.get_ref().0);
    let stream = connection.downcast_ref::<Plain>().or_else(under_tls)?;
    stream.as_fd().try_clone_to_owned().ok().map(TcpStream::from)
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Asked(Arc<Connection>);

impl Drop for Asked {
    fn drop(&mut self) {
        *self.0.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.asked.fetch_sub(1, Ordering::AcqRel);
    }
}

/// All connections of a service.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch(Arc<Mutex<Vec<Weak<Connection>>>>);

impl Watch {
    /// Remembers a connection that was just made.
    pub(super) fn note(&self, connection: &dyn Any, data: &mut Extensions) {
        let Some(socket) = socket(connection) else { return };
        let connection = Arc::new(Connection::new(socket));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&connection));
        data.insert(connection);
    }

    /// Cuts what is overdue, for ever.
    pub(super) async fn run(&self, patience: Duration) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(LOOK).await;
            self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|connection| {
                let Some(connection) = connection.upgrade() else { return false };
                let overdue = connection.is_overdue(patience);
                if overdue {
                    // It may be gone already.
                    let _ = connection.socket.shutdown(Shutdown::Both);
                }
                !overdue
            });
        }
    }
}

/// A body whose request is answered when it is sent.
pub(super) struct Held {
    body: BoxBody,
    asked: Option<Asked>,
}

impl Held {
    /// The body of the answer to a request.
    pub(super) fn new(body: BoxBody, asked: Option<Asked>) -> Self {
        Self { body, asked }
    }
}

impl MessageBody for Held {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let piece = Pin::new(&mut self.body).poll_next(context);
        if let Some(Asked(connection)) = &self.asked {
            // More is fetched as soon as there is room for it.
            connection.full(matches!(piece, Poll::Ready(Some(Ok(_)))).then(Instant::now));
        }
        piece
    }

    fn try_into_bytes(self) -> Result<Bytes, Self> {
        let asked = self.asked;
        self.body.try_into_bytes().map_err(|body| Self { body, asked })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use actix_web::body::BodyStream;
    use futures_util::{StreamExt, stream};

    use super::*;

    #[test]
    fn who_leaves_an_answer_unread_is_cut_and_who_waits_for_one_is_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = Arc::new(Connection::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap()));
        let long_ago = Instant::now().checked_sub(LEFT_UNREAD + FAREWELL).unwrap();
        let pieces = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"much"))]).chain(stream::pending());
        let mut held = Held::new(BoxBody::new(BodyStream::new(pieces)), Some(connection.ask()));
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(!connection.is_overdue(Duration::ZERO));

        assert!(matches!(Pin::new(&mut held).poll_next(&mut context), Poll::Ready(Some(Ok(_)))));
        assert!(connection.full_since.lock().unwrap().is_some() && !connection.is_overdue(Duration::ZERO));
        connection.full(Some(long_ago));
        assert!(connection.is_overdue(Duration::ZERO));

        assert!(Pin::new(&mut held).poll_next(&mut context).is_pending());
        assert!(!connection.is_overdue(Duration::ZERO), "it waits for the service");
        drop(held);
        *connection.idle_since.lock().unwrap() = long_ago;
        assert!(connection.is_overdue(Duration::ZERO));
    }
}
