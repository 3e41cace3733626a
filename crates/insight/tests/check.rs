//! What is found doubtful in rules is so, and what isn't found isn't.

use gambeson_insight::analysis::{AnalysisLimits, Check, check};
use gambeson_insight::explain::{Explainer, Standing};
use gambeson_matcher::Config;
use gambeson_matcher::testing::Random;
use gambeson_policy_model::{
    Action, Enforcement, Event, Object, Operation, PolicySet, RuleId, Selection, Verdict, Workload,
};

fn is_resolved(event: &Event<'_>) -> bool {
    let about = match &event.operation {
        Operation::Syscall { path, .. } => path.as_ref(),
        operation => operation.file(),
    };
    about.is_none_or(|path| path.is_resolved())
}

fn wins(explainer: &Explainer, event: &Event<'_>, rule: RuleId) -> bool {
    explainer.explain(event).matched.iter().any(|matched| {
        matched.rule == rule && matches!(matched.standing, Standing::Decides | Standing::Grants)
    })
}

#[test]
fn a_rule_wins_where_it_is_said_to_and_nowhere_where_it_is_said_never_to() {
    let (mut never, mut idle) = (0, 0);
    for seed in 0..300 {
        let mut random = Random::new(50_000 + seed);
        let size = 1 + random.below(14);
        let selection = random
            .selection(size)
            .with_enforcement(Enforcement::Enabled);
        let explainer = Explainer::new(&selection, &Config::default()).unwrap();
        let found = check(&explainer, AnalysisLimits::default());
        assert!(found.undecided.is_empty(), "seed {seed}");
        for (id, winning) in (0..).map(RuleId).zip(&found.winning) {
            let said_never = found.never_wins.iter().any(|never| never.rule == id);
            match winning {
                // One of the two must hold, so that no rule goes unproved.
                Some(event) => assert!(
                    !said_never && wins(&explainer, event, id),
                    "seed {seed}: {id:?}"
                ),
                None => assert!(said_never, "seed {seed}: {id:?}"),
            }
        }
        for _ in 0..400 {
            let event = random.event();
            if !is_resolved(&event) {
                continue;
            }
            for rule in &found.never_wins {
                assert!(
                    !wins(&explainer, &event, rule.rule),
                    "seed {seed}: {event:?} {rule:?}"
                );
            }
        }
        never += found.never_wins.len();
        for conflict in &found.conflicts {
            let explanation = explainer.explain(&conflict.witness);
            assert_eq!(
                explanation.decision.rule(),
                Some(conflict.block),
                "seed {seed}"
            );
            assert_eq!(explanation.decision.verdict, Verdict::Block);
        }
        for id in &found.allow_list_only {
            idle += 1;
            // Another Allow that matches nothing keeps the class in allow-list mode.
            let mut rules = selection.rules().to_vec();
            if let Some(rule) = rules.get_mut(id.0 as usize) {
                rule.object = Object::Nothing("/link".to_owned());
                rule.sources.clear();
            }
            let without = Selection::new(rules)
                .with_posture(selection.posture())
                .with_enforcement(selection.enforcement());
            let without = Explainer::new(&without, &Config::default()).unwrap();
            for _ in 0..300 {
                let event = random.event();
                if is_resolved(&event) {
                    let [with, without] =
                        [&explainer, &without].map(|side| side.compiled().decide(&event).verdict);
                    assert_eq!(with, without, "seed {seed}: {id:?} {event:?}");
                }
            }
        }
    }
    assert!(never > 100 && idle > 60, "{never} {idle}");
}

fn checked(spec: &str, posture: &str) -> Result<(Explainer, Check), Box<dyn std::error::Error>> {
    let policies = PolicySet::from_str(&format!(
        "
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {{name: web}}
spec: {spec}
"
    ))?;
    let selection = policies.select(&Workload::pod("default"));
    let config = Config::default().posture(posture.parse()?);
    let explainer = Explainer::new(&selection, &config)?;
    let found = check(&explainer, AnalysisLimits::default());
    Ok((explainer, found))
}

#[test]
fn a_shadowed_rule_is_named_with_what_shadows_it() {
    // Everything that the pattern matches is a path that another rule names.
    let (_, found) = checked(
        "{file: {matchPaths: [{path: /a/x}, {path: /a/y}], matchPatterns: [{pattern: '/a/[xy]', action: Block}]}}",
        "file=block",
    )
    .unwrap();
    let [never] = &found.never_wins[..] else {
        panic!("{found:?}")
    };
    assert_eq!((never.rule, never.redundant), (RuleId(2), false));
    assert_eq!(never.by, [RuleId(0), RuleId(1)]);
}

#[test]
fn an_allow_and_a_block_of_one_rank_conflict_where_their_patterns_overlap() {
    let (explainer, found) = checked(
        "{process: {matchPatterns: [{pattern: '/opt/a*', action: Allow}, {pattern: '/opt/*z'}]}}",
        "file=block",
    )
    .unwrap();
    let [conflict] = &found.conflicts[..] else {
        panic!("{found:?}")
    };
    assert_eq!((conflict.allow, conflict.block), (RuleId(0), RuleId(1)));
    assert_eq!(
        explainer.rule(conflict.allow).unwrap().action,
        Action::Allow
    );
    assert!(
        conflict.witness.to_json().contains("\"/opt/az\""),
        "{:?}",
        conflict.witness
    );
}

#[test]
fn an_allow_that_grants_what_is_granted_anyway_only_switches_the_mode() {
    let (_, found) = checked(
        "{process: {matchPaths: [{path: /bin/a, action: Allow}]}}",
        "file=allow",
    )
    .unwrap();
    assert_eq!(found.allow_list_only, [RuleId(0)]);
    let (_, found) = checked(
        "{process: {matchPaths: [{path: /bin/a, action: Allow}]}}",
        "file=block",
    )
    .unwrap();
    assert!(found.allow_list_only.is_empty());
}

#[test]
fn ways_around_a_block_are_tried_on_the_policy_itself() {
    let rows = |spec: &str| -> Vec<u8> {
        let (explainer, found) = checked(spec, "file=block").unwrap();
        for bypass in &found.bypasses {
            for event in &bypass.witness {
                assert_ne!(explainer.compiled().decide(event).verdict, Verdict::Block);
            }
        }
        found.bypasses.iter().map(|bypass| bypass.row).collect()
    };
    // A block list knows only the names that it lists.
    assert_eq!(
        rows("{process: {matchPaths: [{path: /usr/bin/xmrig}]}}"),
        [6]
    );
    assert_eq!(
        rows("{process: {matchPaths: [{path: /opt/run.sh}]}}"),
        [6, 9]
    );
    assert_eq!(rows("{file: {matchPaths: [{path: /etc/shadow}]}}"), [3]);
    // An allow-list closes copies and links.
    let list = "matchPaths: [{path: /usr/bin/xmrig}, {path: /usr/bin/node, action: Allow}]";
    assert_eq!(rows(&format!("{{process: {{{list}}}}}")), [0; 0]);
    let list = "matchDirectories: [{dir: /etc/, recursive: true, action: Allow}], matchPaths: [{path: /etc/shadow}]";
    assert_eq!(rows(&format!("{{file: {{{list}}}}}")), [0; 0]);
    // But where it allows the loader, a directory's Block doesn't stop a mapping.
    let list = "matchDirectories: [{dir: /tmp/, recursive: true}, {dir: /lib64/, action: Allow}]";
    assert_eq!(rows(&format!("{{process: {{{list}}}}}")), [7]);
}
