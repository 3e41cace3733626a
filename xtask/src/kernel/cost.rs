//! What enforcement costs, in instructions of a guest. They are the same from run to run to
//! within a few in a thousand, so that ratios say something where times would not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;

use super::command_line::in_guest;
use crate::vm::{Kernel, Machine};

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Opening and closing a file whose path has so many bytes.
    Open(usize),
    /// Starting a program and waiting for its end.
    Exec,
    /// Creating and binding a socket.
    Socket,
    /// Connecting a socket.
    Connect,
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 7] = [
        Self::Open(20),
        Self::Open(60),
        Self::Open(200),
        Self::Open(1000),
        Self::Exec,
        Self::Socket,
        Self::Connect,
    ];

    /// Its name in a table.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Open(bytes) => format!("open, {bytes} bytes"),
            Self::Exec => "exec".to_owned(),
            Self::Socket => "socket and bind".to_owned(),
            Self::Connect => "connect".to_owned(),
        }
    }

    /// The file that it opens: components of about thirteen bytes, fewer in short paths.
    #[must_use]
    pub fn file(self) -> Option<String> {
        let Self::Open(bytes) = self else {
            return None;
        };
        let mut path = "/opt".to_owned();
        let component = if bytes <= 60 { 6 } else { 13 };
        while path.len() + component + 1 < bytes {
            path.push('/');
            path.extend(std::iter::repeat_n('d', component - 1));
        }
        path.push('/');
        while path.len() < bytes {
            path.push('f');
        }
        Some(path)
    }
}

/// What applies to the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    rules: usize,
    globs: bool,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Self; 7] = [
        Self {
            rules: 10,
            globs: false,
        },
        Self {
            rules: 100,
            globs: false,
        },
        Self {
            rules: 1_000,
            globs: false,
        },
        Self {
            rules: 10_000,
            globs: false,
        },
        Self {
            rules: 10,
            globs: true,
        },
        Self {
            rules: 1_000,
            globs: true,
        },
        Self {
            rules: 10_000,
            globs: true,
        },
    ];

    /// Its name in a table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match (self.rules, self.globs) {
            (10, false) => "10 rules",
            (100, false) => "100 rules",
            (1_000, false) => "1,000 rules",
            (10_000, false) => "10,000 rules",
            (10, true) => "10 rules with globs",
            (1_000, true) => "1,000 rules with globs",
            _ => "10,000 rules with globs",
        }
    }

    /// Rules of which none is about what the worker does: a third each of file paths, of
    /// directories and of programs; with globs, every tenth is one. Beside them one rule each on
    /// networks and on capabilities.
    #[must_use]
    pub fn yaml(self) -> String {
        let (mut files, mut directories, mut programs, mut patterns) =
            (String::new(), String::new(), String::new(), String::new());
        for number in 0..self.rules {
            // Writing to a string can't fail.
            let _ = match number % 10 {
                0 if self.globs => writeln!(patterns, "    - pattern: /srv/{number}/*.conf"),
                1 if self.globs && number < 100 => {
                    writeln!(patterns, "    - pattern: /**/secret{number}")
                }
                0..=3 => writeln!(files, "    - path: /etc/app{number}/secret"),
                4..=6 => writeln!(
                    directories,
                    "    - {{dir: /var/lib/app{number}/, recursive: true}}"
                ),
                _ => writeln!(programs, "    - path: /usr/bin/tool{number}"),
            };
        }
        let section = |name: &str, entries: &str| {
            if entries.is_empty() {
                String::new()
            } else {
                format!("    {name}:\n{entries}")
            }
        };
        format!(
            "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: cost}}\nspec:\n\
             \x20 file:\n{}{}{}  process:\n{}  network:\n    matchProtocols:\n    - protocol: raw\n\
             \x20 capabilities:\n    matchCapabilities:\n    - capability: sys_boot\n",
            section("matchPaths", &files),
            section("matchDirectories", &directories),
            section("matchPatterns", &patterns),
            section("matchPaths", &programs),
        )
    }
}

/// What KubeArmor's enforcer adds to opening and closing a file of so many bytes and to an exec,
/// with a hundred unrelated rules, counted in the same way on Linux 6.18 with the objects that it
/// ships: the bar is a tenth.
const BAR: [(&str, u64); 5] = [
    ("open, 20 bytes", 16_607),
    ("open, 60 bytes", 21_479),
    ("open, 200 bytes", 29_638),
    ("open, 1000 bytes", 31_845),
    ("exec", 44_933),
];

type Counts = BTreeMap<(String, String), i64>;

/// Measures on each kernel; prints and records a table.
///
/// # Errors
/// When a guest fails.
pub fn run(kernels: &[Kernel], out: &mut dyn Write) -> Result<bool, Box<dyn std::error::Error>> {
    for kernel in kernels {
        let mut machine = Machine::new(kernel.clone());
        machine.count_instructions = true;
        machine.timeout = std::time::Duration::from_secs(540);
        let printed = in_guest(&machine, &["cost"], |payload| payload)?;
        writeln!(out, "## Linux {}\n\n{}", kernel.release, table(&printed)?)?;
    }
    Ok(true)
}

fn table(printed: &str) -> Result<String, Box<dyn std::error::Error>> {
    let mut counts = Counts::new();
    let mut policies: Vec<String> = Vec::new();
    for line in printed.lines() {
        let [policy, operation, count] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("not a measurement: `{line}`").into());
        };
        if !policies.iter().any(|known| known == policy) {
            policies.push(policy.to_owned());
        }
        counts.insert((policy.to_owned(), operation.to_owned()), count.parse()?);
    }
    let operations = Operation::ALL.map(Operation::name);
    let first = policies.first().cloned().unwrap_or_default();
    let count = |policy: &str, operation: &str| {
        counts
            .get(&(policy.to_owned(), operation.to_owned()))
            .copied()
    };
    let mut text = format!(
        "| added to | {} |\n|---|{}\n",
        operations.join(" | "),
        "--:|".repeat(operations.len())
    );
    let mut row = |name: &str, cells: Vec<String>| {
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    };
    let cells = |policy: &str, base: Option<&str>| -> Vec<String> {
        let each = operations.iter().map(|operation| {
            let own = count(policy, operation)?;
            Some(base.map_or(own.to_string(), |base| {
                format!("{:+}", own - count(base, operation).unwrap_or(0))
            }))
        });
        each.map(|cell| cell.unwrap_or_default()).collect()
    };
    for policy in &policies {
        row(
            policy,
            cells(policy, (*policy != first).then_some(first.as_str())),
        );
    }
    let bar = operations.iter().map(|operation| {
        let found = BAR.iter().find(|(name, _)| name == operation);
        found.map_or_else(String::new, |(_, added)| format!("{:+}", added / 10))
    });
    row("a tenth of KubeArmor's", bar.collect());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_paths_of_the_length_asked_for() {
        for operation in Operation::ALL {
            if let (Operation::Open(bytes), Some(path)) = (operation, operation.file()) {
                assert_eq!(path.len(), bytes);
            }
        }
    }

    #[test]
    fn policies_are_read() {
        for policy in Policy::ALL {
            let set = gambeson::policy_model::PolicySet::from_str(&policy.yaml()).unwrap();
            let rules = set
                .select(&gambeson::policy_model::Workload::pod("default"))
                .rules()
                .len();
            assert_eq!(rules, policy.rules + 2, "{}", policy.name());
        }
    }
}
