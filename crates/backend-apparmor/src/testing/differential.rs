//! Lowered policies against the reference evaluator, path by path.

use std::collections::BTreeSet;

use gambeson_matcher::backend::{Outcome, Report};
use gambeson_matcher::reference::Evaluator;
use gambeson_matcher::tables::trie::Trie;
use gambeson_matcher::{CompiledPolicy, Config};
use gambeson_policy_model::{Capability, Decision, Event, Selection, Socket, Verdict};

use super::blob::{CompiledProfile, Exec, FilePerms};
use super::parser;
use crate::features::Features;
use crate::options::Options;
use crate::profile::{Profile, Section};
use crate::support::Support;
use crate::zones::strings;
use crate::{LowerError, lower};

/// Checks one policy: lowers it, lets the parser compile it, and walks what comes out.
///
/// Every path is asked about with and without a slash at its end, as owner and as other, for each
/// source; so are all paths around those that rules name. Gives how many paths were walked; 0 where the
/// policy tells more sources apart than profiles can.
///
/// # Errors
/// With the first difference that no gap tells of.
pub fn check(selection: &Selection, config: &Config, paths: &[Vec<u8>]) -> Result<usize, String> {
    let compiled = CompiledPolicy::compile(selection, config).map_err(|error| error.to_string())?;
    let evaluator = Evaluator::new(selection, config).map_err(|error| error.to_string())?;
    let features = Features::linux_6_1();
    let support = Support::new(features.clone());
    let profile = match lower(&support, &compiled, &Options::default()) {
        Ok(profile) => profile,
        Err(LowerError::TooManySources { .. }) => return Ok(0),
        Err(error) => return Err(error.to_string()),
    };
    let blob = parser::load(profile.text(), &features)
        .map_err(|error| format!("{error}\n{}", profile.text()))?;
    let tables = compiled.tables();
    let mut all: BTreeSet<Vec<u8>> = paths.iter().filter(|path| is_path(path)).cloned().collect();
    for trie in [
        &tables.file,
        &tables.process,
        &tables.mapping,
        &tables.sources,
    ] {
        all.extend(around(trie));
    }
    let all: Vec<Vec<u8>> = all.into_iter().collect();
    for section in profile.sections() {
        let walked = blob
            .profile(&section.name)
            .ok_or_else(|| format!("no profile `{}` was compiled", section.name))?;
        let asked = Asked {
            evaluator: &evaluator,
            compiled: &compiled,
            profile: &profile,
            section,
            walked,
        };
        let told =
            |difference: String| format!("{difference}\nin {}\n{}", section.name, profile.text());
        for (place, path) in all.iter().enumerate() {
            for owner in [true, false] {
                asked.path(path, owner, &all).map_err(told)?;
                let other = all.get((place * 7 + 3) % all.len()).unwrap_or(path);
                asked.link(path, other, owner).map_err(told)?;
            }
        }
        asked.sockets().map_err(told)?;
        asked.capabilities().map_err(told)?;
    }
    Ok(all.len() * profile.sections().len())
}

/// Whether it is the path of a resolved file.
fn is_path(path: &[u8]) -> bool {
    path.first() == Some(&b'/')
        && (path.len() == 1 || path.last() != Some(&b'/'))
        && !path.windows(2).any(|two| two == b"//")
        && path.len() < 4000
        && !path.contains(&0)
}

/// The paths around those that rules name: a byte less and more, a component less and more.
fn around(trie: &Trie) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for string in strings(trie) {
        let name = string.strip_suffix(b"/").unwrap_or(&string);
        let shorter = name.get(..name.len().saturating_sub(1)).unwrap_or_default();
        let parent = name.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        found.push(name.to_vec());
        found.push(shorter.to_vec());
        found.push(name.get(..parent).unwrap_or_default().to_vec());
        for more in [&b"x"[..], b"/x", b"/x/y", b"\xff", b" ", b"/.y", b"/a/b/c"] {
            found.push([name, more].concat());
            found.push([shorter, more].concat());
        }
    }
    found.retain(|path| is_path(path));
    found
}

struct Asked<'a> {
    evaluator: &'a Evaluator,
    compiled: &'a CompiledPolicy,
    profile: &'a Profile,
    section: &'a Section,
    walked: &'a CompiledProfile,
}

