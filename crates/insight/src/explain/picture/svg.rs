//! The few shapes that a picture is made of.

use std::fmt::Write as _;

use gambeson_policy_model::Verdict;

use super::ROW;
use crate::words::printable;

/// Tenths of a pixel that a character takes in the rows' typeface, or a little less.
const CHARACTER: u32 = 73;

/// Fill and line of each verdict; each is told by its name as well.
const fn colours(verdict: Option<Verdict>) -> [&'static str; 2] {
    match verdict {
        Some(Verdict::Allow) => ["#e3f4e1", "#4c9a48"],
        Some(Verdict::Audit) => ["#fff3cc", "#b98a00"],
        Some(Verdict::Block) => ["#fbdcd9", "#c0392b"],
        None => ["#f2f2f2", "#8a8a8a"],
    }
}

/// A picture under construction.
#[derive(Debug, Default)]
pub(super) struct Svg {
    body: String,
}

/// Text that can stand in an element or an attribute.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text.as_bytes()).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// Leaves the middle of a text out where it is wider than so many pixels.
fn fitted(text: &str, width: u32) -> String {
    let room = (width.saturating_mul(10) / CHARACTER) as usize;
    let length = text.chars().count();
    if length <= room {
        return text.to_owned();
    }
    let kept = room.saturating_sub(1);
    let head = kept / 2;
    let tail = kept - head;
    let head: String = text.chars().take(head).collect();
    let tail: String = text.chars().skip(length - tail).collect();
    format!("{head}…{tail}")
}

fn width_of(text: &str) -> u32 {
    text.chars().count() as u32 * CHARACTER / 10
}

impl Svg {
    fn text(&mut self, x: u32, y: u32, class: &str, text: &str) {
        let text = escaped(text);
        // Writing into a string doesn't fail.
        let _ = writeln!(
            self.body,
            r#"<text x="{x}" y="{}" class="{class}">{text}</text>"#,
            y.saturating_sub(7)
        );
    }

    pub(super) fn title(&mut self, x: u32, y: u32, text: &str) {
        self.text(x, y, "t", text);
    }

    pub(super) fn heading(&mut self, x: u32, y: u32, width: u32, text: &str) {
        self.text(x, y, "h", &fitted(text, width));
    }

    pub(super) fn legend(&mut self, x: u32, y: u32) {
        let mut at = x;
        for verdict in [Verdict::Allow, Verdict::Audit, Verdict::Block] {
            let [fill, line] = colours(Some(verdict));
            let _ = writeln!(
                self.body,
                r#"<rect x="{at}" y="{}" width="14" height="14" fill="{fill}" stroke="{line}"/>"#,
                y.saturating_sub(18)
            );
            self.text(at + 20, y, "r", verdict.name());
            at += 90;
        }
        self.text(
            at,
            y,
            "r",
            "regions: any other file, by a program that no rule names",
        );
    }

    pub(super) fn frame(&mut self, x: u32, y: u32, width: u32, height: u32, verdict: Verdict) {
        let [fill, line] = colours(Some(verdict));
        let _ = writeln!(
            self.body,
            r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="4" fill="{fill}" stroke="{line}"/>"#
        );
    }

    pub(super) fn region_label(&mut self, x: u32, y: u32, width: u32, path: &str, verdict: &str) {
        let room = width.saturating_sub(24 + width_of(verdict));
        self.text(x + 8, y, "d", &fitted(path, room));
        let right = (x + width).saturating_sub(8 + width_of(verdict));
        self.text(right, y, "p", verdict);
    }

    /// One rule: what it says, where it stands, and all of it for who points at it.
    pub(super) fn rule(
        &mut self,
        x: u32,
        y: u32,
        width: u32,
        verdict: Option<Verdict>,
        [says, place, full]: [&str; 3],
    ) {
        let [fill, line] = colours(verdict);
        let _ = writeln!(
            self.body,
            r##"<g><title>{}</title><rect x="{}" y="{}" width="{}" height="{}" rx="3" fill="#fff" stroke="{line}"/>"##,
            escaped(full),
            x + 8,
            y.saturating_sub(ROW - 2),
            width.saturating_sub(16),
            ROW - 3
        );
        // On white, a row stands out from a region of its own colour.
        let _ = writeln!(
            self.body,
            r#"<rect x="{}" y="{}" width="10" height="{}" fill="{line}"/><rect x="{}" y="{}" width="{}" height="{}" fill="{fill}" fill-opacity="0.5"/>"#,
            x + 8,
            y.saturating_sub(ROW - 2),
            ROW - 3,
            x + 18,
            y.saturating_sub(ROW - 3),
            width.saturating_sub(27),
            ROW - 5
        );
        let place = fitted(place, width / 2);
        let room = width.saturating_sub(54 + width_of(&place));
        self.text(x + 24, y, "r", &fitted(says, room));
        let right = (x + width).saturating_sub(14 + width_of(&place));
        self.text(right, y, "p", &place);
        self.body.push_str("</g>\n");
    }

    pub(super) fn finish(self, width: u32, height: u32) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\">\n<style>\
             text{{font:12px ui-monospace,\"DejaVu Sans Mono\",Menlo,Consolas,monospace;fill:#1c1c1c}}\
             .t{{font-size:18px;font-weight:bold}}.h{{font-size:14px;font-weight:bold}}\
             .d{{font-weight:bold}}.p{{fill:#555}}</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{}</svg>\n",
            self.body
        )
    }
}
