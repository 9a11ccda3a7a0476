//! Times and days as clients write them: RFC 3339, unix seconds, UTC days. Pure.

/// Seconds of a day.
pub const DAY: i64 = 86_400;
/// The latest time that is taken: the last second of the year 9999.
const LAST: i64 = 253_402_300_799;

/// A UTC day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub i64);

impl Day {
    /// The day of a time in unix seconds.
    pub fn of(seconds: i64) -> Self {
        Self(seconds.div_euclid(DAY))
    }

    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        let (year, month, day) = (
            digits(&bytes[..4])?,
            digits(&bytes[5..7])?,
            digits(&bytes[8..])?,
        );
        let found = Self(days(year, month, day));
        // A day that is not in its month comes out as another one.
        (year >= 1970 && (1..=12).contains(&month) && found.civil() == (year, month, day))
            .then_some(found)
    }

    /// Its first second.
    pub fn start(self) -> i64 {
        self.0 * DAY
    }

    /// Year, month and day.
    fn civil(self) -> (i64, i64, i64) {
        // After Howard Hinnant's `civil_from_days`: years that begin in March.
        let shifted = self.0 + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let part = (5 * of_year + 2) / 153;
        let day = of_year - (153 * part + 2) / 5 + 1;
        let month = if part < 10 { part + 3 } else { part - 9 };
        (year + era * 400 + i64::from(month <= 2), month, day)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = self.civil();
        write!(out, "{year:04}-{month:02}-{day:02}")
    }
}

/// Days from 1970-01-01 to a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn digits(bytes: &[u8]) -> Option<i64> {
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// Reads unix seconds, or a time of RFC 3339; a fraction of a second is cut off.
pub fn parse_time(text: &str) -> Option<i64> {
    if text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().filter(|seconds| *seconds <= LAST);
    }
    let (date, clock) = (text.get(..10)?, text.get(10..)?);
    let clock = clock.strip_prefix(['T', 't', ' '])?.as_bytes();
    if clock.len() < 9 || clock[2] != b':' || clock[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (
        digits(&clock[..2])?,
        digits(&clock[3..5])?,
        digits(&clock[6..8])?,
    );
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut zone = &clock[8..];
    if zone[0] == b'.' {
        let fraction = zone[1..].iter().take_while(|b| b.is_ascii_digit()).count();
        zone = (fraction > 0).then(|| &zone[1 + fraction..])?;
    }
    let offset = match zone {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), rest @ ..] if rest.len() == 5 && rest[2] == b':' => {
            let (hours, minutes) = (digits(&rest[..2])?, digits(&rest[3..])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (hours * 3_600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let seconds = Day::parse(date)?.start() + hour * 3_600 + minute * 60 + second - offset;
    (0..=LAST).contains(&seconds).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_as_rfc_3339_writes_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1700000000", Some(1_700_000_000)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2023-11-14T22:13:20Z", Some(1_700_000_000)),
            ("2023-11-14t22:13:20.999z", Some(1_700_000_000)),
            ("2023-11-15 00:13:20+02:00", Some(1_700_000_000)),
            ("2023-11-14T19:43:20-02:30", Some(1_700_000_000)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800)),
            ("2023-02-29T00:00:00Z", None),
            ("2023-11-14T22:13:20", None),
            ("2023-11-14T24:13:20Z", None),
            ("2023-11-14T22:13:20.Z", None),
            ("2023-13-14T22:13:20Z", None),
            ("2023-11-14", None),
            ("-1", None),
            ("1.5", None),
            ("1969-12-31T23:59:59Z", None),
            ("999999999999", None),
            ("2023-11-14T22:13:20µ", None),
            ("20µ3-11-14T22:13:20Z", None),
            ("", None),
        ] {
            assert_eq!(parse_time(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_day_is_read_as_it_is_written(day in 0i64..2_932_896) {
            prop_assert_eq!(Day::parse(&Day(day).to_string()), Some(Day(day)));
            prop_assert_eq!(parse_time(&format!("{}T00:00:00Z", Day(day))), Some(Day(day).start()));
        }

        #[test]
        fn no_text_breaks_it(text in "\\PC{0,40}") {
            let _ = (parse_time(&text), Day::parse(&text));
        }

        #[test]
        fn no_time_like_text_breaks_it(text in "[0-9TZ:.+ -]{0,40}") {
            let _ = (parse_time(&text), Day::parse(&text));
        }
    }
}
