//! Times of alerts.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// A Unix time with microseconds. It displays as `2025-06-15T15:06:40.123456Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixTime {
    /// Seconds since 1970, without leap seconds.
    pub seconds: i64,
    /// Microseconds since that second, up to 999,999.
    pub microseconds: u32,
}

impl From<SystemTime> for UnixTime {
    /// Times before 1970 are taken for 1970.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            microseconds: since.subsec_micros(),
        }
    }
}

const DAY: i64 = 86_400;

/// Days of 400 years, after which the calendar repeats.
const ERA: i64 = 146_097;

/// Days from 1 March of the year 0 to 1 January 1970.
const EPOCH: i64 = 719_468;

/// Year, month and day of a day counted from 1 January 1970.
///
/// Counts from 1 March, so that the leap day ends a year, and takes out the days that leap years
/// add before dividing by 365.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day.saturating_add(EPOCH);
    let era = day.div_euclid(ERA);
    let day = day.rem_euclid(ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months from March have 31, 30, 31, 30, 31 days and again: 153 in five.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + next_year, month, day)
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.seconds.div_euclid(DAY));
        let second = self.seconds.rem_euclid(DAY);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
            second / 3_600,
            second / 60 % 60,
            second % 60,
            self.microseconds
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn known_times() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000007Z"),
            (1_750_000_000, "2025-06-15T15:06:40.000007Z"),
            (951_782_399, "2000-02-28T23:59:59.000007Z"),
            (951_782_400, "2000-02-29T00:00:00.000007Z"),
            (951_868_800, "2000-03-01T00:00:00.000007Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000007Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000007Z"),
            (-1, "1969-12-31T23:59:59.000007Z"),
        ] {
            let time = UnixTime {
                seconds,
                microseconds: 7,
            };
            assert_eq!(time.to_string(), expected);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = civil(-1);
        assert_eq!(last, (1969, 12, 31));
        for day in 0..200_000 {
            let (year, month, date) = civil(day);
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match last.1 {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            let expected = match last {
                (year, 12, 31) => (year + 1, 1, 1),
                (year, month, date) if date == length => (year, month + 1, 1),
                (year, month, date) => (year, month, date + 1),
            };
            assert_eq!((year, month, date), expected);
            last = expected;
        }
    }

    #[test]
    fn the_ends_of_time_have_a_name() {
        for seconds in [i64::MIN, i64::MAX] {
            let time = UnixTime {
                seconds,
                microseconds: 0,
            };
            assert!(time.to_string().ends_with('Z'));
        }
        let system = UNIX_EPOCH + Duration::from_micros(1_750_000_000_123_456);
        let time = UnixTime::from(system);
        assert_eq!(time.to_string(), "2025-06-15T15:06:40.123456Z");
    }
}
