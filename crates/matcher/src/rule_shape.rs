//! What kind of rule a compiled rule is: as much as a backend must know to say which ones it can't
//! carry out.

use gambeson_policy_model::{Object, Preset, Rule};

/// What sort of object a rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ObjectKind {
    /// An exact path.
    Path,
    /// The last component of an executable's path.
    ExecName,
    /// A directory and its direct children.
    Directory,
    /// A directory and everything below.
    RecursiveDirectory,
    /// A glob.
    Pattern,
    /// A protocol or socket type.
    Protocol,
    /// A domain.
    Domain,
    /// A capability.
    Capability,
    /// System calls.
    Syscalls,
    /// USB devices.
    Device,
    /// A kernel situation.
    Preset(Preset),
    /// Nothing: the path is a symbolic link.
    Nothing,
}

/// A rule without its texts: what sort of object it names, and what it depends on.
///
/// ```
/// use gambeson_matcher::{Compile, Config, ObjectKind};
/// use gambeson_policy_model::{PolicySet, RuleId, Workload};
/// let policies = PolicySet::from_str("
/// apiVersion: security.kubearmor.com/v1
/// kind: KubeArmorPolicy
/// metadata: {name: web}
/// spec:
///   file: {matchPaths: [{path: /etc/shadow, readOnly: true}]}
/// ")?;
/// let compiled = policies.select(&Workload::pod("default")).compile(&Config::default())?;
/// let shape = compiled.shape(RuleId(0)).ok_or("no rule")?;
/// assert_eq!(shape.object, ObjectKind::Path);
/// assert!(shape.read_only && !shape.sourced);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RuleShape {
    /// What sort of object it names.
    pub object: ObjectKind,
    /// Whether it is confined to sources.
    pub sourced: bool,
    /// Whether it has the condition `ownerOnly`.
    pub owner_only: bool,
    /// Whether it has the condition `readOnly`.
    pub read_only: bool,
    /// Whether it has the condition `pts: false`.
    pub no_tty: bool,
    /// Whether it has the condition `allowedArgs`.
    pub allowed_args: bool,
}

const KINDS: [ObjectKind; 16] = [
    ObjectKind::Path,
    ObjectKind::ExecName,
    ObjectKind::Directory,
    ObjectKind::RecursiveDirectory,
    ObjectKind::Pattern,
    ObjectKind::Protocol,
    ObjectKind::Domain,
    ObjectKind::Capability,
    ObjectKind::Syscalls,
    ObjectKind::Device,
    ObjectKind::Nothing,
    ObjectKind::Preset(Preset::FilelessExec),
    ObjectKind::Preset(Preset::AnonymousMapExec),
    ObjectKind::Preset(Preset::ProtectEnv),
    ObjectKind::Preset(Preset::Exec),
    ObjectKind::Preset(Preset::ProtectProc),
];

const SOURCED: u32 = 1 << 8;
const OWNER_ONLY: u32 = 1 << 9;
const READ_ONLY: u32 = 1 << 10;
const NO_TTY: u32 = 1 << 11;
const ALLOWED_ARGS: u32 = 1 << 12;

impl RuleShape {
    /// The shape in one word: bits 0–7 the kind of object, from bit 8 on a bit for each condition.
    pub(crate) fn to_word(self) -> u32 {
        let kind = KINDS.iter().position(|kind| *kind == self.object);
        let bit = |set: bool, bit: u32| if set { bit } else { 0 };
        kind.unwrap_or(0) as u32
            | bit(self.sourced, SOURCED)
            | bit(self.owner_only, OWNER_ONLY)
            | bit(self.read_only, READ_ONLY)
            | bit(self.no_tty, NO_TTY)
            | bit(self.allowed_args, ALLOWED_ARGS)
    }

    pub(crate) fn from_word(word: u32) -> Option<Self> {
        let [kind, ..] = word.to_le_bytes();
        let has = |bit: u32| word & bit != 0;
        Some(Self {
            object: *KINDS.get(usize::from(kind))?,
            sourced: has(SOURCED),
            owner_only: has(OWNER_ONLY),
            read_only: has(READ_ONLY),
            no_tty: has(NO_TTY),
            allowed_args: has(ALLOWED_ARGS),
        })
    }
}

impl From<&Rule> for RuleShape {
    fn from(rule: &Rule) -> Self {
        Self {
            object: match &rule.object {
                Object::Path(_) => ObjectKind::Path,
                Object::ExecName(_) => ObjectKind::ExecName,
                Object::Directory(directory) if directory.recursive => {
                    ObjectKind::RecursiveDirectory
                }
                Object::Directory(_) => ObjectKind::Directory,
                Object::Pattern(_) => ObjectKind::Pattern,
                Object::Protocol(_) => ObjectKind::Protocol,
                Object::Domain(_) => ObjectKind::Domain,
                Object::Capability(_) => ObjectKind::Capability,
                Object::Syscalls { .. } => ObjectKind::Syscalls,
                Object::Device(_) => ObjectKind::Device,
                Object::Preset(preset) => ObjectKind::Preset(*preset),
                Object::Nothing(_) => ObjectKind::Nothing,
            },
            sourced: !rule.sources.is_empty(),
            owner_only: rule.conditions.owner_only,
            read_only: rule.conditions.read_only,
            no_tty: rule.conditions.no_tty,
            allowed_args: !rule.conditions.allowed_args.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use gambeson_policy_model::Class;

    use super::*;
    use crate::testing::Random;

    #[test]
    fn a_shape_survives_its_word() {
        let mut random = Random::new(1);
        for class in Class::ALL {
            for index in 0..200 {
                let shape = RuleShape::from(&random.rule(class, index));
                assert_eq!(RuleShape::from_word(shape.to_word()), Some(shape));
            }
        }
        assert!(
            Preset::ALL
                .iter()
                .all(|preset| KINDS.contains(&ObjectKind::Preset(*preset)))
        );
    }
}
