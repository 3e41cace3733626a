//! A plot of time over rules, both on logarithmic axes, as SVG.

use std::fmt::Write;

use super::measure::Race;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
/// Shades that are told apart without colour vision too (Okabe and Ito).
const COLOURS: [&str; 7] = [
    "#d55e00", "#000000", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];

/// Draws the races, one line a contender.
#[must_use]
pub(super) fn plot(title: &str, races: &[Race]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in races.iter().flat_map(|race| &race.times) {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let times: Vec<f64> = races
        .iter()
        .flat_map(|race| names.iter().filter_map(|name| race.of(name)))
        .collect();
    let low = times.iter().copied().fold(f64::INFINITY, f64::min);
    let high = times.iter().copied().fold(1.0, f64::max);
    let (low, high) = (low.log10().floor(), high.log10().ceil());
    let sizes = || races.iter().map(|race| (race.rules as f64).log10());
    let (first, last) = (
        sizes().fold(f64::INFINITY, f64::min),
        sizes().fold(0.0, f64::max),
    );
    let x = |size: f64| LEFT + (size - first) / (last - first).max(1e-9) * (WIDTH - LEFT - RIGHT);
    let y = |time: f64| {
        HEIGHT - BOTTOM - (time - low) / (high - low).max(1e-9) * (HEIGHT - TOP - BOTTOM)
    };

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{title}</text>\n"
    );
    let mut exponent = low;
    while exponent <= high {
        let at = y(exponent);
        let right = WIDTH - RIGHT;
        let _ = write!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\n\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{} ns</text>\n",
            LEFT - 8.0,
            at + 4.0,
            10_f64.powf(exponent)
        );
        exponent += 1.0;
    }
    for race in races {
        let at = x((race.rules as f64).log10());
        let _ = writeln!(
            svg,
            "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            HEIGHT - BOTTOM + 20.0,
            race.rules
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">rules</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 10.0
    );
    for (at, name) in names.iter().enumerate() {
        let colour = COLOURS.get(at % COLOURS.len()).unwrap_or(&"black");
        let points: Vec<(f64, f64)> = races
            .iter()
            .filter_map(|race| Some((x((race.rules as f64).log10()), y(race.of(name)?.log10()))))
            .collect();
        let line: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let width = if at == 0 { 3 } else { 1 };
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>",
            line.join(" ")
        );
        let key = TOP + 18.0 * at as f64 + 10.0;
        let start = WIDTH - RIGHT + 14.0;
        let _ = writeln!(
            svg,
            "<line x1=\"{start}\" x2=\"{}\" y1=\"{key}\" y2=\"{key}\" stroke=\"{colour}\" \
             stroke-width=\"{width}\"/><text x=\"{}\" y=\"{}\">{name}</text>",
            start + 18.0,
            start + 24.0,
            key + 4.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}
