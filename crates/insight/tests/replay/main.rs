//! Recorded events, decided again.

#[cfg(test)]
mod records;
