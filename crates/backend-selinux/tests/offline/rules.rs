//! What rules of each kind become.

use std::error::Error;

use gambeson_backend_selinux::{Access, LowerError, LowerLimits, LowerOptions, lower};
use gambeson_matcher::testing::Random;
use gambeson_matcher::{Compile, CompiledPolicy, Config};
use gambeson_policy_model::{
    Capability, Event, PolicySet, Selection, Socket, Verdict, Workload as Selected,
};

use crate::judge::{Node, Workload, worst};
use crate::tools::{Scratch, compile, present};

const TOOLS: [&str; 2] = ["secilc", "checkpolicy"];

fn selection(spec: &str) -> Result<Selection, Box<dyn Error>> {
    let policies = PolicySet::from_str(&format!(
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: p}}\nspec:\n{spec}"
    ))?;
    Ok(policies.select(&Selected::pod("default")))
}

fn compiled(spec: &str) -> Result<CompiledPolicy, Box<dyn Error>> {
    Ok(selection(spec)?.compile(&Config::default())?)
}

fn node(name: &str, spec: &str) -> Result<Option<Node>, Box<dyn Error>> {
    if !present(&TOOLS) {
        return Ok(None);
    }
    let scratch = Scratch::new(name);
    let workload = Workload::new(selection(spec)?)?;
    Node::new(vec![workload], &LowerOptions::default(), &[], &scratch).map(Some)
}

#[test]
fn new_files_get_the_label_of_their_path() -> Result<(), Box<dyn Error>> {
    if !present(&TOOLS) {
        return Ok(());
    }
    let scratch = Scratch::new("new-files");
    let (mut same, mut special) = (0, 0);
    for seed in 0..40 {
        let mut random = Random::new(seed);
        // Without patterns, which names of new files are not compared with.
        let rules = (0..12)
            .map(|index| {
                let class = gambeson_policy_model::Class::ALL[random.below(2)];
                random.rule(class, index)
            })
            .filter(|rule| {
                use gambeson_policy_model::Object;
                !matches!(rule.object, Object::Pattern(_) | Object::ExecName(_))
            })
            .collect();
        let workload = Workload::new(Selection::new(rules))?;
        let node = Node::new(vec![workload], &LowerOptions::default(), &[], &scratch)?;
        let domain = &node.module.domains()[0].name;
        for _ in 0..100 {
            let path = random.path();
            let (directory, name) = path.rsplit_once('/').ok_or("a path")?;
            let directory = if directory.is_empty() { "/" } else { directory };
            let of = |path: &str| node.contexts.of(path.as_bytes()).map(str::to_owned);
            let (inside, expected) = (of(directory).ok_or("a type")?, of(&path).ok_or("a type")?);
            for class in ["file", "dir", "lnk_file", "sock_file"] {
                let made = node.policy.transition(domain, &inside, class, name);
                assert_eq!(made.unwrap_or(&inside), expected, "seed {seed}: {path}");
            }
            same += 1;
            special += usize::from(inside != expected);
        }
    }
    assert!(same > 3000 && special > 300, "{same}, {special}");
    Ok(())
}

#[test]
fn nothing_is_moved_into_a_directory_that_nothing_may_be_written_in() -> Result<(), Box<dyn Error>>
{
    let spec = "  file:\n    matchDirectories: [{dir: /secret/, recursive: true}]\n    matchPaths: [{path: /etc/shadow}]\n";
    let Some(node) = node("moving", spec)? else {
        return Ok(());
    };
    let domain = &node.module.domains()[0].name;
    let adds = |path: &str| {
        let of = node.contexts.of(path.as_bytes()).unwrap();
        node.policy.allows(domain, of, "dir", &["add_name"])
    };
    assert!(!adds("/secret") && !adds("/secret/deep"));
    assert!(adds("/etc") && adds("/srv") && adds("/"));
    Ok(())
}

#[test]
fn renaming_a_directory_is_a_write_to_what_rules_name_below_it() -> Result<(), Box<dyn Error>> {
    let Some(node) = node("renaming", "  file: {matchPaths: [{path: /a/b/c}]}\n")? else {
        return Ok(());
    };
    let domain = &node.module.domains()[0].name;
    for (path, allowed) in [("/a", false), ("/a/b", false), ("/a/d", true), ("/d", true)] {
        let of = node.contexts.of(path.as_bytes()).unwrap();
        let renames = node
            .policy
            .allows(domain, of, "dir", &["rename", "reparent"]);
        assert_eq!(renames, allowed, "{path}");
        let verdict = node.module.verdict(domain, of, Access::Rename);
        assert_eq!(verdict == Some(Verdict::Allow), allowed, "{path}");
        let changes = node.policy.allows(domain, of, "dir", &["setattr", "rmdir"]);
        assert!(changes, "{path}");
    }
    Ok(())
}

