//! Steps 1 to 3 of the decision model among what tables say: who of two leaves stands.

use crate::tables::entry::Leaf;

/// Joins what two sets of patterns and execnames say: those that name the source go first, an
/// execname among them stays one, deny wins.
#[inline]
pub(super) fn join_patterns(a: Option<Leaf>, b: Option<Leaf>) -> Option<Leaf> {
    let (Some(a), Some(b)) = (a, b) else {
        return a.or(b);
    };
    Some(match (a.rank().is_sourced(), b.rank().is_sourced()) {
        (true, false) => a,
        (false, true) => b,
        _ => deny_wins(a, b).with_rank(a.rank().min(b.rank())),
    })
}

/// Step 3, with the smaller rule where both say the same.
#[inline]
fn deny_wins(a: Leaf, b: Leaf) -> Leaf {
    match (a.denies(), b.denies()) {
        (true, false) => a,
        (false, true) => b,
        _ if a.rule() <= b.rule() => a,
        _ => b,
    }
}

/// Puts what patterns say upon what paths and directories do.
#[inline]
pub(super) fn put_upon(base: Option<Leaf>, patterns: Option<Leaf>) -> Option<Leaf> {
    let (Some(base), Some(patterns)) = (base, patterns) else {
        return base.or(patterns);
    };
    Some(if base.rank() < patterns.rank() {
        base
    } else if base.denies() && patterns.rank().yields_to_deny_of(base.rank()) {
        // "A pattern doesn't silence a deny of the deepest directory."
        deny_wins(base, patterns)
    } else {
        patterns
    })
}

/// Steps 1 and 2 among those that watch.
#[inline]
pub(super) fn first_to_watch(a: Option<Leaf>, b: Option<Leaf>) -> Option<Leaf> {
    let (Some(a), Some(b)) = (a, b) else {
        return a.or(b);
    };
    let key = |leaf: Leaf| (leaf.rank().tier(), leaf.rule());
    Some(if key(a) <= key(b) { a } else { b })
}
