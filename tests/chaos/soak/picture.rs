//! The picture of a soak: four plots over the same time, with the faults. Readable on white and on
//! black.

use std::fmt::Write as _;

use crate::soak::Soaked;
use crate::soak::faults::FAULTS;
use crate::soak::samples::Sample;

/// A plot: a title, the scale of its vertical axis, and its lines.
struct Plot<'a> {
    title: &'static str,
    logarithmic: bool,
    lines: Vec<Line<'a>>,
}

/// A line of a plot: the value of each sample of a replica.
struct Line<'a> {
    name: &'static str,
    color: &'static str,
    width: f64,
    replica: usize,
    value: &'a dyn Fn(&Sample) -> f64,
}

/// The place of a plot and the range of its values.
struct Frame {
    top: f64,
    /// Seconds of the whole picture.
    length: f64,
    least: f64,
    most: f64,
    logarithmic: bool,
}

/// Returns the picture.
pub(crate) fn svg(soaked: &Soaked) -> String {
    let p50 = |it: &Sample| it.p50.as_secs_f64() * 1000.0;
    let p99 = |it: &Sample| it.p99.as_secs_f64() * 1000.0;
    let answered = |it: &Sample| (it.allowed + it.denied) as f64;
    let not_passed = |it: &Sample| it.not_passed as f64;
    let memory = |it: &Sample| it.memory_kib as f64 / 1024.0;
    let descriptors = |it: &Sample| it.descriptors as f64;
    let plots = [
        Plot {
            title: "latency, ms",
            logarithmic: true,
            lines: vec![
                Line::new("first replica, p50", GREEN, 0, &p50).thin(),
                Line::new("p99", GREEN, 0, &p99),
                Line::new("second replica, p50", BLUE, 1, &p50).thin(),
                Line::new("p99", BLUE, 1, &p99),
            ],
        },
        Plot {
            title: "answers/s",
            logarithmic: false,
            lines: vec![
                Line::new("first replica", GREEN, 0, &answered),
                Line::new("second replica", BLUE, 1, &answered),
                Line::new("valid, not passed: first", RED, 0, &not_passed),
                Line::new("second", ORANGE, 1, &not_passed),
            ],
        },
        Plot {
            title: "resident memory, MiB",
            logarithmic: false,
            lines: vec![
                Line::new("first replica", GREEN, 0, &memory),
                Line::new("second replica", BLUE, 1, &memory),
            ],
        },
        Plot {
            title: "descriptors",
            logarithmic: false,
            lines: vec![
                Line::new("first replica", GREEN, 0, &descriptors),
                Line::new("second replica", BLUE, 1, &descriptors),
            ],
        },
    ];
    draw(soaked, &plots)
}

fn draw(soaked: &Soaked, plots: &[Plot<'_>]) -> String {
    let length = soaked.samples.0.last().map_or(1.0, |sample| sample.second);
    let bottom = TOP + plots.len() as f64 * (HEIGHT + GAP);
    let height = bottom + 14.0 * FAULTS.len().div_ceil(2) as f64 + 34.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"sans-serif\" font-size=\"10\" fill=\"{GREY}\">\n"
    );
    windows(&mut svg, soaked, length, bottom - GAP);
    for (index, plot) in plots.iter().enumerate() {
        let top = TOP + index as f64 * (HEIGHT + GAP);
        let frame = plot.frame(soaked, top, length);
        frame.axes(&mut svg);
        plot.legend(&mut svg, top - 7.0);
        for line in &plot.lines {
            line.draw(&mut svg, soaked, &frame);
        }
    }
    time_axis(&mut svg, length, bottom - GAP);
    letters(&mut svg, bottom + 16.0);
    svg.push_str("</svg>\n");
    svg
}

/// Draws a band for each fault, with its letter.
fn windows(svg: &mut String, soaked: &Soaked, length: f64, bottom: f64) {
    for window in &soaked.windows.all {
        let at = |moment| x(soaked.windows.seconds(moment), length);
        let (left, right) = (at(window.began), at(window.until()).min(RIGHT));
        let wide = (right - left).max(0.5);
        rect(svg, left, TOP - 18.0, wide, bottom - TOP + 18.0);
        let letter = window.fault.letter;
        text(svg, left, TOP - 20.0, "start", &letter.to_string());
    }
}

fn letters(svg: &mut String, top: f64) {
    for (index, fault) in FAULTS.iter().enumerate() {
        let (column, row) = (index % 2, index / 2);
        let words = format!("{}  {}", fault.letter, fault.text.replace('`', ""));
        let left = LEFT + column as f64 * (RIGHT - LEFT) / 2.0;
        text(svg, left, top + 14.0 * row as f64, "start", &words);
    }
}

fn time_axis(svg: &mut String, length: f64, bottom: f64) {
    let step = [15.0, 60.0, 300.0, 900.0, 3600.0];
    let step = step.into_iter().find(|step| length / step <= 9.0);
    let step = step.unwrap_or(7200.0);
    let mut at = 0.0;
    while at <= length {
        let label = if step < 60.0 {
            format!("{at:.0} s")
        } else {
            format!("{:.0} min", at / 60.0)
        };
        text(svg, x(at, length), bottom + 13.0, "middle", &label);
        at += step;
    }
}

