//! Profiles of policies as people write them.

use std::error::Error;

use gambeson_backend_apparmor::testing::{Blob, Exec, FilePerms, parser};
use gambeson_backend_apparmor::{
    Features, LowerError, Mounts, Native, Options, Profile, Support, lower,
};
use gambeson_matcher::backend::{Outcome, Require};
use gambeson_matcher::{Compile, CompiledPolicy, Config};
use gambeson_policy_model::{PolicySet, Workload};

type Outcomes = Result<(), Box<dyn Error>>;

fn compiled(spec: &str) -> Result<CompiledPolicy, Box<dyn Error>> {
    compiled_under(spec, "file=block,network=block,capabilities=block")
}

fn compiled_under(spec: &str, postures: &str) -> Result<CompiledPolicy, Box<dyn Error>> {
    let text = format!(
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: web}}\n\
         spec:\n{spec}"
    );
    let config = Config::default().posture(postures.parse()?);
    Ok(PolicySet::from_str(&text)?
        .select(&Workload::pod("default"))
        .compile(&config)?)
}

fn profile(spec: &str) -> Result<Profile, Box<dyn Error>> {
    let support = Support::new(Features::linux_6_1());
    Ok(lower(&support, &compiled(spec)?, &Options::default())?)
}

/// The profile as a kernel would see it; every profile here must load for both kernels.
fn loaded(profile: &Profile) -> Result<Blob, Box<dyn Error>> {
    for features in [Features::linux_6_12(), Features::linux_6_1()] {
        parser::load(profile.text(), &features)?;
    }
    Ok(parser::load(profile.text(), &Features::linux_6_1())?)
}

fn may(blob: &Blob, bit: u32, path: &str) -> bool {
    blob.profiles
        .first()
        .is_some_and(|profile| profile.file(path.as_bytes(), false).allow & bit != 0)
}

#[test]
fn a_workload_without_rules_loses_nothing() -> Outcomes {
    let profile = profile("  severity: 1\n")?;
    assert!(profile.report().check(Require::Exact).is_ok());
    if !parser::is_there("a_workload_without_rules_loses_nothing") {
        return Ok(());
    }
    let blob = loaded(&profile)?;
    let own = &blob.profiles[0];
    for path in ["/", "/etc/", "/etc/passwd", "/memfd:x", "/a\u{ff}/b c"] {
        for owner in [true, false] {
            let perms = own.file(path.as_bytes(), owner);
            let all = FilePerms::READ | FilePerms::WRITE | FilePerms::LOCK | FilePerms::MAP;
            assert_eq!(perms.allow & all, all, "{path}");
            assert_eq!(own.exec(path.as_bytes(), owner), Exec::Same, "{path}");
            assert_eq!(perms.audit, 0, "{path}");
        }
    }
    assert_eq!(own.link(b"/a", b"/b", false), (true, false));
    assert_eq!(own.capabilities & 0x1ff_ffff_ffff, 0x1ff_ffff_ffff);
    for family in 1..45 {
        assert_eq!(own.socket(family, 1), (true, false), "family {family}");
    }
    // Namespaces of users, io_uring and message queues are not the model's, and stay alone.
    for class in [17, 18, 19, 20, 21, 22, 23, 24, 31, 32] {
        assert!(!own.mediates(class), "class {class}");
    }
    Ok(())
}

#[test]
fn a_more_specific_rule_reopens_a_directory() -> Outcomes {
    let compiled = compiled_under(
        "  file:\n    matchDirectories: [{dir: /etc/, recursive: true, action: Block}]\n    \
         matchPaths: [{path: /etc/ssl/cert.pem, action: Allow}]\n",
        "file=allow",
    )?;
    let support = Support::new(Features::linux_6_1());
    let profile = lower(&support, &compiled, &Options::default())?;
    let text = profile.text();
    assert!(text.contains("file.matchPaths[0] of web"), "{text}");
    if !parser::is_there("a_more_specific_rule_reopens_a_directory") {
        return Ok(());
    }
    let blob = loaded(&profile)?;
    assert!(may(&blob, FilePerms::READ, "/etc/ssl/cert.pem"));
    for path in [
        "/etc/",
        "/etc/ssl/",
        "/etc/ssl/cert.pe",
        "/etc/ssl/cert.pem2",
    ] {
        assert!(!may(&blob, FilePerms::READ, path), "{path}");
    }
    Ok(())
}

