//! The policies of `examples/policies` do what their comments promise, by the compiled tables and
//! by the reference evaluator.

use gambeson::matcher::reference::Evaluator;
use gambeson::policy_model::{Capability, Device, DeviceClass, Event, Socket, Verdict, Workload};
use gambeson::prelude::*;

const NGINX: &str = "/usr/sbin/nginx";
const NODE: &str = "/usr/local/bin/node";
const SECRETS: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// What is expected: the verdict, and what decides.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    /// A rule, by policy and field path.
    Rule(Verdict, String),
    Posture(Verdict),
    /// Allowed, since nothing speaks of it.
    Nothing,
}

fn rule(verdict: Verdict, rule: &str) -> Expected {
    Expected::Rule(verdict, rule.to_owned())
}

/// The policies of the files, or all of them.
fn policies(files: &[&str]) -> PolicySet {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/policies");
    if files.is_empty() {
        return PolicySet::from_path(folder).unwrap();
    }
    let reader = Reader::new();
    let mut reading = gambeson::policy_model::Reading::default();
    for file in files {
        reading.extend(reader.read_path(format!("{folder}/{file}")).unwrap());
    }
    reading.into_set().unwrap()
}

fn strict_pod(app: &str) -> Workload {
    Workload::pod("production").label("app", app).posture(
        "file=block,network=block,capabilities=block"
            .parse()
            .unwrap(),
    )
}

