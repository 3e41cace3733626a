//! `cargo xtask soak --apparmor`: random policies as AppArmor profiles. The parser compiles them, and
//! what it writes for the kernel is walked beside the reference evaluator.

use gambeson::matcher::Config;
use gambeson::matcher::testing::Random;
use gambeson::policy_model::{Rule, Selection};
use gambeson_backend_apparmor::testing::{differential, parser};

use super::Failure;

/// What was soaked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Soaked {
    /// How many policies.
    pub policies: u64,
    /// How many of them tell more sources apart than profiles can.
    pub refused: u64,
    /// How many paths, each as owner and as other, and for each of the profiles.
    pub paths: u64,
}

/// How many random paths each policy is asked about, beside those around its rules.
const PATHS: usize = 600;

/// Walks so many paths.
///
/// # Errors
/// With the first difference, and with as few rules as still show one.
pub fn soak(seed: u64, paths: u64) -> Result<Soaked, Box<Failure>> {
    let mut random = Random::new(seed);
    let mut soaked = Soaked::default();
    if parser::find().is_none() {
        return Err(Box::new(Failure {
            selection: Selection::new(Vec::new()),
            event: None,
            what: "apparmor_parser is not installed".to_owned(),
        }));
    }
    while soaked.paths < paths {
        let selection = super::next_selection(&mut random);
        let asked: Vec<Vec<u8>> = (0..PATHS).map(|_| random.path().into_bytes()).collect();
        match differential::check(&selection, &Config::default(), &asked) {
            Ok(0) => soaked.refused += 1,
            Ok(walked) => soaked.paths += walked as u64,
            Err(what) => return Err(Box::new(shrink(&selection, &asked, what))),
        }
        soaked.policies += 1;
    }
    Ok(soaked)
}

/// Leaves out rules for as long as some difference is left.
fn shrink(failing: &Selection, asked: &[Vec<u8>], what: String) -> Failure {
    let select = |rules: &[Rule]| {
        Selection::new(rules.to_vec())
            .with_posture(failing.posture())
            .with_enforcement(failing.enforcement())
    };
    let mut rules = failing.rules().to_vec();
    let mut what = what;
    let mut at = 0;
    while at < rules.len() {
        let mut fewer = rules.clone();
        fewer.remove(at);
        match differential::check(&select(&fewer), &Config::default(), asked) {
            Err(difference) => {
                what = difference;
                rules = fewer;
            }
            Ok(_) => at += 1,
        }
    }
    Failure {
        selection: select(&rules),
        event: None,
        what,
    }
}
