//! Every path that some rules match, walked together with all rules that could match one of them.

use std::collections::{HashSet, VecDeque};

use super::nfa::{DEAD, Dfa, Distinguished, START, State};

/// What a path must be for an event of a resolved file to carry it: it begins with a slash, and no
/// component is empty, `.` or `..`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Guard {
    Empty,
    Root,
    Slash,
    Inside,
    Dot,
    DotDot,
}

impl Guard {
    const fn step(self, byte: u8) -> Option<Self> {
        match (self, byte) {
            (_, 0) => None,
            (Self::Empty, b'/') => Some(Self::Root),
            (Self::Empty, _) => None,
            (Self::Root | Self::Slash | Self::Dot | Self::DotDot, b'/') => None,
            (Self::Root | Self::Slash, b'.') => Some(Self::Dot),
            (Self::Dot, b'.') => Some(Self::DotDot),
            (Self::Inside, b'/') => Some(Self::Slash),
            _ => Some(Self::Inside),
        }
    }

    const fn is_path(self) -> bool {
        matches!(self, Self::Root | Self::Inside)
    }
}

/// Whether a walk goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Go {
    /// Everywhere.
    On,
    /// But not beyond this path.
    Around,
    /// No more.
    Stop,
}

/// The walk visits more states than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Visits a shortest path to every state that rules can tell from others, among the paths that
/// `driver` matches. `visit` gets the state of `joint`, and the path.
pub(super) fn walk(
    driver: &mut Dfa,
    joint: &mut Dfa,
    limit: usize,
    mut visit: impl FnMut(&Dfa, State, &dyn Fn() -> Vec<u8>) -> Go,
) -> Result<(), TooLarge> {
    let first = (START, START, Guard::Empty);
    let mut seen = HashSet::from([first]);
    // For each state that was reached, the byte that leads there and the state before.
    let mut reached = vec![(first, 0_u8, 0_usize)];
    let mut queue = VecDeque::from([0_usize]);
    while let Some(number) = queue.pop_front() {
        let Some(((driven, joined, guard), _, _)) = reached.get(number).copied() else {
            continue;
        };
        if guard.is_path() && driver.accepts(driven) {
            let path = || path_to(&reached, number);
            match visit(joint, joined, &path) {
                Go::On => {}
                Go::Around => continue,
                Go::Stop => return Ok(()),
            }
        }
        let mut bytes = Distinguished::default();
        driver.distinguish(driven, &mut bytes);
        joint.distinguish(joined, &mut bytes);
        for byte in bytes.representatives() {
            let Some(guard) = guard.step(byte) else {
                continue;
            };
            let driven = driver.step(driven, byte);
            if driven == DEAD {
                continue;
            }
            let next = (driven, joint.step(joined, byte), guard);
            if seen.insert(next) {
                if seen.len() > limit {
                    return Err(TooLarge);
                }
                queue.push_back(reached.len());
                reached.push((next, byte, number));
            }
        }
    }
    Ok(())
}

fn path_to(reached: &[((State, State, Guard), u8, usize)], mut number: usize) -> Vec<u8> {
    let mut path = Vec::new();
    while number != 0 {
        let Some((_, byte, before)) = reached.get(number) else {
            break;
        };
        path.push(*byte);
        number = *before;
    }
    path.reverse();
    path
}
