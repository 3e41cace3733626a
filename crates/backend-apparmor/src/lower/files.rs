//! Rules about files and programs.

use std::collections::BTreeSet;

use gambeson_matcher::CompiledPolicy;
use gambeson_matcher::backend::{Gap, Outcome};
use gambeson_policy_model::{Class, RuleId};

use super::lines::{Lines, Who};
use super::sections::Sections;
use crate::carve::{Cut, Shape, carve, rest_of};
use crate::glob::{self, Seq, children_of, deeper_of, nonempty};
use crate::judge::{Ask, Decider, Effect, Judge, Pattern, Says};
use crate::layers::{Role, denied_by_rule, spread};
use crate::zones::{Zone, divide, strings};

/// What becomes of one profile's rules about files.
pub(crate) struct Files {
    pub(crate) process: Lines,
    pub(crate) file: Lines,
    pub(crate) gaps: Vec<Gap>,
    /// Whether something may not be mapped though no rule says so. `ix` would allow it.
    pub(crate) maps_by_absence: bool,
    /// What no rule allows or denies to be written, by the owner and by others, where rules on hard
    /// links must say so.
    pub(crate) holes: [Option<Vec<String>>; 2],
}

/// The most bytes of a path in the text. The parser's buffer for a word holds 16 KiB.
const LONGEST: usize = 16_000;

/// One question, divided into zones.
struct Divided<'j, 'c> {
    judge: &'j Judge<'c>,
    zones: Vec<Zone>,
    by_rule: Vec<bool>,
    who: Who,
    targets: BTreeSet<usize>,
}

/// Writes the rules of one profile.
pub(crate) fn files(compiled: &CompiledPolicy, sections: &Sections, number: usize) -> Files {
    let mut files = Files {
        process: Lines::default(),
        file: Lines::default(),
        gaps: Vec::new(),
        maps_by_absence: false,
        holes: [None, None],
    };
    let Some(section) = sections.all.get(number) else {
        return files;
    };
    for ask in [Ask::Read, Ask::Write, Ask::Exec, Ask::Map] {
        let by_owner = compiled.rules().any(|(id, info)| {
            info.class == ask.class() && compiled.shape(id).is_some_and(|shape| shape.owner_only)
        });
        let askers: &[(Who, bool)] = if by_owner {
            &[(Who::Owner, true), (Who::Other, false)]
        } else {
            &[(Who::Everyone, false)]
        };
        for (who, owner) in askers {
            let judge = Judge::new(compiled, ask, *owner, section.class, &section.program);
            let zones = divide(&judge, &sections.strings, |path| {
                sections.of_program(compiled, path)
            });
            let divided = Divided {
                by_rule: denied_by_rule(&zones, &judge),
                targets: zones.iter().map(|zone| zone.target).collect(),
                judge: &judge,
                zones,
                who: *who,
            };
            divided.write(&mut files);
            if ask == Ask::Write {
                divided.deny_above(compiled, &mut files);
                divided.find_holes(&mut files);
            }
            if ask == Ask::Map {
                files.maps_by_absence |= divided.has_holes();
            }
        }
    }
    files
}

impl Divided<'_, '_> {
    fn is_hole(&self, number: usize, zone: &Zone) -> bool {
        zone.value.says == Says::Deny && !self.is_denied_by_rule(number)
    }

    fn is_denied_by_rule(&self, number: usize) -> bool {
        self.by_rule.get(number).copied().unwrap_or(false)
    }

    fn has_holes(&self) -> bool {
        let mut zones = self.zones.iter().enumerate();
        zones.any(|(number, zone)| self.is_hole(number, zone))
    }

    /// Whether an exec leads elsewhere. A rule on an exact path goes before those with wildcards.
    fn leads_elsewhere(zone: &Zone, target: usize) -> bool {
        zone.target != target && zone.shape != Shape::Exact
    }

