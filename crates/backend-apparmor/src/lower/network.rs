//! Rules about sockets. AppArmor knows families and types, not protocols.

use std::fmt::Write as _;

use gambeson_matcher::CompiledPolicy;
use gambeson_matcher::backend::{Gap, Outcome};
use gambeson_policy_model::{Class, Decision, Event, RuleId, Socket, Verdict};

use crate::features::Features;
use crate::profile::Section;

/// Types of sockets by the parser's names, with the protocols that a kernel makes such sockets of in
/// the internet families. The first protocol decides for the type.
const TYPES: [(&str, u32, &[u32]); 6] = [
    ("stream", Socket::SOCK_STREAM, &[0, 6, 262, 132]),
    ("dgram", Socket::SOCK_DGRAM, &[0, 17, 1, 58]),
    ("raw", Socket::SOCK_RAW, &[255, 1, 58]),
    ("rdm", Socket::SOCK_RDM, &[0]),
    ("seqpacket", Socket::SOCK_SEQPACKET, &[0, 132]),
    ("packet", Socket::SOCK_PACKET, &[0]),
];

/// Writes the rules, and gives what they can't tell.
pub(crate) fn write(
    out: &mut String,
    compiled: &CompiledPolicy,
    section: &Section,
    features: &Features,
    comment: impl Fn(Option<RuleId>) -> String,
) -> Vec<Gap> {
    let ask = |family: u32, kind: u32, protocol: u32| -> Decision {
        let event = Event::socket(Socket::new(family, kind, protocol));
        compiled.decide(&event.by(section.program.as_slice()).tty(true))
    };
    let mut rules = String::new();
    let mut gaps = Vec::new();
    // Only a rule on all sockets is about DCCP's, and only where there is none are they denied.
    let dccp = ask(Socket::AF_INET, Socket::SOCK_DCCP, 0);
    gaps.extend(differing(
        &dccp,
        &ask(Socket::AF_INET, Socket::SOCK_DCCP, 33),
        "dccp",
    ));
    let by_exception = dccp.verdict() != Verdict::Block;
    let mut add = |decision: &Decision, what: &str| {
        if decision.verdict() != Verdict::Allow || !by_exception {
            rule(&mut rules, decision, what, &comment);
        }
    };
    for name in features.words("network_v8/af_mask") {
        let family = Socket::family_from_name(name).unwrap_or(u32::MAX);
        if !matches!(family, Socket::AF_INET | Socket::AF_INET6) {
            add(&ask(family, Socket::SOCK_STREAM, 0), name);
            continue;
        }
        for (word, kind, protocols) in TYPES {
            let mut asked = protocols
                .iter()
                .map(|protocol| ask(family, kind, *protocol));
            let decision = if kind == Socket::SOCK_RAW {
                asked.max_by_key(Decision::verdict)
            } else {
                asked.next()
            };
            let decision = decision.unwrap_or(Decision::ALLOW);
            add(&decision, &format!("{name} {word}"));
            for protocol in protocols {
                gaps.extend(differing(&decision, &ask(family, kind, *protocol), word));
            }
        }
    }
    if by_exception {
        out.push_str("  network,\n");
    }
    if dccp.verdict() == Verdict::Audit {
        gaps.push(gap(
            &dccp,
            Outcome::NotReported,
            "sockets of type dccp".to_owned(),
            "the parser has no name for the type",
        ));
    }
    out.push_str(&rules);
    gaps
}

fn rule(
    out: &mut String,
    decision: &Decision,
    what: &str,
    comment: &impl Fn(Option<RuleId>) -> String,
) {
    let prefix = match decision.verdict() {
        Verdict::Allow => "",
        Verdict::Audit => "audit ",
        Verdict::Block => "audit deny ",
    };
    if decision.rule().is_some() || decision.verdict() != Verdict::Allow {
        let _ = writeln!(out, "  # {}", comment(decision.rule()));
    }
    let _ = writeln!(out, "  {prefix}network {what},");
}

/// What a type's rule says otherwise than a protocol's verdict.
fn differing(of_type: &Decision, of_protocol: &Decision, kind: &str) -> Option<Gap> {
    let (outcome, blamed) = match (of_type.verdict(), of_protocol.verdict()) {
        (a, b) if a == b => return None,
        (_, Verdict::Block) => (Outcome::Looser, of_protocol),
        (Verdict::Block | Verdict::Audit, _) => (Outcome::Stricter, of_type),
        (Verdict::Allow, Verdict::Audit) => (Outcome::NotReported, of_protocol),
        (Verdict::Allow, Verdict::Allow) => return None,
    };
    let what = format!("some protocols of internet sockets of type {kind}");
    let reason = "AppArmor knows families and types of sockets, not protocols, and the type's usual \
                  protocol decides";
    Some(gap(blamed, outcome, what, reason))
}

fn gap(decision: &Decision, outcome: Outcome, what: String, reason: &str) -> Gap {
    match decision.rule() {
        Some(rule) => Gap::of_rule(rule, outcome, what, reason),
        None => Gap::of_class(Class::Network, outcome, what, reason),
    }
}