impl Asked<'_> {
    fn report(&self) -> &Report {
        self.profile.report()
    }

    fn decide(&self, event: Event<'_>, owner: bool) -> Decision {
        let event = event.uid(0).owner(u32::from(!owner));
        self.evaluator
            .decide(&event.by(self.section.program.as_slice()).tty(true))
    }

    /// Whether a gap of the rule that decided tells of such a difference.
    fn is_told(&self, decision: &Decision, outcome: Outcome) -> bool {
        let mut gaps = self.report().gaps().iter();
        gaps.any(|gap| gap.outcome == outcome && gap.rule.is_some() && gap.rule == decision.rule())
    }

    fn compare(
        &self,
        what: &str,
        path: &[u8],
        owner: bool,
        decision: &Decision,
        (allowed, audited): (bool, bool),
    ) -> Result<(), String> {
        let sound = match (decision.verdict(), allowed, audited) {
            (Verdict::Block, false, _)
            | (Verdict::Allow, true, false)
            | (Verdict::Audit, true, true) => true,
            (Verdict::Block, true, _) => false,
            (_, false, _) | (Verdict::Allow, true, true) => {
                self.is_told(decision, Outcome::Stricter)
            }
            (Verdict::Audit, true, false) => self.is_told(decision, Outcome::NotReported),
        };
        if sound {
            return Ok(());
        }
        let path = String::from_utf8_lossy(path);
        let who = if owner { "owner" } else { "other" };
        let rule = decision.rule().and_then(|rule| self.compiled.rule(rule));
        let rule = rule.map_or_else(String::new, |rule| rule.to_string());
        Err(format!(
            "{what} {path} as {who} by {}: should be {:?} {rule}, is allowed: {allowed}, reported: \
             {audited}\n{}",
            String::from_utf8_lossy(&self.section.program),
            decision.verdict(),
            self.report().render(self.compiled)
        ))
    }

    fn path(&self, path: &[u8], owner: bool, all: &[Vec<u8>]) -> Result<(), String> {
        let read = self.decide(Event::read(path), owner);
        let write = self.decide(Event::write(path), owner);
        let exec = self.decide(Event::exec(path).args([&b"\xff"[..]]), owner);
        let map = self.decide(Event::map_exec(path), owner);
        let perms = self.walked.file(path, owner);
        if perms.quiet != 0 || perms.allow & FilePerms::LOCK == 0 {
            return Err(format!(
                "{} is quiet, or not lockable: {perms:?}",
                String::from_utf8_lossy(path)
            ));
        }
        let bit = |perms: FilePerms, bit: u32| (perms.allow & bit != 0, perms.audit & bit != 0);
        if path != b"/" {
            self.compare("read", path, owner, &read, bit(perms, FilePerms::READ))?;
            self.compare("write", path, owner, &write, bit(perms, FilePerms::WRITE))?;
            self.compare("exec", path, owner, &exec, bit(perms, FilePerms::EXEC))?;
            self.compare("map", path, owner, &map, bit(perms, FilePerms::MAP))?;
            let leads = self.walked.exec(path, owner);
            let wanted = self.profile.profile_for(self.compiled, path);
            let right = match &leads {
                Exec::Denied => true,
                Exec::Same => wanted == self.section.name,
                Exec::To(name) => *name == wanted && !self.walked.clears_environment(path, owner),
                Exec::Elsewhere(_) => false,
            };
            if !right {
                return Err(format!(
                    "exec {} leads {leads:?}, not to {wanted}",
                    String::from_utf8_lossy(path)
                ));
            }
            // What conditions can't be told must not come out looser.
            let lenient = Event::exec(path).uid(0).owner(u32::from(!owner));
            let lenient = self
                .evaluator
                .decide(&lenient.by(self.section.program.as_slice()));
            if lenient.verdict() == Verdict::Block && leads != Exec::Denied {
                return Err(format!("exec {} is looser", String::from_utf8_lossy(path)));
            }
        }
        let directory = if path == b"/" {
            path.to_vec()
        } else {
            [path, b"/"].concat()
        };
        let perms = self.walked.file(&directory, owner);
        self.compare(
            "read directory",
            path,
            owner,
            &read,
            bit(perms, FilePerms::READ),
        )?;
        let (writes, reported) = bit(perms, FilePerms::WRITE);
        if !writes && write.verdict() != Verdict::Block {
            // Only what may not be written below makes that so.
            let prefix = directory.as_slice();
            let below = all.iter().any(|below| {
                below.starts_with(prefix)
                    && self.decide(Event::write(below.as_slice()), owner).verdict()
                        == Verdict::Block
            });
            let told = self
                .report()
                .gaps()
                .iter()
                .any(|gap| gap.what.contains("above a path"));
            if below && told {
                return Ok(());
            }
        }
        self.compare("write directory", path, owner, &write, (writes, reported))
    }

    fn link(&self, new: &[u8], old: &[u8], owner: bool) -> Result<(), String> {
        let decide = |path: &[u8]| self.decide(Event::write(path), owner).verdict();
        if new == b"/" || old == b"/" {
            return Ok(());
        }
        let wanted = decide(new).max(decide(old));
        let (linked, audited) = self.walked.link(new, old, owner);
        let found = match (linked, audited) {
            (false, _) => Verdict::Block,
            (true, true) => Verdict::Audit,
            (true, false) => Verdict::Allow,
        };
        let told = |outcome: Outcome| {
            let mut gaps = self.report().gaps().iter();
            gaps.any(|gap| gap.outcome == outcome && gap.rule.is_some())
        };
        let sound = match (wanted, found) {
            (a, b) if a == b => true,
            (Verdict::Block, _) => false,
            (Verdict::Audit, Verdict::Allow) => told(Outcome::NotReported),
            _ => told(Outcome::Stricter),
        };
        if sound {
            return Ok(());
        }
        Err(format!(
            "link {} to {} as {}: {found:?}, should be {wanted:?}",
            String::from_utf8_lossy(new),
            String::from_utf8_lossy(old),
            if owner { "owner" } else { "other" },
        ))
    }

    fn sockets(&self) -> Result<(), String> {
        for family in [
            Socket::AF_UNIX,
            Socket::AF_INET,
            Socket::AF_INET6,
            Socket::AF_NETLINK,
            Socket::AF_PACKET,
            Socket::AF_KEY,
            Socket::AF_ALG,
            40,
        ] {
            for kind in [1, 2, 3, 4, 5, 6, 10] {
                let protocol = if kind == Socket::SOCK_RAW { 255 } else { 0 };
                let event = Event::socket(Socket::new(family, kind, protocol));
                let decision = self.decide(event, false);
                let (allowed, audited) = self.walked.socket(family as u16, kind as u16);
                let found = match (allowed, audited) {
                    (false, _) => Verdict::Block,
                    (true, true) => Verdict::Audit,
                    (true, false) => Verdict::Allow,
                };
                let unreported = found == Verdict::Allow
                    && decision.verdict() == Verdict::Audit
                    && kind == Socket::SOCK_DCCP
                    && self
                        .report()
                        .gaps()
                        .iter()
                        .any(|gap| gap.what.contains("dccp"));
                // Only the internet families have such sockets.
                let impossible = kind == Socket::SOCK_DCCP
                    && !matches!(family, Socket::AF_INET | Socket::AF_INET6);
                if impossible || unreported {
                    continue;
                }
                // A raw socket's protocols come off as the worst of them.
                let worse = found > decision.verdict()
                    && self.report().gaps().iter().any(|gap| {
                        gap.outcome == Outcome::Stricter && gap.what.contains("sockets of type")
                    });
                if found != decision.verdict() && !worse {
                    return Err(format!(
                        "socket {family} {kind}: {found:?}, should be {:?}",
                        decision.verdict()
                    ));
                }
            }
        }
        Ok(())
    }

    fn capabilities(&self) -> Result<(), String> {
        for capability in Capability::all() {
            let decision = self.decide(Event::capability(capability), false);
            let has = |bits: u64| bits >> capability.number() & 1 == 1;
            let found = match (
                has(self.walked.capabilities),
                has(self.walked.audited_capabilities),
            ) {
                (false, _) => Verdict::Block,
                (true, true) => Verdict::Audit,
                (true, false) => Verdict::Allow,
            };
            let told = || {
                let mut gaps = self.report().gaps().iter();
                gaps.any(|gap| gap.what.contains(&format!("`{}`", capability.name())))
            };
            if found != decision.verdict() && !(found == Verdict::Block && told()) {
                return Err(format!(
                    "capability {}: {found:?}, should be {:?}",
                    capability.name(),
                    decision.verdict()
                ));
            }
        }
        Ok(())
    }
}

/// Policies from one seed after the other, until so many paths were walked. Gives how many policies and
/// paths.
///
/// # Errors
/// With the seed and the first difference.
pub fn random(first_seed: u64, paths: usize, largest: usize) -> Result<(usize, usize), String> {
    use gambeson_matcher::testing::Random;
    let (mut policies, mut walked) = (0, 0);
    let mut seed = first_seed;
    while walked < paths {
        let mut random = Random::new(seed);
        let rules = 1 + random.below(largest);
        let selection = random.selection(rules);
        let others: Vec<Vec<u8>> = (0..100).map(|_| random.path().into_bytes()).collect();
        walked += check(&selection, &Config::default(), &others)
            .map_err(|difference| format!("seed {seed}, at most {largest} rules: {difference}"))?;
        policies += 1;
        seed += 1;
    }
    Ok((policies, walked))
}
