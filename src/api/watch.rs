//! Cuts connections on which nothing is asked for too long. The server itself bounds the head of a connection's first
//! request only; a client that then sends a second one byte by byte, or goes on with a body that was refused, would hold its
//! place for ever. Only plain connections can be cut here: under TLS the socket is out of reach.

use std::any::Any;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Extensions;
use actix_web::web::Bytes;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(250);

/// How long a connection stays open for a next request that does not begin: the server's own keep-alive.
const KEPT_ALIVE: Duration = Duration::from_secs(5);

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
}

impl Connection {
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
        self.asked.load(Ordering::Acquire) == 0 && since.elapsed() > limit
    }
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
        let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>() else { return };
        let Ok(socket) = stream.as_fd().try_clone_to_owned() else { return };
        let connection = Arc::new(Connection {
            socket: TcpStream::from(socket),
            asked: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            idle_since: Mutex::new(Instant::now()),
        });
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
        Pin::new(&mut self.body).poll_next(context)
    }

    fn try_into_bytes(self) -> Result<Bytes, Self> {
        let asked = self.asked;
        self.body.try_into_bytes().map_err(|body| Self { body, asked })
    }
}
