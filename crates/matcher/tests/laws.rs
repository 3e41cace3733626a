//! The laws that the decision model states for any set of policies, each over random sets whose
//! rules collide and nest. A failure prints the seed that shrinks to the smallest set.

use std::sync::Arc;

use gambeson_matcher::reference::Evaluator;
use gambeson_matcher::testing::Random;
use gambeson_matcher::{CompiledPolicy, Config};
use gambeson_policy_model::{
    Action, Cause, Class, Conditions, Decision, Event, Operation, PolicyId, Rule, Selection,
    Verdict,
};
use proptest::prelude::*;

/// Events that each law is tried on, for each random set.
const EVENTS: usize = 40;

type Outcome = Result<(), TestCaseError>;

fn failed(error: impl std::fmt::Display) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

/// A random set of so many rules, enforced, with events to try.
struct Setting {
    selection: Selection,
    events: Vec<Event<'static>>,
    random: Random,
}

impl Setting {
    fn new(seed: u64, rules: usize) -> Self {
        let mut random = Random::new(seed);
        let drawn = random.selection(rules);
        let selection = Selection::new(drawn.rules().to_vec()).with_posture(drawn.posture());
        let events = (0..EVENTS).map(|_| random.event()).collect();
        Self {
            selection,
            events,
            random,
        }
    }

    /// The same postures with other rules.
    fn with_rules(&self, rules: Vec<Rule>) -> Selection {
        Selection::new(rules).with_posture(self.selection.posture())
    }

