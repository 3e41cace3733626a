//! Bytes as a compiled image.

use gambeson::matcher::testing::Random;
use gambeson::matcher::{Compile, CompiledPolicy, Config};
use gambeson::policy_model::RuleId;

use std::sync::OnceLock;

use super::Finding;

/// How many images of our own hostile bytes are written into.
const IMAGES: u64 = 64;

/// These images, each compiled once.
static OURS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();

/// The first byte chooses an image of ours, or none; the rest is either an image itself, or pairs
/// of a place and a byte to overwrite there, which gets past the checks of the header. Whatever
/// loads must decide events and name its rules without a panic.
///
/// # Errors
/// When an image of ours can't be made.
pub fn image(bytes: &[u8]) -> Finding {
    let Some((choice, rest)) = bytes.split_first() else {
        return Ok(());
    };
    let ours = OURS.get_or_init(|| (0..IMAGES).filter_map(|seed| ours(seed).ok()).collect());
    if ours.len() < IMAGES as usize {
        return Err("an image of ours can't be made".to_owned());
    }
    let hostile = match usize::from(*choice) {
        0 => rest.to_vec(),
        choice => match ours.get(choice % ours.len()) {
            Some(image) => overwrite(image.clone(), rest),
            None => return Ok(()),
        },
    };
    let Ok(image) = CompiledPolicy::from_bytes(&hostile) else {
        return Ok(());
    };
    let mut random = Random::new(u64::from(*choice));
    let mut use_rule = |id: RuleId| {
        if let Some(rule) = image.rule(id) {
            let _ = rule.to_string();
        }
    };
    for _ in 0..24 {
        if let Some(id) = image.decide(&random.event()).rule() {
            use_rule(id);
        }
    }
    (0..4).map(RuleId).for_each(&mut use_rule);
    let _ = image.memory_usage();
    Ok(())
}

fn ours(seed: u64) -> Result<Vec<u8>, String> {
    let mut random = Random::new(seed);
    let rules = random.below(20);
    let compiled = random
        .selection(rules)
        .compile(&Config::default())
        .map_err(|error| error.to_string())?;
    Ok(compiled.to_bytes())
}

/// Overwrites single bytes: two bytes of place, one of value, three at a time.
fn overwrite(mut image: Vec<u8>, edits: &[u8]) -> Vec<u8> {
    for edit in edits.chunks_exact(3) {
        if let [low, high, value] = *edit {
            let at = usize::from(u16::from_le_bytes([low, high]));
            let place = at % image.len().max(1);
            if let Some(byte) = image.get_mut(place) {
                *byte = value;
            }
        }
    }
    image
}
