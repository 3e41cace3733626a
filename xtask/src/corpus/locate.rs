//! Finds the line of a field in block-style YAML by its indentation alone: a second opinion, that
//! shares nothing with the reader whose lines it checks.

/// One line that holds something.
#[derive(Debug, Clone)]
struct Line {
    /// From 1.
    number: u32,
    indent: usize,
    text: String,
}

/// The lines of one document of a text, list markers turned into indentation; the marker itself is
/// kept as `-` on a line of its own.
fn lines(text: &str, document: usize) -> Vec<Line> {
    let mut at = 0;
    let mut begun = false;
    let mut found = Vec::new();
    for (number, raw) in (1..).zip(text.lines()) {
        let content = raw.trim();
        if raw.starts_with("---") {
            at += usize::from(begun);
            begun = false;
            continue;
        }
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        begun = true;
        if at != document {
            continue;
        }
        let mut indent = raw.len() - raw.trim_start().len();
        let mut rest = content;
        while let Some(item) = rest.strip_prefix("- ") {
            found.push(Line {
                number,
                indent,
                text: "-".to_owned(),
            });
            let inner = item.trim_start();
            indent += rest.len() - inner.len();
            rest = inner;
        }
        found.push(Line {
            number,
            indent,
            text: rest.to_owned(),
        });
    }
    found
}

/// The line of the field that a path such as `/spec/process/matchPaths/0/path` leads to, in the
/// document with this number. An empty path is the first line of the document.
pub(super) fn locate(text: &str, document: usize, path: &str) -> Option<u32> {
    let all = lines(text, document);
    let mut block: &[Line] = &all;
    let mut found = block.first()?.number;
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let indent = block.first()?.indent;
        let (is_item, wanted) = match segment.parse::<usize>() {
            Ok(index) => (true, index),
            Err(_) => (false, 0),
        };
        let (at, line) = block
            .iter()
            .enumerate()
            .filter(|(_, line)| line.indent == indent)
            .filter(|(_, line)| match is_item {
                true => line.text == "-",
                false => line.text.split(':').next() == Some(segment),
            })
            .nth(wanted)?;
        found = line.number;
        let rest = block.get(at + 1..)?;
        // A list may stand at the indentation of its key.
        let end = rest
            .iter()
            .position(|next| {
                next.indent < indent || (next.indent == indent && (is_item || next.text != "-"))
            })
            .unwrap_or(rest.len());
        block = rest.get(..end)?;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# a comment
kind: A
---
kind: B
spec:
  process:
    matchPaths:
    - path: /a
    - fromSource:
      - path: /x
      path: /b
  selector:
    matchExpressions:
  list:
    - dir: /c
";

    #[test]
    fn fields_have_lines() {
        for (document, path, line) in [
            (0, "/kind", Some(2)),
            (1, "/", Some(4)),
            (1, "/spec/process/matchPaths/0/path", Some(8)),
            (1, "/spec/process/matchPaths/1", Some(9)),
            (1, "/spec/process/matchPaths/1/fromSource/0/path", Some(10)),
            (1, "/spec/process/matchPaths/1/path", Some(11)),
            (1, "/spec/selector/matchExpressions", Some(13)),
            (1, "/spec/list/0/dir", Some(15)),
            (1, "/spec/none", None),
        ] {
            assert_eq!(locate(TEXT, document, path), line, "{path}");
        }
    }
}