    /// Compares the verdicts of two sets, event by event.
    fn compare(
        &self,
        other: &Selection,
        law: impl Fn(&Event<'_>, Decision, Decision) -> bool,
    ) -> Outcome {
        let config = Config::default();
        let ours = CompiledPolicy::compile(&self.selection, &config).map_err(failed)?;
        let theirs = CompiledPolicy::compile(other, &config).map_err(failed)?;
        for event in &self.events {
            let (before, after) = (ours.decide(event), theirs.decide(event));
            prop_assert!(
                law(event, before, after),
                "{before:?} became {after:?} for {event:?}\n{:#?}\n{:#?}",
                self.selection.rules(),
                other.rules()
            );
        }
        Ok(())
    }
}

fn renamed(rule: &Rule, name: String) -> Rule {
    Rule {
        policy: Arc::new(PolicyId {
            name,
            ..PolicyId::clone(&rule.policy)
        }),
        ..rule.clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// "The compiled matcher and the reference evaluator give the same verdict and the same rule."
    #[test]
    fn compiled_tables_decide_as_the_reference_does(seed: u64, rules in 1usize..24) {
        let setting = Setting::new(seed, rules);
        let config = Config::default();
        let compiled = CompiledPolicy::compile(&setting.selection, &config).map_err(failed)?;
        let reference = Evaluator::new(&setting.selection, &config).map_err(failed)?;
        for event in &setting.events {
            prop_assert_eq!(compiled.decide(event), reference.decide(event), "{:?}", event);
        }
    }

    /// "Order and repetition of policies (under other names) and rules never matter."
    #[test]
    fn order_and_repetition_never_matter(seed: u64, rules in 1usize..12) {
        let mut setting = Setting::new(seed, rules);
        let mut shuffled = setting.selection.rules().to_vec();
        for place in 0..shuffled.len() {
            let other = setting.random.below(shuffled.len());
            shuffled.swap(place, other);
        }
        let mut repeated: Vec<Rule> = shuffled
            .iter()
            .map(|rule| renamed(rule, format!("again-{}", rule.policy.name)))
            .collect();
        shuffled.append(&mut repeated);
        let other = setting.with_rules(shuffled);
        setting.compare(&other, |_, before, after| before.verdict == after.verdict)?;
    }

    /// "Renaming a policy changes no verdict."
    #[test]
    fn names_of_policies_never_matter(seed: u64, rules in 1usize..12) {
        let setting = Setting::new(seed, rules);
        let renamed = setting
            .selection
            .rules()
            .iter()
            .map(|rule| renamed(rule, rule.policy.name.chars().rev().chain(['z']).collect()))
            .collect();
        let other = setting.with_rules(renamed);
        setting.compare(&other, |_, before, after| before.verdict == after.verdict)?;
    }

    /// "Splitting a policy into one policy per rule changes no verdict."
    #[test]
    fn policies_can_be_split(seed: u64, rules in 1usize..12) {
        let setting = Setting::new(seed, rules);
        let split = setting
            .selection
            .rules()
            .iter()
            .enumerate()
            .map(|(number, rule)| Rule {
                index: 0,
                ..renamed(rule, format!("{}-{number}", rule.policy.name))
            })
            .collect();
        let other = setting.with_rules(split);
        setting.compare(&other, |_, before, after| before.verdict == after.verdict)?;
    }

    /// "Adding an Audit rule never changes whether anything is blocked, and never silences a
    /// report."
    #[test]
    fn an_audit_rule_only_adds_reports(seed: u64, rules in 0usize..12, class in 0usize..8) {
        let mut setting = Setting::new(seed, rules);
        let added = Rule {
            action: Action::Audit,
            ..setting.random.rule(Class::ALL[class], 99)
        };
        let mut with = setting.selection.rules().to_vec();
        with.push(added);
        let other = setting.with_rules(with);
        setting.compare(&other, |_, before, after| {
            (before.verdict == Verdict::Block) == (after.verdict == Verdict::Block)
                && before.verdict <= after.verdict
        })?;
    }

    /// "Adding a Block rule without conditions never unblocks anything."
    #[test]
    fn a_block_rule_never_unblocks(seed: u64, rules in 0usize..12, class in 0usize..8) {
        let mut setting = Setting::new(seed, rules);
        let drawn = setting.random.rule(Class::ALL[class], 99);
        prop_assume!(drawn.class != Class::Syscalls);
        let added = Rule {
            action: Action::Block,
            conditions: Conditions::default(),
            ..drawn
        };
        let mut with = setting.selection.rules().to_vec();
        with.push(added);
        let other = setting.with_rules(with);
        setting.compare(&other, |_, before, after| {
            before.verdict != Verdict::Block || after.verdict == Verdict::Block
        })?;
    }

    /// "An Allow rule without conditions never blocks anything where its class is already in
    /// allow-list mode."
    #[test]
    fn an_allow_rule_never_blocks_in_allow_list_mode(
        seed: u64,
        rules in 1usize..12,
        class in 0usize..8,
    ) {
        let mut setting = Setting::new(seed, rules);
        let class = Class::ALL[class];
        let allows = |rule: &Rule| rule.class == class && rule.action == Action::Allow;
        prop_assume!(!matches!(class, Class::Syscalls | Class::Presets));
        if !setting.selection.rules().iter().any(allows) {
            let first = Rule {
                action: Action::Allow,
                ..setting.random.rule(class, 98)
            };
            let mut with = setting.selection.rules().to_vec();
            with.push(first);
            setting.selection = setting.with_rules(with);
        }
        let added = Rule {
            action: Action::Allow,
            conditions: Conditions::default(),
            ..setting.random.rule(class, 99)
        };
        let mut with = setting.selection.rules().to_vec();
        with.push(added);
        let other = setting.with_rules(with);
        setting.compare(&other, |_, before, after| {
            before.verdict == Verdict::Block || after.verdict != Verdict::Block
        })?;
    }

    /// "A blocked read is a blocked write."
    #[test]
    fn a_blocked_read_is_a_blocked_write(seed: u64, rules in 1usize..12) {
        let setting = Setting::new(seed, rules);
        let compiled =
            CompiledPolicy::compile(&setting.selection, &Config::default()).map_err(failed)?;
        for event in &setting.events {
            let Operation::Read { path } = &event.operation else { continue };
            let write = Event {
                operation: Operation::Write { path: path.clone() },
                ..event.clone()
            };
            if compiled.decide(event).verdict == Verdict::Block {
                prop_assert_eq!(compiled.decide(&write).verdict, Verdict::Block, "{:?}", event);
            }
        }
    }

    /// Equal policies give byte-equal images, and an image loads as what was written.
    #[test]
    fn images_are_the_same_for_equal_policies(seed: u64, rules in 0usize..24) {
        let setting = Setting::new(seed, rules);
        let config = Config::default();
        let first = CompiledPolicy::compile(&setting.selection, &config).map_err(failed)?;
        let second = CompiledPolicy::compile(&setting.selection.clone(), &config).map_err(failed)?;
        let image = first.to_bytes();
        prop_assert_eq!(&image, &second.to_bytes());
        let loaded = CompiledPolicy::from_bytes(&image).map_err(failed)?;
        prop_assert_eq!(&loaded, &first);
        prop_assert_eq!(loaded.to_bytes(), image);
    }

    /// A damaged image is refused, or decides something: it never panics or hangs.
    #[test]
    fn damaged_images_are_harmless(
        seed: u64,
        rules in 1usize..16,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        cuts: bool,
    ) {
        let setting = Setting::new(seed, rules);
        let compiled =
            CompiledPolicy::compile(&setting.selection, &Config::default()).map_err(failed)?;
        let mut image = compiled.to_bytes();
        for (place, byte) in damage {
            let place = place.index(image.len());
            image[place] = byte;
        }
        if cuts {
            image.truncate(cut.index(image.len()));
        }
        if let Ok(loaded) = CompiledPolicy::from_bytes(&image) {
            for event in &setting.events {
                if let Cause::Rule(rule) = loaded.decide(event).cause {
                    prop_assert!(loaded.rule(rule).is_some());
                }
            }
        }
    }
}
