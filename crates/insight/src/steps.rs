//! "Which rule wins": the steps of the decision model on the rules that match.

use std::fmt;

use gambeson_policy_model::{Cause, Decision, RuleId, Verdict};
use serde::Serialize;

use crate::matching::{DIRECTORY, Effect, Match, Specificity};

/// A step of the decision model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Step {
    /// The object is outside every class that rules speak of.
    OutsideClass,
    /// The object has no path that could be computed.
    Unresolvable,
    /// One rule grants or denies, or several that say the same.
    Unopposed,
    /// Step 1: rules that name the source go before those that don't.
    SourceFirst,
    /// Step 2: the more specific goes first.
    SpecificFirst,
    /// Step 3: among equals, deny wins.
    DenyWins,
    /// Step 4: no rule grants or denies, and the default posture decides.
    Posture,
    /// Step 4: no rule grants or denies, and nothing asks for more.
    NoRule,
    /// Of a mapping only a denial counts, and no rule that counts denies it.
    Mapping,
    /// Step 5: an Audit rule watches what is let pass.
    Watching,
}

impl Step {
    /// The step in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::OutsideClass => "the object is outside the class, so no rule is asked",
            Self::Unresolvable => "the object's path can't be computed, so the posture decides",
            Self::Unopposed => "no other rule says otherwise",
            Self::SourceFirst => {
                "step 1, source first: rules that name the program go before others"
            }
            Self::SpecificFirst => {
                "step 2, specific first: the closest description of the object counts"
            }
            Self::DenyWins => "step 3, deny wins among rules of one rank",
            Self::Posture => {
                "step 4: no rule grants or denies, and the class is in allow-list mode, so the \
                 default posture decides"
            }
            Self::NoRule => "step 4: no rule grants or denies, so the event is allowed",
            Self::Mapping => "of a mapping only a denial counts, and no rule that counts denies it",
            Self::Watching => {
                "step 5, watching: what is let pass is reported by the rule that watches"
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// What became of a rule that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
#[non_exhaustive]
pub enum Standing {
    /// The decision is the rule's.
    Decides,
    /// It grants the event, and another rule reports it.
    Grants,
    /// It says what the deciding rule says, which goes before it in the order of attribution.
    Agrees {
        /// The deciding rule.
        #[serde(serialize_with = "id")]
        with: RuleId,
    },
    /// It is put out.
    Loses {
        /// By this step.
        step: Step,
        /// To this rule; none where the posture blocks what it would watch.
        #[serde(serialize_with = "maybe_id")]
        to: Option<RuleId>,
    },
    /// An Audit rule whose conditions hold.
    Silent,
    /// It doesn't count for a mapping.
    LeftOut,
}

fn id<S: serde::Serializer>(rule: &RuleId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(rule.0)
}

fn maybe_id<S: serde::Serializer>(rule: &Option<RuleId>, serializer: S) -> Result<S::Ok, S::Error> {
    rule.map(|rule| rule.0).serialize(serializer)
}

/// What a decision depends on besides the rules that match.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation {
    /// The event is a mapping.
    pub(crate) mapping: bool,
    /// The class is in allow-list mode.
    pub(crate) allow_list: bool,
    pub(crate) posture: Verdict,
}

/// What steps 1 and 2 leave of rules that speak.
#[derive(Debug, Clone, Copy)]
struct Left {
    sourced: bool,
    best: Specificity,
    /// The deepest directory whose denials count beside patterns.
    directory: Option<Specificity>,
}

impl Left {
    /// Of the matches that `speaks` picks; `None` where there is none.
    fn of(matches: &[Match], speaks: impl Fn(&Match) -> bool) -> Option<Self> {
        let sourced = matches.iter().any(|found| speaks(found) && found.sourced);
        let counting = || {
            let counting = matches.iter();
            counting.filter(|found| speaks(found) && (found.sourced || !sourced))
        };
        let best = counting().map(|found| found.specificity).max()?;
        let (mut patterns, mut execnames) = (false, false);
        for found in counting().filter(|found| found.specificity == best) {
            patterns |= found.pattern;
            execnames |= found.execname;
        }
        let directory = (patterns && !execnames)
            .then(|| {
                let directories = counting().filter(|found| found.specificity.0 == DIRECTORY);
                directories.map(|found| found.specificity).max()
            })
            .flatten();
        Some(Self {
            sourced,
            best,
            directory,
        })
    }

    fn names_source(&self, found: &Match) -> bool {
        found.sourced || !self.sourced
    }

    fn keeps(&self, found: &Match) -> bool {
        let denies_beside =
            found.effect == Effect::Deny && self.directory == Some(found.specificity);
        self.names_source(found) && (found.specificity == self.best || denies_beside)
    }

