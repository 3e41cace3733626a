//! Explanations against decisions and the reference evaluator, on random policies and events.

use gambeson_insight::explain::{Effect, Explainer, Standing, Step};
use gambeson_matcher::Config;
use gambeson_matcher::reference::Evaluator;
use gambeson_matcher::testing::Random;
use gambeson_policy_model::{
    Action, Conditions, Decision, Event, PolicySet, RuleId, Selection, Verdict, Workload,
};

fn with_rules(selection: &Selection, rules: Vec<gambeson_policy_model::Rule>) -> Selection {
    Selection::new(rules)
        .with_posture(selection.posture())
        .with_enforcement(selection.enforcement())
}

#[test]
fn the_explained_decision_is_the_decision() {
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let size = 1 + random.below(24);
        let selection = random.selection(size);
        let explainer = Explainer::new(&selection, &Config::default()).unwrap();
        for _ in 0..120 {
            let event = random.event();
            let explanation = explainer.explain(&event);
            let decision = explainer.compiled().decide(&event);
            assert_eq!(
                explanation.decision, decision,
                "seed {seed}: {event:?}\n{selection:#?}"
            );
            let deciding: Vec<RuleId> = explanation
                .matched
                .iter()
                .filter(|matched| matched.standing == Standing::Decides)
                .map(|matched| matched.rule)
                .collect();
            assert_eq!(
                deciding,
                Vec::from_iter(decision.rule()),
                "seed {seed}: {event:?}"
            );
        }
    }
}

#[test]
fn without_the_winner_is_what_remains_decided_when_it_is_gone() {
    let mut seen = 0;
    for seed in 0..250 {
        let mut random = Random::new(10_000 + seed);
        let size = 1 + random.below(16);
        let selection = random.selection(size);
        let explainer = Explainer::new(&selection, &Config::default()).unwrap();
        for _ in 0..40 {
            let event = random.event();
            let explanation = explainer.explain(&event);
            let Some(winner) = explanation.decision.rule() else {
                assert_eq!(explanation.without, None);
                continue;
            };
            let mut rules = selection.rules().to_vec();
            rules.remove(winner.0 as usize);
            let rest = Evaluator::new(&with_rules(&selection, rules), &Config::default()).unwrap();
            let mut decision = rest.decide(&event);
            if let gambeson_policy_model::Cause::Rule(RuleId(id)) = &mut decision.cause
                && *id >= winner.0
            {
                *id += 1;
            }
            assert_eq!(
                explanation.without,
                Some(decision),
                "seed {seed}: {event:?}"
            );
            seen += 1;
        }
    }
    assert!(seen > 1000, "only {seen}");
}

#[test]
fn a_rule_is_listed_exactly_where_it_matches() {
    for seed in 0..120 {
        let mut random = Random::new(20_000 + seed);
        let size = 1 + random.below(16);
        let selection = random.selection(size).with_enforcement(Default::default());
        let explainer = Explainer::new(&selection, &Config::default()).unwrap();
        // Each rule by itself, as a Block without conditions, blocks what it matches.
        let alone: Vec<Evaluator> = selection
            .rules()
            .iter()
            .map(|rule| {
                let mut rule = rule.clone();
                rule.action = Action::Block;
                rule.conditions = Conditions::default();
                Evaluator::new(&Selection::new(vec![rule]), &Config::default()).unwrap()
            })
            .collect();
        for _ in 0..40 {
            let event = random.event();
            let object_known = event
                .operation
                .file()
                .is_none_or(|path| path.bytes().is_some());
            if event.source.bytes().is_none() || !object_known {
                continue;
            }
            let mut listed: Vec<u32> = explainer
                .explain(&event)
                .matched
                .iter()
                .map(|matched| matched.rule.0)
                .collect();
            listed.sort_unstable();
            let matching: Vec<u32> = (0..)
                .zip(&alone)
                // System calls are only watched, whatever the action.
                .filter(|(_, rule)| rule.decide(&event) != Decision::ALLOW)
                .map(|(id, _)| id)
                .collect();
            assert_eq!(listed, matching, "seed {seed}: {event:?}");
        }
    }
}

fn explainer(rules: &str) -> Result<Explainer, Box<dyn std::error::Error>> {
    let policies = PolicySet::from_str(&format!(
        "
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {{name: web}}
spec:
{rules}"
    ))?;
    let selection = policies.select(&Workload::pod("default"));
    Ok(Explainer::new(&selection, &Config::default())?)
}

#[test]
fn each_step_is_named_where_it_decides() {
    let explainer = explainer(
        "  process:
    matchPaths:
      - {path: /bin/a, action: Block}
      - {path: /bin/a, action: Allow, fromSource: [{path: /bin/sh}]}
      - {path: /bin/b, action: Allow}
      - {path: /bin/b, action: Block}
      - {path: /bin/c, action: Allow}
      - {path: /bin/c, action: Audit}
    matchDirectories:
      - {dir: /bin/, action: Block}
",
    )
    .unwrap();
    let step = |path: &'static str, by: &'static str| {
        let explanation = explainer.explain(&Event::exec(path).by(by));
        (explanation.decision.verdict, explanation.step)
    };
    assert_eq!(
        step("/bin/a", "/bin/sh"),
        (Verdict::Allow, Step::SourceFirst)
    );
    assert_eq!(step("/bin/a", "/bin/x"), (Verdict::Block, Step::Unopposed));
    assert_eq!(step("/bin/b", "/bin/x"), (Verdict::Block, Step::DenyWins));
    assert_eq!(step("/bin/c", "/bin/x"), (Verdict::Audit, Step::Watching));
    assert_eq!(step("/opt/x", "/bin/x"), (Verdict::Audit, Step::Posture));
    let explanation = explainer.explain(&Event::exec("/bin/c").by("/bin/x"));
    let said: Vec<(Effect, Standing)> = explanation
        .matched
        .iter()
        .map(|matched| (matched.effect, matched.standing))
        .collect();
    let lost = Standing::Loses {
        step: Step::SpecificFirst,
        to: Some(RuleId(4)),
    };
    assert_eq!(
        said,
        [
            (Effect::Watch, Standing::Decides),
            (Effect::Grant, Standing::Grants),
            (Effect::Deny, lost),
        ]
    );
    let without = explanation.without.unwrap();
    assert_eq!(
        (without.verdict, without.rule()),
        (Verdict::Allow, Some(RuleId(4)))
    );
}

#[test]
fn an_unknown_program_is_assumed_to_be_the_one_that_comes_off_worst() {
    let explainer = explainer(
        "  file:
    matchPaths: [{path: /etc/shadow, fromSource: [{path: /bin/cat}]}]
",
    )
    .unwrap();
    let event = Event::read("/etc/shadow");
    let explanation = explainer.explain(&event);
    assert_eq!(explanation.decision.verdict, Verdict::Block);
    assert_eq!(
        explanation.assumed_source.as_deref(),
        Some(&b"/bin/cat"[..])
    );
    let text = explanation.to_text(&explainer, &event, &Default::default());
    assert!(
        text.contains("the acting program is unknown: /bin/cat comes off worst"),
        "{text}"
    );
}
