//! `gambeson lower`.

use crate::common::{file, folder, run};

const WEB: [&str; 6] = [
    "--policies",
    "examples/policies/web-block-shells.yaml",
    "--namespace",
    "production",
    "--label",
    "app=web",
];

fn lower(more: &[&str]) -> crate::common::Ended {
    let args = ["lower", "--backend", "apparmor"];
    run(&[&args, more].concat())
}

#[test]
fn the_profile_names_each_rule_s_place() {
    let ended = lower(
        &[
            &WEB[..],
            &[
                "--features",
                "6.1",
                "--name",
                "web",
                "--require",
                "best-effort",
            ],
        ]
        .concat(),
    );
    assert_eq!(ended.status, 0, "{}", ended.err);
    assert!(ended.out.contains("\nprofile web"), "{}", ended.out);
    assert!(
        ended
            .out
            .contains("examples/policies/web-block-shells.yaml:20"),
        "{}",
        ended.out
    );
    let again = lower(
        &[
            &WEB[..],
            &[
                "--features",
                "6.1",
                "--name",
                "web",
                "--require",
                "best-effort",
            ],
        ]
        .concat(),
    );
    assert_eq!(again.out, ended.out);
}

#[test]
fn what_would_be_looser_is_refused_unless_that_is_asked_for() {
    let folder = folder("lower-gaps");
    let policy = file(
        &folder,
        "dns.yaml",
        "apiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {name: names}\n\
         spec:\n  network: {matchDNSQueries: [{domain: example.com}]}\n",
    );
    let args = [
        "--policies",
        &policy,
        "--namespace",
        "default",
        "--features",
        "6.12",
    ];
    let refused = lower(&args);
    assert_eq!((refused.status, refused.out.as_str()), (1, ""));
    assert!(
        refused.err.contains("network.matchDNSQueries[0] of names"),
        "{}",
        refused.err
    );
    assert!(refused.err.contains("unenforced"), "{}", refused.err);
    assert!(
        refused
            .err
            .contains("error: the policies can't be carried out as required (strict)"),
        "{}",
        refused.err
    );
    let taken = lower(&[&args[..], &["--require", "best-effort"]].concat());
    assert_eq!(taken.status, 0);
    assert!(taken.out.contains("profile gambeson"), "{}", taken.out);
    assert!(taken.err.contains("unenforced"), "{}", taken.err);
}

#[test]
fn features_are_those_of_a_kernel_or_a_copy_of_them() {
    let folder = folder("lower-features");
    let flat = file(
        &folder,
        "flat",
        "file {mask {create read write exec append mmap_exec link lock\n}\n}\n",
    );
    let ended = lower(&[&WEB[..], &["--features", &flat, "--require", "best-effort"]].concat());
    // That kernel can't change profiles.
    assert!(ended.err.contains("unenforced"), "{}", ended.err);
    let garbage = file(&folder, "garbage", "}");
    let refused = lower(&[&WEB[..], &["--features", &garbage]].concat());
    assert_eq!(refused.status, 1);
    assert!(
        refused
            .err
            .contains("the features of AppArmor can't be read: line 1"),
        "{}",
        refused.err
    );
    let missing = lower(&[&WEB[..], &["--features", "/does/not/exist"]].concat());
    assert_eq!(missing.status, 1);
    assert!(
        missing.err.contains("`/does/not/exist` can't be read"),
        "{}",
        missing.err
    );
}

#[test]
fn a_name_that_the_kernel_would_misread_is_wrong_usage() {
    let ended = lower(&[&WEB[..], &["--name", "a//b"]].concat());
    assert_eq!(ended.status, 2);
    assert!(ended.err.contains("can't name a profile"), "{}", ended.err);
}

#[test]
fn a_module_is_printed_and_its_contexts_are_written() {
    let folder = folder("lower-selinux");
    let contexts = folder.join("contexts");
    let contexts = contexts.to_str().unwrap();
    let args = [
        &["lower", "--backend", "selinux", "--file-contexts", contexts][..],
        &WEB,
        &["--require", "best-effort"],
    ];
    let ended = run(&args.concat());
    assert_eq!(ended.status, 0, "{}", ended.err);
    assert!(ended.out.contains("(neverallow "), "{}", ended.out);
    assert!(ended.out.contains("(handleunknown allow)"), "{}", ended.out);
    let text = std::fs::read_to_string(contexts).unwrap();
    assert!(text.contains("system_u:object_r:gambeson_"), "{text}");
    let on_top = run(&[&args.concat()[..], &["--on-top"]].concat());
    assert_eq!(on_top.status, 0, "{}", on_top.err);
    assert!(on_top.out.contains("(filecon "), "{}", on_top.out);
}

#[test]
fn a_module_that_would_be_looser_is_refused() {
    let args = [&["lower", "--backend", "selinux"][..], &WEB].concat();
    let refused = run(&args);
    assert_eq!((refused.status, refused.out.as_str()), (1, ""));
    assert!(refused.err.contains("looser"), "{}", refused.err);
    assert!(
        refused
            .err
            .contains("can't be carried out as required (strict)"),
        "{}",
        refused.err
    );
}