    fn write(&self, files: &mut Files) {
        for target in &self.targets {
            self.write_allowed(files, *target);
        }
        self.write_denied(files);
        if self.judge.patterns.is_empty() {
            return;
        }
        for pattern in &self.judge.patterns {
            match pattern.effect {
                Effect::Grant => self.write_grant(files, pattern),
                Effect::Deny => self.write_deny(files, pattern),
                Effect::Watch => self.write_watch(files, pattern),
            }
        }
        self.report_patterns(files);
    }

    /// The layers of what is allowed, and what is allowed and reported.
    fn write_allowed(&self, files: &mut Files, target: usize) {
        let role = |wanted: Says| {
            move |number: usize, zone: &Zone| {
                if self.is_denied_by_rule(number) {
                    Role::Pass
                } else if self.is_hole(number, zone) || Self::leads_elsewhere(zone, target) {
                    Role::Stop
                } else if zone.target != target && zone.value.says == wanted {
                    // A rule on an exact path says where it leads.
                    Role::Pass
                } else if zone.value.says == wanted {
                    Role::Want
                } else if wanted == Says::Allow {
                    Role::Pass
                } else {
                    Role::Stop
                }
            }
        };
        for wanted in [Says::Allow, Says::Audit] {
            spread(&self.zones, role(wanted), |_, zone, cuts| {
                self.emit_zone(files, zone, &cuts, wanted, target);
            });
        }
        // A program that leads elsewhere takes its rule, even where wider ones seem to allow it.
        if self.targets.len() > 1 {
            for zone in &self.zones {
                if zone.shape == Shape::Exact
                    && zone.target == target
                    && zone.value.says != Says::Deny
                {
                    self.emit_zone(files, zone, &[], zone.value.says, target);
                }
            }
        }
    }

    fn write_denied(&self, files: &mut Files) {
        let role = |number: usize, _: &Zone| {
            if self.is_denied_by_rule(number) {
                Role::Want
            } else {
                Role::Stop
            }
        };
        spread(&self.zones, role, |_, zone, cuts| {
            self.emit_zone(files, zone, &cuts, Says::Deny, 0);
        });
    }

    fn emit_zone(&self, files: &mut Files, zone: &Zone, cuts: &[Cut], says: Says, target: usize) {
        let named_root = zone.shape == Shape::Exact && zone.path == b"/";
        let directories = self.judge.ask.of_directories() && !named_root;
        let rest = rest_of(zone.shape, directories);
        let carved = carve(&zone.path, vec![rest], cuts);
        self.emit(files, carved.texts(), says, target, zone.rule);
        // The root is no child of itself to the parser.
        let root = Cut {
            path: b"/".to_vec(),
            shape: Shape::Exact,
        };
        let holds_root = matches!(zone.shape, Shape::Below | Shape::Children);
        if zone.path == b"/" && holds_root && !cuts.contains(&root) {
            self.emit(files, vec!["/".to_owned()], says, target, zone.rule);
        }
    }

    fn emit(
        &self,
        files: &mut Files,
        texts: Vec<String>,
        says: Says,
        target: usize,
        why: Option<RuleId>,
    ) {
        for text in texts {
            if text.len() > LONGEST {
                files.gaps.push(too_long(says, why));
                continue;
            }
            let perm = (self.judge.ask, target);
            let lines = match self.judge.ask.class() {
                Class::File => &mut files.file,
                _ => &mut files.process,
            };
            lines.add(text, says, self.who, perm, why);
        }
    }

    /// Writes what of a pattern lies in a zone, without the cuts that it could match.
    fn emit_pattern(
        &self,
        files: &mut Files,
        pattern: &Pattern,
        zone: &Zone,
        cuts: Vec<Cut>,
        (says, target): (Says, usize),
    ) {
        if zone.shape == Shape::Exact {
            return;
        }
        let cuts: Vec<Cut> = cuts
            .into_iter()
            .filter(|cut| cut.shape != Shape::Exact || pattern.matches(&cut.path))
            .collect();
        let seqs = std::slice::from_ref(&pattern.seq);
        let start = glob::start(seqs);
        let places = zone
            .path
            .iter()
            .fold(start, |places, byte| glob::step(seqs, &places, *byte));
        let mut inside: Vec<Seq> = Vec::new();
        for (_, item) in &places {
            let rest = pattern.seq.get(*item..).unwrap_or_default();
            let found = match zone.shape {
                Shape::Exact => Vec::new(),
                Shape::Children => children_of(rest).into_iter().collect(),
                Shape::Deeper => deeper_of(rest),
                Shape::Below => nonempty(rest),
            };
            for seq in found {
                if !inside.contains(&seq) {
                    inside.push(seq);
                }
            }
        }
        if inside.is_empty() {
            return;
        }
        let carved = carve(&zone.path, inside, &cuts);
        self.emit(files, carved.texts(), says, target, Some(pattern.rule));
    }

