//! Times a decision of cedar and regorus beside this engine, on the same rules and queries:
//! `cargo run --release --manifest-path benches/peers/Cargo.toml`.
//!
//! Both are engines for other purposes, and neither knows paths: cedar gets one policy a rule, with
//! `like` for directories and globs (its star crosses slashes); regorus looks exact paths up in an
//! object and goes through directories and globs one by one.

use std::hint::black_box;
use std::str::FromStr;
use std::time::{Duration, Instant};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request, RestrictedExpression,
};
use regorus::{Engine, Value};
use xtask::contenders::{Error, contenders};
use xtask::report::SEED;
use xtask::ruleset::{Entry, Extras, RuleSet, Shape};

const SIZES: [usize; 3] = [10, 100, 1_000];
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(100);

/// Nanoseconds a query in the best of several rounds.
fn time(mut pass: impl FnMut() -> Result<usize, Error>, queries: usize) -> Result<f64, Error> {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut passes = 0;
        while start.elapsed() < ROUND {
            black_box(pass()?);
            passes += 1;
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / (passes * queries) as f64);
    }
    Ok(best)
}

fn gambeson(set: &RuleSet) -> Result<f64, Error> {
    let mut all = contenders(set)?;
    let ours = all.first_mut().ok_or("no contender")?;
    time(|| Ok(ours.pass()), set.queries.len())
}

fn cedar(set: &RuleSet) -> Result<(f64, usize), Error> {
    let mut text = String::from("permit(principal, action, resource);\n");
    for entry in &set.entries {
        let test = match entry {
            Entry::Exact(path) => format!("context.path == \"{path}\""),
            Entry::Directory(path) => format!("context.path like \"{path}*\""),
            Entry::Glob(pattern) => {
                format!("context.path like \"{}\"", pattern.replace("**", "*"))
            }
        };
        text.push_str(&format!(
            "forbid(principal, action, resource) when {{ {test} }};\n"
        ));
    }
    let policies = PolicySet::from_str(&text)?;
    let entities = Entities::empty();
    let authorizer = Authorizer::new();
    let requests = set
        .queries
        .iter()
        .map(|path| {
            let path = RestrictedExpression::new_string(path.clone());
            let uid = |text: &str| EntityUid::from_str(text);
            Ok(Request::new(
                uid("Program::\"nginx\"")?,
                uid("Action::\"read\"")?,
                uid("File::\"file\"")?,
                Context::from_pairs([("path".to_owned(), path)])?,
                None,
            )?)
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let mut hits = 0;
    let nanoseconds = time(
        || {
            hits = 0;
            for request in &requests {
                let answer = authorizer.is_authorized(black_box(request), &policies, &entities);
                hits += usize::from(answer.decision() == Decision::Deny);
            }
            Ok(hits)
        },
        requests.len(),
    )?;
    Ok((nanoseconds, hits))
}

const REGO: &str = r#"
package measured
import rego.v1
default hit := false
hit if data.exact[input.path]
hit if { some directory in data.directories; startswith(input.path, directory) }
hit if { some pattern in data.globs; glob.match(pattern, ["/"], input.path) }
"#;

fn regorus(set: &RuleSet) -> Result<(f64, usize), Error> {
    let mut exact = Value::new_object();
    let (mut directories, mut globs) = (Vec::new(), Vec::new());
    for entry in &set.entries {
        match entry {
            Entry::Exact(path) => {
                exact
                    .as_object_mut()?
                    .insert(Value::from(path.as_str()), Value::from(true));
            }
            Entry::Directory(path) => directories.push(Value::from(path.as_str())),
            Entry::Glob(pattern) => globs.push(Value::from(pattern.as_str())),
        }
    }
    let mut data = Value::new_object();
    let object = data.as_object_mut()?;
    object.insert(Value::from("exact"), exact);
    object.insert(Value::from("directories"), Value::from(directories));
    object.insert(Value::from("globs"), Value::from(globs));
    let mut engine = Engine::new();
    engine.add_policy("measured.rego".to_owned(), REGO.to_owned())?;
    engine.add_data(data)?;
    let inputs = set
        .queries
        .iter()
        .map(|path| {
            let mut input = Value::new_object();
            input
                .as_object_mut()?
                .insert(Value::from("path"), Value::from(path.as_str()));
            Ok(input)
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let mut hits = 0;
    let nanoseconds = time(
        || {
            hits = 0;
            for input in &inputs {
                engine.set_input(black_box(input).clone());
                let answer = engine.eval_rule("data.measured.hit".to_owned())?;
                hits += usize::from(answer == Value::from(true));
            }
            Ok(hits)
        },
        inputs.len(),
    )?;
    Ok((nanoseconds, hits))
}

fn main() -> Result<(), Error> {
    println!("Nanoseconds a decision, the mix; in brackets how many of the queries are hits.\n");
    println!("| rules | gambeson | cedar | regorus |\n|--:|--:|--:|--:|");
    for size in SIZES {
        let mut set = RuleSet::generate(Shape::Mix, size, Extras::default(), SEED)?;
        set.queries.truncate(64);
        set.askers.truncate(64);
        let ours = gambeson(&set)?;
        let (cedar, cedar_hits) = cedar(&set)?;
        let (regorus, regorus_hits) = regorus(&set)?;
        println!(
            "| {size} | {ours:.0} | {cedar:.0} ({cedar_hits}) | {regorus:.0} ({regorus_hits}) |"
        );
    }
    Ok(())
}
