//! Draws how a spool grows as `docs/growth.svg`: bytes against messages, both logarithmic. Whole pixels only, so that a
//! few bytes in a header change nothing.

use std::fmt::Write;

use crate::growth::Growth;

const LEFT: f64 = 70.0;
const TOP: f64 = 40.0;
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 240.0;

/// The most messages, and the fewest and the most bytes, as powers of ten.
const MESSAGES: f64 = 6.0;
const FEWEST_BYTES: f64 = 3.0;
const MOST_BYTES: f64 = 11.0;

/// One line of the plot.
struct Line<'a> {
    growth: &'a Growth,
    colour: &'static str,
    label: &'static str,
    /// How far the label stands above the end of its line.
    above: f64,
}

/// The plot of a plain forward and of spoolguard.
pub fn svg(plain: &Growth, guarded: &Growth) -> String {
    let mut text = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 700 340\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <title>How a spool grows when the address that it is forwarded to is dead</title>\n\
         <rect width=\"700\" height=\"340\" fill=\"white\"/>\n\
         <text x=\"70\" y=\"22\" font-size=\"15\">One message to alice, forwarded to a dead address: size of her spool</text>\n",
    );
    for (power, label) in [
        (3.0, "1 kB"),
        (5.0, "100 kB"),
        (7.0, "10 MB"),
        (9.0, "1 GB"),
        (11.0, "100 GB"),
    ] {
        let y = y(power);
        writeln!(
            text,
            "<path d=\"M{LEFT} {y}h{WIDTH}\" stroke=\"#ddd\"/><text x=\"62\" y=\"{}\" text-anchor=\"end\">{label}</text>",
            y + 4.0
        )
        .unwrap();
    }
    for (power, label) in [(0.0, "1"), (2.0, "100"), (4.0, "10,000"), (6.0, "1,000,000")] {
        let x = x(power);
        writeln!(text, "<text x=\"{x}\" y=\"300\" text-anchor=\"middle\">{label}</text>").unwrap();
    }
    writeln!(
        text,
        "<text x=\"350\" y=\"324\" text-anchor=\"middle\">messages that the mail system sent (about 30 a second; MTAs simulated)</text>"
    )
    .unwrap();
    for line in [
        Line {
            growth: plain,
            colour: "#c0392b",
            label: "plain forward: never ends",
            above: 24.0,
        },
        Line {
            growth: guarded,
            colour: "#1e8449",
            label: "spoolguard: ends by itself",
            above: 12.0,
        },
    ] {
        draw(&mut text, &line);
    }
    text.push_str("</svg>\n");
    text
}

fn draw(text: &mut String, line: &Line<'_>) {
    let mut points = String::new();
    let mut end = 0.0;
    for step in 0..=60 {
        let power = f64::from(step) / 10.0;
        let bytes = line.growth.after(10_f64.powf(power).round() as u64);
        end = y((bytes as f64).max(1.0).log10());
        write!(points, "{}{},{end}", if step == 0 { "" } else { " " }, x(power)).unwrap();
    }
    writeln!(
        text,
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"{0}\" stroke-width=\"3\"/>\n\
         <text x=\"{1}\" y=\"{2}\" text-anchor=\"end\" fill=\"{0}\">{3}</text>",
        line.colour,
        x(MESSAGES) - if line.above > 20.0 { 130.0 } else { 0.0 },
        end - if line.above > 20.0 { -line.above } else { line.above },
        line.label
    )
    .unwrap();
}

fn x(power: f64) -> f64 {
    (LEFT + WIDTH * power / MESSAGES).round()
}

fn y(power: f64) -> f64 {
    (TOP + HEIGHT * (MOST_BYTES - power) / (MOST_BYTES - FEWEST_BYTES)).round()
}