    /// A pattern that re-opens what is denied, or not allowed.
    fn write_grant(&self, files: &mut Files, pattern: &Pattern) {
        for target in &self.targets {
            let role = |number: usize, zone: &Zone| {
                if self.is_denied_by_rule(number) {
                    Role::Pass
                } else if zone.target != *target {
                    Role::Stop
                } else if !self.is_hole(number, zone) {
                    Role::Pass
                } else if Judge::reopens(pattern, zone.value.decider) {
                    Role::Want
                } else {
                    Role::Stop
                }
            };
            spread(&self.zones, role, |_, zone, cuts| {
                self.emit_pattern(files, pattern, zone, cuts, (Says::Allow, *target));
            });
        }
    }

    /// A pattern that denies.
    fn write_deny(&self, files: &mut Files, pattern: &Pattern) {
        let says = if self.judge.audited() {
            Says::Audit
        } else {
            Says::Deny
        };
        let targets: Vec<usize> = if says == Says::Deny {
            vec![0]
        } else {
            self.targets.iter().copied().collect()
        };
        for target in targets {
            let role = |_: usize, zone: &Zone| {
                let keeps = match zone.value.decider {
                    Decider::Final => zone.value.says != Says::Deny,
                    decider => !Judge::overrules(pattern, decider),
                };
                if keeps || (says == Says::Audit && zone.target != target) {
                    Role::Stop
                } else {
                    Role::Want
                }
            };
            spread(&self.zones, role, |_, zone, cuts| {
                self.emit_pattern(files, pattern, zone, cuts, (says, target));
            });
        }
    }

    /// A pattern that watches what is allowed.
    fn write_watch(&self, files: &mut Files, pattern: &Pattern) {
        for target in &self.targets {
            let role = |number: usize, zone: &Zone| {
                if self.is_denied_by_rule(number) {
                    Role::Pass
                } else if self.is_hole(number, zone) || zone.target != *target {
                    Role::Stop
                } else {
                    Role::Want
                }
            };
            spread(&self.zones, role, |_, zone, cuts| {
                self.emit_pattern(files, pattern, zone, cuts, (Says::Audit, *target));
            });
        }
    }

    /// What patterns do to one another that globs can't tell.
    fn report_patterns(&self, files: &mut Files) {
        let patterns = &self.judge.patterns;
        let of = |effect: Effect, sourced: bool| {
            patterns
                .iter()
                .filter(move |pattern| pattern.effect == effect && pattern.sourced == sourced)
        };
        for grant in of(Effect::Grant, true) {
            for deny in of(Effect::Deny, false) {
                if grant.intersects(deny) {
                    files.gaps.push(Gap::of_rule(
                        grant.rule,
                        Outcome::Stricter,
                        "files that a pattern without source denies",
                        "profiles have no exceptions, and the difference of two patterns is no glob",
                    ));
                    break;
                }
            }
        }
        let granted_over = |says: Says| {
            let zones = self.zones.iter();
            let mut zones = zones.filter(move |zone| zone.value.says == says);
            move |pattern: &Pattern| zones.any(|zone| Judge::reopens(pattern, zone.value.decider))
        };
        for grant in patterns
            .iter()
            .filter(|pattern| pattern.effect == Effect::Grant)
        {
            if granted_over(Says::Audit)(grant) {
                files.gaps.push(Gap::of_rule(
                    grant.rule,
                    Outcome::Stricter,
                    "files it grants",
                    "what surrounds them is reported, and a profile can't leave a pattern out: they \
                     are reported too",
                ));
            }
            if granted_over(Says::Deny)(grant) {
                for watch in patterns
                    .iter()
                    .filter(|pattern| pattern.effect == Effect::Watch)
                {
                    if grant.intersects(watch) {
                        files.gaps.push(Gap::of_rule(
                            watch.rule,
                            Outcome::NotReported,
                            "files that only a pattern grants",
                            "the common part of two patterns is no glob",
                        ));
                    }
                }
            }
        }
    }

