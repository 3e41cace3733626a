//! Throttling of alerts, as KubeArmor does it, with what is dropped counted.

use std::collections::HashMap;

use serde_json::json;

use super::Alert;
use super::time::UnixTime;

/// Lets so many alerts a second of one workload pass; beyond, none for a while.
///
/// ```
/// use gambeson_policy_model::{Admission, AlertThrottle, UnixTime};
/// let mut throttle = AlertThrottle::new(2, 30);
/// let at = |seconds| UnixTime { seconds, microseconds: 0 };
/// assert_eq!(throttle.admit("web", at(0)), Admission::Pass { dropped: 0 });
/// assert_eq!(throttle.admit("web", at(0)), Admission::Pass { dropped: 0 });
/// assert_eq!(throttle.admit("web", at(0)), Admission::Threshold);
/// assert_eq!(throttle.admit("web", at(29)), Admission::Drop);
/// assert_eq!(throttle.admit("web", at(30)), Admission::Pass { dropped: 2 });
/// assert_eq!(throttle.dropped(), 2);
/// ```
#[derive(Debug, Clone)]
pub struct AlertThrottle {
    per_second: u32,
    pause: u32,
    workloads: HashMap<String, Window>,
    dropped: u64,
}

/// What becomes of one alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Admission {
    /// It passes. So many of the workload's were dropped since the last that passed.
    Pass {
        /// How many.
        dropped: u64,
    },
    /// It is the first too many: it is dropped, and [`Alert::threshold`] tells so in its place.
    Threshold,
    /// It is dropped.
    Drop,
}

#[derive(Debug, Clone, Copy, Default)]
struct Window {
    /// The second that is counted.
    second: i64,
    count: u32,
    /// Nothing passes before this second.
    silent_until: Option<i64>,
    dropped: u64,
}

/// How many workloads are remembered before those that are idle are forgotten.
const WORKLOADS: usize = 65_536;

impl Default for AlertThrottle {
    /// KubeArmor's values: ten alerts a second, then thirty seconds of silence.
    fn default() -> Self {
        Self::new(10, 30)
    }
}

impl AlertThrottle {
    /// Lets `per_second` alerts of one workload pass in each second; after more, none for `pause`
    /// seconds.
    #[must_use]
    pub fn new(per_second: u32, pause: u32) -> Self {
        Self {
            per_second,
            pause,
            workloads: HashMap::new(),
            dropped: 0,
        }
    }

    /// Asks for an alert of a workload, which any text that tells workloads apart may name.
    pub fn admit(&mut self, workload: &str, time: UnixTime) -> Admission {
        let now = time.seconds;
        let pause = i64::from(self.pause);
        if !self.workloads.contains_key(workload) && self.workloads.len() >= WORKLOADS {
            self.workloads.retain(|_, window| {
                window.dropped > 0 || window.silent_until.is_some() || now - window.second <= 1
            });
        }
        let window = self.workloads.entry(workload.to_owned()).or_default();
        match window.silent_until {
            // A clock that is set back doesn't prolong the silence.
            Some(until) if now < until && until - now <= pause => {
                window.dropped += 1;
                self.dropped += 1;
                return Admission::Drop;
            }
            Some(_) => window.silent_until = None,
            None => {}
        }
        if window.second != now {
            (window.second, window.count) = (now, 0);
        }
        window.count = window.count.saturating_add(1);
        if window.count > self.per_second {
            window.silent_until = Some(now.saturating_add(pause));
            window.count = 0;
            window.dropped += 1;
            self.dropped += 1;
            return Admission::Threshold;
        }
        Admission::Pass {
            dropped: std::mem::take(&mut window.dropped),
        }
    }

    /// How many alerts were dropped altogether.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}

impl Alert {
    /// KubeArmor's alert that a workload has too many: where and when from the alert that was
    /// dropped, and for how long none will come.
    #[must_use]
    pub fn threshold(&self, throttle: &AlertThrottle) -> Self {
        let mut alert = Self {
            timestamp: self.timestamp,
            updated_time: self.updated_time.clone(),
            cluster_name: self.cluster_name.clone(),
            host_name: self.host_name.clone(),
            node_id: self.node_id.clone(),
            namespace_name: self.namespace_name.clone(),
            owner: self.owner.clone(),
            pod_name: self.pod_name.clone(),
            labels: self.labels.clone(),
            container_id: self.container_id.clone(),
            container_name: self.container_name.clone(),
            container_image: self.container_image.clone(),
            kind: "SystemEvent".to_owned(),
            operation: "AlertThreshold".to_owned(),
            enforcer: self.enforcer.clone(),
            version: self.version.clone(),
            ..Self::default()
        };
        alert
            .other
            .insert("MaxAlertsPerSec".to_owned(), json!(throttle.per_second));
        alert
            .other
            .insert("DroppingAlertsInterval".to_owned(), json!(throttle.pause));
        alert
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> UnixTime {
        UnixTime {
            seconds,
            microseconds: 0,
        }
    }

    #[test]
    fn everything_that_is_dropped_is_counted_and_workloads_are_apart() {
        let mut throttle = AlertThrottle::default();
        let (mut passed, mut dropped) = (0, 0);
        for step in 0..100_000 {
            // Fifty alerts a second of the one, five of the other.
            let loud = throttle.admit("loud", at(step / 50));
            match loud {
                Admission::Pass { .. } => passed += 1,
                Admission::Threshold | Admission::Drop => dropped += 1,
            }
            if step % 10 == 0 {
                let quiet = throttle.admit("quiet", at(step / 50));
                assert_eq!(quiet, Admission::Pass { dropped: 0 });
            }
        }
        assert_eq!((passed + dropped, dropped), (100_000, throttle.dropped()));
        // Ten in each thirty seconds of two thousand.
        assert_eq!(passed, 10 * (2_000_u64.div_ceil(30)));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_silence_for_ever() {
        let mut throttle = AlertThrottle::new(1, 30);
        throttle.admit("web", at(1_000_000));
        assert_eq!(throttle.admit("web", at(1_000_000)), Admission::Threshold);
        assert_eq!(throttle.admit("web", at(5)), Admission::Pass { dropped: 1 });
    }

    #[test]
    fn idle_workloads_are_forgotten_and_silenced_ones_are_not() {
        let mut throttle = AlertThrottle::new(1, 1_000);
        throttle.admit("loud", at(0));
        throttle.admit("loud", at(0));
        for number in 0..2 * WORKLOADS {
            throttle.admit(&number.to_string(), at(number as i64 / 1_000));
        }
        assert!(throttle.workloads.len() <= WORKLOADS + 1);
        assert_eq!(throttle.admit("loud", at(140)), Admission::Drop);
    }

    #[test]
    fn the_threshold_is_told_with_kubearmors_fields() {
        let alert = Alert {
            timestamp: 7,
            pod_name: "web-0".to_owned(),
            resource: "/etc/shadow".to_owned(),
            ..Alert::default()
        };
        let json = alert
            .threshold(&AlertThrottle::default())
            .to_kubearmor_json();
        assert_eq!(
            json,
            r#"{"Timestamp":7,"PodName":"web-0","PPID":0,"UID":0,"Type":"SystemEvent","Operation":"AlertThreshold","DroppingAlertsInterval":30,"MaxAlertsPerSec":10}"#
        );
        assert!(Alert::from_kubearmor_json(&json).is_ok());
    }
}
