//! Which kernels are to be tested, and whether one that is missing is a failure.

use std::io::Write as _;

use super::{Kernel, VmError};

/// Names the kernels that are expected, separated by commas: `6.1,6.12,newest`.
pub const KERNELS_VARIABLE: &str = "GAMBESON_KERNELS";

/// What is tested where nobody says what to expect.
const USUAL: [&str; 3] = ["6.1", "6.12", "newest"];

/// The kernels to test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnderTest {
    /// These, at least one.
    Kernels(Vec<Kernel>),
    /// None, and nobody expects any: the test is skipped, for the reason given in one line.
    Skip(String),
}

impl UnderTest {
    /// The kernels; none where tests are skipped, which one line on standard error says.
    #[must_use]
    pub fn or_say_skipped(self) -> Vec<Kernel> {
        match self {
            Self::Kernels(kernels) => kernels,
            Self::Skip(reason) => {
                // Written past the test harness, which would keep it back. Nothing hangs on it.
                let _ = std::io::stderr().write_all(format!("SKIPPED: {reason}\n").as_bytes());
                Vec::new()
            }
        }
    }
}

/// The kernels that [`KERNELS_VARIABLE`] names. Without it, those of 6.1, 6.12 and the newest
/// that can be had.
///
/// # Errors
///
/// When a kernel that is expected by name can't be had, and when anything but a lack goes wrong.
pub fn kernels_under_test() -> Result<UnderTest, VmError> {
    let expected = std::env::var(KERNELS_VARIABLE).unwrap_or_default();
    select(&names(&expected), Kernel::find)
}

fn names(list: &str) -> Vec<&str> {
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}

fn select(
    expected: &[&str],
    find: impl Fn(&str) -> Result<Kernel, VmError>,
) -> Result<UnderTest, VmError> {
    if !expected.is_empty() {
        let kernels: Result<_, _> = expected.iter().map(|name| find(name)).collect();
        return kernels.map(UnderTest::Kernels);
    }
    let mut kernels = Vec::new();
    let mut lacking = None;
    for name in USUAL {
        match find(name) {
            Ok(kernel) => kernels.push(kernel),
            Err(error) if error.is_unavailable() => {
                let everything = matches!(error, VmError::Unavailable { .. });
                lacking.get_or_insert(error);
                if everything {
                    break;
                }
            }
            Err(error) => return Err(error),
        }
    }
    match lacking {
        Some(error) if kernels.is_empty() => Ok(UnderTest::Skip(error.to_string())),
        _ => Ok(UnderTest::Kernels(kernels)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(name: &str) -> Kernel {
        Kernel {
            name: name.to_owned(),
            package: String::new(),
            version: String::new(),
            release: String::new(),
            folder: "/nowhere".into(),
        }
    }

    fn only_6_1(name: &str) -> Result<Kernel, VmError> {
        if name == "6.1" {
            Ok(kernel(name))
        } else {
            Err(VmError::NoKernel {
                name: name.to_owned(),
                reason: "the archive can't be reached".to_owned(),
            })
        }
    }

    fn nothing(_: &str) -> Result<Kernel, VmError> {
        Err(VmError::Unavailable {
            reason: "no emulator".to_owned(),
        })
    }

    #[test]
    fn without_expectations_what_is_missing_is_left_out() {
        assert_eq!(
            select(&[], only_6_1).unwrap(),
            UnderTest::Kernels(vec![kernel("6.1")])
        );
        assert_eq!(
            select(&[], nothing).unwrap(),
            UnderTest::Skip("virtual machines can't run here: no emulator".to_owned())
        );
    }

    #[test]
    fn an_expected_kernel_that_is_missing_is_a_failure() {
        assert!(matches!(
            select(&names("6.1, newest"), only_6_1),
            Err(VmError::NoKernel { name, .. }) if name == "newest"
        ));
        assert!(select(&names("6.1"), only_6_1).is_ok());
        assert!(select(&names("6.1"), nothing).is_err());
    }

    #[test]
    fn what_goes_wrong_is_never_skipped() {
        let broken = |_: &str| {
            Err(VmError::Tool {
                program: "cc".to_owned(),
                message: "killed".to_owned(),
            })
        };
        assert!(select(&[], broken).is_err());
    }
}