    fn smallest(&self, matches: &[Match], wanted: impl Fn(&Match) -> bool) -> Option<RuleId> {
        let kept = matches
            .iter()
            .filter(|found| wanted(found) && self.keeps(found));
        kept.map(|found| found.rule).min()
    }
}

fn speaks(found: &Match) -> bool {
    found.effect.speaks()
}

fn watches(found: &Match) -> bool {
    found.effect == Effect::Watch
}

/// Steps 1 to 3: who grants or denies, and whether it denies.
fn grant_or_deny(matches: &[Match]) -> Option<(RuleId, bool)> {
    let left = Left::of(matches, speaks)?;
    match left.smallest(matches, |found| found.effect == Effect::Deny) {
        Some(rule) => Some((rule, true)),
        None => Some((left.smallest(matches, speaks)?, false)),
    }
}

/// The matches that count for an event: for a mapping, those that grant or deny, and in allow-list
/// mode only exact paths and execnames of them.
pub(crate) fn counts(found: &Match, situation: Situation) -> bool {
    !situation.mapping
        || (found.effect.speaks() && (!situation.allow_list || found.counts_for_mappings()))
}

/// The decision on matches that count.
pub(crate) fn decide(matches: &[Match], situation: Situation) -> Decision {
    let winner = grant_or_deny(matches);
    if situation.mapping {
        return match winner {
            Some((rule, true)) => Decision::by_rule(Verdict::Block, rule),
            _ => Decision::ALLOW,
        };
    }
    let decision = match winner {
        Some((rule, true)) => return Decision::by_rule(Verdict::Block, rule),
        Some((rule, false)) => Decision::by_rule(Verdict::Allow, rule),
        None if situation.allow_list => Decision::by_posture(situation.posture),
        None => Decision::ALLOW,
    };
    if decision.verdict == Verdict::Block {
        return decision;
    }
    let watcher = Left::of(matches, watches).and_then(|left| left.smallest(matches, watches));
    match watcher {
        Some(rule) => Decision::by_rule(Verdict::Audit, rule),
        None => decision,
    }
}

/// A decision, and what became of each match, in their order.
#[derive(Debug, Clone)]
pub(crate) struct Settled {
    pub(crate) decision: Decision,
    pub(crate) step: Step,
    pub(crate) standings: Vec<Standing>,
}

/// Decides on all matches of one event, and says how.
pub(crate) fn settle(all: &[Match], situation: Situation) -> Settled {
    let matches: Vec<Match> = {
        let counting = all.iter().copied();
        counting.filter(|found| counts(found, situation)).collect()
    };
    let decision = decide(&matches, situation);
    let speaking = Left::of(&matches, speaks);
    let winner = grant_or_deny(&matches).map(|(rule, _)| rule);
    let watching = Left::of(&matches, watches);
    let watcher = watching.and_then(|left| left.smallest(&matches, watches));
    let standing = |found: &Match| {
        if !counts(found, situation) {
            return Standing::LeftOut;
        }
        if found.effect == Effect::Silent {
            return Standing::Silent;
        }
        let watched = found.effect == Effect::Watch;
        if watched && decision.verdict == Verdict::Block {
            return Standing::Loses {
                step: Step::Watching,
                to: decision.rule(),
            };
        }
        let (left, first) = if watched {
            (watching, watcher)
        } else {
            (speaking, winner)
        };
        let (Some(left), Some(first)) = (left, first) else {
            return Standing::LeftOut;
        };
        if first == found.rule {
            return if decision.rule() == Some(first) {
                Standing::Decides
            } else {
                Standing::Grants
            };
        }
        let says_the_same = || {
            let of_first = matches.iter().find(|other| other.rule == first);
            of_first.is_some_and(|other| other.effect == found.effect)
        };
        if !left.names_source(found) {
            Standing::Loses {
                step: Step::SourceFirst,
                to: Some(first),
            }
        } else if !left.keeps(found) {
            // The winner may be a directory's denial beside patterns; they put this one out.
            let best = matches.iter().filter(|other| {
                (other.effect == Effect::Watch) == watched
                    && left.keeps(other)
                    && other.specificity == left.best
            });
            let mut best: Vec<RuleId> = best.map(|other| other.rule).collect();
            best.sort_unstable();
            let to = if best.contains(&first) {
                Some(first)
            } else {
                best.first().copied()
            };
            Standing::Loses {
                step: Step::SpecificFirst,
                to,
            }
        } else if says_the_same() {
            Standing::Agrees { with: first }
        } else {
            Standing::Loses {
                step: Step::DenyWins,
                to: Some(first),
            }
        }
    };
    let standings: Vec<Standing> = all.iter().map(standing).collect();
    Settled {
        step: if situation.mapping && decision.rule().is_none() {
            Step::Mapping
        } else {
            deciding_step(decision, all, &standings)
        },
        decision,
        standings,
    }
}

/// The step that the decision rests on: the last one that put out a rule with another effect.
fn deciding_step(decision: Decision, all: &[Match], standings: &[Standing]) -> Step {
    let winner = match decision.cause {
        Cause::Posture => return Step::Posture,
        Cause::None => return Step::NoRule,
        Cause::Rule(rule) => rule,
    };
    let of_winner = all.iter().find(|found| found.rule == winner);
    let effect = of_winner.map(|found| found.effect);
    if effect == Some(Effect::Watch) {
        return Step::Watching;
    }
    let mut step = Step::Unopposed;
    for (found, standing) in all.iter().zip(standings) {
        if let Standing::Loses { step: by, .. } = standing
            && found.effect.speaks()
            && Some(found.effect) != effect
        {
            step = match (step, *by) {
                (Step::DenyWins, _) | (_, Step::DenyWins) => Step::DenyWins,
                (Step::SpecificFirst, _) | (_, Step::SpecificFirst) => Step::SpecificFirst,
                (_, by) => by,
            };
        }
    }
    step
}
