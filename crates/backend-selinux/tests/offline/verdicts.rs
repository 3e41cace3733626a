use std::error::Error;

use gambeson_backend_selinux::LowerOptions;
use gambeson_matcher::testing::Random;

use crate::judge::{Node, Workload, paths};
use crate::libselinux;
use crate::tools::{Scratch, present};

/// Checks nodes of one to three workloads with random rules until so many paths were asked about, about
/// so many of each node.
fn soak(name: &str, from: u64, wanted: usize, each: usize) -> Result<(), Box<dyn Error>> {
    if !present(&["secilc", "checkpolicy"]) {
        return Ok(());
    }
    let library = libselinux::present();
    let scratch = Scratch::new(name);
    let (mut asked, mut nodes) = (0, 0);
    for seed in from.. {
        if asked >= wanted {
            break;
        }
        let mut random = Random::new(seed);
        let workloads = (0..1 + seed as usize % 3)
            .map(|_| {
                let rules = 1 + random.below(20);
                Workload::new(random.selection(rules))
            })
            .collect::<Result<Vec<Workload>, _>>()?;
        let node = Node::new(workloads, &LowerOptions::default(), &[], &scratch)
            .map_err(|error| format!("seed {seed}: {error}"))?;
        let paths = paths(&mut random, &node.workloads, each);
        let types = node.types(&paths);
        if library {
            let contexts = scratch.write("contexts", node.module.file_contexts());
            let found = libselinux::lookup(&contexts, &paths);
            for (path, found) in paths.iter().zip(&found) {
                assert_eq!(found, &types[path], "seed {seed}: {path}");
            }
        }
        for path in &paths {
            let newer = node.contexts.of_by_depth(path.as_bytes());
            assert_eq!(newer, Some(types[path].as_str()), "seed {seed}: {path}");
            let own = node.module.type_of(path.as_bytes());
            assert_eq!(
                own.map(|of| &of.name),
                Some(&types[path]),
                "seed {seed}: {path}"
            );
            let domains = node.module.domains();
            let domain = &domains[random.below(domains.len())];
            node.check(seed, domain, path, &types[path]);
        }
        asked += paths.len();
        nodes += 1;
    }
    eprintln!("{asked} paths of {nodes} nodes, by libselinux too: {library}");
    Ok(())
}

/// 10⁴ paths; the two halves run side by side.
#[test]
fn random_paths_get_the_evaluators_verdicts() -> Result<(), Box<dyn Error>> {
    soak("verdicts", 0, 5_000, 160)
}

#[test]
fn more_random_paths_get_the_evaluators_verdicts() -> Result<(), Box<dyn Error>> {
    soak("more-verdicts", 1_000_000, 5_000, 160)
}

/// `cargo xtask soak --selinux` says how many paths, and from which seed.
#[test]
#[ignore = "takes long; see `cargo xtask soak --selinux`"]
fn soaking() -> Result<(), Box<dyn Error>> {
    let number = |name: &str, other: u64| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(other)
    };
    let from = number("GAMBESON_SOAK_SEED", 2_000_000);
    soak(
        "soak",
        from,
        number("GAMBESON_SOAK", 1_000_000) as usize,
        2_000,
    )
}
