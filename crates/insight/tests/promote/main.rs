//! From reports to denials, and back.

#[cfg(test)]
mod promotions;