/// Texts that as they stand in a rule of a profile cost the whole profile.
#[test]
fn texts_that_mean_something_to_the_parser_cost_no_profile() -> Outcomes {
    let specs = [
        "  process: {matchPaths: [{path: /opt/my app/run me}, {path: '/bin/a\"b'}]}\n",
        "  process: {matchPaths: [{path: '/bin/{sh'}, {path: '/bin/[x'}, {path: '/bin/@{PROC}'}]}\n",
        "  file: {matchPaths: [{path: '/etc/a,b'}, {path: '/etc/#x'}, {path: '/etc/^x$'}]}\n",
        "  file: {matchPaths: [{path: '/etc/*'}, {path: '/etc/a\\b'}, {path: /etc/über}]}\n",
        "  network: {matchProtocols: [{protocol: all}, {protocol: sctp}, {protocol: dccp}]}\n",
        "  network: {action: Allow, matchProtocols: [{protocol: icmpv6}, {protocol: packet}]}\n",
        "  capabilities: {matchCapabilities: [{capability: net_raw}]}\n",
        "  process: {matchPaths: [{path: /bin/sh, fromSource: [{path: /bin/bash}]}, \
         {path: /bin/bash, action: Allow}, {path: /bin/sh}]}\n",
        "  process: {matchPatterns: [{pattern: '/**/sh'}, {pattern: '/{usr/,}bin/*sh'}], \
         matchPaths: [{path: /usr/bin/bash, fromSource: [{path: /usr/bin/zsh}], action: Allow}]}\n",
        "  file: {matchPatterns: [{pattern: '/[^/]'}, {pattern: '/a[!-~]'}, {pattern: '/x[]'}]}\n",
    ];
    if !parser::is_there("texts_that_mean_something_to_the_parser_cost_no_profile") {
        return Ok(());
    }
    for spec in specs {
        // What is no pattern is refused when it is read, with its line.
        let Ok(profile) = profile(spec) else {
            assert!(spec.contains("[]"), "{spec}");
            continue;
        };
        loaded(&profile)?;
    }
    let named = profile("  file: {matchPaths: [{path: '/etc/*'}, {path: /my file}]}\n")?;
    let blob = loaded(&named)?;
    assert!(!may(&blob, FilePerms::READ, "/etc/*") && may(&blob, FilePerms::READ, "/etc/x"));
    assert!(!may(&blob, FilePerms::READ, "/my file") && may(&blob, FilePerms::READ, "/my"));
    Ok(())
}

#[test]
fn names_of_policies_and_files_are_no_rules() -> Outcomes {
    let text = "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\n\
                metadata: {name: web}\nspec:\n  file: {matchPaths: [{path: /etc/shadow}]}\n";
    let name = "a\n  file,\n#include <evil>\n.yaml";
    let reader = gambeson_policy_model::Reader::new();
    let read = reader.read_str(name, text);
    let policies: Vec<_> = read
        .documents()
        .iter()
        .filter_map(|document| document.policy.clone())
        .collect();
    let compiled = PolicySet::new(policies)
        .select(&Workload::pod("default"))
        .compile(&Config::default())?;
    let support = Support::new(Features::linux_6_1());
    let profile = lower(&support, &compiled, &Options::default())?;
    assert!(profile.text().lines().all(|line| line.trim() != "file,"));
    assert!(!profile.text().contains("\n#include"));
    Ok(())
}