#[test]
fn capabilities_and_sockets_are_the_evaluators() -> Result<(), Box<dyn Error>> {
    if !present(&TOOLS) {
        return Ok(());
    }
    let scratch = Scratch::new("self");
    let (mut pure, mut mixed, mut blocked) = (0, 0, 0);
    for seed in 0..30 {
        use gambeson_policy_model::Class;
        let mut random = Random::new(seed);
        let rules = (0..6).map(|index| {
            let class = [Class::Network, Class::Capabilities][random.below(2)];
            random.rule(class, index)
        });
        let workload = Workload::new(Selection::new(rules.collect()))?;
        let node = Node::new(vec![workload], &LowerOptions::default(), &[], &scratch)?;
        for domain in node.module.domains() {
            let evaluator = &node.workload(domain).evaluator;
            let by = |event: Event<'static>| worst(evaluator, &event.by(domain.program.as_slice()));
            let found = |class: &str, permission: &str| {
                let name = domain.name.as_str();
                let all = [permission];
                match (
                    node.policy.allows(name, name, class, &all),
                    node.policy.audits(name, name, class, &all),
                ) {
                    (false, _) => Verdict::Block,
                    (true, audited) => {
                        if audited {
                            Verdict::Audit
                        } else {
                            Verdict::Allow
                        }
                    }
                }
            };
            for capability in Capability::all() {
                let high = capability.number() >= 32;
                let expected = by(Event::capability(capability));
                for class in ["capability", "cap_userns"] {
                    let class = match (high, class) {
                        (true, "capability") => "capability2",
                        (true, _) => "cap2_userns",
                        (false, _) => class,
                    };
                    assert_eq!(
                        found(class, capability.name()),
                        expected,
                        "{capability} {class}"
                    );
                }
            }
            let inet = |kind, protocol| Socket::new(Socket::AF_INET, kind, protocol);
            for (class, sockets) in [
                ("tcp_socket", vec![inet(1, 0), inet(1, 6), inet(1, 262)]),
                ("udp_socket", vec![inet(2, 0), inet(2, 17)]),
                ("icmp_socket", vec![inet(2, 1), inet(2, 58)]),
                (
                    "rawip_socket",
                    vec![inet(3, 255), inet(3, 1), inet(3, 58), inet(3, 6)],
                ),
                ("packet_socket", vec![Socket::new(Socket::AF_PACKET, 3, 0)]),
                ("vsock_socket", vec![Socket::new(40, 1, 0)]),
            ] {
                let verdicts: Vec<Verdict> = sockets
                    .iter()
                    .map(|socket| by(Event::socket(*socket)))
                    .collect();
                let strictest = verdicts.iter().copied().max().ok_or("a socket")?;
                let alike = verdicts.iter().all(|verdict| *verdict == strictest);
                for permission in ["create", "connect", "bind", "listen", "accept"] {
                    let found = found(class, permission);
                    if alike && class != "rawip_socket" {
                        assert_eq!(found, strictest, "{class} {permission}, seed {seed}");
                    }
                    // Never looser than any of them.
                    assert!(found >= strictest, "{class} {permission}, seed {seed}");
                }
                pure += usize::from(alike);
                mixed += usize::from(!alike);
                blocked += usize::from(strictest == Verdict::Block);
            }
        }
    }
    assert!(
        pure > 100 && mixed > 10 && blocked > 30,
        "{pure}, {mixed}, {blocked}"
    );
    Ok(())
}

#[test]
fn the_compiler_refuses_a_module_that_allows_what_policies_deny() -> Result<(), Box<dyn Error>> {
    if !present(&TOOLS) {
        return Ok(());
    }
    let scratch = Scratch::new("neverallow");
    let compiled = compiled(
        "  file: {matchPaths: [{path: /etc/shadow}]}\n  capabilities: {matchCapabilities: [{capability: net_raw}]}\n  network: {matchProtocols: [{protocol: udp}]}\n  process: {matchPaths: [{path: /bin/sh}]}\n",
    )?;
    let module = lower(&[("web", &compiled)], &LowerOptions::default())?;
    compile(&scratch, &[module.cil()])?;
    let domain = &module.domains()[0].name;
    let of = |path: &[u8]| {
        let found = module.types().iter().find(|of| of.example == path);
        found.map(|of| of.name.as_str()).unwrap()
    };
    let shadow = of(b"/etc/shadow");
    let shell = of(b"/bin/sh");
    for slip in [
        format!("(allow {domain} {shadow} (file (open)))"),
        format!("(allow {domain} {shadow} (file (setattr)))"),
        format!("(allow {domain} gambeson_files (file (append)))"),
        format!("(allow {domain} {shell} (file (execute_no_trans)))"),
        format!("(allow {domain} self (capability (net_raw)))"),
        format!("(allow {domain} self (udp_socket (create)))"),
    ] {
        let text = format!("{}\n{slip}\n", module.cil());
        let refused = compile(&scratch, &[&text]).err().unwrap_or_default();
        assert!(
            refused.contains("neverallow check failed"),
            "{slip}: {refused}"
        );
    }
    assert!(!module.cil().contains("dontaudit"));
    Ok(())
}

