//! Differences between policies: each is real, and none is missed.

use std::collections::HashSet;

use gambeson_insight::analysis::{AnalysisLimits, Programs, diff};
use gambeson_insight::explain::Explainer;
use gambeson_matcher::Config;
use gambeson_matcher::testing::Random;
use gambeson_policy_model::{
    Action, Cause, Class, Decision, Event, PolicySet, Rule, Selection, Verdict, Workload,
};

type Outcome = (Verdict, Cause);

fn outcome(decision: Decision) -> Outcome {
    (decision.verdict, decision.cause)
}

/// The policy with a few changes.
fn changed(random: &mut Random, selection: &Selection) -> Selection {
    let mut rules: Vec<Rule> = selection.rules().to_vec();
    for _ in 0..random.below(4) {
        let place = random.below(rules.len());
        match (random.below(5), rules.get_mut(place)) {
            (0, Some(_)) => {
                rules.remove(place);
            }
            (1, Some(rule)) => {
                rule.action = match random.below(3) {
                    0 => Action::Allow,
                    1 => Action::Audit,
                    _ => Action::Block,
                };
            }
            (2, Some(rule)) => rule.sources.clear(),
            (3, Some(rule)) => rule.conditions = Default::default(),
            _ => {
                let place = random.below(2 * Class::ALL.len());
                let class = Class::ALL.get(place).copied();
                let mostly = if random.once_in(2) {
                    Class::File
                } else {
                    Class::Process
                };
                rules.push(random.rule(class.unwrap_or(mostly), 100));
            }
        }
    }
    let postures = if random.once_in(6) {
        random.selection(0).posture()
    } else {
        selection.posture()
    };
    Selection::new(rules)
        .with_posture(postures)
        .with_enforcement(selection.enforcement())
}

fn is_resolved(event: &Event<'_>) -> bool {
    use gambeson_policy_model::Operation;
    let about = match &event.operation {
        Operation::Syscall { path, .. } => path.as_ref(),
        operation => operation.file(),
    };
    about.is_none_or(|path| path.is_resolved())
}

#[test]
fn every_difference_is_real_and_none_is_missed() {
    let (mut equal, mut different, mut differing_events) = (0, 0, 0);
    for seed in 0..700 {
        let mut random = Random::new(seed);
        let size = 1 + random.below(14);
        let before = random.selection(size);
        let after = changed(&mut random, &before);
        let explain = |selection| Explainer::new(selection, &Config::default()).unwrap();
        let sides = [explain(&before), explain(&after)];
        let found = diff(&sides[0], &sides[1], AnalysisLimits::default());
        assert!(found.complete, "seed {seed}");
        for difference in &found.differences {
            let decisions =
                [&sides[0], &sides[1]].map(|side| side.compiled().decide(&difference.witness));
            assert_eq!(
                decisions,
                [difference.before, difference.after],
                "seed {seed}"
            );
            assert_ne!(decisions[0].verdict, decisions[1].verdict, "seed {seed}");
            assert!(
                is_resolved(&difference.witness),
                "seed {seed}: {difference:?}"
            );
        }
        let groups: HashSet<(&str, Outcome, Outcome)> = found
            .differences
            .iter()
            .map(|difference| {
                (
                    difference.witness.operation.name(),
                    outcome(difference.before),
                    outcome(difference.after),
                )
            })
            .collect();
        let events = if found.is_equal() { 3_000 } else { 800 };
        for _ in 0..events {
            let event = random.event();
            if !is_resolved(&event) {
                continue;
            }
            let [a, b] = [&sides[0], &sides[1]].map(|side| side.compiled().decide(&event));
            if a.verdict == b.verdict {
                continue;
            }
            differing_events += 1;
            assert!(!found.is_equal(), "seed {seed}: {event:?}");
            // Of an unknown program, the rule that stands may be that of another one.
            if event.source.bytes().is_some() {
                let group = (event.operation.name(), outcome(a), outcome(b));
                assert!(
                    groups.contains(&group),
                    "seed {seed}: {event:?}: {group:?}\n{before:#?}\n{after:#?}\n{found:#?}"
                );
            }
        }
        if found.is_equal() {
            equal += 1;
        } else {
            different += 1;
        }
    }
    assert!(
        equal > 150 && different > 250 && differing_events > 20_000,
        "{equal} {different} {differing_events}"
    );
}

