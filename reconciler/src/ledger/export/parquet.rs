//! One posting a row, with the columns of the CSV and their own types.

use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, FixedLenByteArray, FixedLenByteArrayType, Int32Type,
    Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use stxworx_indexer::store::ledger::Line;
use stxworx_indexer::store::ledger::read::Booked;

use super::ExportError;

/// Amounts are decimals of 38 digits, the widest that Arrow's usual type, DuckDB and Spark read exactly.
const SCHEMA: &str = "
    message postings {
        required int64 journal;
        required binary state (utf8);
        required binary kind (utf8);
        required int32 date (date);
        required int32 height;
        required binary block (utf8);
        required int32 burn_height;
        required binary txid (utf8);
        required binary event (utf8);
        optional binary contract (utf8);
        optional binary project (utf8);
        required int32 line;
        required binary account (utf8);
        required binary asset (utf8);
        required binary side (utf8);
        required fixed_len_byte_array(16) amount (decimal(38, 0));
        required binary part (utf8);
        optional binary note (utf8);
        required binary hash (utf8);
    }";
/// One more than the largest number of 38 digits.
const LIMIT: u128 = 10u128.pow(38);
const DAY: i64 = 86_400;
/// Postings in a row group.
const GROUP: usize = 100_000;

struct Posting<'a> {
    of: &'a Booked,
    number: i32,
    line: &'a Line,
}

/// The lines of these bookings, as a file.
///
/// # Errors
/// [`ExportError::TooWide`] for an amount of 39 digits, [`ExportError::Parquet`] if the file cannot be made.
pub fn parquet(bookings: &[Booked]) -> Result<Vec<u8>, ExportError> {
    let postings: Vec<Posting<'_>> = bookings
        .iter()
        .flat_map(|of| {
            (1..)
                .zip(&of.lines)
                .map(move |(number, line)| Posting { of, number, line })
        })
        .collect();
    if let Some(wide) = postings.iter().find(|p| p.line.amount >= LIMIT) {
        return Err(ExportError::TooWide {
            journal: wide.of.seq,
            amount: wide.line.amount,
        });
    }
    Ok(file(&postings)?)
}

fn file(postings: &[Posting<'_>]) -> Result<Vec<u8>, ParquetError> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("stxworx ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    for some in postings.chunks(GROUP) {
        let mut group = writer.next_row_group()?;
        columns(&mut group, some)?;
        group.close()?;
    }
    writer.into_inner()
}

/// The columns, in the order of the schema.
fn columns(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    rows: &[Posting<'_>],
) -> Result<(), ParquetError> {
    column::<Int64Type>(group, rows, |p| p.of.seq)?;
    text(group, rows, |p| &p.of.state)?;
    text(group, rows, |p| &p.of.kind)?;
    let days = rows
        .iter()
        .map(|p| i32::try_from(p.of.burn_time.div_euclid(DAY)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| ParquetError::External(error.into()))?;
    put::<Int32Type>(group, &days, None)?;
    column::<Int32Type>(group, rows, |p| p.of.height)?;
    text(group, rows, |p| &p.of.block)?;
    column::<Int32Type>(group, rows, |p| p.of.burn_height)?;
    text(group, rows, |p| &p.of.txid)?;
    text(group, rows, |p| &p.of.event_key)?;
    text_or_null(group, rows, |p| p.of.contract.as_deref())?;
    text_or_null(group, rows, |p| p.of.project.as_deref())?;
    column::<Int32Type>(group, rows, |p| p.number)?;
    text(group, rows, |p| &p.line.account)?;
    text(group, rows, |p| &p.line.asset)?;
    text(group, rows, |p| p.line.side.as_str())?;
    column::<FixedLenByteArrayType>(group, rows, |p| {
        // Big-endian two's complement; below 10^38 the sign stays clear.
        FixedLenByteArray::from(p.line.amount.to_be_bytes().to_vec())
    })?;
    text(group, rows, |p| &p.line.part)?;
    text_or_null(group, rows, |p| p.of.note.as_deref())?;
    text(group, rows, |p| &p.of.hash)
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    rows: &[Posting<'_>],
    value: impl Fn(&Posting<'_>) -> T::T,
) -> Result<(), ParquetError> {
    put::<T>(group, &rows.iter().map(value).collect::<Vec<_>>(), None)
}

fn text<'a>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    rows: &'a [Posting<'_>],
    value: impl Fn(&'a Posting<'_>) -> &'a str,
) -> Result<(), ParquetError> {
    let values: Vec<_> = rows.iter().map(|p| ByteArray::from(value(p))).collect();
    put::<ByteArrayType>(group, &values, None)
}

fn text_or_null<'a>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    rows: &'a [Posting<'_>],
    value: impl Fn(&'a Posting<'_>) -> Option<&'a str>,
) -> Result<(), ParquetError> {
    let values: Vec<_> = rows
        .iter()
        .filter_map(&value)
        .map(ByteArray::from)
        .collect();
    let levels: Vec<_> = rows.iter().map(|p| i16::from(value(p).is_some())).collect();
    put::<ByteArrayType>(group, &values, Some(&levels))
}

fn put<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let mut column = group
        .next_column()?
        .ok_or_else(|| ParquetError::General("the schema has fewer columns".to_owned()))?;
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}
