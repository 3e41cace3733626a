//! Recorded events, decided again.

#[cfg(test)]
mod records;
#[cfg(test)]
mod samples;
