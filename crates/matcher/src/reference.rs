//! The reference evaluator: the decision model written down as slowly and obviously as it can be.
//!
//! Every other way of deciding an event, the compiled tables first, is held to this one. It is
//! public so that others can test against it; for anything else use [`crate::CompiledPolicy`].
//!
//! Each function below is one section or step of the decision model, in its words.

use gambeson_policy_model::{
    Action, Cause, Class, Conditions, Decision, Enforcement, Event, Glob, Object, Operation,
    PathScope, Postures, Protocol, Rule, RuleId, Selection, Source, Verdict, matches_tokens,
};

use crate::config::{CompileError, Config};
use crate::prepare::{Prepared, prepare};
use crate::strictest::strictness;

/// Judges events by going through all rules, one by one.
///
/// ```
/// use gambeson_matcher::{Config, reference::Evaluator};
/// use gambeson_policy_model::{Event, Selection, Verdict};
/// let evaluator = Evaluator::new(&Selection::new(vec![]), &Config::default())?;
/// assert_eq!(evaluator.decide(&Event::exec("/bin/sh")).verdict(), Verdict::Allow);
/// # Ok::<(), gambeson_matcher::CompileError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Evaluator {
    rules: Vec<Rule>,
    postures: Postures,
    enforcement: Enforcement,
}

/// How specifically a rule names the object, and how deep: the larger, the more specific.
type Specificity = (u32, usize);

/// Tiers of a path: an exact path, then execnames and patterns, then directories by depth.
const EXACT: u32 = 3;
const NAME: u32 = 2;
const DIRECTORY: u32 = 1;

/// A rule that matches an event's object and source.
#[derive(Debug, Clone, Copy)]
struct Match {
    rule: RuleId,
    /// Whether it names the source.
    sourced: bool,
    specificity: Specificity,
    execname: bool,
    pattern: bool,
    effect: Effect,
}

/// What a matching rule says of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Grant,
    Deny,
    Watch,
    /// An Audit rule whose conditions hold.
    Silent,
}

impl Evaluator {
    /// Takes the rules that apply to a workload.
    ///
    /// # Errors
    /// As compiling them would: two policies of one name, or an unreadable root.
    pub fn new(selection: &Selection, config: &Config) -> Result<Self, CompileError> {
        let Prepared {
            rules,
            postures,
            enforcement,
            ..
        } = prepare(selection, config)?;
        Ok(Self {
            rules,
            postures,
            enforcement,
        })
    }

    /// The rule with this id.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(id.0 as usize)
    }

    /// The rules as they are judged by, links resolved, in the order of their ids.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Judges one event.
    #[must_use]
    pub fn decide(&self, event: &Event<'_>) -> Decision {
        let decision = match self.enforcement {
            Enforcement::Disabled => return Decision::ALLOW,
            Enforcement::Enabled | Enforcement::Audited => self.judge(event),
        };
        // The pod's annotation asks for reports only.
        if self.enforcement == Enforcement::Audited && decision.verdict == Verdict::Block {
            return Decision {
                verdict: Verdict::Audit,
                ..decision
            };
        }
        decision
    }

    fn judge(&self, event: &Event<'_>) -> Decision {
        let class = event.operation.class();
        if let Operation::Socket(socket) = &event.operation
            && !socket.in_class()
        {
            return Decision::ALLOW;
        }
        match event.operation.file() {
            // "Outside the file class."
            Some(path) if path.is_nameless() && class == Class::File => return Decision::ALLOW,
            Some(path) if path.bytes().is_none() => return self.unresolvable_object(class),
            _ => {}
        }
        match event.source.bytes() {
            Some(source) => self.judge_as(event, source),
            None => self.strictest_source(event),
        }
    }

    /// "An object whose path can't be computed": the posture, if any rule could have denied.
    fn unresolvable_object(&self, class: Class) -> Decision {
        let engaged =
            self.in_allow_list_mode(class) || self.of_class(class).any(|(_, rule)| rule.can_deny());
        match (engaged, self.postures.of(class)) {
            (false, _) => Decision::ALLOW,
            (true, Verdict::Block) => Decision::by_posture(Verdict::Block),
            // "Otherwise it passes and is reported."
            (true, _) => Decision::by_posture(Verdict::Audit),
        }
    }

    /// "An unresolvable source matters only where a rule that matches the object names one, and
    /// then the strictest outcome stands": tries a program of every kind that rules tell apart.
    fn strictest_source(&self, event: &Event<'_>) -> Decision {
        let class = event.operation.class();
        // No rule can name it: policy text holds no such byte.
        let mut programs = vec![b"/\xff".to_vec()];
        for source in self.of_class(class).flat_map(|(_, rule)| &rule.sources) {
            match source {
                Source::Scope(PathScope::Path(path)) => programs.push(path.clone().into_bytes()),
                Source::Scope(PathScope::Directory(directory)) => {
                    let path = directory.path.as_bytes();
                    programs.push(path.to_vec());
                    programs.push(path.strip_suffix(b"/").unwrap_or(path).to_vec());
                    programs.push([path, b"\xff"].concat());
                    programs.push([path, b"\xff/\xff"].concat());
                }
                Source::Nothing(_) => {}
            }
        }
        programs
            .iter()
            .map(|program| self.judge_as(event, program))
            .max_by_key(strictness)
            .unwrap_or(Decision::ALLOW)
    }

    fn judge_as(&self, event: &Event<'_>, source: &[u8]) -> Decision {
        let class = event.operation.class();
        let mut matches: Vec<Match> = self
            .of_class(class)
            .flat_map(|(id, rule)| matches(id, rule, event, source))
            .collect();
        if matches!(event.operation, Operation::MapExec { .. }) {
            if self.in_allow_list_mode(class) {
                matches.retain(|found| found.specificity.0 == EXACT || found.execname);
            }
            // "Only a denial counts … and an allowed mapping names no rule."
            return match grant_or_deny(&matches) {
                Some(decision) if decision.verdict == Verdict::Block => decision,
                _ => Decision::ALLOW,
            };
        }
        let decision = grant_or_deny(&matches).unwrap_or_else(|| {
            if self.in_allow_list_mode(class) {
                Decision::by_posture(self.postures.of(class))
            } else {
                Decision::ALLOW
            }
        });
        // Step 5: watching.
        let watched = decision.verdict == Verdict::Allow
            || (decision.verdict == Verdict::Audit && decision.cause == Cause::Posture);
        match watching(&matches) {
            Some(rule) if watched => Decision::by_rule(Verdict::Audit, rule),
            _ => decision,
        }
    }

    fn of_class(&self, class: Class) -> impl Iterator<Item = (RuleId, &Rule)> {
        (0..)
            .map(RuleId)
            .zip(&self.rules)
            .filter(move |(_, rule)| rule.class == class)
    }

    /// "As soon as one rule of it whose action is Allow applies."
    fn in_allow_list_mode(&self, class: Class) -> bool {
        self.of_class(class)
            .any(|(_, rule)| rule.action == Action::Allow)
    }
}

