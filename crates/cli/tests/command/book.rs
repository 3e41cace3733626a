//! The book's transcripts are what the command prints. `GAMBESON_UPDATE_BOOK=1` writes them anew.

use std::path::Path;
use std::process::Command;

use crate::common::project;

/// Runs a shell line as the book's reader would; what it prints on either stream.
fn shell(line: &str) -> String {
    let command = Path::new(env!("CARGO_BIN_EXE_gambeson"));
    let path = std::env::var_os("PATH").unwrap();
    let folders = std::iter::once(command.parent().unwrap().to_owned());
    let path = std::env::join_paths(folders.chain(std::env::split_paths(&path))).unwrap();
    let output = Command::new("sh")
        .args(["-c", &format!("{{ {line}\n}} 2>&1")])
        .current_dir(project())
        .env("PATH", path)
        .env("TMPDIR", env!("CARGO_TARGET_TMPDIR"))
        .env_remove("CLICOLOR_FORCE")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let printed = printed.replace(env!("CARGO_TARGET_TMPDIR"), "$TMPDIR");
    // What lies below the folder that a command runs in may be told relative to it.
    match Path::new(env!("CARGO_TARGET_TMPDIR")).strip_prefix(project().canonicalize().unwrap()) {
        Ok(relative) => printed.replace(&relative.display().to_string(), "$TMPDIR"),
        Err(_) => printed,
    }
}

/// The page with what its commands print, and how many there are. What stands there already is kept
/// where it leaves lines out and is right.
fn rerun(page: &str) -> (String, usize) {
    let mut out = String::new();
    let mut commands = 0;
    let mut lines = page.lines().peekable();
    let mut inside = false;
    while let Some(line) = lines.next() {
        out.push_str(line);
        out.push('\n');
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ => {}
        }
        let Some(command) = line.strip_prefix("$ ").filter(|_| inside) else {
            continue;
        };
        commands += 1;
        let mut told = String::new();
        while let Some(next) = lines.next_if(|next| *next != "```" && !next.starts_with("$ ")) {
            told.push_str(next);
            told.push('\n');
        }
        let printed = shell(command).trim_end().to_owned();
        let printed = if printed.is_empty() {
            printed
        } else {
            printed + "\n"
        };
        out.push_str(if agrees(&told, &printed) {
            &told
        } else {
            &printed
        });
    }
    (out, commands)
}

/// Whether a transcript is what was printed; a line with `…` alone stands for any lines.
fn agrees(told: &str, printed: &str) -> bool {
    let mut rest = printed;
    let mut parts = told.split("…\n");
    let first = parts.next().unwrap_or_default();
    let Some(behind) = rest.strip_prefix(first) else {
        return false;
    };
    rest = behind;
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[test]
fn every_transcript_of_the_book_is_true() {
    let folder = project().join("docs/src");
    let mut all = 0;
    let mut pages: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|page| page.unwrap().path())
        .collect();
    pages.sort();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        let (now, commands) = rerun(&text);
        all += commands;
        if std::env::var_os("GAMBESON_UPDATE_BOOK").is_some() {
            std::fs::write(&page, now).unwrap();
        } else {
            assert_eq!(text, now, "{}", page.display());
        }
    }
    assert!(all >= 10, "only {all} commands were found");
}

/// What a page links to, outside its blocks of code.
fn links(page: &str) -> Vec<&str> {
    let mut inside = false;
    let mut links = Vec::new();
    for line in page.lines() {
        if line.starts_with("```") {
            inside = !inside;
        }
        if inside {
            continue;
        }
        let ends = line.split("](").skip(1);
        links.extend(
            ends.filter_map(|rest| rest.split_once(')'))
                .map(|(link, _)| link),
        );
    }
    links
}

/// The name that mdBook gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect::<String>();
    kept.replace(' ', "-")
}

#[test]
fn every_page_is_in_the_summary_and_every_link_leads_somewhere() {
    let folder = project().join("docs/src");
    let read = |name: &str| std::fs::read_to_string(folder.join(name));
    let summary = read("SUMMARY.md").unwrap();
    let listed = links(&summary);
    assert!(listed.len() >= 7, "{listed:?}");
    for page in std::fs::read_dir(&folder).unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        assert!(
            name == "SUMMARY.md" || listed.contains(&name.as_str()),
            "{name} is not in the summary"
        );
        let text = read(&name).unwrap();
        for link in links(&text) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { &name } else { file };
            let target = read(file).unwrap_or_else(|_| panic!("{name} links to {link}"));
            let mut headings = target.lines().filter_map(|line| line.strip_prefix('#'));
            assert!(
                heading.is_empty()
                    || headings.any(|line| anchor(line.trim_start_matches('#')) == heading),
                "{name} links to {link}"
            );
        }
    }
}
