//! What holds for drafts of any events.

use std::collections::HashSet;

use gambeson_insight::discover::{Discoverer, Discovery};
use gambeson_matcher::testing::Random;
use gambeson_matcher::{Compile as _, CompiledPolicy, Config};
use gambeson_policy_model::{
    Capability, Code, Event, Operation, Reader, Severity, Socket, Verdict, Workload, lint_rules,
};

const PROGRAMS: [&str; 5] = ["/bin/a", "/bin/b", "/usr/bin/node", "/tmp/tmp.Xa83kd", ""];
const DIRECTORIES: [&str; 8] = [
    "/etc",
    "/opt/app/a",
    "/opt/app/b",
    "/opt/app/c",
    "/opt/app/d",
    "/tmp",
    "/var/log",
    "/proc/17",
];
const NAMES: [&str; 14] = [
    "hosts",
    "a*b",
    "tmp.Xa83kd",
    "tmp.Zb94le",
    "tmpab3k_9x1",
    "log-2026-11-23.gz",
    "log-2026-11-24.gz",
    "basket-9f31",
    "basket-a07c",
    "basket-0b1d",
    "f.1",
    "f.2",
    "f.3",
    "[x",
];

fn web() -> Workload {
    Workload::pod("shop").label("app", "web")
}

/// An event from a small world, so that objects and programs meet.
fn event(random: &mut Random) -> Event<'static> {
    let file = |random: &mut Random| match random.below(4) {
        0 => format!(
            "{}/{}",
            random.pick(&DIRECTORIES),
            random.pick(&["x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "y"])
        ),
        1 => format!(
            "{}/q{}",
            random.pick(&DIRECTORIES[1..5]),
            "z".repeat(random.below(12))
        ),
        _ => format!("{}/{}", random.pick(&DIRECTORIES), random.pick(&NAMES)),
    };
    let event = match random.below(12) {
        0 => Event::exec(file(random)),
        1 => Event::map_exec(file(random)),
        2..=6 => Event::read(file(random)),
        7 => Event::write(file(random)),
        8 => Event::socket(Socket::new(
            [1, 2, 10, 17, 40][random.below(5)],
            [1, 2, 3, 5][random.below(4)],
            [0, 1, 6, 17, 132, 255][random.below(6)],
        )),
        9 => Event::capability(
            Capability::from_name(random.pick(&["chown", "net_raw", "kill"])).unwrap(),
        ),
        10 => Event::dns(random.pick(&["example.com", "a.example.com", "EXAMPLE.org.", "b.org"])),
        _ => Event::exec(
            random
                .pick(&["/bin/a", "/bin/b", "/usr/bin/node"])
                .to_owned(),
        ),
    };
    match random.pick(&PROGRAMS) {
        "" => event,
        program => event.by(program),
    }
}

fn lines(events: &[Event<'_>]) -> String {
    events.iter().map(|event| event.to_json() + "\n").collect()
}

fn discover(lines: &str, audit: bool, threads: usize) -> Discovery {
    Discoverer::new(&web())
        .audit(audit)
        .discover(lines.as_bytes(), threads, |_| ())
        .unwrap()
}

fn compile(found: &Discovery, posture: &str) -> CompiledPolicy {
    let config = Config::default().posture(posture.parse().unwrap());
    found.policies.select(&web()).compile(&config).unwrap()
}

const BLOCK: &str = "file=block,network=block,capabilities=block";
const AUDIT: &str = "file=audit,network=audit,capabilities=audit";

#[test]
fn a_draft_denies_and_reports_nothing_of_its_own_evidence() {
    for seed in 0..80 {
        let mut random = Random::new(seed);
        let count = 1 + random.below(160);
        let events: Vec<_> = (0..count).map(|_| event(&mut random)).collect();
        for (audit, posture) in [(false, BLOCK), (true, AUDIT)] {
            let found = discover(&lines(&events), audit, 1);
            assert!(found.left_out.is_empty(), "{}", found.to_text());
            let compiled = compile(&found, posture);
            for event in &events {
                let decision = compiled.decide(event);
                assert_eq!(
                    decision.verdict,
                    Verdict::Allow,
                    "seed {seed}, {audit}: {} by {:?}\n{}",
                    event.to_json(),
                    decision.rule().and_then(|rule| compiled.rule(rule)),
                    found.to_yaml()
                );
            }
        }
    }
}

#[test]
fn an_audit_draft_denies_nothing_at_all() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let events: Vec<_> = (0..80).map(|_| event(&mut random)).collect();
        let compiled = compile(&discover(&lines(&events), true, 1), AUDIT);
        for _ in 0..500 {
            let event = event(&mut random);
            assert_ne!(compiled.decide(&event).verdict, Verdict::Block);
        }
    }
}

