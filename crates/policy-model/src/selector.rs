//! Selectors, and the workloads they select.

use std::collections::BTreeMap;

use crate::posture::{Enforcement, Postures};

/// Labels of a workload or a selector.
pub type Labels = BTreeMap<String, String>;

/// The namespace of a namespaced object that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// What policies select: a container of a pod, or the host.
///
/// ```
/// use gambeson_policy_model::Workload;
/// let web = Workload::pod("production").label("app", "web").container("nginx");
/// assert_eq!(web.namespace(), Some("production"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Workload {
    scope: Scope,
    labels: Labels,
    posture: Postures,
    enforcement: Enforcement,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Scope {
    Pod {
        namespace: String,
        container: Option<String>,
    },
    Host,
}

impl Workload {
    /// A pod in a namespace (empty: `default`).
    #[must_use]
    pub fn pod(namespace: impl Into<String>) -> Self {
        let namespace = namespace.into();
        Self::new(Scope::Pod {
            namespace: if namespace.is_empty() {
                DEFAULT_NAMESPACE.to_owned()
            } else {
                namespace
            },
            container: None,
        })
    }

    /// A host; its labels are those of the node.
    #[must_use]
    pub const fn host() -> Self {
        Self::new(Scope::Host)
    }

    const fn new(scope: Scope) -> Self {
        Self {
            scope,
            labels: Labels::new(),
            posture: Postures {
                file: None,
                network: None,
                capabilities: None,
                device: None,
            },
            enforcement: Enforcement::Enabled,
        }
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Names the container; a host has none.
    #[must_use]
    pub fn container(mut self, name: impl Into<String>) -> Self {
        if let Scope::Pod { container, .. } = &mut self.scope {
            *container = Some(name.into());
        }
        self
    }

    /// Sets the postures of the namespace's annotations; they go before the embedder's.
    #[must_use]
    pub const fn posture(mut self, posture: Postures) -> Self {
        self.posture = posture;
        self
    }

    /// Sets what the pod's annotation `kubearmor-policy` asks for.
    #[must_use]
    pub const fn enforcement(mut self, enforcement: Enforcement) -> Self {
        self.enforcement = enforcement;
        self
    }

    /// Whether it is the host.
    #[must_use]
    pub const fn is_host(&self) -> bool {
        matches!(self.scope, Scope::Host)
    }

    /// The pod's namespace; `None` for a host.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        match &self.scope {
            Scope::Pod { namespace, .. } => Some(namespace),
            Scope::Host => None,
        }
    }

    /// The container's name, where given.
    #[must_use]
    pub fn container_name(&self) -> Option<&str> {
        match &self.scope {
            Scope::Pod { container, .. } => container.as_deref(),
            Scope::Host => None,
        }
    }

    /// The labels of the pod or node.
    #[must_use]
    pub const fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The postures of the namespace's annotations.
    #[must_use]
    pub const fn postures(&self) -> Postures {
        self.posture
    }

    /// What the pod's annotation `kubearmor-policy` asks for.
    #[must_use]
    pub const fn enforcement_mode(&self) -> Enforcement {
        self.enforcement
    }

    fn has(&self, key: &str, value: &str) -> bool {
        self.labels.get(key).is_some_and(|have| have == value)
    }
}

/// Which workloads a policy applies to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// Of a KubeArmorPolicy: pods of its namespace.
    Pods {
        /// The policy's namespace.
        namespace: String,
        /// Labels a pod must all have.
        labels: Labels,
        /// Expressions that must all hold.
        expressions: Vec<Expression>,
        /// Which containers of the pod.
        containers: ContainerFilter,
    },
    /// Of a KubeArmorClusterPolicy: pods of any namespace.
    Cluster {
        /// Labels a pod must all have; the schema has none here, lenient reading may.
        labels: Labels,
        /// Expressions that must all hold.
        expressions: Vec<Expression>,
        /// Which containers of the pod.
        containers: ContainerFilter,
    },
    /// Of a KubeArmorHostPolicy: nodes.
    Nodes {
        /// Labels a node must all have.
        labels: Labels,
    },
    /// A host policy without `nodeSelector`, read leniently: as in KubeArmor it selects nothing.
    Nothing,
}

