//! Names of profiles.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The name of a workload's profile, such as `gambeson.web`. Profiles for its sources lie below it.
///
/// ```
/// use gambeson_backend_apparmor::ProfileName;
/// let name: ProfileName = "gambeson.web".parse()?;
/// assert_eq!(name.as_str(), "gambeson.web");
/// assert!("/bin/sh".parse::<ProfileName>().is_err());
/// # Ok::<(), gambeson_backend_apparmor::ProfileNameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileName(String);

/// A text that can't be a profile's name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` can't name a profile: {problem}")]
pub struct ProfileNameError {
    /// The text as given.
    pub text: String,
    /// What is wrong.
    pub problem: &'static str,
}

impl ProfileName {
    /// The most bytes that a name has.
    pub const MAX_LENGTH: usize = 200;

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ProfileName {
    fn default() -> Self {
        Self("gambeson".to_owned())
    }
}

impl FromStr for ProfileName {
    type Err = ProfileNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_part = |letter: u8| letter.is_ascii_alphanumeric() || b"._-".contains(&letter);
        let problem = if text.is_empty() {
            "it is empty"
        } else if text.len() > Self::MAX_LENGTH {
            "it has more than 200 bytes"
        } else if !text.bytes().all(is_part) {
            "it has something else than letters, digits, `.`, `_` and `-`"
        } else if !text.starts_with(|letter: char| letter.is_ascii_alphanumeric()) {
            "it doesn't begin with a letter or a digit"
        } else if text == "unconfined" {
            "that is what the kernel calls tasks without a profile"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(ProfileNameError {
            text: text.to_owned(),
            problem,
        })
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_mean_something_to_the_kernel_are_refused() {
        for text in [
            "",
            "/bin/sh",
            "a//b",
            "a b",
            "unconfined",
            "-x",
            ":ns:x",
            "a\n",
            "ä",
        ] {
            assert!(text.parse::<ProfileName>().is_err(), "{text:?}");
        }
        assert!("x".repeat(201).parse::<ProfileName>().is_err());
        assert_eq!(
            "k8s.web-0_1".parse::<ProfileName>().unwrap().to_string(),
            "k8s.web-0_1"
        );
    }
}
