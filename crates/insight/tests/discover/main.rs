//! Drafts from recorded events.

#[cfg(test)]
mod drafts;
#[cfg(test)]
mod laws;