#[test]
fn programs_of_one_name_have_profiles_of_their_own() -> Outcomes {
    let profile = profile(
        "  file:\n    matchPaths:\n    - {path: /etc/a, fromSource: [{path: /bin/bash}]}\n    \
         - {path: /etc/b, fromSource: [{path: /bin-bash}]}\n    \
         - {path: /etc/c, fromSource: [{path: /usr/bin/bash}, {path: /usr/bin/dash}]}\n",
    )?;
    let names: Vec<&str> = profile
        .sections()
        .iter()
        .map(|section| section.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "gambeson",
            "gambeson//bin_bash-1",
            "gambeson//bash-2",
            "gambeson//bash-3"
        ]
    );
    if !parser::is_there("programs_of_one_name_have_profiles_of_their_own") {
        return Ok(());
    }
    let blob = loaded(&profile)?;
    for own in &blob.profiles {
        for (program, name) in [
            ("/bin/bash", "gambeson//bash-2"),
            ("/bin-bash", "gambeson//bin_bash-1"),
            ("/usr/bin/dash", "gambeson//bash-3"),
            ("/usr/bin/ls", "gambeson"),
        ] {
            let expected = if own.name == name {
                Exec::Same
            } else {
                Exec::To(name)
            };
            assert_eq!(
                own.exec(program.as_bytes(), false),
                expected,
                "from {}",
                own.name
            );
        }
    }
    Ok(())
}

#[test]
fn too_many_sources_are_an_error_that_says_how_many() -> Outcomes {
    let rules: String = (0..13)
        .map(|number| {
            format!("    - {{path: /etc/{number}, fromSource: [{{path: /bin/{number}}}]}}\n")
        })
        .collect();
    let compiled = compiled(&format!("  file:\n    matchPaths:\n{rules}"))?;
    let support = Support::new(Features::linux_6_1());
    assert_eq!(
        lower(&support, &compiled, &Options::default()).unwrap_err(),
        LowerError::TooManySources {
            count: 14,
            limit: 12
        }
    );
    let report =
        gambeson_backend_apparmor::enforceability(&support, &compiled, &Options::default());
    assert_eq!(report.worst(), Some(Outcome::Unenforced));
    Ok(())
}

#[test]
fn a_kernel_that_mediates_less_is_told_of() -> Outcomes {
    let compiled = compiled(
        "  network: {matchProtocols: [{protocol: raw}]}\n  \
         capabilities: {matchCapabilities: [{capability: sys_admin}]}\n",
    )?;
    let features = Features::linux_6_1().without("network_v8").without("caps");
    let profile = lower(
        &Support::new(features.clone()),
        &compiled,
        &Options::default(),
    )?;
    let unenforced = profile
        .report()
        .gaps()
        .iter()
        .filter(|gap| gap.outcome == Outcome::Unenforced)
        .count();
    assert_eq!(unenforced, 2, "{}", profile.report());
    assert!(profile.report().check(Require::Strict).is_err());
    if parser::is_there("a_kernel_that_mediates_less_is_told_of") {
        parser::load(profile.text(), &features)?;
    }
    Ok(())
}

#[test]
fn mounting_is_denied_where_files_are_unless_the_embedder_allows_it() -> Outcomes {
    let compiled = compiled("  file: {matchPaths: [{path: /etc/shadow}]}\n")?;
    let support = Support::new(Features::linux_6_12());
    let mounts = |options: &Options| -> Result<bool, LowerError> {
        let profile = lower(&support, &compiled, options)?;
        Ok(profile.text().lines().any(|line| line.trim() == "mount,"))
    };
    assert!(!mounts(&Options::default())?);
    assert!(mounts(&Options::default().mounts(Mounts::Allow))?);
    Ok(())
}