impl Plot<'_> {
    /// Returns the frame that contains every value.
    fn frame(&self, soaked: &Soaked, top: f64, length: f64) -> Frame {
        let values = self.lines.iter().flat_map(|line| {
            let of_it = soaked.samples.of(line.replica);
            of_it.map(|sample| (line.value)(sample))
        });
        let (mut least, mut most) = (f64::MAX, 0.0_f64);
        for value in values.filter(|value| *value > 0.0) {
            (least, most) = (least.min(value), most.max(value));
        }
        if self.logarithmic {
            least = 10_f64.powf(least.min(most).max(0.01).log10().floor());
            most = 10_f64.powf(most.max(0.1).log10().ceil());
        } else {
            (least, most) = (0.0, round_up(most));
        }
        Frame {
            top,
            length,
            least,
            most,
            logarithmic: self.logarithmic,
        }
    }

    fn legend(&self, svg: &mut String, baseline: f64) {
        text(svg, LEFT, baseline, "start", self.title);
        let mut right = RIGHT;
        for line in self.lines.iter().rev() {
            right -= line.name.len() as f64 * 5.2;
            text(svg, right, baseline, "start", line.name);
            let (from, until) = (right - 16.0, right - 4.0);
            let (y, color, wide) = (baseline - 3.0, line.color, line.width);
            // Writing to a string does not fail.
            let _ = writeln!(
                svg,
                "<path d=\"M{from:.1} {y:.1}H{until:.1}\" stroke=\"{color}\" stroke-width=\"{wide}\"/>"
            );
            right -= 28.0;
        }
    }
}

impl<'a> Line<'a> {
    fn new(
        name: &'static str,
        color: &'static str,
        replica: usize,
        value: &'a dyn Fn(&Sample) -> f64,
    ) -> Self {
        Self {
            name,
            color,
            width: 1.2,
            replica,
            value,
        }
    }

    fn thin(mut self) -> Self {
        self.width = 0.5;
        self
    }

    /// Draws the line with the largest value of each pixel.
    fn draw(&self, svg: &mut String, soaked: &Soaked, frame: &Frame) {
        let mut path = String::new();
        let mut pixel: Option<(f64, f64)> = None;
        for sample in soaked.samples.of(self.replica) {
            let (at, value) = (x(sample.second, frame.length).round(), (self.value)(sample));
            match &mut pixel {
                Some((column, most)) if *column == at => *most = most.max(value),
                _ => {
                    frame.append(&mut path, pixel);
                    pixel = Some((at, value));
                }
            }
        }
        frame.append(&mut path, pixel);
        let (color, width) = (self.color, self.width);
        // Writing to a string does not fail.
        let _ = writeln!(
            svg,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\"/>"
        );
    }
}

impl Frame {
    fn append(&self, path: &mut String, point: Option<(f64, f64)>) {
        if let Some((at, value)) = point {
            let letter = if path.is_empty() { 'M' } else { 'L' };
            // Writing to a string does not fail.
            let _ = write!(path, "{letter}{at:.0} {:.1}", self.y(value));
        }
    }

    fn y(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            let (least, most) = (self.least.log10(), self.most.log10());
            (value.max(self.least).log10() - least) / (most - least)
        } else {
            (value - self.least) / (self.most - self.least)
        };
        self.top + HEIGHT * (1.0 - share)
    }

    fn axes(&self, svg: &mut String) {
        for value in self.ticks() {
            let y = self.y(value);
            // Writing to a string does not fail.
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {y:.1}H{RIGHT}\" stroke=\"{GREY}\" stroke-width=\"0.5\" stroke-opacity=\"0.4\"/>"
            );
            text(svg, LEFT - 4.0, y + 3.0, "end", &value.to_string());
        }
    }

    fn ticks(&self) -> Vec<f64> {
        if !self.logarithmic {
            return vec![0.0, self.most / 2.0, self.most];
        }
        let (from, until) = (self.least.log10(), self.most.log10());
        let powers = (from.round() as i32)..=(until.round() as i32);
        powers.map(|power| 10_f64.powi(power)).collect()
    }
}

/// Returns the next number of the form 1, 2, 3, 4, 6 or 8 times a power of ten.
fn round_up(most: f64) -> f64 {
    let power = 10_f64.powf(most.max(1.0).log10().floor());
    let steps = [1.0, 2.0, 3.0, 4.0, 6.0, 8.0];
    let step = steps.into_iter().find(|step| step * power >= most);
    step.unwrap_or(10.0) * power
}

fn x(second: f64, length: f64) -> f64 {
    LEFT + (RIGHT - LEFT) * second / length
}

fn rect(svg: &mut String, left: f64, top: f64, width: f64, height: f64) {
    // Writing to a string does not fail.
    let _ = writeln!(
        svg,
        "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{GREY}\" fill-opacity=\"0.22\"/>"
    );
}

fn text(svg: &mut String, left: f64, baseline: f64, anchor: &str, words: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(
        svg,
        "<text x=\"{left:.1}\" y=\"{baseline:.1}\" text-anchor=\"{anchor}\">{words}</text>"
    );
}

const WIDTH: f64 = 960.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 950.0;
const TOP: f64 = 44.0;
const HEIGHT: f64 = 96.0;
const GAP: f64 = 34.0;

const GREY: &str = "#808080";
const GREEN: &str = "#2a9d5c";
const BLUE: &str = "#4a86c5";
const RED: &str = "#d9534f";
const ORANGE: &str = "#e08e2b";
