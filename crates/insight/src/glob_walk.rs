//! Matching one alternative of a glob without allocating.

use gambeson_policy_model::Token;

/// A place to go back to: the token behind a run, and the byte that the run takes next.
type Retry = Option<(usize, usize)>;

/// Whether the tokens match all of `path`.
///
/// Goes on greedily, and back to the last run where that fails. Only the last `*` and the last `**`
/// need be remembered: what stands before a `**` is best matched as early as it can be, and a `*`
/// ends with its component.
pub(crate) fn matches(tokens: &[Token], path: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let (mut star, mut double): (Retry, Retry) = (None, None);
    loop {
        let matched = match tokens.get(token) {
            None => {
                if at == path.len() {
                    return true;
                }
                false
            }
            Some(run @ (Token::Star { nonempty } | Token::DoubleStar { nonempty })) => {
                let first = path.get(at).copied();
                if *nonempty && !first.is_some_and(|byte| run.accepts(byte)) {
                    false
                } else {
                    at += usize::from(*nonempty);
                    token += 1;
                    if matches!(run, Token::Star { .. }) {
                        star = Some((token, at));
                    } else {
                        (star, double) = (None, Some((token, at)));
                    }
                    true
                }
            }
            Some(single) => {
                let matched = path.get(at).is_some_and(|byte| single.accepts(*byte));
                token += usize::from(matched);
                at += usize::from(matched);
                matched
            }
        };
        if matched {
            continue;
        }
        // The last run takes one byte more.
        if let Some((behind, taken)) = star
            && path.get(taken).is_some_and(|byte| *byte != b'/')
        {
            star = Some((behind, taken + 1));
            (token, at) = (behind, taken + 1);
        } else if let Some((behind, taken)) = double
            && taken < path.len()
        {
            (star, double) = (None, Some((behind, taken + 1)));
            (token, at) = (behind, taken + 1);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use gambeson_policy_model::{Glob, matches_tokens};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn it_agrees_with_the_obvious_way(
            pattern in "(/|[ab]|\\*|\\*\\*|\\?|\\[ab\\]){1,8}",
            path in "/[ab/]{0,9}",
        ) {
            if let Ok(glob) = Glob::parse(&pattern) {
                for tokens in glob.alternatives() {
                    prop_assert_eq!(
                        matches(tokens, path.as_bytes()),
                        matches_tokens(tokens, path.as_bytes()),
                        "{} on {}", &pattern, &path
                    );
                }
            }
        }
    }
}
