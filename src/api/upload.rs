//! The body of an upload, decompressed as it comes: piece by piece, never the whole, and no piece larger than a few
//! mebibytes however well it was packed. What breaks off or is longer than allowed is an error, never a short body.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::dev::Decompress;
use actix_web::error::PayloadError;
use actix_web::http::header::{self, ContentEncoding};
use actix_web::web::{Bytes, Payload};
use futures_util::{Stream, StreamExt};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::error::ApiError;

/// A client that sends nothing for so long has gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Unpacked bytes of zstd at a time.
const PIECE: usize = 128 << 10;

/// The largest window of a zstd stream, as a power of two: the 8 MiB of RFC 9659.
const WINDOW: u32 = 23;

type Raw = Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>;

/// A body that is being read.
pub(super) struct Upload {
    raw: Raw,
    zstd: Option<Zstd>,
    limit: u64,
    taken: u64,
}

impl Upload {
    /// The body of a request, of at most so many bytes after decompression. Refuses codings it does not read.
    pub(super) fn open(request: &HttpRequest, body: Payload, limit: u64) -> Result<Self, ApiError> {
        let coding = request.headers().get(header::CONTENT_ENCODING).map(|v| v.to_str().unwrap_or("?").trim());
        let (raw, zstd): (Raw, _) = match coding.map(str::to_ascii_lowercase).as_deref() {
            None | Some("identity") => (Box::pin(body), None),
            Some("gzip") => (Box::pin(Decompress::new(body, ContentEncoding::Gzip)), None),
            Some("zstd") => (Box::pin(body), Some(Zstd::new().map_err(unreadable)?)),
            Some(_) => return Err(ApiError::MediaType),
        };
        Ok(Self { raw, zstd, limit, taken: 0 })
    }

    /// The next piece; None at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let piece = match &mut self.zstd {
            None => receive(&mut self.raw).await?,
            Some(zstd) => loop {
                if let Some(piece) = zstd.unpack().map_err(unreadable)? {
                    break Some(piece);
                }
                match receive(&mut self.raw).await? {
                    Some(packed) => zstd.feed(packed),
                    None if zstd.whole => break None,
                    None => return Err(ApiError::Body("the zstd stream ends too early".to_owned())),
                }
            },
        };
        self.taken += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        if self.taken > self.limit {
            return Err(ApiError::TooLarge { limit: usize::try_from(self.limit).unwrap_or(usize::MAX) });
        }
        Ok(piece)
    }
}

async fn receive(raw: &mut Raw) -> Result<Option<Bytes>, ApiError> {
    match tokio::time::timeout(PATIENCE, raw.next()).await {
        Ok(Some(Ok(bytes))) => Ok(Some(bytes)),
        Err(_) => Err(ApiError::TooSlow),
        Ok(Some(Err(PayloadError::Io(error)))) if error.kind() == io::ErrorKind::TimedOut => Err(ApiError::TooSlow),
        Ok(Some(Err(PayloadError::Io(error)))) => Err(unreadable(error)),
        Ok(Some(Err(_))) => Err(ApiError::Body("the upload broke off".to_owned())),
        Ok(None) => Ok(None),
    }
}

fn unreadable(error: io::Error) -> ApiError {
    ApiError::Body(format!("Content-Encoding: {error}"))
}

/// A zstd stream of one or more frames.
struct Zstd {
    decoder: Decoder<'static>,
    packed: Bytes,
    /// The last piece was full: more may come without more input.
    more: bool,
    /// What was fed ends with a frame, and there was one.
    whole: bool,
}

impl Zstd {
    fn new() -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW))?;
        Ok(Self { decoder, packed: Bytes::new(), more: false, whole: false })
    }

    fn feed(&mut self, packed: Bytes) {
        self.packed = packed;
    }

    /// The next piece; None when more input is needed.
    fn unpack(&mut self) -> io::Result<Option<Bytes>> {
        while self.more || !self.packed.is_empty() {
            let mut piece = vec![0; PIECE];
            let (mut input, mut output) = (InBuffer::around(&self.packed), OutBuffer::around(&mut piece));
            let hint = self.decoder.run(&mut input, &mut output)?;
            let (used, made) = (input.pos(), output.pos());
            self.packed = self.packed.slice(used..);
            self.whole = hint == 0;
            self.more = made == PIECE && !self.whole;
            if made > 0 {
                piece.truncate(made);
                return Ok(Some(piece.into()));
            }
        }
        Ok(None)
    }
}
