//! Every set of up to three rules from a small alphabet: enumeration finds breaches of precedence
//! that random search misses.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use gambeson_matcher::reference::Evaluator;
use gambeson_matcher::{CompiledPolicy, Config};
use gambeson_policy_model::{
    Action, Class, Conditions, Directory, Event, Glob, Location, Object, PathScope, PolicyId,
    PolicyKind, Rule, RuleList, Selection, Source, Verdict,
};

const SOURCE: &str = "/s";

fn objects() -> Result<Vec<(RuleList, Object)>, Box<dyn Error>> {
    let directory = |path: &str, recursive| {
        let path = path.to_owned();
        (
            RuleList::MatchDirectories,
            Object::Directory(Directory { path, recursive }),
        )
    };
    let pattern = |text: &str| -> Result<_, Box<dyn Error>> {
        Ok((RuleList::MatchPatterns, Object::Pattern(Glob::parse(text)?)))
    };
    Ok(vec![
        (RuleList::MatchPaths, Object::Path("/a/b".to_owned())),
        directory("/a/", false),
        directory("/", true),
        pattern("/a/**")?,
        pattern("/**/b")?,
    ])
}

/// Five objects, each with every action, with and without a source; and some with a condition.
fn alphabet() -> Result<Vec<Rule>, Box<dyn Error>> {
    let mut rules = Vec::new();
    for (list, object) in objects()? {
        for action in [Action::Allow, Action::Audit, Action::Block] {
            for sourced in [false, true] {
                for read_only in [false, true] {
                    let conditioned_twice =
                        read_only && (sourced || list == RuleList::MatchPatterns);
                    if conditioned_twice || (read_only && action == Action::Block) {
                        continue;
                    }
                    rules.push((list, object.clone(), action, sourced, read_only));
                }
            }
        }
    }
    let place = |index: usize| Location {
        file: "alphabet.yaml".into(),
        line: index as u32 + 1,
        column: 1,
    };
    Ok(rules
        .into_iter()
        .enumerate()
        .map(|(index, (list, object, action, sourced, read_only))| Rule {
            policy: Arc::new(PolicyId {
                name: "alphabet".to_owned(),
                kind: PolicyKind::KubeArmorPolicy,
                namespace: Some("default".to_owned()),
            }),
            class: Class::File,
            list,
            index: index as u32,
            object,
            sources: if sourced {
                vec![Source::Scope(PathScope::Path(SOURCE.to_owned()))]
            } else {
                Vec::new()
            },
            action,
            conditions: Conditions {
                read_only,
                ..Conditions::default()
            },
            severity: 0,
            tags: Arc::default(),
            message: Arc::default(),
            location: place(index),
        })
        .collect())
}

fn events() -> Vec<Event<'static>> {
    let mut events = Vec::new();
    for path in ["/a/b", "/a/c", "/a/c/b", "/a", "/x/b"] {
        for source in [SOURCE, "/t"] {
            events.push(Event::read(path).by(source));
            events.push(Event::write(path).by(source));
        }
    }
    events.push(Event::write("/a/b"));
    events
}

/// Every set of up to three places below `count`, each in order.
fn sets(count: usize) -> Vec<Vec<usize>> {
    let mut sets = vec![Vec::new()];
    for first in 0..count {
        sets.push(vec![first]);
        for second in first + 1..count {
            sets.push(vec![first, second]);
            sets.extend((second + 1..count).map(|third| vec![first, second, third]));
        }
    }
    sets
}

#[test]
fn every_small_set_obeys_the_laws() -> Result<(), Box<dyn Error>> {
    let alphabet = alphabet()?;
    let events = events();
    let config = Config::default().posture("file=block".parse()?);
    let mut verdicts: HashMap<Vec<usize>, Vec<Verdict>> = HashMap::new();
    for set in sets(alphabet.len()) {
        let rules = set.iter().map(|place| alphabet[*place].clone()).collect();
        let selection = Selection::new(rules);
        let compiled = CompiledPolicy::compile(&selection, &config)?;
        let reference = Evaluator::new(&selection, &config)?;
        let mut of_set = Vec::with_capacity(events.len());
        for event in &events {
            let decision = compiled.decide(event);
            assert_eq!(
                decision,
                reference.decide(event),
                "{:#?}\n{event:?}",
                selection.rules()
            );
            of_set.push(decision.verdict);
        }
        for (read, write) in (0..).step_by(2).map(|place| (place, place + 1)).take(10) {
            assert!(
                of_set[read] != Verdict::Block || of_set[write] == Verdict::Block,
                "a blocked read is an allowed write: {:#?}",
                selection.rules()
            );
        }
        verdicts.insert(set, of_set);
    }
    assert!(verdicts.len() > 7000, "only {} sets", verdicts.len());
    for (set, after) in &verdicts {
        for added in set {
            let rest: Vec<usize> = set.iter().copied().filter(|place| place != added).collect();
            let allow_list = rest
                .iter()
                .any(|place| alphabet[*place].action == Action::Allow);
            let rule = &alphabet[*added];
            let before = &verdicts[&rest];
            for ((before, after), event) in before.iter().zip(after).zip(&events) {
                let blocked = (*before == Verdict::Block, *after == Verdict::Block);
                let lawful = match (rule.action, rule.conditions.is_empty()) {
                    (Action::Audit, _) => blocked.0 == blocked.1 && before <= after,
                    (Action::Block, true) => !blocked.0 || blocked.1,
                    (Action::Allow, true) if allow_list => blocked.0 || !blocked.1,
                    _ => true,
                };
                assert!(
                    lawful,
                    "adding {rule:#?} to {rest:?}: {before} became {after} for {event:?}"
                );
            }
        }
    }
    Ok(())
}
