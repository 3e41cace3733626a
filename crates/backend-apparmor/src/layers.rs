//! How the values of zones become rules that add up.
//!
//! A profile has three layers: what is allowed, what is allowed and reported, what is denied. Rules of
//! a layer add up, and each layer goes over the ones before. So a zone of a stronger value needs nothing
//! but a rule upon those around it; around one of a weaker value, the rules of stronger layers have to
//! leave it out. What is denied can also be left out of what is allowed: whichever is shorter.

use crate::carve::{Cut, Shape};
use crate::judge::{Ask, Judge, Says};
use crate::zones::Zone;

/// What a layer does with a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It must hold there.
    Want,
    /// It may.
    Pass,
    /// It must not.
    Stop,
}

/// How the denied zones are carried out: by a rule that denies, or by none that allows.
pub(crate) fn denied_by_rule(zones: &[Zone], judge: &Judge<'_>) -> Vec<bool> {
    let mut by_rule = vec![false; zones.len()];
    // The zone, the length of the directory that an allowing rule is about, if one is.
    let mut work: Vec<(usize, Option<usize>)> = vec![(0, None)];
    // The first zone may be one of two at the root.
    if zones
        .get(1)
        .is_some_and(|zone| zone.path == b"/" && zone.shape != Shape::Exact)
        && !zones.first().is_some_and(|zone| zone.within.contains(&1))
    {
        work.push((1, None));
    }
    while let Some((number, around)) = work.pop() {
        let Some(zone) = zones.get(number) else {
            continue;
        };
        let inside = if zone.value.says == Says::Deny {
            let reopened = judge
                .patterns
                .iter()
                .any(|pattern| Judge::reopens(pattern, zone.value.decider));
            let denies = around.is_some_and(|around| {
                !reopened
                    && (judge.ask == Ask::Map || {
                        let spared = zone.path.len().saturating_sub(around) + 3;
                        cost_of_reopening(zones, number, spared) <= spared
                    })
            });
            if let Some(slot) = by_rule.get_mut(number) {
                *slot = denies;
            }
            around.filter(|_| denies)
        } else {
            Some(around.unwrap_or(zone.path.len()))
        };
        work.extend(zone.within.iter().map(|number| (*number, inside)));
    }
    by_rule
}

/// How many bytes a rule must leave out to deny a zone but for what is allowed within; no more than just
/// over the limit is counted.
fn cost_of_reopening(zones: &[Zone], number: usize, limit: usize) -> usize {
    let mut cost = 0;
    let Some(outer) = zones.get(number) else {
        return cost;
    };
    let mut work = outer.within.clone();
    while let Some(number) = work.pop() {
        let Some(zone) = zones.get(number) else {
            continue;
        };
        if zone.value.says == Says::Deny {
            work.extend_from_slice(&zone.within);
        } else {
            cost += zone.path.len().saturating_sub(outer.path.len()) + 3;
        }
        if cost > limit {
            return cost;
        }
    }
    cost
}

/// Goes through the zones, and calls `found` with each in which a layer must begin to hold and with what
/// must be left out of it.
pub(crate) fn spread(
    zones: &[Zone],
    role: impl Fn(usize, &Zone) -> Role,
    mut found: impl FnMut(usize, &Zone, Vec<Cut>),
) {
    let mut nested = vec![false; zones.len()];
    for zone in zones {
        for number in &zone.within {
            if let Some(slot) = nested.get_mut(*number) {
                *slot = true;
            }
        }
    }
    let mut work: Vec<usize> = (0..zones.len())
        .filter(|number| nested.get(*number) == Some(&false))
        .rev()
        .collect();
    while let Some(number) = work.pop() {
        let Some(zone) = zones.get(number) else {
            continue;
        };
        if role(number, zone) != Role::Want {
            work.extend(zone.within.iter().rev());
            continue;
        }
        let mut cuts = Vec::new();
        let mut inner = zone.within.clone();
        while let Some(number) = inner.pop() {
            let Some(zone) = zones.get(number) else {
                continue;
            };
            if role(number, zone) == Role::Stop {
                cuts.push(zone.cut());
                work.push(number);
            } else {
                inner.extend_from_slice(&zone.within);
            }
        }
        cuts.sort_unstable();
        found(number, zone, cuts);
    }
}
