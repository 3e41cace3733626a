//! What compiling does with patterns that multiply, and with sets that can't be.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use gambeson_matcher::reference::Evaluator;
use gambeson_matcher::{CompileError, CompileLimits, CompiledPolicy, Config};
use gambeson_policy_model::{
    Action, Class, Conditions, Duplicate, Event, Glob, Location, Object, PolicyId, PolicyKind,
    Rule, RuleList, Selection, Verdict,
};

fn policy() -> Arc<PolicyId> {
    Arc::new(PolicyId {
        name: "patterns".to_owned(),
        kind: PolicyKind::KubeArmorPolicy,
        namespace: Some("default".to_owned()),
    })
}

fn at(line: u32) -> Location {
    Location {
        file: "patterns.yaml".into(),
        line,
        column: 5,
    }
}

fn block(pattern: &str, index: u32) -> Result<Rule, Box<dyn Error>> {
    Ok(Rule {
        policy: policy(),
        class: Class::File,
        list: RuleList::MatchPatterns,
        index,
        object: Object::Pattern(Glob::parse(pattern)?),
        sources: Vec::new(),
        action: Action::Block,
        conditions: Conditions::default(),
        severity: 5,
        tags: vec!["tag".to_owned()].into(),
        message: "message".into(),
        location: at(index + 10),
    })
}

#[test]
fn an_exponential_pattern_is_refused_by_name() -> Result<(), Box<dyn Error>> {
    for pattern in [
        "/**a????????????????????????b/**",
        "/x/*a[ab][ab][ab][ab][ab][ab][ab][ab][ab][ab][ab][ab][ab][ab][ab][ab][ab][ab]b/**c",
    ] {
        let selection = Selection::new(vec![block("/etc/*.conf", 0)?, block(pattern, 1)?]);
        let started = Instant::now();
        let error = CompiledPolicy::compile(&selection, &Config::default()).err();
        match error {
            Some(CompileError::PatternTooLarge {
                rule,
                pattern: named,
                ..
            }) => {
                assert_eq!(named, pattern);
                assert_eq!(rule.field, "file.matchPatterns[1]");
                assert_eq!(rule.location.line, 11);
            }
            other => return Err(format!("{pattern}: {other:?}").into()),
        }
        // Not a measurement: a pattern that really is expanded takes hours.
        assert!(started.elapsed().as_secs() < 60, "{pattern}");
    }
    Ok(())
}

#[test]
fn patterns_that_multiply_are_spread_over_automata() -> Result<(), Box<dyn Error>> {
    // Each may have been seen or not in one component: 2⁴⁰ states in a single automaton.
    let rules: Result<Vec<Rule>, _> = (0..40)
        .map(|number| block(&format!("/**/*w{number}x*"), number))
        .collect();
    let selection = Selection::new(rules?);
    let compiled = CompiledPolicy::compile(&selection, &Config::default())?;
    let reference = Evaluator::new(&selection, &Config::default())?;
    for path in [
        "/a/w7x",
        "/a/b-w39x-w11x",
        "/a/w40x",
        "/w7x/a",
        "/a/w7xw8xw9xw10x",
    ] {
        let event = Event::read(path);
        assert_eq!(compiled.decide(&event), reference.decide(&event), "{path}");
    }
    assert!(
        compiled.memory_usage() < 64 << 20,
        "{}",
        compiled.memory_usage()
    );

    let limits = CompileLimits {
        automata: 1,
        ..CompileLimits::default()
    };
    let refused = CompiledPolicy::compile(&selection, &Config::default().limits(limits));
    assert!(matches!(refused, Err(CompileError::TooManyAutomata { .. })));
    Ok(())
}

#[test]
fn two_policies_of_one_name_are_refused() {
    let selection = Selection::new(Vec::new()).with_duplicates(vec![Duplicate {
        policy: policy(),
        first: at(1),
        second: at(30),
    }]);
    let error = CompiledPolicy::compile(&selection, &Config::default()).err();
    let message = error.map(|error| error.to_string()).unwrap_or_default();
    assert_eq!(
        message,
        "patterns.yaml:30:5: KubeArmorPolicy default/patterns is already defined at \
         patterns.yaml:1:5; rename or remove one of them"
    );
}

#[test]
fn a_decision_leads_to_its_rule() -> Result<(), Box<dyn Error>> {
    let selection = Selection::new(vec![block("/etc/*.conf", 0)?, block("/**/shadow", 1)?]);
    let compiled = CompiledPolicy::compile(&selection, &Config::default())?;
    let decision = compiled.decide(&Event::write("/x/etc/shadow"));
    assert_eq!(decision.verdict, Verdict::Block);
    let rule = decision
        .rule()
        .and_then(|id| compiled.rule(id))
        .ok_or("no rule")?;
    assert_eq!(
        rule.to_string(),
        "patterns.yaml:11 file.matchPatterns[1] of patterns"
    );
    assert_eq!((rule.severity, rule.message), (5, "message"));
    assert_eq!(rule.tags, ["tag"]);
    assert_eq!(rule.namespace, Some("default"));
    Ok(())
}

#[test]
fn policies_with_equal_rules_share_their_tables() -> Result<(), Box<dyn Error>> {
    let elsewhere = Rule {
        location: at(99),
        policy: Arc::new(PolicyId {
            name: "other".to_owned(),
            ..PolicyId::clone(&policy())
        }),
        ..block("/etc/*.conf", 0)?
    };
    let config = Config::default();
    let first = CompiledPolicy::compile(&Selection::new(vec![block("/etc/*.conf", 0)?]), &config)?;
    let mut second = CompiledPolicy::compile(&Selection::new(vec![elsewhere]), &config)?;
    assert!(!second.shares_tables_with(&first));
    assert!(second.share_with(&first) && second.shares_tables_with(&first));
    let different = Selection::new(vec![block("/etc/*.cnf", 0)?]);
    let mut third = CompiledPolicy::compile(&different, &config)?;
    assert!(!third.share_with(&first) && !third.shares_tables_with(&first));
    Ok(())
}
