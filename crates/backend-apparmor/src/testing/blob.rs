//! Compiled profiles, as the parser writes them for the kernel.

use std::collections::BTreeMap;

use thiserror::Error;

use super::dfa::Dfa;

/// Compiled profiles.
#[derive(Debug, Clone, Default)]
pub struct Blob {
    /// In the order they are loaded.
    pub profiles: Vec<CompiledProfile>,
}

/// One compiled profile.
#[derive(Debug, Clone, Default)]
pub struct CompiledProfile {
    /// Its full name.
    pub name: String,
    /// Bits of capabilities that are allowed.
    pub capabilities: u64,
    /// Bits of capabilities whose use is reported.
    pub audited_capabilities: u64,
    /// What it says of files.
    pub file: Dfa,
    /// What it says of everything else.
    pub policy: Dfa,
    /// Where named transitions lead.
    pub transitions: Vec<String>,
}

/// Bytes that are no compiled profiles.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("byte {at} of the compiled profile is none that was expected")]
pub struct BlobError {
    /// Which byte.
    pub at: usize,
}

/// What a profile lets a subject do with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FilePerms {
    /// The bits allowed, see the constants.
    pub allow: u32,
    /// The bits reported though allowed.
    pub audit: u32,
    /// The bits that are denied without a report.
    pub quiet: u32,
    index: u32,
}

/// Where an exec leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exec<'p> {
    /// It is denied.
    Denied,
    /// The profile stays.
    Same,
    /// To the profile of this name.
    To(&'p str),
    /// Somewhere that our profiles never lead to.
    Elsewhere(u32),
}

impl FilePerms {
    /// Executing.
    pub const EXEC: u32 = 1;
    /// Writing.
    pub const WRITE: u32 = 2;
    /// Reading.
    pub const READ: u32 = 4;
    /// Appending.
    pub const APPEND: u32 = 8;
    /// Making a hard link of this name.
    pub const LINK: u32 = 0x10;
    /// Locking.
    pub const LOCK: u32 = 0x20;
    /// Of a link and its target: the link must allow no more than the target.
    pub const SUBSET: u32 = 0x20;
    /// Mapping executable.
    pub const MAP: u32 = 0x40;
}

impl CompiledProfile {
    fn perms(&self, state: u32, owner: bool) -> FilePerms {
        let (accept, accept2) = self.file.accepts(state);
        let (shift, audit, quiet) = if owner { (0, 0, 7) } else { (14, 14, 21) };
        FilePerms {
            allow: accept >> shift & 0x7f,
            audit: accept2 >> audit & 0x7f,
            quiet: accept2 >> quiet & 0x7f,
            index: accept >> shift & 0x3fff,
        }
    }

    /// What the subject may do with the file of this path; directories' end in a slash.
    #[must_use]
    pub fn file(&self, path: &[u8], owner: bool) -> FilePerms {
        self.perms(self.file.walk(Dfa::START, path), owner)
    }

    /// Where executing the file leads.
    #[must_use]
    pub fn exec(&self, path: &[u8], owner: bool) -> Exec<'_> {
        let perms = self.file(path, owner);
        if perms.allow & FilePerms::EXEC == 0 {
            return Exec::Denied;
        }
        let inherit = perms.index & 0x200 != 0;
        match perms.index >> 10 & 0xf {
            0 if inherit => Exec::Same,
            index @ 4.. if !inherit => match self.transitions.get(index as usize - 4) {
                Some(name) => Exec::To(name),
                None => Exec::Elsewhere(perms.index),
            },
            _ => Exec::Elsewhere(perms.index),
        }
    }

    /// Whether the environment is cleared on executing the file.
    #[must_use]
    pub fn clears_environment(&self, path: &[u8], owner: bool) -> bool {
        let index = self.file(path, owner).index;
        index & 0x200 == 0 && index & 0x100 == 0
    }

    /// Whether a hard link of the first name to the second may be made, by who owns both or neither,
    /// and whether that is reported.
    #[must_use]
    pub fn link(&self, link: &[u8], target: &[u8], owner: bool) -> (bool, bool) {
        let at_link = self.file.walk(Dfa::START, link);
        let new = self.perms(at_link, owner);
        let pair = self.file.walk(self.file.step(at_link, 0), target);
        let pair = self.perms(pair, owner);
        let audited = pair.audit & FilePerms::LINK != 0;
        if new.allow & pair.allow & FilePerms::LINK == 0 {
            return (false, audited);
        }
        if pair.allow & FilePerms::SUBSET == 0 {
            return (true, audited);
        }
        let old = self.file(target, owner);
        let both_execute = new.allow & old.allow & FilePerms::EXEC != 0;
        let subset = new.allow & !FilePerms::LINK & !old.allow == 0
            && (!both_execute || new.index >> 7 == old.index >> 7);
        (subset, audited)
    }

    /// Whether a socket may be made, and whether that is reported.
    #[must_use]
    pub fn socket(&self, family: u16, kind: u16) -> (bool, bool) {
        /// The kernel's number for rules on sockets.
        const NETWORK: u8 = 14;
        let class = self.policy.step(Dfa::START, NETWORK);
        if class == 0 {
            return (true, false);
        }
        let mut state = self.policy.walk(class, &family.to_be_bytes());
        state = self.policy.walk(state, &kind.to_be_bytes());
        let (allow, audit) = self.policy.accepts(state);
        (allow & 2 != 0, audit & 2 != 0)
    }

    /// Whether the profile mediates what has this number in the kernel.
    #[must_use]
    pub fn mediates(&self, class: u8) -> bool {
        self.policy.step(Dfa::START, class) != 0
    }
}