/// One entry of `matchExpressions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// What the values are.
    pub key: ExpressionKey,
    /// How they count.
    pub operator: Operator,
    /// `k=v` pairs for labels, names for namespaces.
    pub values: Vec<String>,
}

/// What an expression asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExpressionKey {
    /// `label`: the values are `k=v`.
    Label,
    /// `namespace`: cluster policies only.
    Namespace,
}

/// How the values of an expression count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// At least one value is present.
    In,
    /// None of the values is present.
    NotIn,
}

impl Expression {
    fn holds(&self, workload: &Workload) -> bool {
        let present = self.values.iter().any(|value| match self.key {
            ExpressionKey::Namespace => workload.namespace() == Some(value),
            ExpressionKey::Label => value
                .split_once('=')
                .is_some_and(|(key, value)| workload.has(key.trim(), value.trim())),
        });
        present == (self.operator == Operator::In)
    }
}

/// The value of the label key `kubearmor.io/container.name`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerFilter(Vec<String>);

impl ContainerFilter {
    /// The label key that holds the filter.
    pub const LABEL: &'static str = "kubearmor.io/container.name";

    /// Reads the label's value: `[a,b]` lists names, `[]` and an empty value mean every container,
    /// and a value without brackets is one name.
    ///
    /// ```
    /// use gambeson_policy_model::ContainerFilter;
    /// assert!(ContainerFilter::parse("[a, b,,]").contains(Some("b")));
    /// assert!(ContainerFilter::parse("[]").contains(Some("anything")));
    /// assert!(!ContainerFilter::parse("a").contains(None));
    /// ```
    #[must_use]
    pub fn parse(value: &str) -> Self {
        let value = value.trim();
        let bracketed = value
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let names: Vec<&str> = match bracketed {
            Some(list) => list.split(',').map(str::trim).collect(),
            None => vec![value],
        };
        Self(
            names
                .into_iter()
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    /// Whether the container is one of them.
    #[must_use]
    pub fn contains(&self, container: Option<&str>) -> bool {
        self.0.is_empty()
            || container.is_some_and(|container| self.0.iter().any(|name| name == container))
    }

    /// Whether every container passes.
    #[must_use]
    pub const fn is_every(&self) -> bool {
        self.0.is_empty()
    }
}

/// Node labels whose value may be `*` or a comma list of host names.
const HOSTNAME_LABELS: [&str; 2] = ["kubearmor.io/hostname", "kubernetes.io/hostname"];

impl Selector {
    /// Whether the policy applies to the workload.
    #[must_use]
    pub fn selects(&self, workload: &Workload) -> bool {
        let all = |labels: &Labels| labels.iter().all(|(key, value)| workload.has(key, value));
        let pods = |labels, expressions: &[Expression], containers: &ContainerFilter| {
            !workload.is_host()
                && all(labels)
                && expressions
                    .iter()
                    .all(|expression| expression.holds(workload))
                && containers.contains(workload.container_name())
        };
        match self {
            Self::Pods {
                namespace,
                labels,
                expressions,
                containers,
            } => workload.namespace() == Some(namespace) && pods(labels, expressions, containers),
            Self::Cluster {
                labels,
                expressions,
                containers,
            } => pods(labels, expressions, containers),
            Self::Nodes { labels } => {
                workload.is_host()
                    && labels.iter().all(|(key, value)| {
                        if !HOSTNAME_LABELS.contains(&key.as_str()) {
                            return workload.has(key, value);
                        }
                        value
                            .split(',')
                            .map(str::trim)
                            .any(|name| name == "*" || workload.has(key, name))
                    })
            }
            Self::Nothing => false,
        }
    }

    /// Whether every workload of its kind is selected: every pod of the namespace, every pod
    /// of the cluster, every node.
    #[must_use]
    pub fn selects_everything(&self) -> bool {
        match self {
            Self::Pods {
                labels,
                expressions,
                containers,
                ..
            }
            | Self::Cluster {
                labels,
                expressions,
                containers,
            } => labels.is_empty() && expressions.is_empty() && containers.is_every(),
            Self::Nodes { labels } => labels
                .iter()
                .all(|(key, value)| HOSTNAME_LABELS.contains(&key.as_str()) && value.trim() == "*"),
            Self::Nothing => false,
        }
    }
}
