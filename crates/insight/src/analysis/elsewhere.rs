//! Objects that are no files: one of every kind that rules tell apart.

use std::borrow::Cow;
use std::collections::BTreeSet;

use gambeson_policy_model::{
    Capability, Class, Device, DeviceClass, EventPath, Object, Operation, PathScope, Preset, Rule,
    Socket,
};

/// An operation of every kind that the rules of a class without files tell apart.
pub(super) fn representatives<'r>(
    class: Class,
    rules: impl Iterator<Item = &'r Rule>,
) -> Vec<Operation<'static>> {
    match class {
        Class::Network => sockets().map(Operation::Socket).collect(),
        Class::Capabilities => Capability::all().map(Operation::Capability).collect(),
        Class::Presets => Preset::ALL.map(Operation::Preset).to_vec(),
        Class::Dns => domains(rules),
        Class::Syscalls => calls(rules),
        Class::Devices => devices(rules),
        Class::Process | Class::File => Vec::new(),
    }
}

/// Sockets of every profile that protocols tell apart.
fn sockets() -> impl Iterator<Item = Socket> {
    let kinds = [1, 2, 3, 4, 5, 6, 10];
    let protocols = [0, 1, 6, 17, 33, 58, 132, 255];
    let inet = [Socket::AF_INET, Socket::AF_INET6]
        .into_iter()
        .flat_map(move |family| {
            kinds
                .into_iter()
                .flat_map(move |kind| protocols.map(|protocol| Socket::new(family, kind, protocol)))
        });
    inet.chain([
        Socket::new(Socket::AF_PACKET, Socket::SOCK_RAW, 0),
        // AF_VSOCK, as one of the other families.
        Socket::new(40, Socket::SOCK_STREAM, 0),
    ])
}

/// Every domain that is named, and one that isn't: a sub-domain has the rules of the longest named
/// domain around it.
fn domains<'r>(rules: impl Iterator<Item = &'r Rule>) -> Vec<Operation<'static>> {
    let mut named: BTreeSet<String> = rules
        .filter_map(|rule| match &rule.object {
            Object::Domain(domain) => Some(domain.trim_end_matches('.').to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    let mut other = "other.invalid".to_owned();
    while named
        .iter()
        .any(|domain| other.ends_with(domain.as_str()) && !domain.is_empty())
    {
        other.push('x');
    }
    named.insert(other);
    named
        .into_iter()
        .filter(|domain| !domain.is_empty())
        .map(|domain| Operation::Dns {
            domain: Cow::Owned(domain),
        })
        .collect()
}

/// A name that stands in none of the texts.
pub(super) fn unnamed<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let texts: Vec<&str> = texts.collect();
    let mut name = "x".to_owned();
    while texts.iter().any(|text| text.contains(&name)) {
        name.push('x');
    }
    name
}

fn calls<'r>(rules: impl Iterator<Item = &'r Rule>) -> Vec<Operation<'static>> {
    let mut called = BTreeSet::new();
    let mut paths: BTreeSet<Option<String>> = BTreeSet::from([None]);
    let rules: Vec<&Rule> = rules.collect();
    let scopes = rules.iter().filter_map(|rule| match &rule.object {
        Object::Syscalls { scope, .. } => scope.as_ref(),
        _ => None,
    });
    let other = unnamed(scopes.map(|scope| match scope {
        PathScope::Path(path) => path.as_str(),
        PathScope::Directory(directory) => directory.path.as_str(),
    }));
    for rule in rules {
        let Object::Syscalls { names, scope } = &rule.object else {
            continue;
        };
        called.extend(names.iter().cloned());
        match scope {
            None => {}
            Some(PathScope::Path(path)) => {
                paths.insert(Some(path.clone()));
            }
            Some(PathScope::Directory(directory)) => {
                let path = &directory.path;
                let itself = path.strip_suffix('/').filter(|bare| !bare.is_empty());
                paths.insert(Some(itself.unwrap_or("/").to_owned()));
                paths.insert(Some(format!("{path}{other}")));
                paths.insert(Some(format!("{path}{other}/{other}")));
            }
        }
    }
    let mut operations = Vec::new();
    for name in called {
        for path in &paths {
            operations.push(Operation::Syscall {
                name: Cow::Owned(name.clone()),
                path: path.clone().map(EventPath::from),
            });
        }
    }
    operations
}

fn devices<'r>(rules: impl Iterator<Item = &'r Rule>) -> Vec<Operation<'static>> {
    let mut classes: BTreeSet<u8> = BTreeSet::new();
    let mut values = [const { BTreeSet::new() }; 3];
    for rule in rules {
        if let Object::Device(device) = &rule.object {
            classes.insert(device.class.0);
            let given = [device.subclass, device.protocol, device.level];
            for (values, value) in values.iter_mut().zip(given) {
                values.extend(value);
            }
        }
    }
    // One that no rule names, of each.
    classes.extend((0..=u8::MAX).find(|class| !classes.contains(class)));
    let [subclasses, protocols, levels] = values.map(|values| {
        let known = values.iter().copied().map(Some);
        known.chain([None]).collect::<Vec<Option<i32>>>()
    });
    let mut operations = Vec::new();
    for class in classes {
        for subclass in &subclasses {
            for protocol in &protocols {
                for level in &levels {
                    operations.push(Operation::Device(Device {
                        class: DeviceClass(class),
                        subclass: *subclass,
                        protocol: *protocol,
                        level: *level,
                    }));
                }
            }
        }
    }
    operations
}
