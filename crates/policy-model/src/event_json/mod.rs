//! Events as lines of JSON.
//!
//! | `op` | required | optional |
//! |---|---|---|
//! | `exec` | `path` | `args` or `argv` |
//! | `read`, `write`, `map_exec` | `path` | |
//! | `socket` | `family`, `type` | `protocol` |
//! | `capability` | `capability` | |
//! | `syscall` | `syscall` | `path` |
//! | `dns` | `domain` | |
//! | `device` | `class` | `subclass`, `protocol`, `level` |
//! | `preset` | `preset` | |
//!
//! Every event may have `source`, `uid`, `owner` and `tty`. A null counts as not given, but for
//! `path`: there it says that the path could not be computed, as does the kernel's name for a file in
//! memory (`memfd:`). Its names for objects that have none in a file system (`pipe:[`, `socket:[`,
//! `anon_inode:`) put them outside the file class. A path that ends in ` (deleted)` is a path like any
//! other. Fields that aren't listed are ignored.
//!
//! `args` are the arguments after `argv[0]`; a first one that is the path or its last component is
//! taken for `argv[0]` and left out. `argv` is the whole vector, for who wants no guessing.
//!
//! Paths and arguments are bytes. Those that are no UTF-8 are written as lone surrogates, the byte
//! `0xff` as `\udcff`, which is what Python's `json.dumps(os.fsdecode(path))` gives.

mod build;
mod bytes;
mod error;
mod read;
mod schema;
mod write;

pub use error::EventError;
pub use schema::event_schema;

use crate::event::Event;

impl<'a> Event<'a> {
    /// Reads an event from one line of JSON, borrowing from the line wherever it holds no escapes.
    ///
    /// ```
    /// use gambeson_policy_model::Event;
    /// let line = r#"{"op":"exec","path":"/bin/sh","args":["-c","id"],"source":"/usr/sbin/nginx"}"#;
    /// let event = Event::from_json(line)?;
    /// let args = ["-c", "id"].map(str::as_bytes);
    /// assert_eq!(event, Event::exec("/bin/sh").args(args).by("/usr/sbin/nginx"));
    ///
    /// let wrong = Event::from_json(r#"{"op":"read","path":"etc/passwd"}"#);
    /// assert!(wrong.unwrap_err().to_string().starts_with("`path` is a relative path"));
    /// # Ok::<(), gambeson_policy_model::EventError>(())
    /// ```
    ///
    /// # Errors
    /// When the line is no JSON object, a required field is missing, a known field stands twice
    /// or holds what it can't.
    pub fn from_json(line: &'a str) -> Result<Self, EventError> {
        build::event(read::RawEvent::from_json(line)?)
    }

    /// Writes the event as one line of JSON, without the line feed; [`Event::from_json`] reads
    /// the same event back.
    ///
    /// ```
    /// use gambeson_policy_model::Event;
    /// let event = Event::read("/etc/passwd").by("/bin/cat").uid(1000);
    /// assert_eq!(
    ///     event.to_json(),
    ///     r#"{"op":"read","path":"/etc/passwd","source":"/bin/cat","uid":1000}"#
    /// );
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        write::event(self)
    }
}

#[cfg(test)]
mod tests;