/// "Does a rule match an event?", and what it then says. A pattern matches once for each of its
/// alternatives that does, since each ranks for itself.
fn matches(id: RuleId, rule: &Rule, event: &Event<'_>, source: &[u8]) -> Vec<Match> {
    let sourced = !rule.sources.is_empty();
    if sourced && !rule.sources.iter().any(|entry| entry.contains(source)) {
        return Vec::new();
    }
    specificities(&rule.object, event)
        .into_iter()
        .map(|specificity| Match {
            rule: id,
            sourced,
            specificity,
            execname: matches!(rule.object, Object::ExecName(_)),
            pattern: matches!(rule.object, Object::Pattern(_)) && specificity.0 == NAME,
            effect: effect(rule.action, &rule.conditions, event),
        })
        .collect()
}

/// How an object of a rule names that of an event; empty where it doesn't.
fn specificities(object: &Object, event: &Event<'_>) -> Vec<Specificity> {
    if let Some(path) = event.operation.file() {
        return path
            .bytes()
            .map_or_else(Vec::new, |path| path_specificities(object, path));
    }
    let named = match (&event.operation, object) {
        (Operation::Socket(socket), Object::Protocol(protocol)) => {
            let tier = if *protocol == Protocol::All { 1 } else { 2 };
            protocol.matches(socket).then_some((tier, 0))
        }
        (Operation::Capability(used), Object::Capability(named)) => {
            (used == named).then_some((1, 0))
        }
        (Operation::Syscall { name, path }, Object::Syscalls { names, scope }) => {
            let path = path.as_ref().and_then(|path| path.bytes());
            let within = |scope: &PathScope| path.is_some_and(|path| scope.contains(path));
            let specificity = match scope {
                None => Some((1, 0)),
                Some(scope) if !within(scope) => None,
                Some(PathScope::Directory(directory)) => Some((2, directory.path.len())),
                Some(PathScope::Path(_)) => Some((3, 0)),
            };
            specificity.filter(|_| names.iter().any(|named| named == name))
        }
        (Operation::Dns { domain }, Object::Domain(named)) => {
            let named = labels(named);
            let within = labels(domain).starts_with(&named);
            within.then_some((1, named.len()))
        }
        (Operation::Device(device), Object::Device(wanted)) => {
            wanted.matches(device).then_some((wanted.specificity(), 0))
        }
        (Operation::Preset(preset), Object::Preset(named)) => (preset == named).then_some((1, 0)),
        _ => None,
    };
    named.into_iter().collect()
}

