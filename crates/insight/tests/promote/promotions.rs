//! What is promoted, what stays, and the way back.

use std::path::{Path, PathBuf};

use gambeson_insight::discover::Discoverer;
use gambeson_insight::promote::{
    FileEdit, Held, JournalError, Promoter, Promotion, apply, journal_path, undo,
};
use gambeson_matcher::testing::Random;
use gambeson_matcher::{Compile as _, Config};
use gambeson_policy_model::{Event, PolicySet, Reader, Verdict, Workload};

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn web() -> Workload {
    Workload::pod("shop").label("app", "web")
}

const POLICY: &str = "\
apiVersion: security.kubearmor.com/v1
kind: KubeArmorPolicy
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  action: Audit   # the first week
  process:
    matchPaths:
      # the shell
      - path: /bin/sh
      - path: /usr/bin/curl
  file:
    matchPaths:
      - path: /etc/passwd
        readOnly: true
      - path: /etc/hosts
        action: Allow
      - {path: /etc/hosts, readOnly: true}
  capabilities:
    matchCapabilities: [{capability: sys_admin}]
";

fn promote(policy: &Path, events: &str) -> Promotion {
    Promoter::read(Reader::new(), &[policy.to_owned()], web())
        .unwrap()
        .replay(events.as_bytes(), 1, |_| ())
        .unwrap()
}

fn edit<'p>(promotion: &'p Promotion, path: &Path) -> &'p FileEdit {
    promotion
        .edits
        .iter()
        .find(|edit| edit.path == path)
        .unwrap()
}

#[test]
fn what_stayed_quiet_becomes_a_denial_and_all_else_says_why_not() {
    let folder = folder("promote-rules");
    let path = file(&folder, "web.yaml", POLICY);
    let events = r#"{"op":"exec","path":"/usr/bin/curl","source":"/bin/web"}
{"op":"exec","path":"/bin/ls","source":"/bin/web"}
{"op":"read","path":"/etc/hosts","source":"/bin/web"}
nonsense
"#;
    let promotion = promote(&path, events);
    let told: Vec<(String, Option<Held>)> = promotion
        .rules
        .iter()
        .map(|rule| {
            let field = rule.rule.split(' ').nth(1).unwrap();
            (field.to_owned(), rule.held.clone())
        })
        .collect();
    let [shell, curl, passwd, hosts, capability] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(shell, &("process.matchPaths[0]".to_owned(), None));
    assert!(
        matches!(
            &curl.1,
            Some(Held::Reported {
                count: 1,
                line: 1,
                ..
            })
        ),
        "{curl:?}"
    );
    // Without an Allow beside it, it would grant reading as a Block.
    assert_eq!(passwd.1, Some(Held::WouldGrant));
    assert_eq!(hosts, &("file.matchPaths[2]".to_owned(), None));
    assert_eq!(capability.1, Some(Held::NotReplayed));
    assert_eq!((promotion.events, promotion.unusable), (3, 1));
    assert_eq!(
        edit(&promotion, &path).after,
        POLICY
            .replace(
                "      - path: /bin/sh",
                "      - action: Block\n        path: /bin/sh"
            )
            .replace("{path: /etc/hosts, ", "{action: Block, path: /etc/hosts, ")
    );
    let text = promotion.to_text();
    assert!(
        text.contains("process.matchPaths[1] of web: 1 event was reported\n    line 1: {"),
        "{text}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), POLICY);
}

#[test]
fn a_posture_in_which_nothing_else_came_up_becomes_block() {
    let folder = folder("promote-posture");
    let path = file(
        &folder,
        "web.yaml",
        &POLICY.replace("action: Audit   # the first week", "action: Allow"),
    );
    let workload = r#"{ "kind": "pod", "namespace": "shop", "labels": {"app": "web"} }"#;
    let of = file(&folder, "web.json", workload);
    let replay = |events: &str| {
        Promoter::read(Reader::new(), std::slice::from_ref(&path), web())
            .unwrap()
            .workload_file(&of)
            .unwrap()
            .replay(events.as_bytes(), 1, |_| ())
            .unwrap()
    };
    let quiet = r#"{"op":"exec","path":"/bin/sh"}
{"op":"read","path":"/etc/hosts"}
"#;
    let promotion = replay(quiet);
    assert_eq!(
        edit(&promotion, &of).after,
        r#"{ "posture": { "file": "block" }, "kind": "pod", "namespace": "shop", "labels": {"app": "web"} }"#
    );
    let capabilities = promotion
        .postures
        .iter()
        .find(|posture| posture.class == "capabilities");
    assert_eq!(capabilities.unwrap().held, Some(Held::NotReplayed));
    // One class of the posture's two isn't enough.
    assert!(
        replay("{\"op\":\"exec\",\"path\":\"/bin/sh\"}\n")
            .edits
            .is_empty()
    );
    let promotion = replay(&format!(
        "{quiet}{{\"op\":\"exec\",\"path\":\"/bin/ls\"}}\n"
    ));
    assert!(promotion.edits.is_empty());
    assert!(
        promotion
            .to_text()
            .contains("1 event was reported\n    line 3: ")
    );
    // Of another pod, only the way to do it can be said.
    let other = r#"{"NamespaceName":"shop","Labels":"app=web,x=y","ContainerID":"1","Operation":"Process","Resource":"/bin/sh"}
{"NamespaceName":"shop","Labels":"app=web,x=y","ContainerID":"1","Operation":"File","Resource":"/etc/hosts"}
"#;
    let promotion = replay(other);
    assert!(promotion.edits.is_empty());
    assert!(
        promotion
            .to_text()
            .contains("kubectl annotate --overwrite namespace shop kubearmor-file-posture=block"),
        "{}",
        promotion.to_text()
    );
}

/// Replayed events come to the same verdicts after a promotion, and the files to the same bytes
/// after going back.
#[test]
fn a_promotion_changes_no_verdict_of_what_was_replayed() {
    let mut promoted = 0;
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let event = |random: &mut Random| {
            let path = random.path();
            let program = random.program();
            match random.below(6) {
                0 => Event::exec(path).by(program),
                1 => Event::write(path).by(program),
                _ => Event::read(path).by(program),
            }
        };
        let lines = |events: &[Event<'_>]| -> String {
            events.iter().map(|event| event.to_json() + "\n").collect()
        };
        let seen: Vec<_> = (0..60).map(|_| event(&mut random)).collect();
        let mut replayed: Vec<_> = (0..random.below(6)).map(|_| event(&mut random)).collect();
        replayed.extend_from_slice(&seen);
        let draft = Discoverer::new(&web())
            .audit(true)
            .discover(lines(&seen).as_bytes(), 1, |_| ())
            .unwrap()
            .to_yaml();
        let folder = folder(&format!("promote-law-{seed}"));
        let path = file(&folder, "draft.yaml", &draft);
        let of = file(
            &folder,
            "web.json",
            r#"{"kind":"pod","namespace":"shop","labels":{"app":"web"}}"#,
        );
        let promotion = Promoter::read(Reader::new(), std::slice::from_ref(&path), web())
            .unwrap()
            .workload_file(&of)
            .unwrap()
            .replay(lines(&replayed).as_bytes(), 1, |_| ())
            .unwrap();
        let verdicts = || -> Vec<Verdict> {
            let workload = Workload::from_json(&std::fs::read_to_string(&of).unwrap()).unwrap();
            let policies = PolicySet::from_path(&path).unwrap();
            let compiled = policies
                .select(&workload)
                .compile(&Config::default())
                .unwrap();
            replayed
                .iter()
                .map(|event| compiled.decide(event).verdict)
                .collect()
        };
        let before = verdicts();
        promoted += promotion
            .rules
            .iter()
            .filter(|rule| rule.held.is_none())
            .count();
        let journal = journal_path(&path);
        apply(&promotion.edits, &journal).unwrap();
        assert_eq!(verdicts(), before, "seed {seed}");
        if !promotion.edits.is_empty() {
            undo(&journal).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), draft);
        assert!(!journal.exists());
    }
    assert!(promoted > 100, "{promoted}");
}

