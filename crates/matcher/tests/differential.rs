//! The compiled tables decide as the reference evaluator does: same verdict, same rule.

use gambeson_matcher::reference::Evaluator;
use gambeson_matcher::testing::Random;
use gambeson_matcher::{CompiledPolicy, Config};
use gambeson_policy_model::Selection;

/// 2,000 policy sets with 50 events each: 10⁵ events in the ordinary test run.
const SETS: u64 = 2000;
const EVENTS: usize = 50;

fn compare(seed: u64) -> Result<(), Box<dyn std::error::Error>> {
    let mut random = Random::new(seed);
    let rules = 1 + random.below(16);
    let selection = random.selection(rules);
    let config = Config::default();
    let compiled = CompiledPolicy::compile(&selection, &config)?;
    let reference = Evaluator::new(&selection, &config)?;
    let image = compiled.to_bytes();
    let loaded = CompiledPolicy::from_bytes(&image)?;
    assert_eq!(loaded, compiled, "seed {seed}");
    for _ in 0..EVENTS {
        let event = random.event();
        let expected = reference.decide(&event);
        assert_eq!(
            compiled.decide(&event),
            expected,
            "seed {seed}\n{event:#?}\n{}",
            describe(&selection)
        );
        assert_eq!(loaded.decide(&event), expected, "loaded, seed {seed}");
    }
    Ok(())
}

fn describe(selection: &Selection) -> String {
    let rules = selection.rules().iter().enumerate();
    rules
        .map(|(id, rule)| {
            format!(
                "{id}: {:?} {:?} {:?} from {:?} if {:?}\n",
                rule.class, rule.action, rule.object, rule.sources, rule.conditions
            )
        })
        .collect()
}

#[test]
fn compiled_and_reference_agree_on_random_policies() -> Result<(), Box<dyn std::error::Error>> {
    (0..SETS).try_for_each(compare)
}
