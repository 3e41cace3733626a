use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::{Action, Class, Conditions, Location, PolicyId, PolicyKind, RuleList};

/// A root of our own, removed at the end.
struct Root(PathBuf);

impl Root {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("gambeson-root-{}-{number}", std::process::id());
        let root = Self(std::env::temp_dir().join(name));
        fs::create_dir(&root.0).unwrap();
        root
    }

    fn dir(self, path: &str) -> Self {
        fs::create_dir_all(self.0.join(path)).unwrap();
        self
    }

    fn file(self, path: &str) -> Self {
        fs::write(self.0.join(path), "").unwrap();
        self
    }

    fn link(self, path: &str, target: &str) -> Self {
        symlink(target, self.0.join(path)).unwrap();
        self
    }

    /// A system with a merged `/usr`.
    fn merged() -> Self {
        Self::new()
            .dir("usr/bin")
            .dir("run/secrets")
            .dir("var")
            .dir("etc")
            .link("bin", "usr/bin")
            .link("var/run", "/run")
            .link("usr/bin/sh", "dash")
            .file("usr/bin/dash")
            .file("usr/bin/curl")
    }

    /// What becomes of one rule, and the warnings.
    fn resolve(&self, object: Object, sources: Vec<Source>) -> (Rule, Vec<Diagnostic>) {
        let mut rules = [Rule {
            policy: Arc::new(PolicyId {
                name: "p".into(),
                kind: PolicyKind::KubeArmorPolicy,
                namespace: Some("default".into()),
            }),
            class: Class::Process,
            list: RuleList::MatchPaths,
            index: 0,
            object,
            sources,
            action: Action::Block,
            conditions: Conditions::default(),
            severity: 0,
            tags: Arc::new([]),
            message: "".into(),
            location: Location {
                file: "p.yaml".into(),
                line: 3,
                column: 5,
            },
        }];
        let found = resolve_in_root(&mut rules, &self.0).unwrap();
        let [rule] = rules;
        (rule, found)
    }

    fn path(&self, path: &str) -> (Object, Vec<Diagnostic>) {
        let (rule, found) = self.resolve(Object::Path(path.into()), Vec::new());
        (rule.object, found)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn path(path: &str) -> Object {
    Object::Path(path.to_owned())
}

fn directory(path: &str) -> Directory {
    Directory {
        path: path.to_owned(),
        recursive: true,
    }
}

#[test]
fn linked_directories_are_followed() {
    let root = Root::merged();
    for (written, resolved) in [
        ("/bin/curl", "/usr/bin/curl"),
        ("/bin/missing", "/usr/bin/missing"),
        ("/var/run/secrets/token", "/run/secrets/token"),
        ("/var/run/missing/deep/token", "/run/missing/deep/token"),
        ("/usr/bin/curl", "/usr/bin/curl"),
        ("/missing/x", "/missing/x"),
        // Below a file there is nothing.
        ("/bin/curl/x", "/usr/bin/curl/x"),
        // No event carries such paths.
        ("/bin/../bin/curl", "/bin/../bin/curl"),
        ("//bin/curl", "//bin/curl"),
    ] {
        assert_eq!(
            root.path(written),
            (path(resolved), Vec::new()),
            "{written}"
        );
    }
}

#[test]
fn a_rule_on_a_link_matches_nothing_and_says_so() {
    let (object, found) = Root::merged().path("/bin/sh");
    assert_eq!(object, Object::Nothing("/bin/sh".into()));
    let [warning] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(warning.code.name(), "symlink-rule");
    assert_eq!(warning.field, "spec.process.matchPaths[0].path");
    assert_eq!(warning.location.line, 3);
    assert!(warning.message.starts_with("`/bin/sh` is a symbolic link"));
    assert_eq!(
        warning.help.as_deref(),
        Some("write the real file, `/usr/bin/dash`")
    );
}

#[test]
fn links_stay_in_the_root() {
    let root = Root::merged()
        .link("up", "../../../../../../etc")
        .link("etc/out", "/../../tmp")
        .link("dot", "./etc/./.");
    assert_eq!(root.path("/up/x").0, path("/etc/x"));
    assert_eq!(root.path("/etc/out/x").0, path("/tmp/x"));
    assert_eq!(root.path("/dot/x").0, path("/etc/x"));
    // What lies beside the root is never looked at.
    let outside = Root::new().dir("target").link("target/link", "elsewhere");
    let name = outside.0.file_name().unwrap().to_str().unwrap();
    let root = Root::new().link("out", &format!("../{name}/target"));
    let (object, found) = root.path("/out/link");
    assert_eq!(
        (object, found),
        (path(&format!("/{name}/target/link")), vec![])
    );
}

#[test]
fn what_cant_be_followed_is_kept() {
    let root = Root::new().link("a", "b").link("b", "a");
    let (object, found) = root.path("/a/x");
    assert_eq!(object, path("/a/x"));
    assert_eq!(found[0].code.name(), "unresolved-link");
    assert!(found[0].message.contains("more than 40 symbolic links"));

    let (object, found) = root.path("/a");
    assert_eq!(object, Object::Nothing("/a".into()));
    assert!(found[0].help.as_deref().unwrap().contains("leads nowhere"));

    let bytes = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff");
    symlink(bytes, root.0.join("odd")).unwrap();
    let (object, found) = root.path("/odd/x");
    assert_eq!(object, path("/odd/x"));
    assert!(found[0].message.contains("the link `/odd` is no UTF-8"));
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let mut root = Root::new().dir("d0");
    for number in 1..=41 {
        root = root.link(&format!("d{number}"), &format!("d{}", number - 1));
    }
    assert_eq!(root.path("/d40/x").0, path("/d0/x"));
    assert_eq!(root.path("/d41/x").0, path("/d41/x"));
}

#[test]
fn directories_sources_and_scopes() {
    let root = Root::merged();
    let (rule, found) = root.resolve(
        Object::Directory(directory("/var/run/")),
        vec![
            Source::Scope(PathScope::Path("/bin/curl".into())),
            Source::Scope(PathScope::Directory(directory("/bin/"))),
            Source::Scope(PathScope::Path("/bin/sh".into())),
        ],
    );
    assert_eq!(rule.object, Object::Directory(directory("/run/")));
    assert_eq!(
        rule.sources,
        [
            Source::Scope(PathScope::Path("/usr/bin/curl".into())),
            Source::Scope(PathScope::Directory(directory("/usr/bin/"))),
            Source::Nothing("/bin/sh".into()),
        ]
    );
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].field,
        "spec.process.matchPaths[0].fromSource[2].path"
    );

    let syscalls = |scope: PathScope| Object::Syscalls {
        names: vec!["unlink".into()],
        scope: Some(scope),
    };
    let resolve = |scope| root.resolve(syscalls(scope), Vec::new()).0.object;
    assert_eq!(
        resolve(PathScope::Directory(directory("/bin/"))),
        syscalls(PathScope::Directory(directory("/usr/bin/")))
    );
    assert_eq!(
        resolve(PathScope::Path("/bin/curl".into())),
        syscalls(PathScope::Path("/usr/bin/curl".into()))
    );
    assert_eq!(
        resolve(PathScope::Path("/bin/sh".into())),
        Object::Nothing("/bin/sh".into())
    );
    let slash = Object::Directory(directory("/"));
    assert_eq!(root.resolve(slash.clone(), Vec::new()).0.object, slash);
}

