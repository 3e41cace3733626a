//! Which programs are judged by a profile of their own.

use std::collections::{BTreeMap, BTreeSet};

use gambeson_matcher::CompiledPolicy;

use crate::error::LowerError;
use crate::options::Options;
use crate::profile::Section;
use crate::zones::{below, child_of, strings};

/// The profiles, and which of them judges a source class.
pub(crate) struct Sections {
    pub(crate) all: Vec<Section>,
    by_class: BTreeMap<u32, usize>,
    /// Earlier profiles of other names, and which of these has the rules for their programs.
    pub(crate) kept: Vec<(Section, usize)>,
    /// The byte strings that tell sources apart.
    pub(crate) strings: Vec<Vec<u8>>,
}

/// How many named transitions a compiled profile holds.
pub(crate) const MAX_SECTIONS: usize = 12;

impl Sections {
    pub(crate) fn new(compiled: &CompiledPolicy, options: &Options) -> Result<Self, LowerError> {
        let name = &options.name;
        let tables = compiled.tables();
        let strings = strings(&tables.sources);
        // A program of each class; the smallest path.
        let mut programs: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        let mut candidates: Vec<Vec<u8>> = vec![child_of(b"/"), below(b"/")];
        for string in &strings {
            if string.ends_with(b"/") {
                candidates.extend([child_of(string), below(string)]);
            } else if string.first() == Some(&b'/') {
                candidates.push(string.clone());
            }
        }
        candidates.sort_unstable();
        for program in candidates {
            let class = tables.sources.find(&program);
            programs.entry(class).or_insert(program);
        }
        // Classes of which rules say the same are judged by one profile.
        let mut said: BTreeMap<u32, Vec<(u32, u32)>> = BTreeMap::new();
        for list in 0..tables.exception_lists.len() as u32 {
            for exception in tables.exceptions(list) {
                let of_class = said.entry(exception.class).or_default();
                of_class.push((list, exception.entry.word()));
            }
        }
        for glob in compiled.globs() {
            for class in glob.sources {
                let of_class = said.entry(*class).or_default();
                of_class.push((u32::MAX, glob.rule.0));
            }
        }
        let [_, unnamed] = tables.unnamed_sources();
        let mut order: Vec<(u32, Vec<u8>)> = programs.into_iter().collect();
        order.sort_by(|(class_a, a), (class_b, b)| {
            (*class_a != unnamed, a).cmp(&(*class_b != unnamed, b))
        });
        let mut by_said: BTreeMap<Vec<(u32, u32)>, usize> = BTreeMap::new();
        let mut sections = Self {
            all: Vec::new(),
            by_class: BTreeMap::new(),
            kept: Vec::new(),
            strings,
        };
        for (class, program) in order {
            let said = said.remove(&class).unwrap_or_default();
            let next = sections.all.len();
            let number = *by_said.entry(said).or_insert(next);
            if number == next {
                let name = match next {
                    0 => name.to_string(),
                    _ => format!("{name}//{}", local_name(&program, next)),
                };
                sections.all.push(Section {
                    name,
                    class,
                    classes: Vec::new(),
                    program,
                });
            }
            if let Some(section) = sections.all.get_mut(number) {
                section.classes.push(class);
            }
            sections.by_class.insert(class, number);
        }
        if sections.all.len() > MAX_SECTIONS {
            return Err(LowerError::TooManySources {
                count: sections.all.len(),
                limit: MAX_SECTIONS,
            });
        }
        sections.follow(compiled, &options.earlier);
        Ok(sections)
    }

    /// Takes names over from earlier profiles.
    fn follow(&mut self, compiled: &CompiledPolicy, earlier: &[Section]) {
        let mut taken: BTreeSet<String> = earlier.iter().map(|old| old.name.clone()).collect();
        let mut named = BTreeSet::from([0]);
        for old in earlier {
            let number = self.of_program(compiled, &old.program);
            match self.all.get_mut(number) {
                Some(section) if named.insert(number) => section.name.clone_from(&old.name),
                _ => {
                    let section = Section {
                        classes: Vec::new(),
                        ..old.clone()
                    };
                    self.kept.push((section, number));
                }
            }
        }
        for (number, section) in self.all.iter_mut().enumerate() {
            if named.contains(&number) {
                continue;
            }
            let name = section.name.clone();
            for more in 1.. {
                if taken.insert(section.name.clone()) {
                    break;
                }
                section.name = format!("{name}.{more}");
            }
        }
    }

    /// The number of the profile that judges a program.
    pub(crate) fn of_program(&self, compiled: &CompiledPolicy, program: &[u8]) -> usize {
        let class = compiled.tables().sources.find(program);
        self.by_class.get(&class).copied().unwrap_or(0)
    }
}

/// A name that tells people which programs it is about. The number alone keeps names apart.
fn local_name(program: &[u8], number: usize) -> String {
    let part = program
        .split(|byte| *byte == b'/')
        .rev()
        .find(|part| !part.is_empty() && *part != b"\xff")
        .unwrap_or(b"root");
    let letters = part.iter().take(32).map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' => char::from(*byte),
        _ => '_',
    });
    let letters: String = letters.collect();
    format!("{letters}-{number}")
}
