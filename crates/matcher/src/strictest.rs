//! Which of several decisions stands where it can't be known which one should.

use std::cmp::Reverse;

use gambeson_policy_model::{Cause, Decision, Verdict};

/// The stricter verdict first; among equals the smaller rule, then the posture, then nothing.
pub(crate) fn strictness(decision: &Decision) -> (Verdict, Reverse<(u8, u32)>) {
    let order = match decision.cause {
        Cause::Rule(rule) => (0, rule.0),
        Cause::Posture => (1, 0),
        Cause::None => (2, 0),
    };
    (decision.verdict, Reverse(order))
}
