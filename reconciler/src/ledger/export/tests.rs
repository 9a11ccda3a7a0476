use stxworx_indexer::store::ledger::{Line, Side};

use super::*;

fn line(account: &str, asset: &str, side: Side, amount: u128) -> Line {
    Line {
        account: account.into(),
        asset: asset.into(),
        side,
        amount,
        part: "deposit".into(),
    }
}

fn booked(seq: i64, amount: u128, asset: &str) -> Booked {
    Booked {
        seq,
        kind: "deposit".into(),
        state: "posted".into(),
        event_key: format!("ST1.freelance-logic:0xab:{seq}"),
        of_seq: None,
        reversed_by: None,
        block: "0x07".into(),
        height: 9,
        burn_height: 3,
        burn_time: 11,
        date: "2027-02-28".into(),
        txid: "0xab".into(),
        contract: Some("ST1.freelance-logic".into()),
        project: Some("1".into()),
        note: Some("half, \"so to say\"".into()),
        hash: "0xcd".into(),
        period: None,
        lines: vec![
            line("external:ST2", asset, Side::Credit, amount),
            line("escrow:ST1.freelance-logic:1", asset, Side::Debit, amount),
        ],
    }
}

fn books(amount: u128) -> Books {
    Books {
        bookings: vec![
            booked(1, amount, "STX"),
            booked(2, 5, "ST3.tok_en"),
            booked(3, 6, "ST4.tok-en"),
        ],
        told: vec![Told {
            holder: "ST1.freelance-logic".into(),
            asset: "STX".into(),
            booked: amount.to_string(),
            counted: amount.to_string(),
            node: Some(amount.to_string()),
            opening: "0".into(),
        }],
        block: "0x07".into(),
        height: 9,
    }
}

#[test]
fn commodities_are_told_apart() {
    let names = books(1).commodities();
    let names: Vec<_> = names.values().map(String::as_str).collect();
    assert_eq!(names, ["UTOK-EN", "UTOK-EN-2", "USTX"]);
}

#[test]
fn hledger_has_whole_numbers_of_any_size_and_the_holders_total() {
    let text = hledger(&books(u128::MAX));
    assert!(
        text.contains("    external:ST2    -340282366920938463463374607431768211455 \"USTX\"\n")
    );
    assert!(text.contains(
        "    escrow:ST1.freelance-logic    0 \"USTX\" =* 340282366920938463463374607431768211455 \"USTX\"\n"
    ));
    assert!(text.contains("2027-02-28 * (1) deposit\n"));
}

#[test]
fn beancount_is_refused_what_it_would_round_and_balances_on_the_next_day() {
    let error = beancount(&books(10u128.pow(28))).unwrap_err();
    assert!(error.to_string().contains("a line of journal 1"), "{error}");
    let text = beancount(&books(10u128.pow(28) - 1)).unwrap();
    assert!(text.contains(
        "2027-03-01 balance Assets:Escrow:ST1-freelance-logic  9999999999999999999999999999 ~ 0 USTX\n"
    ));
    assert!(text.contains("* \"half, \\\"so to say\\\"\"\n"));
    assert!(text.contains("  Assets:Escrow:ST1-freelance-logic:Project:1  5 UTOK-EN\n"));
}

#[test]
fn days_follow_one_another() {
    for (day, next) in [
        ("2026-11-25", "2026-11-26"),
        ("2027-12-31", "2028-01-01"),
        ("2028-02-28", "2028-02-29"),
        ("2100-02-28", "2100-03-01"),
        ("2026-04-30", "2026-05-01"),
    ] {
        assert_eq!(super::beancount::day_after(day), next);
    }
}

#[test]
fn csv_quotes_what_has_commas_and_quotes() {
    let text = csv(&books(7).bookings);
    assert_eq!(text.lines().count(), 6);
    let columns = CSV_HEADER.trim_end().split(',').count();
    let first = text.lines().next().unwrap();
    assert_eq!(
        first,
        "1,posted,deposit,2027-02-28,9,0x07,3,0xab,ST1.freelance-logic:0xab:1,ST1.freelance-logic,1,1,external:ST2,STX,\
         credit,7,deposit,\"half, \"\"so to say\"\"\",0xcd"
    );
    // One comma stands in the quoted note.
    assert_eq!(first.split(',').count(), columns + 1);
}

/// Every column comes back as the CSV has it, but for the types.
#[test]
fn parquet_has_the_columns_of_the_csv_and_exact_amounts() {
    use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
    use ::parquet::record::Field;

    let largest = 10u128.pow(38) - 1;
    let mut books = books(largest);
    books.bookings[1].note = None;
    books.bookings[1].contract = None;
    let file = parquet(&books.bookings).unwrap();
    let reader = SerializedFileReader::new(tokio_util::bytes::Bytes::from(file)).unwrap();
    let rows: Vec<_> = reader
        .get_row_iter(None)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let text = csv(&books.bookings).replace("\"half, \"\"so to say\"\"\"", "half");
    let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split(',').collect()).collect();
    assert_eq!(rows.len(), lines.len());
    let names: Vec<_> = CSV_HEADER.trim_end().split(',').collect();
    for (row, line) in rows.iter().zip(&lines) {
        assert_eq!(row.get_column_iter().count(), names.len());
        for ((name, field), (column, cell)) in row.get_column_iter().zip(names.iter().zip(line)) {
            assert_eq!(name, column);
            let told = match field {
                Field::Null => String::new(),
                Field::Str(text) if name == "note" => text.split(',').next().unwrap().to_owned(),
                Field::Str(text) => text.clone(),
                Field::Int(number) => number.to_string(),
                Field::Long(number) => number.to_string(),
                Field::Date(days) => {
                    assert_eq!(*days, 0, "eleven seconds after the beginning of time");
                    (*cell).to_owned()
                }
                Field::Decimal(decimal) => {
                    let bytes: [u8; 16] = decimal.data().try_into().unwrap();
                    assert_eq!((decimal.precision(), decimal.scale()), (38, 0));
                    i128::from_be_bytes(bytes).to_string()
                }
                other => panic!("{name} is {other}"),
            };
            assert_eq!(&told, cell, "{name}");
        }
    }
    let error = parquet(&self::books(largest + 1).bookings).unwrap_err();
    assert!(error.to_string().contains("journal 1"), "{error}");
}
