//! When a record says that its event was.

use serde::Deserialize;
use serde_json::Value;

/// The fields of all formats that tell a time.
#[derive(Debug, Deserialize)]
struct Times<'l> {
    /// KubeArmor's, in seconds.
    #[serde(alias = "Timestamp")]
    timestamp: Option<Value>,
    /// Tetragon's, Falco's, and what one's own events may have.
    #[serde(borrow)]
    time: Option<std::borrow::Cow<'l, str>>,
}

/// The time of a line of JSON, in seconds since 1970; `None` where it tells none.
pub(super) fn of_line(line: &[u8]) -> Option<i64> {
    let times: Times<'_> = serde_json::from_slice(line).ok()?;
    match (times.timestamp, times.time) {
        (Some(seconds), _) => seconds.as_i64().filter(|seconds| *seconds > 0),
        (None, Some(text)) => parse(&text),
        (None, None) => None,
    }
}

/// RFC 3339, to the second.
fn parse(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        let are_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        are_digits.then(|| digits.parse().ok())?
    };
    let is = |at: usize, wanted: &[u8]| {
        let byte = text.as_bytes().get(at);
        byte.is_some_and(|byte| wanted.contains(byte))
    };
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !((1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60) {
        return None;
    }
    let zone = text
        .get(19..)?
        .trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone.as_bytes() {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), rest @ ..] if rest.len() == 5 => {
            let at = text.len() - 5;
            let minutes = number(at, at + 2)? * 60 + number(at + 3, at + 5)?;
            if *sign == b'+' { -minutes } else { minutes }
        }
        _ => return None,
    };
    Some(((days(year, month, day) * 24 + hour) * 60 + minute + offset) * 60 + second)
}

/// Days since 1970. Years count from March, so that the leap day is their last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::super::facts::time;
    use super::*;

    #[test]
    fn times_of_every_format_are_read() {
        for (line, expected) in [
            (
                r#"{"Timestamp":1750000000,"UpdatedTime":"x"}"#,
                "2025-06-15T15:06:40Z",
            ),
            (r#"{"timestamp":1750000000}"#, "2025-06-15T15:06:40Z"),
            (
                r#"{"time":"2026-11-23T08:15:30.123456789Z"}"#,
                "2026-11-23T08:15:30Z",
            ),
            (
                r#"{"op":"exec","time":"2026-11-23T08:15:30+02:00"}"#,
                "2026-11-23T06:15:30Z",
            ),
            (
                r#"{"time":"2024-02-29T23:59:59-00:30"}"#,
                "2024-03-01T00:29:59Z",
            ),
            (r#"{"time":"1970-01-01T00:00:00Z"}"#, "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(
                of_line(line.as_bytes()).map(time).as_deref(),
                Some(expected),
                "{line}"
            );
        }
        for line in [
            "{}",
            "",
            r#"{"time":"yesterday"}"#,
            r#"{"time":"2026-13-01T00:00:00Z"}"#,
            r#"{"time":"2026-11-23T08:15:30"}"#,
            r#"{"time":"2026-11-23é08:15:30Z"}"#,
            r#"{"Timestamp":0}"#,
            r#"{"timestamp":"x"}"#,
        ] {
            assert_eq!(of_line(line.as_bytes()), None, "{line}");
        }
    }
}
