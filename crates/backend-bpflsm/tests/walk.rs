//! The programs decide as the compiled policy does, in the running kernel. Nothing is attached.

#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "the texts that are cut are the test's own, of ASCII"
)]

use std::error::Error;

use gambeson_backend_bpflsm::{Trial, lower};
use gambeson_matcher::testing::Random;
use gambeson_matcher::{Compile, CompiledPolicy, Config};
use gambeson_policy_model::{
    Decision, Enforcement, Event, EventPath, Operation, PolicySet, Verdict, Workload,
};

/// The program, or `None` where this process may load none. Where kernels are to be tested, that is
/// a failure.
fn trial() -> Result<Option<Trial>, Box<dyn Error>> {
    match Trial::load() {
        Ok(trial) => Ok(Some(trial)),
        Err(error)
            if error.is_not_permitted() && std::env::var_os("GAMBESON_KERNELS").is_none() =>
        {
            println!("skipped: this process may load no BPF programs: run the test as root");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The event as the program can be asked: without arguments.
fn without_arguments(mut event: Event<'static>) -> Event<'static> {
    if let Operation::Exec { args, .. } = &mut event.operation {
        args.clear();
    }
    event
}

#[test]
fn the_kernel_decides_as_the_compiled_policy() -> Result<(), Box<dyn Error>> {
    let Some(mut trial) = trial()? else {
        return Ok(());
    };
    let mut seen = 0;
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        let rules = 1 + random.below(24);
        let selection = random.selection(rules);
        let compiled = selection.compile(&Config::default())?;
        let table = trial.table(&lower(&compiled)?)?;
        for _ in 0..60 {
            let event = without_arguments(random.event());
            if let Some(decision) = table.decide(&event)? {
                assert_eq!(decision, compiled.decide(&event), "seed {seed}: {event:?}");
                seen += 1;
            }
        }
    }
    assert!(seen > 100_000, "{seen}");
    Ok(())
}

/// The stricter decision; the first on a tie, and among those below a directory the smaller rule.
fn stricter(a: Decision, b: Decision) -> Decision {
    let order = |decision: &Decision| decision.rule().map_or(u64::MAX, |rule| rule.0.into());
    let b_wins = b.verdict > a.verdict || (b.verdict == a.verdict && order(&b) < order(&a));
    if b_wins { b } else { a }
}

#[test]
fn renaming_a_directory_is_a_write_to_it_and_to_all_that_rules_name_below_it()
-> Result<(), Box<dyn Error>> {
    let Some(mut trial) = trial()? else {
        return Ok(());
    };
    let (mut by_name, mut by_below) = (0, 0);
    for seed in 0..500 {
        let mut random = Random::new(seed);
        let selection = random.selection(40);
        if selection.enforcement() != Enforcement::Enabled {
            continue;
        }
        let compiled = selection.compile(&Config::default())?;
        let lowered = lower(&compiled)?;
        assert!(lowered.gaps().is_empty(), "seed {seed}");
        let table = trial.table(&lowered)?;
        for _ in 0..20 {
            let directory = random.path();
            let source = random.pick(&["/a", "/a/b", "/b/a", "/s", "/a/b/c", "/none", ""]);
            let write = |path: &str, owned: bool| {
                let event = Event::write(path.to_owned())
                    .by(source)
                    .tty(random_tty(seed));
                if owned { event.uid(0).owner(0) } else { event }
            };
            let own = compiled.decide(&write(&directory, true));
            let named = selection.named_below(&directory).into_iter();
            let below = named
                .map(|path| compiled.decide(&write(path, false)))
                .reduce(stricter)
                .unwrap_or(Decision::ALLOW);
            let is_below = below.verdict > own.verdict;
            let expected = if is_below { below } else { own };
            let found = table.decide_renaming(&write(&directory, true))?;
            assert_eq!(
                found,
                Some(expected),
                "seed {seed}: {directory} by {source}"
            );
            if is_below {
                by_below += 1;
            } else {
                by_name += 1;
            }
        }
    }
    assert!(by_name > 1000 && by_below > 300, "{by_name} and {by_below}");
    Ok(())
}

const fn random_tty(seed: u64) -> bool {
    seed.is_multiple_of(2)
}

fn compiled(spec: &str) -> Result<CompiledPolicy, Box<dyn Error>> {
    let policies = PolicySet::from_str(&format!(
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: p}}\nspec:\n{spec}"
    ))?;
    let selection = policies.select(&Workload::pod("default"));
    Ok(selection.compile(&Config::default())?)
}

/// How often each verdict was found.
#[derive(Debug, Default)]
struct Tally {
    allowed: usize,
    blocked: usize,
}

fn has_long_name(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/')
        .any(|name| name.len() > 255)
}

/// Holds what the program says of paths, as objects and as sources, to what the policy says.
fn agree(spec: &str, paths: &[String]) -> Result<Option<Tally>, Box<dyn Error>> {
    let Some(mut trial) = trial()? else {
        return Ok(None);
    };
    let compiled = compiled(spec)?;
    let table = trial.table(&lower(&compiled)?)?;
    let mut tally = Tally::default();
    for path in paths {
        let path = EventPath::from(path.as_str());
        for event in [
            Event::exec(path.clone()).by("/s"),
            Event::map_exec(path.clone()).by("/s"),
            Event::read(path.clone()).by("/s"),
            Event::write(path.clone()).by("/s"),
            Event::write("/from").by(path.clone()),
        ] {
            let Some(decision) = table.decide(&event)? else {
                // No resolved file has such a path.
                assert!(!path.is_resolved() || path.bytes().is_none_or(has_long_name));
                continue;
            };
            assert_eq!(decision, compiled.decide(&event), "{}", event.to_json());
            match decision.verdict {
                Verdict::Block => tally.blocked += 1,
                _ => tally.allowed += 1,
            }
        }
    }
    Ok(Some(tally))
}

/// Beginnings of the path, and the path with one of its bytes changed or with one more: every one of
/// a short path, and of a long one those around the ends of its names and a few between.
fn around(path: &str) -> Vec<String> {
    let is_asked =
        |at: &usize| path.len() < 600 || at % 256 < 3 || at % 256 > 253 || at.is_multiple_of(37);
    let ends = (1..=path.len()).filter(is_asked);
    let mut found: Vec<String> = ends.map(|end| path[..end].to_owned()).collect();
    found.extend((1..path.len()).filter(is_asked).map(|at| {
        let other = if path.as_bytes()[at] == b'~' {
            "+"
        } else {
            "~"
        };
        format!("{}{other}{}", &path[..at], &path[at + 1..])
    }));
    found.push(format!("{path}/x"));
    found.push(format!("{path}x"));
    found
}

/// Rules of both classes, and of sources, about these paths.
fn naming(paths: &[String]) -> String {
    let list = |extra: &str| -> String {
        let items = paths.iter();
        items
            .map(|path| format!("    - {{path: \"{path}\"{extra}}}\n"))
            .collect()
    };
    let sources: Vec<String> = paths
        .iter()
        .map(|path| format!("{{path: \"{path}\"}}"))
        .collect();
    format!(
        "  process:\n    matchPaths:\n{}  file:\n    matchPaths:\n{}    - {{path: /from, fromSource: [{}]}}\n",
        list(""),
        list(""),
        sources.join(", ")
    )
}

/// A path of so many bytes, in names as long as names can be.
fn long(bytes: usize) -> String {
    let path: String = (0..bytes)
        .map(|at| match at % 256 {
            0 => '/',
            place => char::from(b'a' + (place % 23) as u8),
        })
        .collect();
    assert!(!path.ends_with('/'));
    path
}

#[test]
fn paths_as_long_as_they_can_be() -> Result<(), Box<dyn Error>> {
    let longest = long(4095);
    let sibling = format!("{}~", &longest[..4094]);
    let mut paths = around(&longest);
    paths.push(sibling.clone());
    paths.push(long(4094));
    paths.push(format!("{longest}x"));
    let Some(tally) = agree(&naming(&[longest, sibling]), &paths)? else {
        return Ok(());
    };
    assert!(tally.blocked >= 10 && tally.allowed > 1000, "{tally:?}");
    Ok(())
}

#[test]
fn paths_of_thousands_of_components() -> Result<(), Box<dyn Error>> {
    let (most, many) = ("/a".repeat(2047), "/a".repeat(2000));
    let spec = naming(&[most.clone(), many.clone()])
        + &format!(
            "    matchDirectories:\n    - {{dir: {}/, recursive: true, readOnly: true}}\n",
            "/a".repeat(1000)
        )
        + "    matchPatterns: [{pattern: /a/*/a/**/a/?/b}, {pattern: /**/c}]\n";
    let mut paths: Vec<String> = (1..=2047).map(|count| "/a".repeat(count)).collect();
    paths.extend([1, 5, 999, 1000, 1999, 2046].map(|count| "/a".repeat(count) + "/b"));
    paths.extend([1, 5, 999, 1000, 1999, 2046].map(|count| "/a".repeat(count) + "/c"));
    let Some(tally) = agree(&spec, &paths)? else {
        return Ok(());
    };
    assert!(tally.blocked > 1000 && tally.allowed > 1000, "{tally:?}");
    Ok(())
}

#[test]
fn labels_of_every_length_and_their_beginnings() -> Result<(), Box<dyn Error>> {
    let text: String = ('a'..='z').chain('A'..='Z').collect();
    let paths: Vec<String> = (1..=52)
        .map(|length| format!("/{length:02}/{}", &text[..length]))
        .chain((1..=52).map(|length| format!("/dir-{length}/{}/g", &text[..length])))
        .collect();
    let asked: Vec<String> = paths.iter().flat_map(|path| around(path)).collect();
    let Some(tally) = agree(&naming(&paths), &asked)? else {
        return Ok(());
    };
    assert!(tally.blocked > 400 && tally.allowed > 4000, "{tally:?}");
    let Some(mut trial) = trial()? else {
        return Ok(());
    };
    let compiled = compiled(&naming(&paths))?;
    let table = trial.table(&lower(&compiled)?)?;
    let mut directories = 0;
    for directory in asked {
        let below = format!("{directory}/");
        let denied = paths
            .iter()
            .any(|path| path.starts_with(&below) || *path == directory);
        if directory == "/" {
            continue;
        }
        let event = Event::write(directory.clone()).by("/none");
        if let Some(decision) = table.decide_renaming(&event)? {
            assert_eq!(decision.verdict == Verdict::Block, denied, "{directory}");
            directories += usize::from(denied);
        }
    }
    assert!(directories > 150, "{directories}");
    Ok(())
}

#[test]
fn names_of_every_length() -> Result<(), Box<dyn Error>> {
    let longest = long(256).split_off(1);
    let names = ["a", "ls", "cat", "bash", "zsh-5", &longest];
    let mut spec = "  process:\n    matchPaths:\n".to_owned();
    for name in names {
        spec += &format!("    - {{execname: {name}}}\n");
    }
    spec += "  file:\n    matchPatterns:\n";
    for name in names {
        spec += &format!("    - {{pattern: /**/{name}}}\n");
    }
    let mut paths = vec!["/".to_owned()];
    for name in names.into_iter().chain(["b", "s", "at", "ash", "sh-5"]) {
        for directory in ["", "/b", "/x", "/usr/bin", "/a", "/bash", &long(3800)] {
            let around = around(&format!("{directory}/{name}")).into_iter();
            paths.extend(around.rev().take(60));
        }
    }
    let Some(tally) = agree(&spec, &paths)? else {
        return Ok(());
    };
    assert!(tally.blocked > 60 && tally.allowed > 1000, "{tally:?}");
    Ok(())
}

#[test]
fn patterns_of_all_sorts_on_long_paths() -> Result<(), Box<dyn Error>> {
    let spec = "  process:\n    matchPatterns:\n    - {pattern: '/usr/*/[ab]in/**'}\n    - {pattern: /**/shell}\n    - {pattern: '**.sh'}\n    - {pattern: '/opt/?pp*/{bin,lib}/x*y'}\n  file:\n    matchPatterns:\n    - {pattern: /**/*.conf}\n    - {pattern: /**/.ssh/**}\n    - {pattern: '/home/*/id_[a-z]*'}\n    - {pattern: '**key'}\n    - {pattern: /var/**/log/?}\n";
    let deep = format!("/var{}/log/x", long(4000));
    let deep_shell = format!("/usr{}/shell", long(4000));
    let mut paths = vec![deep, deep_shell];
    for suffix in [".sh", ".conf", "key", "/.ssh/k", "/log/z"] {
        let long = long(4095 - suffix.len() - 4);
        paths.push(format!("/var{long}{suffix}"));
    }
    for path in [
        "/usr/local/bin/tool",
        "/usr/local/ain/t/u",
        "/x/y/shell",
        "/x.sh",
        "/opt/apps/bin/x-y",
        "/opt/app/lib/xy",
        "/etc/nginx/nginx.conf",
        "/home/u/.ssh/authorized_keys",
        "/home/u/id_rsa",
        "/srv/tls.key",
        "/var/lib/log/x",
    ] {
        paths.extend(around(path));
    }
    let Some(tally) = agree(spec, &paths)? else {
        return Ok(());
    };
    assert!(tally.blocked > 100 && tally.allowed > 100, "{tally:?}");
    Ok(())
}

#[test]
fn ten_thousand_rules() -> Result<(), Box<dyn Error>> {
    let name = |number: usize| {
        let directory = number % 97;
        format!("/srv/application-{directory}/configuration/file-{number}.conf")
    };
    let mut spec = "  file:\n    matchPaths:\n".to_owned();
    for number in 0..9800 {
        spec += &format!("    - {{path: {}}}\n", name(number));
    }
    spec += "    - path: /from\n      fromSource:\n";
    for number in 0..200 {
        spec += &format!("      - {{path: {}}}\n", name(number * 3));
    }
    spec += "    matchDirectories:\n";
    for number in 0..200 {
        spec += &format!(
            "    - {{dir: /data/{number}/, recursive: {}}}\n",
            number % 2 == 0
        );
    }
    let mut paths: Vec<String> = (0..10_500).map(name).collect();
    for number in 0..220 {
        paths.extend(["x", "x/y", ""].map(|rest| format!("/data/{number}/{rest}")));
    }
    let Some(tally) = agree(&spec, &paths)? else {
        return Ok(());
    };
    assert!(tally.blocked > 19_600 && tally.allowed > 1000, "{tally:?}");
    Ok(())
}

#[test]
fn thousands_of_sources_of_one_object() -> Result<(), Box<dyn Error>> {
    let Some(mut trial) = trial()? else {
        return Ok(());
    };
    let mut spec = "  file:\n    matchPaths:\n".to_owned();
    for number in 0..5000 {
        let action = ["Allow", "Audit", "Block"][number % 3];
        spec += &format!(
            "    - {{path: /from, fromSource: [{{path: /bin/{number}}}], action: {action}}}\n"
        );
    }
    let compiled = compiled(&spec)?;
    let table = trial.table(&lower(&compiled)?)?;
    let mut blocked = 0;
    for number in (0..5100).step_by(7).chain([4999, 5000]) {
        for event in [Event::write("/from"), Event::read("/from")] {
            let event = event.by(format!("/bin/{number}"));
            let decision = compiled.decide(&event);
            assert_eq!(table.decide(&event)?, Some(decision), "{}", event.to_json());
            blocked += usize::from(decision.verdict == Verdict::Block);
        }
    }
    // Not even the program's name is known: the strictest of all stands.
    let unknown = Event::write("/from").by(EventPath::UNRESOLVABLE);
    let decision = compiled.decide(&unknown);
    assert_eq!(decision.verdict, Verdict::Block);
    assert_eq!(table.decide(&unknown)?, Some(decision));
    assert!(blocked > 1, "{blocked}");
    Ok(())
}
