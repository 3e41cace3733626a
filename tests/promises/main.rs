//! What the README and the examples promise.

#[cfg(test)]
mod example_policies;
#[cfg(test)]
mod readme;