/// Judges every event by both engines and compares with what is expected.
#[track_caller]
fn judge(files: &[&str], workload: &Workload, table: Vec<(Event<'_>, Expected)>) {
    let selection = policies(files).select(workload);
    let config = Config::default();
    let compiled = selection.compile(&config).unwrap();
    let reference = Evaluator::new(&selection, &config).unwrap();
    for (event, expected) in table {
        let decision = compiled.decide(&event);
        let given = match decision.cause {
            Cause::Rule(id) => {
                let info = compiled.rule(id).unwrap();
                Expected::Rule(
                    decision.verdict,
                    format!("{} {}", info.policy, info.field_path()),
                )
            }
            Cause::Posture => Expected::Posture(decision.verdict),
            Cause::None => Expected::Nothing,
        };
        assert_eq!(given, expected, "{event:?}");
        assert_eq!(reference.decide(&event), decision, "{event:?}");
    }
}

fn tcp() -> Socket {
    Socket::new(Socket::AF_INET, Socket::SOCK_STREAM, 6)
}

fn raw() -> Socket {
    Socket::new(Socket::AF_INET, Socket::SOCK_RAW, 1)
}

#[test]
fn a_web_server_starts_no_shell_and_is_free_in_all_else() {
    let by = |index| {
        rule(
            Verdict::Block,
            &format!("web-block-shells process.matchPaths[{index}]"),
        )
    };
    judge(
        &["web-block-shells.yaml"],
        &Workload::pod("production").label("app", "web"),
        vec![
            (Event::exec("/bin/sh").by(NGINX), by(0)),
            (Event::exec("/bin/bash").by(NGINX).tty(true), by(1)),
            (Event::exec("/usr/bin/sh").by(NGINX), by(2)),
            (Event::exec("/usr/bin/bash").by("/usr/bin/runc"), by(3)),
            (Event::exec("/bin/zsh").by(NGINX), Expected::Nothing),
            (Event::exec("/opt/bin/sh").by(NGINX), Expected::Nothing),
            // No Allow rule, no allow-list: it blocks what it names and nothing else.
            (Event::exec(NGINX).by("/usr/bin/runc"), Expected::Nothing),
            (Event::read("/bin/sh").by(NGINX), Expected::Nothing),
            (
                Event::write("/etc/nginx/nginx.conf").by(NGINX),
                Expected::Nothing,
            ),
            (Event::socket(raw()).by(NGINX), Expected::Nothing),
        ],
    );
}

#[test]
fn a_selector_that_misses_selects_nothing() {
    for other in [
        Workload::pod("production").label("app", "Web"),
        Workload::pod("production").label("tier", "web"),
        Workload::pod("production"),
        Workload::pod("staging").label("app", "web"),
        Workload::host().label("app", "web"),
    ] {
        judge(
            &["web-block-shells.yaml"],
            &other,
            vec![(Event::exec("/bin/sh").by(NGINX), Expected::Nothing)],
        );
    }
}

#[test]
fn a_static_site_runs_nginx_alone() {
    let slash = || {
        rule(
            Verdict::Block,
            "static-web-least-privilege process.matchDirectories[0]",
        )
    };
    judge(
        &["static-web-least-privilege.yaml"],
        &strict_pod("static-web"),
        vec![
            (
                Event::exec(NGINX).by("/usr/bin/runc"),
                rule(
                    Verdict::Allow,
                    "static-web-least-privilege process.matchPaths[0]",
                ),
            ),
            // The entrypoint script is no exception, nor is the shell that runs it.
            (
                Event::exec("/docker-entrypoint.sh").by("/usr/bin/runc"),
                slash(),
            ),
            (Event::exec("/bin/sh").by("/usr/bin/runc"), slash()),
            (Event::exec("/bin/sh").by(NGINX), slash()),
            (Event::exec("/usr/bin/curl").by(NGINX), slash()),
            // Writable is not executable.
            (Event::exec("/var/cache/nginx/x").by(NGINX), slash()),
            // Nor does the loader run it.
            (
                Event::exec("/lib64/ld-linux-x86-64.so.2")
                    .by(NGINX)
                    .args([b"/var/cache/nginx/x".as_slice()]),
                slash(),
            ),
            // For mappings that are no exec directories don't count in allow-list mode: otherwise
            // no library could be loaded.
            (
                Event::map_exec("/var/cache/nginx/x").by("/lib64/ld-linux-x86-64.so.2"),
                Expected::Nothing,
            ),
            // A copy of nginx elsewhere is not nginx.
            (Event::exec("/tmp/nginx").by(NGINX), slash()),
        ],
    );
}

#[test]
fn a_static_site_reads_its_content_and_changes_nothing_of_it() {
    let list = |verdict, index| {
        rule(
            verdict,
            &format!("static-web-least-privilege file.matchDirectories[{index}]"),
        )
    };
    let path = |verdict, index| {
        rule(
            verdict,
            &format!("static-web-least-privilege file.matchPaths[{index}]"),
        )
    };
    use Verdict::{Allow, Block};
    judge(
        &["static-web-least-privilege.yaml"],
        &strict_pod("static-web"),
        vec![
            (
                Event::read("/etc/nginx/nginx.conf").by(NGINX),
                list(Allow, 0),
            ),
            (
                Event::read("/etc/nginx/conf.d/default.conf").by(NGINX),
                list(Allow, 0),
            ),
            (
                Event::write("/etc/nginx/nginx.conf").by(NGINX),
                list(Block, 0),
            ),
            (
                Event::write("/etc/nginx/conf.d/new.conf").by(NGINX),
                list(Block, 0),
            ),
            (
                Event::read("/usr/share/nginx/html/index.html").by(NGINX),
                list(Allow, 1),
            ),
            (
                Event::write("/usr/share/nginx/html/index.html").by(NGINX),
                list(Block, 1),
            ),
            (
                Event::write("/var/cache/nginx/client_temp/1").by(NGINX),
                list(Allow, 2),
            ),
            (
                Event::write("/var/log/nginx/access.log").by(NGINX),
                list(Allow, 3),
            ),
            (Event::write("/var/run/nginx.pid").by(NGINX), list(Allow, 4)),
            (Event::read("/etc/passwd").by(NGINX), path(Allow, 0)),
            (Event::write("/etc/passwd").by(NGINX), path(Block, 0)),
            (Event::read("/etc/group").by(NGINX), path(Allow, 1)),
            // The exact path wins over the directory that grants it.
            (Event::read(TOKEN).by(NGINX), path(Block, 2)),
            (
                Event::read(SECRETS.to_owned() + "/ca.crt").by(NGINX),
                list(Block, 6),
            ),
            // As the kubelet lays it out: the same file under the name that events carry.
            (
                Event::read("/run/secrets/kubernetes.io/serviceaccount/..2026_11_20/token")
                    .by(NGINX),
                list(Block, 7),
            ),
            (Event::write("/run/nginx.pid").by(NGINX), list(Allow, 5)),
            // What no rule speaks of takes the posture: the class is in allow-list mode.
            (
                Event::read("/etc/shadow").by(NGINX),
                Expected::Posture(Block),
            ),
            (Event::write("/tmp/x").by(NGINX), Expected::Posture(Block)),
        ],
    );
}

#[test]
fn a_static_site_speaks_tcp_and_udp_and_nothing_raw() {
    let by = |verdict, index| {
        rule(
            verdict,
            &format!("static-web-least-privilege network.matchProtocols[{index}]"),
        )
    };
    let socket =
        |family, kind, protocol| Event::socket(Socket::new(family, kind, protocol)).by(NGINX);
    use Verdict::{Allow, Block};
    judge(
        &["static-web-least-privilege.yaml"],
        &strict_pod("static-web"),
        vec![
            (socket(2, 1, 6), by(Allow, 0)),
            (socket(10, 1, 0), by(Allow, 0)),
            (socket(2, 2, 17), by(Allow, 1)),
            (socket(2, 3, 1), by(Block, 2)),
            (socket(2, 3, 6), by(Block, 2)),
            (socket(17, 3, 768), by(Block, 2)),
            (socket(2, 5, 132), Expected::Posture(Block)),
            (socket(Socket::AF_UNIX, 1, 0), Expected::Nothing),
            (
                Event::capability(Capability::from_name("net_raw").unwrap()),
                Expected::Nothing,
            ),
        ],
    );
}

#[test]
fn without_a_posture_an_allow_list_only_reports() {
    judge(
        &["static-web-least-privilege.yaml"],
        &Workload::pod("production").label("app", "static-web"),
        vec![
            (
                Event::read("/etc/shadow").by(NGINX),
                Expected::Posture(Verdict::Audit),
            ),
            // What a rule denies is denied all the same.
            (
                Event::exec("/bin/sh").by(NGINX),
                rule(
                    Verdict::Block,
                    "static-web-least-privilege process.matchDirectories[0]",
                ),
            ),
        ],
    );
}

/// What an attack on checkout does, with the rule's place in both of its policies.
fn attack() -> Vec<(Event<'static>, &'static str)> {
    vec![
        (Event::exec("/bin/sh").by(NODE), "process.matchPaths[0]"),
        (
            Event::exec("/usr/bin/wget").by("/bin/sh"),
            "process.matchPaths[1]",
        ),
        (
            Event::exec("/usr/bin/curl").by("/bin/sh"),
            "process.matchPaths[2]",
        ),
        (
            Event::exec("/usr/bin/xmrig").by("/bin/sh"),
            "process.matchPaths[3]",
        ),
        (Event::read(TOKEN).by(NODE), "file.matchDirectories[0]"),
        (Event::socket(raw()).by(NODE), "network.matchProtocols[0]"),
    ]
}

/// What checkout does all day.
fn work() -> Vec<(Event<'static>, Expected)> {
    [
        Event::exec(NODE).by("/usr/bin/runc"),
        Event::read("/app/server.js").by(NODE),
        Event::write("/app/cache/basket").by(NODE),
        Event::read("/etc/ssl/certs/ca-certificates.crt").by(NODE),
        Event::socket(tcp()).by(NODE),
        Event::dns("payments.production.svc.cluster.local").by(NODE),
    ]
    .map(|event| (event, Expected::Nothing))
    .into()
}

fn attacked(verdict: Verdict, policy: &str) -> Vec<(Event<'static>, Expected)> {
    attack()
        .into_iter()
        .map(|(event, field)| (event, rule(verdict, &format!("{policy} {field}"))))
        .chain(work())
        .collect()
}

#[test]
fn auditing_checkout_reports_the_attack_and_blocks_nothing() {
    let mut table = attacked(Verdict::Audit, "checkout-risk-audit");
    table.push((
        Event::write("/var/tmp/.cache/config.json").by(NODE),
        rule(
            Verdict::Audit,
            "checkout-risk-audit file.matchDirectories[1]",
        ),
    ));
    judge(
        &["checkout-risk-audit.yaml"],
        &strict_pod("checkout"),
        table,
    );
}

#[test]
fn blocking_checkout_breaks_the_attack_and_not_the_service() {
    let mut table = attacked(Verdict::Block, "checkout-risk-block");
    // A block list: what it doesn't name passes, a copy of the miner included.
    for passing in [
        Event::write("/var/tmp/.cache/config.json").by(NODE),
        Event::exec("/var/tmp/.cache/node-gc").by(NODE),
    ] {
        table.push((passing, Expected::Nothing));
    }
    judge(
        &["checkout-risk-block.yaml"],
        &strict_pod("checkout"),
        table,
    );
}

#[test]
fn both_checkout_policies_at_once_block_and_go_on_watching() {
    let mut table = attacked(Verdict::Block, "checkout-risk-block");
    table.push((
        Event::write("/var/tmp/.cache/config.json").by(NODE),
        rule(
            Verdict::Audit,
            "checkout-risk-audit file.matchDirectories[1]",
        ),
    ));
    judge(
        &["checkout-risk-audit.yaml", "checkout-risk-block.yaml"],
        &strict_pod("checkout"),
        table,
    );
}

#[test]
fn package_managers_run_in_the_clusters_own_namespaces_alone() {
    let by = |index| {
        rule(
            Verdict::Block,
            &format!("no-package-managers process.matchPaths[{index}]"),
        )
    };
    judge(
        &[],
        &Workload::pod("staging"),
        vec![
            (Event::exec("/sbin/apk").by("/bin/sh"), by(0)),
            (Event::exec("/usr/bin/apt-get").by("/bin/sh"), by(2)),
            (Event::exec("/usr/local/bin/yum").by("/bin/sh"), by(6)),
            (
                Event::exec("/usr/bin/apt-cache").by("/bin/sh"),
                Expected::Nothing,
            ),
        ],
    );
    judge(
        &[],
        &Workload::pod("kube-system"),
        vec![(Event::exec("/sbin/apk").by("/bin/sh"), Expected::Nothing)],
    );
}

#[test]
fn a_node_keeps_its_keys_and_its_modules() {
    use Verdict::{Allow, Audit, Block};
    let key = "/var/lib/kubelet/pki/kubelet-client-current.pem";
    let kubelet = "/usr/bin/kubelet";
    let protect = |verdict, field: &str| rule(verdict, &format!("protect-node {field}"));
    let module = Capability::from_name("sys_module").unwrap();
    let usb = |class: &str| {
        Event::device(Device {
            class: DeviceClass::from_text(class).unwrap(),
            subclass: None,
            protocol: None,
            level: Some(1),
        })
    };
    judge(
        &[],
        &Workload::host().label("kubernetes.io/hostname", "node-1"),
        vec![
            (
                Event::read(key).by(kubelet).uid(0).owner(0),
                protect(Allow, "file.matchDirectories[1]"),
            ),
            (
                Event::read(key).by(kubelet).uid(1000).owner(0),
                protect(Block, "file.matchDirectories[1]"),
            ),
            (
                Event::read(key).by("/usr/bin/cat").uid(0).owner(0),
                protect(Block, "file.matchDirectories[0]"),
            ),
            (
                Event::exec("/usr/bin/kmod").by("/usr/bin/bash"),
                protect(Block, "process.matchPaths[0]"),
            ),
            (
                Event::capability(module).by("/usr/bin/python3"),
                protect(Block, "capabilities.matchCapabilities[0]"),
            ),
            (
                Event::capability(module).by("/usr/bin/kmod"),
                Expected::Nothing,
            ),
            (usb("MASS-STORAGE"), protect(Audit, "device.matchDevice[0]")),
            (usb("HID"), Expected::Nothing),
        ],
    );
}

#[test]
fn the_example_policies_are_sound() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/policies");
    let reading = Reader::new().read_path(folder).unwrap();
    let findings: Vec<String> = reading.diagnostics().map(ToString::to_string).collect();
    assert_eq!(findings, [""; 0]);
    assert_eq!(policies(&[]).policies().len(), 6);
}
