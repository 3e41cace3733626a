//! The picture shows every rule, and no row covers another.

use gambeson_matcher::Config;
use gambeson_matcher::testing::Random;
use gambeson_policy_model::{PolicySet, Workload};

use super::*;

/// The numbers of an attribute of every rectangle or text on a line.
fn attribute(line: &str, name: &str) -> u32 {
    let marker = format!(" {name}=\"");
    let (_, rest) = line.split_once(&marker).unwrap();
    rest.split('"').next().unwrap().parse().unwrap()
}

#[test]
fn every_rule_has_a_row_of_its_own_at_two_hundred_rules() {
    let mut random = Random::new(5);
    let selection = random.selection(200).with_enforcement(Default::default());
    let explainer = Explainer::new(&selection, &Config::default()).unwrap();
    let picture = explainer.picture("two hundred");
    let rows: Vec<(u32, u32, u32)> = picture
        .lines()
        .filter(|line| line.starts_with("<g><title>"))
        .map(|line| {
            (
                attribute(line, "x"),
                attribute(line, "y"),
                attribute(line, "width"),
            )
        })
        .collect();
    assert_eq!(rows.len(), 200);
    for (place, a) in rows.iter().enumerate() {
        for b in &rows[place + 1..] {
            let apart = a.1.abs_diff(b.1) >= ROW || a.0 + a.2 <= b.0 || b.0 + b.2 <= a.0;
            assert!(apart, "{a:?} covers {b:?}");
        }
        assert!(a.2 > 400, "{a:?} is too narrow to read");
    }
    // All lies within the picture.
    let head = picture.lines().next().unwrap();
    let (width, height) = (attribute(head, "width"), attribute(head, "height"));
    assert!(
        rows.iter()
            .all(|(x, y, w)| x + w < width && y + ROW < height)
    );
    assert!(height < 200 * ROW * 2, "{height}");
}

#[test]
fn a_region_has_the_colour_of_its_verdict_and_texts_are_escaped() {
    let policies = PolicySet::from_str(
        "
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: web}
spec:
  file:
    matchDirectories: [{dir: /etc/, recursive: true, readOnly: true}]
    matchPaths: [{path: '/etc/a<b>&c'}]
",
    )
    .unwrap();
    let selection = policies.select(&Workload::pod("default"));
    let explainer = Explainer::new(&selection, &Config::default()).unwrap();
    let picture = explainer.picture("a & b");
    assert!(picture.contains("read Allow, write Block"), "{picture}");
    assert!(picture.contains("Block a&lt;b&gt;&amp;c"), "{picture}");
    assert!(picture.contains("a &amp; b: 2 rules"), "{picture}");
    assert!(!picture.contains("a<b>"));
}