#[test]
fn native_rules_are_merged_as_far_as_they_are_sound() -> Outcomes {
    let spec = "  file: {matchPaths: [{path: /etc/shadow}]}\n  apparmor: |\n    \
                deny /srv/secret{,/**} rw, # ours\n    # a comment\n    /var/log/*.log rw,\n    \
                /bin/ls ix,\n    change_profile -> unconfined,\n    #include <abstractions/base>\n    \
                deny /broken/[ r,\n    deny network inet raw,\n    audit deny capability sys_time,\n    } profile evil {\n    file,\n";
    let compiled = compiled(spec)?;
    let support = Support::new(Features::linux_6_1());
    let profile = lower(&support, &compiled, &Options::default())?;
    let text = profile.text();
    assert!(text.contains("\n  deny /srv/secret{,/**} rw,\n"), "{text}");
    assert!(
        text.contains("\n  /var/log/*.log rw,\n") && text.contains("\n  deny network inet raw,\n")
    );
    for left_out in ["change_profile", "include", "evil", "broken", "/bin/ls"] {
        assert!(!text.contains(left_out), "{left_out}: {text}");
    }
    let of = |outcome: Outcome, part: &str| {
        let mut gaps = profile.report().gaps().iter();
        gaps.any(|gap| gap.outcome == outcome && gap.what.contains(part))
    };
    assert!(of(Outcome::Looser, "/var/log/*.log") && !of(Outcome::Looser, "secret"));
    for left_out in ["change_profile", "include", "broken", "/bin/ls"] {
        assert!(
            of(Outcome::Unenforced, left_out),
            "{left_out}\n{}",
            profile.report()
        );
    }
    let without = lower(
        &support,
        &compiled,
        &Options::default().native(Native::LeaveOut),
    )?;
    assert!(!without.text().contains("secret"));
    if parser::is_there("native_rules_are_merged_as_far_as_they_are_sound") {
        let blob = loaded(&profile)?;
        assert!(!may(&blob, FilePerms::READ, "/srv/secret/x"));
    }
    Ok(())
}

#[test]
fn what_can_not_be_seen_is_taken_for_the_stricter() -> Outcomes {
    let profile = profile(
        "  process:\n    matchPaths:\n    - {path: /bin/python3, allowedArgs: [-m, random]}\n",
    )?;
    let gap = profile
        .report()
        .gaps()
        .iter()
        .find(|gap| gap.what.contains("allowedArgs"))
        .ok_or("no gap")?;
    assert_eq!(gap.outcome, Outcome::Stricter);
    if parser::is_there("what_can_not_be_seen_is_taken_for_the_stricter") {
        let blob = loaded(&profile)?;
        assert!(!may(&blob, FilePerms::EXEC, "/bin/python3"));
        // Conditions on arguments hold where there are none to be had.
        assert!(may(&blob, FilePerms::MAP, "/bin/python3"));
    }
    Ok(())
}

#[test]
fn the_same_policy_gives_the_same_text() -> Outcomes {
    let spec = "  file:\n    matchPatterns: [{pattern: '/etc/*.key'}, {pattern: '/**/id_*'}]\n    \
                matchDirectories: [{dir: /srv/, recursive: true, fromSource: [{path: /opt/x}]}]\n";
    assert_eq!(profile(spec)?, profile(spec)?);
    Ok(())
}

#[test]
fn a_path_that_the_parser_can_not_read_is_a_gap_and_loses_no_other_rule() -> Outcomes {
    let long = format!("/{}", "é".repeat(2_010));
    let spec = format!("  file: {{matchPaths: [{{path: \"{long}\"}}, {{path: /etc/shadow}}]}}\n");
    let profile = profile(&spec)?;
    let gaps = profile.report().gaps();
    let unread: Vec<_> = gaps
        .iter()
        .filter(|gap| gap.what.contains("escaped"))
        .collect();
    assert!(
        !unread.is_empty() && unread.iter().all(|gap| gap.outcome == Outcome::Unenforced),
        "{gaps:?}"
    );
    assert!(profile.report().check(Require::Strict).is_err());
    if !parser::is_there("a_path_that_the_parser_can_not_read_is_a_gap_and_loses_no_other_rule") {
        return Ok(());
    }
    let blob = loaded(&profile)?;
    assert!(!may(&blob, FilePerms::READ, "/etc/shadow"));
    assert!(may(&blob, FilePerms::READ, "/etc/passwd"));
    Ok(())
}
