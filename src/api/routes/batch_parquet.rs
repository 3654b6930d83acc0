//! A batch's results as a Parquet file, written as it is read: never more than a row group of it is in memory.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::HttpRequest;
use actix_web::http::header::{Accept, Header, Quality};
use actix_web::web::Bytes;
use futures_util::stream::{self, Stream};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::record::RecordWriter;
use parquet_derive::ParquetRecordWriter;

use super::super::error::{ApiError, internal};
use super::batch_streams::{ResultLine, Results};

/// The form's name.
pub(super) const CONTENT_TYPE: &str = "application/vnd.apache.parquet";

/// Lines of a row group, unless the last: enough for columns to pack well.
const ROWS: usize = 20_000;

/// A line of results as a row; the columns in this order.
#[derive(Debug, ParquetRecordWriter)]
struct Row {
    line: i64,
    outcome: Option<String>,
    ticket_id: Option<String>,
    decision_id: Option<String>,
    sop_id: Option<String>,
    sop_version: Option<i32>,
    remedy: Option<String>,
    refund_fen: Option<i64>,
    compensation_fen: Option<i64>,
    /// JSON.
    errors: Option<String>,
}

impl From<ResultLine> for Row {
    fn from(line: ResultLine) -> Self {
        Self {
            line: line.line,
            outcome: line.outcome,
            ticket_id: line.ticket_id,
            decision_id: line.decision_id,
            sop_id: line.sop_id,
            sop_version: line.sop_version,
            remedy: line.remedy,
            refund_fen: line.refund_fen,
            compensation_fen: line.compensation_fen,
            errors: line.errors.map(|errors| errors.to_string()),
        }
    }
}

/// Whether the client asks for Parquet.
pub(super) fn wanted(request: &HttpRequest) -> bool {
    Accept::parse(request).is_ok_and(|accept| {
        accept
            .iter()
            .any(|range| range.item.essence_str().eq_ignore_ascii_case(CONTENT_TYPE) && range.quality > Quality::ZERO)
    })
}

/// What was written and not sent yet.
#[derive(Clone, Default)]
struct Unsent(Arc<Mutex<Vec<u8>>>);

impl Unsent {
    fn take(&self) -> Bytes {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl Write for Unsent {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The file that results are written to as they are read.
struct File {
    writer: SerializedFileWriter<Unsent>,
    unsent: Unsent,
    results: Results,
}

impl File {
    fn open(results: Results) -> Result<Self, ParquetError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("praetor ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let (unsent, none): (Unsent, &[Row]) = (Unsent::default(), &[]);
        let writer = SerializedFileWriter::new(unsent.clone(), none.schema()?, Arc::new(properties))?;
        Ok(Self { writer, unsent, results })
    }

    /// Writes the next row group; false when there was nothing left.
    async fn next(&mut self) -> Result<bool, ApiError> {
        let mut rows: Vec<Row> = Vec::new();
        while rows.len() < ROWS
            && let Some(lines) = self.results.next().await?
        {
            rows.extend(lines.into_iter().map(Row::from));
        }
        if rows.is_empty() {
            return Ok(false);
        }
        self.write(&rows).map_err(internal("results have no Parquet form"))?;
        Ok(true)
    }

    fn write(&mut self, rows: &[Row]) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        (&rows).write_to_row_group(&mut group)?;
        group.close()?;
        Ok(())
    }
}

/// The file, piece by piece. One that breaks off has no end and cannot be read.
pub(super) fn file(results: Results) -> impl Stream<Item = Result<Bytes, ApiError>> {
    let file = File::open(results).map_err(internal("results have no Parquet form"));
    stream::try_unfold(Some(file), async |file| {
        let Some(file) = file else { return Ok(None) };
        let mut file = file?;
        if file.next().await? {
            return Ok(Some((file.unsent.take(), Some(Ok(file)))));
        }
        file.writer.finish().map_err(internal("results have no Parquet form"))?;
        Ok(Some((file.unsent.take(), None)))
    })
}
