//! What the figures were taken on, and when.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Date and machine of a measurement.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    /// Year, month and day, in UTC.
    pub(super) date: String,
    /// The processor's name.
    pub(super) processor: String,
    /// How many of them the process may use.
    pub(super) cores: usize,
    /// The kernel's release.
    pub(super) kernel: String,
    /// The compiler's version.
    pub(super) compiler: String,
}

impl Machine {
    /// This machine, now. What can't be found out is `unknown`.
    #[must_use]
    pub(super) fn here() -> Self {
        let unknown = || "unknown".to_owned();
        let processor = fs::read_to_string("/proc/cpuinfo")
            .ok()
            .and_then(|text| {
                let line = text.lines().find(|line| line.starts_with("model name"))?;
                Some(line.split_once(':')?.1.trim().to_owned())
            })
            .unwrap_or_else(unknown);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")
            .map_or_else(|_| unknown(), |text| text.trim().to_owned());
        let compiler = Command::new("rustc")
            .arg("--version")
            .output()
            .ok()
            .and_then(|output| String::from_utf8(output.stdout).ok())
            .map_or_else(unknown, |text| text.trim().to_owned());
        Self {
            date: date(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| since.as_secs()),
            ),
            processor,
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            kernel,
            compiler,
        }
    }

    /// Date and processor as part of a file name.
    #[must_use]
    pub(super) fn slug(&self) -> String {
        let name: String = self
            .processor
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_lowercase()
                } else {
                    '-'
                }
            })
            .collect();
        let parts: Vec<&str> = name.split('-').filter(|part| !part.is_empty()).collect();
        format!("{}-{}", self.date, parts.join("-"))
    }
}

/// The date of a second since 1970, in the calendar that every year divides by (Gregorian).
fn date(seconds: u64) -> String {
    let mut days = seconds / 86_400;
    let mut year = 1970;
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_400), "2000-02-29");
        assert_eq!(date(1_798_761_599), "2026-12-31");
        assert_eq!(date(1_798_761_600), "2027-01-01");
    }
}