#[test]
fn patterns_move_with_their_directories() {
    let root = Root::merged();
    let resolve = |pattern: &str| {
        let object = Object::Pattern(Glob::parse(pattern).unwrap());
        let (rule, found) = root.resolve(object, Vec::new());
        let Object::Pattern(glob) = rule.object else {
            panic!("{:?}", rule.object)
        };
        let codes: Vec<_> = found.iter().map(|warning| warning.code.name()).collect();
        (glob.as_str().to_owned(), codes)
    };
    assert_eq!(resolve("/bin/c*"), ("/usr/bin/c*".into(), vec![]));
    assert_eq!(
        resolve("/{bin,etc}/*"),
        ("{/usr/bin/*,/etc/*}".into(), vec![])
    );
    assert_eq!(
        resolve("/bin/{sh,z*}"),
        ("/usr/bin/{sh,z*}".into(), vec!["symlink-rule"])
    );
    let root = Root::new().link("a", "b").link("b", "a");
    let glob = Object::Pattern(Glob::parse("/a/{x,y,z}").unwrap());
    let (rule, found) = root.resolve(glob.clone(), Vec::new());
    assert_eq!(rule.object, glob);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].field, "spec.process.matchPaths[0].pattern");
}

#[test]
fn a_root_that_is_none() {
    let root = Root::new().file("file");
    let error = resolve_in_root(&mut [], &root.0.join("file")).unwrap_err();
    assert!(error.to_string().ends_with("file` is no directory"));
    let error = resolve_in_root(&mut [], &root.0.join("missing")).unwrap_err();
    assert!(error.to_string().contains("missing` can't be read"));
}