fn explainer(rules: &str) -> Result<Explainer, Box<dyn std::error::Error>> {
    let policies = PolicySet::from_str(&format!(
        "
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {{name: web}}
spec: {rules}
"
    ))?;
    let selection = policies.select(&Workload::pod("default"));
    Ok(Explainer::new(&selection, &Config::default())?)
}

#[test]
fn a_rule_that_is_overruled_everywhere_changes_nothing() {
    let silenced =
        "{file: {matchDirectories: [{dir: /a/, recursive: true}], matchPaths: [{path: /a}]}}";
    let with = "{file: {matchDirectories: [{dir: /a/, recursive: true}, {dir: /a/b/, recursive: true}], matchPaths: [{path: /a}]}}";
    let found = diff(
        &explainer(silenced).unwrap(),
        &explainer(with).unwrap(),
        AnalysisLimits::default(),
    );
    assert!(found.is_equal(), "{found:?}");
    // A name beside a silenced directory isn't silenced.
    let root = |action: &str| {
        explainer(&format!(
            "{{file: {{matchDirectories: [{{dir: /, recursive: true, action: {action}}}, {{dir: /usr/, recursive: true, action: Block}}]}}}}"
        ))
    };
    let found = diff(
        &root("Block").unwrap(),
        &root("Audit").unwrap(),
        AnalysisLimits::default(),
    );
    assert_eq!(found.differences.len(), 2, "{found:?}");
    assert!(
        found
            .differences
            .iter()
            .all(|difference| difference.programs == Programs::Any)
    );
}

#[test]
fn a_witness_is_a_name_that_a_reader_knows() {
    let before = explainer(
        "{file: {matchDirectories: [{dir: /etc/nginx/, recursive: true, action: Audit}]}}",
    )
    .unwrap();
    let after = explainer("{file: {matchDirectories: [{dir: /etc/nginx/, recursive: true, action: Block, fromSource: [{path: /opt/run}]}]}}").unwrap();
    let found = diff(&before, &after, AnalysisLimits::default());
    let told: Vec<String> = found
        .differences
        .iter()
        .map(|difference| {
            format!(
                "{} {:?} {} {}",
                difference.witness.to_json(),
                difference.programs,
                difference.before.verdict,
                difference.after.verdict
            )
        })
        .collect();
    assert_eq!(
        told[..2],
        [
            r#"{"op":"read","path":"/etc/nginx/x","source":"/x","uid":1000,"owner":0} Unnamed Audit Allow"#,
            r#"{"op":"read","path":"/etc/nginx/x","source":"/opt/run","uid":1000,"owner":0} Named Audit Block"#,
        ]
    );
}

#[test]
fn where_a_limit_is_met_the_answer_is_not_that_all_is_equal() {
    let one = explainer("{file: {matchPatterns: [{pattern: '/a/**b*c*d*e*f'}]}}").unwrap();
    let two =
        explainer("{file: {matchPatterns: [{pattern: '/a/**b*c*d*e*f', action: Allow}]}}").unwrap();
    let limits = AnalysisLimits {
        states: 3,
        ..AnalysisLimits::default()
    };
    let found = diff(&one, &two, limits);
    assert!(!found.complete && !found.is_equal());
    let limits = AnalysisLimits {
        differences: 1,
        ..AnalysisLimits::default()
    };
    let found = diff(&one, &two, limits);
    assert_eq!((found.differences.len(), found.complete), (1, false));
}