/// Takes the stream apart.
struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], BlobError> {
        let taken = self.bytes.get(self.at..self.at + count);
        let taken = taken.ok_or(BlobError { at: self.at })?;
        self.at += count;
        Ok(taken)
    }

    fn number(&mut self, count: usize) -> Result<u64, BlobError> {
        let bytes = self.take(count)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |all, byte| all << 8 | u64::from(*byte)))
    }

    fn text(&mut self) -> Result<String, BlobError> {
        let count = self.number(2)? as usize;
        let bytes = self.take(count)?;
        let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}

impl Blob {
    /// Reads what the parser wrote.
    ///
    /// # Errors
    /// With the first byte that isn't understood.
    pub fn read(bytes: &[u8]) -> Result<Self, BlobError> {
        let mut reader = Reader { bytes, at: 0 };
        let mut blob = Self::default();
        // The structures around, and how many words stood in the innermost so far.
        let mut around: Vec<String> = Vec::new();
        let mut words: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let mut name = String::new();
        while reader.at < bytes.len() {
            let at = reader.at;
            let tag = reader.number(1)?;
            let inside = around.last().cloned().unwrap_or_default();
            match tag {
                0 => drop(reader.take(1)?),
                1 => drop(reader.take(2)?),
                2 => {
                    let word = reader.number(4)? as u32;
                    // Those with names are flags.
                    if name.is_empty() {
                        words.entry(inside).or_default().push(word);
                    }
                }
                3 => drop(reader.take(8)?),
                4 => {
                    name = reader.text()?;
                    continue;
                }
                5 => {
                    let text = reader.text()?;
                    if let Some(profile) = blob.profiles.last_mut() {
                        match inside.as_str() {
                            "profile" if profile.name.is_empty() => profile.name = text,
                            "xtable" => profile.transitions.push(text),
                            _ => {}
                        }
                    }
                }
                6 => {
                    let count = reader.number(4)? as usize;
                    let data = reader.take(count)?;
                    // Padded to eight bytes from where the profile begins.
                    let dfa = (0..8).find_map(|pad| Dfa::read(data.get(pad..)?));
                    if let (Some(profile), "aadfa", Some(dfa)) =
                        (blob.profiles.last_mut(), name.as_str(), dfa)
                    {
                        if inside == "policydb" {
                            profile.policy = dfa;
                        } else {
                            profile.file = dfa;
                        }
                    }
                }
                7 | 9 => {
                    if name == "profile" {
                        blob.profiles.push(CompiledProfile::default());
                        words.clear();
                    }
                    around.push(std::mem::take(&mut name));
                }
                8 | 10 | 12 => {
                    around.pop();
                    if let Some(profile) = blob.profiles.last_mut() {
                        let low = words.get("profile").map_or(&[][..], Vec::as_slice);
                        let high = words.get("caps64").map_or(&[][..], Vec::as_slice);
                        let word = |words: &[u32], at: usize| {
                            u64::from(words.get(at).copied().unwrap_or(0))
                        };
                        profile.capabilities = word(low, 0) | word(high, 0) << 32;
                        profile.audited_capabilities = word(low, 1) | word(high, 1) << 32;
                    }
                }
                11 => {
                    reader.take(2)?;
                    around.push(inside);
                }
                _ => return Err(BlobError { at }),
            }
            name.clear();
        }
        Ok(blob)
    }

    /// The profile of this full name.
    #[must_use]
    pub fn profile(&self, name: &str) -> Option<&CompiledProfile> {
        self.profiles.iter().find(|profile| profile.name == name)
    }
}
