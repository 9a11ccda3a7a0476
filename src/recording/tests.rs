use super::*;
use flate2::write::GzEncoder;
use std::error::Error as _;
use std::io::{Cursor, Read, Write};

fn read(text: impl AsRef<[u8]>) -> Vec<Result<Entry, RecordingError>> {
    Recording::from_reader("test", Cursor::new(text.as_ref().to_vec())).collect()
}

fn entries(text: impl AsRef<[u8]>) -> Vec<Entry> {
    read(text).into_iter().map(|entry| entry.unwrap()).collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A reader that gives one byte at a time, as a slow pipe may.
struct Drip(Cursor<Vec<u8>>);

impl Read for Drip {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let end = buffer.len().min(1);
        self.0.read(&mut buffer[..end])
    }
}

const TWO: &str = concat!(
    r#"{"seq":1,"path":"/new_block","ts":1.5,"status":200,"body":{"b": 1e2, "a":"\u0041\n"}}"#,
    "\n",
    r#"{"body":["0x00"],"extra":{"x":[1]},"path":"\/new_mempool_tx"}"#,
    "\n",
);

fn two() -> Vec<Entry> {
    vec![
        Entry::new("/new_block", br#"{"b": 1e2, "a":"\u0041\n"}"#.to_vec()),
        Entry::new("/new_mempool_tx", br#"["0x00"]"#.to_vec()),
    ]
}

#[test]
fn ndjson_bodies_are_byte_exact() {
    assert_eq!(entries(TWO), two());
}

#[test]
fn blank_lines_line_ends_and_a_missing_last_line_end_do_not_matter() {
    let text = format!("\n{}\n", TWO.replace('\n', "\r\n\r\n").trim_end());
    assert_eq!(entries(&text), two());
    assert_eq!(entries(TWO.trim_end()), two());
    assert!(entries("").is_empty());
    assert!(entries("\n \n").is_empty());
}

#[test]
fn gzip_is_found_by_its_first_bytes_and_may_have_several_members() {
    assert_eq!(entries(gzip(TWO.as_bytes())), two());
    let (first, second) = TWO.split_at(40);
    let members = [gzip(first.as_bytes()), gzip(second.as_bytes())].concat();
    assert_eq!(entries(members), two());
}

#[test]
fn a_slow_pipe_is_read_to_its_end() {
    for bytes in [TWO.as_bytes().to_vec(), gzip(TWO.as_bytes())] {
        let recording = Recording::from_reader("pipe", Drip(Cursor::new(bytes)));
        assert_eq!(recording.collect::<Result<Vec<_>, _>>().unwrap(), two());
    }
}

#[test]
fn a_cut_gzip_file_is_an_error_after_the_whole_lines() {
    let whole = gzip(TWO.repeat(500).as_bytes());
    let results = read(&whole[..whole.len() - 12]);
    let (last, before) = results.split_last().unwrap();
    assert!(matches!(last, Err(RecordingError::Read { .. })), "{last:?}");
    assert!(before.iter().all(Result::is_ok));
}

#[test]
fn tsv_rows_plain_and_escaped() {
    let plain = "1\t2024-03-13 15:34:10.446375+00\t/new_block\t{\"a\":\"\\\"q\\\"\"}\n";
    let escaped = "1\t2024-03-13 15:34:10.446375+00\t/new_block\t{\"a\":\"\\\\\"q\\\\\"\"}\n\\.\n";
    let expected = vec![Entry::new("/new_block", br#"{"a":"\"q\""}"#.to_vec())];
    assert_eq!(entries(plain), expected);
    assert_eq!(entries(escaped), expected);
    assert_eq!(entries(gzip(escaped.as_bytes())), expected);
}

#[test]
fn the_format_is_known_after_the_first_entry() {
    let mut recording = Recording::from_reader("test", Cursor::new(TWO));
    assert_eq!((recording.format(), recording.line()), (None, 0));
    recording.next().unwrap().unwrap();
    assert_eq!(
        (recording.format(), recording.line()),
        (Some(Format::Ndjson), 1)
    );
}

fn last_error(text: &str) -> RecordingError {
    read(text).pop().unwrap().unwrap_err()
}

#[test]
fn malformed_lines_say_where_and_what_was_expected() {
    let check = |text: &str, expected: &str| {
        let error = last_error(text);
        assert_eq!(error.to_string(), expected);
        if let Some(source) = error.source() {
            assert!(!expected.contains(&source.to_string()));
        }
    };
    let object = "expected a JSON object with a string \"path\" and a \"body\"";
    check(
        &format!("{TWO}\n{{\"path\":\"/x\"}}"),
        &format!("line 4: {object}"),
    );
    check("{\"path\":1,\"body\":2}", &format!("line 1: {object}"));
    check("{\"path\":\"/x\",\"body\":{", &format!("line 1: {object}"));
    check(
        "{\"path\":\"x\",\"body\":2}",
        "line 1: expected a path that starts with a slash and has no spaces, found \"x\"",
    );
    check(
        "{\"path\":\"/a b\",\"body\":2}",
        "line 1: expected a path that starts with a slash and has no spaces, found \"/a b\"",
    );
    check(
        "1\tt\t/p",
        "line 1: expected 4 columns (id, timestamp, path, JSON) separated by tabs, found 3",
    );
    check(
        "1\tt\t/p\t{oops",
        "line 1: expected JSON in the fourth column, with or without COPY escapes",
    );
    assert!(matches!(
        last_error("hello"),
        RecordingError::UnknownFormat { line: 1, .. }
    ));
    assert!(matches!(
        last_error("12 13"),
        RecordingError::UnknownFormat { line: 1, .. }
    ));
}

#[test]
fn nothing_follows_an_error() {
    let results = read(format!("{{\"path\":\"/x\"}}\n{TWO}"));
    assert_eq!(results.len(), 1);
    assert!(results[0].is_err());
}

#[test]
fn the_line_limit_is_exact() {
    let line = TWO.lines().next().unwrap();
    let bytes = u64::try_from(line.len()).unwrap();
    let read = |limit| {
        let source = Cursor::new(format!("{line}\n{line}"));
        Recording::from_reader("test", source)
            .with_line_limit(limit)
            .collect::<Result<Vec<_>, _>>()
    };
    assert_eq!(read(bytes).unwrap().len(), 2);
    let error = read(bytes - 1).unwrap_err();
    assert!(
        matches!(error, RecordingError::LineTooLong { line: 1, .. }),
        "{error:?}"
    );
}

#[test]
fn a_line_of_many_megabytes_is_read_whole() {
    let body = format!("\"{}\"", "x".repeat(20 << 20));
    let text = format!("{{\"path\":\"/new_block\",\"body\":{body}}}\n{TWO}");
    let read = entries(&text);
    assert_eq!(read.len(), 3);
    assert_eq!(read[0].body.len(), body.len());
}

#[test]
fn a_missing_file_is_named() {
    let error = Recording::open(std::path::Path::new("/nonexistent/x.ndjson"))
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "cannot open the recording /nonexistent/x.ndjson"
    );
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    for (name, compression) in [
        ("a.ndjson", Compression::None),
        ("a.ndjson.gz", Compression::Gzip),
    ] {
        let file = folder.path().join(name);
        assert_eq!(Compression::of_name(&file), compression);
        let mut writer = RecordingWriter::create(&file, compression).unwrap();
        for entry in two() {
            writer.write(&entry, 1_795_380_249_005, 200).unwrap();
        }
        assert_eq!(writer.finish().unwrap(), 2);
        let read: Result<Vec<_>, _> = Recording::open(&file).unwrap().collect();
        assert_eq!(read.unwrap(), two());
    }
    let text = std::fs::read_to_string(folder.path().join("a.ndjson")).unwrap();
    assert!(
        text.starts_with(
            r#"{"seq":1,"path":"/new_block","ts":1795380249.005,"status":200,"body":{"b": 1e2,"#
        ),
        "{text}"
    );
}

#[test]
fn the_writer_keeps_one_entry_on_one_line_and_refuses_what_is_not_json() {
    let mut writer = RecordingWriter::new(Vec::new());
    writer
        .write(&Entry::new("/p", b"{\n \"a\":\r\n1}".to_vec()), 0, 200)
        .unwrap();
    let error = writer
        .write(&Entry::new("/p", b"junk".to_vec()), 0, 200)
        .unwrap_err();
    assert!(matches!(error, RecordingError::BodyNotJson { .. }));
    let text = String::from_utf8(writer.into_inner()).unwrap();
    assert_eq!(
        text,
        "{\"seq\":1,\"path\":\"/p\",\"ts\":0.000,\"status\":200,\"body\":{  \"a\":  1}}\n"
    );
}
