//! System calls and devices: few rules, gone through one by one.

use std::cmp::Reverse;

use gambeson_policy_model::{Class, Decision, Device, Event, RuleId, Verdict};

use super::Outcome;
use crate::strictest::strictness;
use crate::tables::entry::{Leaf, Rank};
use crate::tables::record::Span;
use crate::tables::{DeviceRow, Tables, Watch};

impl Tables {
    pub(super) fn syscall(&self, name: &str, path: Option<&[u8]>, event: &Event<'_>) -> Decision {
        let text = |span: Span| span.of(&self.text);
        let watches = self
            .syscalls
            .binary_search_by(|syscall| text(syscall.name).cmp(name.as_bytes()))
            .ok()
            .and_then(|place| self.syscalls.get(place))
            .map_or(&[][..], |syscall| syscall.watches.of(&self.watches));
        let about = |watch: &Watch| {
            let scope = text(watch.path);
            match watch.scope {
                Watch::ANYWHERE => true,
                Watch::FILE => path == Some(scope),
                _ => path.is_some_and(|path| {
                    path == scope
                        || scope.strip_suffix(b"/") == Some(path)
                        || path.strip_prefix(scope).is_some_and(|rest| {
                            watch.scope == Watch::BELOW || !rest.contains(&b'/')
                        })
                }),
            }
        };
        let decide = |source: u32| {
            let winner = watches
                .iter()
                .filter(|watch| about(watch))
                .filter(|watch| {
                    watch.sourced == 0
                        || watch
                            .sources
                            .of(&self.members)
                            .binary_search(&source)
                            .is_ok()
                })
                .min_by_key(|watch| syscall_order(watch));
            winner.map_or(Decision::ALLOW, |watch| {
                Decision::by_rule(Verdict::Audit, RuleId(watch.rule))
            })
        };
        match event.source.bytes() {
            Some(source) => decide(self.sources.find(source)),
            None => watches
                .iter()
                .flat_map(|watch| watch.sources.of(&self.members))
                .copied()
                .chain(self.unnamed_sources())
                .map(decide)
                .max_by_key(strictness)
                .unwrap_or(Decision::ALLOW),
        }
    }

    pub(super) fn device(&self, device: &Device) -> Decision {
        let has = |bit: u32, row: &DeviceRow, want: u32, have: Option<i32>| {
            row.given >> bit & 1 == 0 || have.map(i32::cast_unsigned) == Some(want)
        };
        let best = |watching: bool| {
            self.devices
                .iter()
                .filter(|row| (row.effect == DeviceRow::WATCHES) == watching)
                .filter(|row| {
                    row.class == u32::from(device.class.0)
                        && has(0, row, row.subclass, device.subclass)
                        && has(1, row, row.protocol, device.protocol)
                        && has(2, row, row.level, device.level)
                })
                .max_by(|a, b| {
                    let key = |row: &DeviceRow| (row.given.count_ones(), row.effect);
                    key(a).cmp(&key(b)).then(b.rule.cmp(&a.rule))
                })
        };
        let leaf = |row: &DeviceRow| {
            let denies = row.effect == DeviceRow::DENIES;
            Leaf::new(Rank::EXACT, denies, RuleId(row.rule))
        };
        let outcome = Outcome {
            grant: best(false).map(leaf),
            watch: best(true).map(leaf),
        };
        self.settle(Class::Devices, outcome)
    }
}

/// The watch that goes first: sourced ones, then the narrower scope, then the smaller rule.
fn syscall_order(watch: &Watch) -> (bool, u8, Reverse<u32>, u32) {
    let (tier, depth) = match watch.scope {
        Watch::FILE => (0, 0),
        Watch::ANYWHERE => (2, 0),
        _ => (1, watch.path.len),
    };
    (watch.sourced == 0, tier, Reverse(depth), watch.rule)
}
