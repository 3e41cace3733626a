//! Every scenario, in every carrier that needs no kernel.

use std::path::Path;

use xtask::judge::judge;
use xtask::scenario::read_folder;

#[test]
fn every_scenario_is_judged_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let (mut steps, mut failures) = (0, Vec::new());
    for file in read_folder(&folder).unwrap() {
        for scenario in &file.scenarios {
            let place = format!("{}: {}", file.path.display(), scenario.name);
            match judge(scenario) {
                Ok(judged) => {
                    steps += judged.len();
                    let wrong = judged.iter().filter(|judged| !judged.agrees());
                    failures.extend(wrong.map(|wrong| format!("{place}: {wrong}")));
                }
                Err(error) => failures.push(format!("{place}: {error}")),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(steps > 2000, "only {steps} steps were found");
}