/// What was recorded, as far as a policy speaks of it.
fn fact(event: &Event<'_>) -> String {
    let by = String::from_utf8_lossy(event.source.bytes().unwrap_or_default()).into_owned();
    let Operation::Dns { domain } = &event.operation else {
        let mut bare = Event::new(event.operation.clone());
        if let Operation::Exec { args, .. } = &mut bare.operation {
            args.clear();
        }
        return format!("{} by {by}", bare.to_json());
    };
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    format!("dns {domain} by {by}")
}

#[test]
fn a_draft_allows_nothing_without_evidence_but_what_it_lists() {
    let mut allowed = 0;
    for seed in 0..80 {
        let mut random = Random::new(seed);
        let count = 1 + random.below(160);
        let events: Vec<_> = (0..count).map(|_| event(&mut random)).collect();
        let found = discover(&lines(&events), false, 1);
        let compiled = compile(&found, BLOCK);
        let mut evidence: HashSet<String> = events.iter().map(fact).collect();
        // What is always allowed besides: reading what may be written.
        for written in &events {
            if let Operation::Write { path } = &written.operation {
                let read = Operation::Read { path: path.clone() };
                evidence.insert(fact(&Event {
                    operation: read,
                    ..written.clone()
                }));
            }
        }
        for _ in 0..500 {
            let event = event(&mut random);
            let outside = match &event.operation {
                Operation::MapExec { .. } => true,
                Operation::Socket(socket) => !socket.in_class(),
                _ => false,
            };
            if outside
                || compiled.decide(&event).verdict != Verdict::Allow
                || evidence.contains(&fact(&event))
            {
                continue;
            }
            allowed += 1;
            let listed = found.drafts[0].generalisations.iter();
            assert!(
                listed.clone().any(|listed| listed.covers(&event)),
                "seed {seed}: {} is allowed\n{}",
                event.to_json(),
                found.to_yaml()
            );
        }
    }
    assert!(allowed > 500, "{allowed}");
}

#[test]
fn neither_order_nor_threads_change_a_draft() {
    for seed in 0..3 {
        let mut random = Random::new(seed);
        let mut events: Vec<_> = (0..200).map(|_| event(&mut random)).collect();
        for number in 0..150 {
            events.push(Event::write(format!("/data/{number}.db")).by("/bin/a"));
            events.push(Event::read("/data/all").by(format!("/bin/p{}", "x".repeat(number % 30))));
        }
        let text = lines(&events);
        let first = discover(&text, false, 1);
        // Lines differ, of course.
        let bare = |found: &Discovery| -> String {
            let yaml = found.to_yaml();
            let lines = yaml
                .lines()
                .filter(|line| !line.contains(" lines ") && !line.contains(", line "));
            lines.map(|line| line.to_owned() + "\n").collect()
        };
        for _ in 0..3 {
            for place in (1..events.len()).rev() {
                events.swap(place, random.below(place + 1));
            }
            assert_eq!(bare(&discover(&lines(&events), false, 1)), bare(&first));
        }
        if seed > 0 {
            continue;
        }
        // Enough for several batches.
        let many = text.repeat(1 + (5 << 19) / text.len());
        let one = discover(&many, false, 1);
        for threads in [2, 3] {
            let other = discover(&many, false, threads);
            assert_eq!(other.to_json(), one.to_json());
        }
    }
}

#[test]
fn drafts_are_read_strictly_and_lint_clean() {
    for seed in 0..30 {
        let mut random = Random::new(seed);
        let events: Vec<_> = (0..120).map(|_| event(&mut random)).collect();
        for audit in [false, true] {
            let found = discover(&lines(&events), audit, 1);
            let reading = Reader::new().read_str("draft.yaml", &found.to_yaml());
            let mut diagnostics: Vec<_> = reading.diagnostics().cloned().collect();
            for document in reading.documents() {
                let policy = document.policy.as_ref().unwrap();
                diagnostics.extend(lint_rules(
                    policy.selector(),
                    policy.location(),
                    policy.rules(),
                ));
            }
            for found in diagnostics {
                // That it is an allow-list is what is wanted, and where files are was recorded.
                let expected = matches!(
                    found.code,
                    Code::AllowListMode | Code::MergedUsr | Code::LinkedDirectory
                );
                assert!(expected && found.severity == Severity::Warning, "{found}");
            }
        }
    }
}