fn path_specificities(object: &Object, path: &[u8]) -> Vec<Specificity> {
    let found = match object {
        Object::Path(exact) => (exact.as_bytes() == path).then_some((EXACT, 0)),
        Object::ExecName(name) => {
            (path.rsplit(|byte| *byte == b'/').next() == Some(name.as_bytes())).then_some((NAME, 0))
        }
        Object::Directory(directory) => directory
            .contains(path)
            .then_some((DIRECTORY, directory.path.len())),
        Object::Pattern(glob) => {
            return glob
                .alternatives()
                .iter()
                .filter(|tokens| matches_tokens(tokens, path))
                // "A pattern that is literal but for a final `/**` ranks as that directory."
                .map(|tokens| match Glob::as_directory(tokens) {
                    Some(directory) => (DIRECTORY, directory.len()),
                    None => (NAME, 0),
                })
                .collect();
        }
        _ => None,
    };
    found.into_iter().collect()
}

/// A domain's labels from the last to the first, without case or a trailing dot.
fn labels(domain: &str) -> Vec<String> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    domain
        .rsplit('.')
        .filter(|label| !label.is_empty())
        .map(str::to_ascii_lowercase)
        .collect()
}

/// "What a matching rule says: grant, deny or watch."
fn effect(action: Action, conditions: &Conditions, event: &Event<'_>) -> Effect {
    let hold = holds(conditions, event);
    match (action, conditions.is_empty()) {
        (Action::Audit, true) => Effect::Watch,
        (Action::Audit, false) if hold => Effect::Silent,
        (Action::Audit, false) => Effect::Watch,
        (Action::Allow, true) => Effect::Grant,
        (Action::Block, true) => Effect::Deny,
        (_, false) if hold => Effect::Grant,
        (_, false) => Effect::Deny,
    }
}

/// Whether all conditions hold.
fn holds(conditions: &Conditions, event: &Event<'_>) -> bool {
    let args_hold = match &event.operation {
        Operation::Exec { args, .. } => args.iter().all(|arg| {
            let mut allowed = conditions.allowed_args.iter();
            allowed.any(|allowed| allowed.as_bytes() == arg.as_ref())
        }),
        // A mapping has no arguments: "conditions on arguments hold".
        _ => true,
    };
    (!conditions.owner_only || event.is_owner())
        && (!conditions.read_only || matches!(event.operation, Operation::Read { .. }))
        && (!conditions.no_tty || !event.tty)
        && (conditions.allowed_args.is_empty() || args_hold)
}

/// Steps 1 to 3: who of the rules that grant or deny wins. `None` where none does.
fn grant_or_deny(matches: &[Match]) -> Option<Decision> {
    let speaking = matches
        .iter()
        .copied()
        .filter(|found| matches!(found.effect, Effect::Grant | Effect::Deny))
        .collect();
    let sourced = source_first(speaking);
    let mut winners = most_specific(&sourced);
    // "A pattern doesn't silence a deny of the deepest directory."
    let patterns_count = winners.iter().any(|found| found.pattern);
    if patterns_count && !winners.iter().any(|found| found.execname) {
        let directories: Vec<Match> = sourced
            .iter()
            .copied()
            .filter(|found| found.specificity.0 == DIRECTORY)
            .collect();
        let denying = most_specific(&directories).into_iter();
        winners.extend(denying.filter(|found| found.effect == Effect::Deny));
    }
    let smallest = |effect: Effect| {
        let ids = winners.iter().filter(|found| found.effect == effect);
        ids.map(|found| found.rule).min()
    };
    match (smallest(Effect::Deny), smallest(Effect::Grant)) {
        (Some(rule), _) => Some(Decision::by_rule(Verdict::Block, rule)),
        (None, Some(rule)) => Some(Decision::by_rule(Verdict::Allow, rule)),
        (None, None) => None,
    }
}

/// Step 5: the rule that steps 1 and 2 pick among those that watch.
fn watching(matches: &[Match]) -> Option<RuleId> {
    let watching = matches
        .iter()
        .copied()
        .filter(|found| found.effect == Effect::Watch)
        .collect();
    let winners = most_specific(&source_first(watching));
    winners.iter().map(|found| found.rule).min()
}

/// Step 1: if any rule names the source, those that don't are out.
fn source_first(mut matches: Vec<Match>) -> Vec<Match> {
    if matches.iter().any(|found| found.sourced) {
        matches.retain(|found| found.sourced);
    }
    matches
}

/// Step 2: only the most specific rules count.
fn most_specific(matches: &[Match]) -> Vec<Match> {
    let best = matches.iter().map(|found| found.specificity).max();
    matches
        .iter()
        .copied()
        .filter(|found| Some(found.specificity) == best)
        .collect()
}
