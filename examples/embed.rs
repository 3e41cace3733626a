//! The whole of an embedding: read, select, compile, decide. Run it with
//! `cargo run --example embed` in the project's folder.

use gambeson::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let policies = PolicySet::from_path("examples/policies")?;
    let web = Workload::pod("production").label("app", "web");
    let compiled = policies.select(&web).compile(&Config::default())?;

    for event in [
        Event::exec("/usr/sbin/nginx").by("/usr/bin/runc"),
        Event::exec("/bin/sh").by("/usr/sbin/nginx"),
    ] {
        let decision = compiled.decide(&event);
        match decision.rule().and_then(|id| compiled.rule(id)) {
            Some(rule) => println!("{}: {rule}: {}", decision.verdict(), rule.message),
            None => println!("{}", decision.verdict()),
        }
    }
    Ok(())
}