#[test]
fn promotions_are_taken_back_one_by_one_unless_files_changed() {
    let folder = folder("promote-journal");
    let (a, b) = (file(&folder, "a", "a0\r\n"), file(&folder, "b", "b0"));
    let text = |path: &Path| std::fs::read_to_string(path).unwrap();
    let journal = folder.join("journal");
    apply(
        &[
            FileEdit::new(&a, "a0\r\n", "a1"),
            FileEdit::new(&b, "b0", "b1"),
        ],
        &journal,
    )
    .unwrap();
    apply(&[FileEdit::new(&a, "a1", "a2")], &journal).unwrap();
    assert_eq!((text(&a), text(&b)), ("a2".to_owned(), "b1".to_owned()));
    // A file that isn't what it was read as: none is written.
    let late = apply(
        &[FileEdit::new(&b, "b1", "b2"), FileEdit::new(&a, "a1", "a3")],
        &journal,
    );
    assert!(
        matches!(late, Err(JournalError::Changed { .. })),
        "{late:?}"
    );
    assert_eq!((text(&a), text(&b)), ("a2".to_owned(), "b1".to_owned()));
    undo(&journal).unwrap();
    assert_eq!(text(&a), "a1");
    std::fs::write(&b, "mine").unwrap();
    let changed = undo(&journal);
    assert!(
        matches!(changed, Err(JournalError::Changed { .. })),
        "{changed:?}"
    );
    assert_eq!((text(&a), text(&b)), ("a1".to_owned(), "mine".to_owned()));
    // As after a fall in between: one file is what it was, the other isn't yet.
    std::fs::write(&b, "b0").unwrap();
    undo(&journal).unwrap();
    assert_eq!((text(&a), text(&b)), ("a0\r\n".to_owned(), "b0".to_owned()));
    assert!(matches!(undo(&journal), Err(JournalError::Nothing { .. })));
    std::fs::write(&journal, "{}").unwrap();
    assert!(matches!(undo(&journal), Err(JournalError::Damaged { .. })));
    // Nothing else is left behind.
    let mut left: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["a", "b", "journal"]);
}

#[test]
fn where_one_file_cannot_be_written_the_others_stay() {
    let folder = folder("promote-atomic");
    let a = file(&folder, "a", "a0");
    let gone = folder.join("gone");
    let journal = folder.join("no/such/folder/journal");
    for (edits, journal) in [
        (
            vec![
                FileEdit::new(&a, "a0", "a1"),
                FileEdit::new(&gone, "x", "y"),
            ],
            folder.join("journal"),
        ),
        (vec![FileEdit::new(&a, "a0", "a1")], journal),
    ] {
        let failed = apply(&edits, &journal);
        assert!(matches!(failed, Err(JournalError::Io { .. })), "{failed:?}");
        assert_eq!(std::fs::read_to_string(&a).unwrap(), "a0");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    }
}