#[test]
fn the_same_policies_give_the_same_module() -> Result<(), Box<dyn Error>> {
    let web = compiled("  file: {matchPatterns: [{pattern: '/etc/*.key'}]}\n")?;
    let db = compiled("  process: {matchPaths: [{execname: sh}]}\n")?;
    let both = [("web", &web), ("db", &db)];
    let options = LowerOptions::default();
    assert_eq!(lower(&both, &options)?, lower(&both, &options)?);
    let loaded = CompiledPolicy::from_bytes(&web.to_bytes())?;
    assert_eq!(
        lower(&[("web", &loaded)], &options)?,
        lower(&[("web", &web)], &options)?
    );
    Ok(())
}

#[test]
fn what_is_too_much_is_refused() -> Result<(), Box<dyn Error>> {
    let web = compiled("  file: {matchPaths: [{path: /a}, {path: /b, action: Audit}]}\n")?;
    let few = |limits| LowerOptions::default().limits(limits);
    let error =
        |result: Result<_, LowerError>| result.map(|_: gambeson_backend_selinux::Module| ());
    let limits = LowerLimits {
        types: 2,
        ..LowerLimits::default()
    };
    let refused = error(lower(&[("web", &web)], &few(limits)));
    assert_eq!(refused, Err(LowerError::TooManyTypes { limit: 2 }));
    let limits = LowerLimits {
        domains: 1,
        ..LowerLimits::default()
    };
    let refused = error(lower(&[("a", &web), ("b", &web)], &few(limits)));
    assert_eq!(
        refused,
        Err(LowerError::TooManyDomains { count: 2, limit: 1 })
    );
    let refused = error(lower(&[("a", &web), ("a", &web)], &LowerOptions::default()));
    assert!(
        matches!(refused, Err(LowerError::DuplicateWorkload { .. })),
        "{refused:?}"
    );
    let refused = error(lower(
        &[("a", &web)],
        &LowerOptions::default().prefix("a b"),
    ));
    assert!(
        matches!(refused, Err(LowerError::Prefix { .. })),
        "{refused:?}"
    );
    let mut spec = "  file:\n    matchPatterns:\n".to_owned();
    for letter in "abcdefghijklmnopqrst".chars() {
        spec += &format!("    - {{pattern: '/x/**{letter}**'}}\n");
    }
    let refused = error(lower(&[("a", &compiled(&spec)?)], &LowerOptions::default()));
    assert!(
        matches!(refused, Err(LowerError::TooManyStates { patterns: 20, .. })),
        "{refused:?}"
    );
    Ok(())
}

#[test]
fn ten_thousand_rules_are_lowered() -> Result<(), Box<dyn Error>> {
    let mut spec = "  file:\n    matchPaths:\n".to_owned();
    for number in 0..10_000 {
        let directory = number % 97;
        spec += &format!("    - {{path: /srv/app-{directory}/etc/file-{number}.conf}}\n");
    }
    let compiled = compiled(&spec)?;
    let started = std::time::Instant::now();
    let module = lower(&[("web", &compiled)], &LowerOptions::default())?;
    println!(
        "10,000 rules: {:?}, {} types, {} bytes of CIL, {} entries",
        started.elapsed(),
        module.types().len(),
        module.cil().len(),
        module.file_contexts().lines().count()
    );
    // Two for each directory, since each labels other names, one for each file system without labels, and a few.
    assert!(module.types().len() < 220, "{}", module.types().len());
    Ok(())
}

#[test]
fn different_workloads_share_a_node() -> Result<(), Box<dyn Error>> {
    if !present(&TOOLS) {
        return Ok(());
    }
    let mut all = Vec::new();
    for workload in 0..20 {
        let mut spec =
            "  file:\n    matchPatterns: [{pattern: '/**/*.key'}]\n    matchPaths:\n".to_owned();
        for rule in 0..10 {
            spec += &format!("    - {{path: /srv/w{workload}/file-{rule}}}\n");
        }
        spec += &format!(
            "  process: {{matchPaths: [{{path: /bin/sh, fromSource: [{{path: /bin/w{workload}}}]}}]}}\n"
        );
        all.push((format!("w{workload}"), compiled(&spec)?));
    }
    let pairs: Vec<(&str, &CompiledPolicy)> = all
        .iter()
        .map(|(name, compiled)| (name.as_str(), compiled))
        .collect();
    let started = std::time::Instant::now();
    let module = lower(&pairs, &LowerOptions::default())?;
    let took = started.elapsed();
    let scratch = Scratch::new("twenty");
    let started = std::time::Instant::now();
    let policy = compile(&scratch, &[module.cil()])?;
    println!(
        "20 workloads: {took:?}, compiled in {:?}: {} types, {} domains, {} bytes of policy",
        started.elapsed(),
        module.types().len(),
        module.domains().len(),
        std::fs::metadata(policy)?.len()
    );
    assert_eq!(module.domains().len(), 40);
    // Two of each workload's own, one for its program, and a few that all share.
    assert!(module.types().len() < 100, "{}", module.types().len());
    Ok(())
}
