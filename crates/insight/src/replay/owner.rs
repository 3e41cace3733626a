//! Who an event belongs to.

use gambeson_policy_model::{Labels, Workload};

/// Who an event belongs to, as far as its record says.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Owner<'l> {
    pub(crate) kind: Kind,
    pub(crate) namespace: &'l str,
    pub(crate) labels: LabelText<'l>,
    pub(crate) container: &'l str,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The record doesn't say.
    #[default]
    Unknown,
    Host,
    Pod,
}

/// Labels as they are written, which is read only for workloads that weren't met before.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum LabelText<'l> {
    #[default]
    None,
    /// `app=web,tier=front`, or with colons and spaces.
    Pairs(&'l str),
    /// A JSON object.
    Object(&'l str),
}

impl Owner<'_> {
    /// Writes down what tells owners apart.
    pub(crate) fn key(&self, key: &mut Vec<u8>) {
        key.clear();
        let (form, labels) = match self.labels {
            LabelText::None => (0, ""),
            LabelText::Pairs(text) => (1, text),
            LabelText::Object(text) => (2, text),
        };
        key.extend_from_slice(&[self.kind as u8, form]);
        key.extend_from_slice(self.namespace.as_bytes());
        key.push(0);
        key.extend_from_slice(labels.as_bytes());
        key.push(0);
        key.extend_from_slice(self.container.as_bytes());
    }

    pub(crate) fn workload(&self) -> Result<Workload, String> {
        let mut workload = match self.kind {
            Kind::Host => Workload::host(),
            Kind::Unknown | Kind::Pod => Workload::pod(self.namespace),
        };
        match self.labels {
            LabelText::None => {}
            LabelText::Pairs(text) => {
                let pairs = text
                    .split(',')
                    .filter_map(|pair| pair.trim().split_once(['=', ':']));
                for (key, value) in pairs {
                    workload = workload.label(key.trim(), value.trim());
                }
            }
            LabelText::Object(text) => {
                let labels: Labels = serde_json::from_str(text)
                    .map_err(|error| format!("the pod's labels can't be read: {error}"))?;
                for (key, value) in labels {
                    workload = workload.label(key, value);
                }
            }
        }
        if !self.container.is_empty() {
            workload = workload.container(self.container);
        }
        Ok(workload)
    }
}
