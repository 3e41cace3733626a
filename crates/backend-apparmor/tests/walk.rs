//! What a kernel would walk gives the reference evaluator's verdict.

use gambeson_backend_apparmor::testing::{differential, parser};

/// A hundred thousand paths on each test run.
#[test]
fn random_policies_are_carried_out_as_the_evaluator_decides() {
    if !parser::is_there("random_policies_are_carried_out_as_the_evaluator_decides") {
        return;
    }
    for (seed, paths, rules) in [(1, 30_000, 4), (10_000, 70_000, 14)] {
        let (policies, walked) = differential::random(seed, paths, rules)
            .unwrap_or_else(|difference| panic!("{difference}"));
        println!("{walked} paths of {policies} policies of up to {rules} rules");
    }
}