    /// Where too much may be written for rules on hard links to name it, they name what may not.
    fn find_holes(&self, files: &mut Files) {
        let mut texts = Vec::new();
        let role = |number: usize, zone: &Zone| {
            if self.is_hole(number, zone) {
                Role::Want
            } else {
                Role::Stop
            }
        };
        let sides = [(Who::Other, true), (Who::Owner, false)];
        for (side, (not, owner)) in files.holes.iter_mut().zip(sides) {
            if self.who == not || files.file.links_are_few(owner) {
                continue;
            }
            if texts.is_empty() {
                spread(&self.zones, role, |_, zone, cuts| {
                    let named_root = zone.shape == Shape::Exact && zone.path == b"/";
                    let rest = rest_of(zone.shape, !named_root);
                    texts.extend(carve(&zone.path, vec![rest], &cuts).texts());
                });
            }
            *side = Some(texts.clone());
            if !texts.is_empty() {
                for pattern in &self.judge.patterns {
                    if pattern.effect == Effect::Grant {
                        files.gaps.push(Gap::of_rule(
                            pattern.rule,
                            Outcome::Stricter,
                            "hard links to files that only a pattern grants",
                            "rules on links name what may not be written, and can't leave a pattern out",
                        ));
                    }
                }
            }
        }
    }

    /// Renaming a directory moves what lies below it: it is denied above what may not be written.
    fn deny_above(&self, compiled: &CompiledPolicy, files: &mut Files) {
        let tables = compiled.tables();
        if self.judge.audited() {
            return;
        }
        let mut above: BTreeSet<Vec<u8>> = BTreeSet::new();
        for name in strings(&tables.file) {
            let named = !name.ends_with(b"/") && is_named(compiled, &name);
            if !named || self.judge.of_path(&name).0.says != Says::Deny {
                continue;
            }
            for (place, byte) in name.iter().enumerate().skip(1) {
                let directory = name.get(..place).unwrap_or_default();
                if *byte == b'/' && !above.contains(directory) {
                    above.insert(directory.to_vec());
                }
            }
        }
        let mut denied = false;
        for directory in above {
            if self.judge.of_path(&directory).0.says == Says::Deny {
                continue;
            }
            denied = true;
            let carved = carve(&directory, vec![glob::literal(b"/")], &[]);
            // What is longer is above a path that is longer still, which is a gap.
            for text in carved
                .texts()
                .into_iter()
                .filter(|text| text.len() <= LONGEST)
            {
                files.file.deny_above(self.who, text);
            }
        }
        if denied {
            files.gaps.push(Gap::of_class(
                Class::File,
                Outcome::Stricter,
                "changing a directory above a path that may not be written",
                "a profile can't tell renaming it, which moves what lies below, from other changes",
            ));
        }
    }
}

/// The gap that a path beyond the parser's limit is.
fn too_long(says: Says, why: Option<RuleId>) -> Gap {
    let outcome = match says {
        Says::Deny => Outcome::Unenforced,
        Says::Allow | Says::Audit => Outcome::Stricter,
    };
    let what = "a path with too many bytes that must be escaped";
    let reason = format!("the parser takes {LONGEST} bytes for a path, escapes included");
    match why {
        Some(rule) => Gap::of_rule(rule, outcome, what, reason),
        None => Gap::of_policy(outcome, what, reason),
    }
}

/// Whether a rule on files names this string.
fn is_named(compiled: &CompiledPolicy, name: &[u8]) -> bool {
    let trie = &compiled.tables().file;
    let end = trie.walk(name);
    end.rest(name).is_empty() && compiled.tables().named.binary_search(&end.node).is_ok()
}
