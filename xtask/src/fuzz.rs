//! What the fuzz targets do with their bytes. It stands here, and not with the targets, so that
//! an ordinary test can replay the inputs that once failed.

mod events;
mod globs;
mod images;
mod policies;
mod records;

pub use events::event;
pub use globs::glob;
pub use images::image;
pub use policies::yaml;
pub use records::record;

/// What a target says of its input: nothing, or what is wrong with what was made of it.
pub type Finding = Result<(), String>;
