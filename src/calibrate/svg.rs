//! Small line and bar drawings as SVG text, with axes and labels; no script, no font, nothing fetched.

use std::fmt::Write;

const WIDTH: f64 = 440.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 52.0;
const BOTTOM: f64 = 42.0;
const TOP: f64 = 14.0;
const RIGHT: f64 = 14.0;

/// A plot over a range of each axis.
pub(super) struct Plot {
    x: (f64, f64),
    y: (f64, f64),
    body: String,
}

impl Plot {
    /// An empty plot with five ticks an axis; axes are shares, written in percent.
    pub(super) fn new(x: (f64, f64), y: (f64, f64), x_label: &str, y_label: &str) -> Plot {
        let mut plot = Plot { x: widened(x), y: widened(y), body: String::new() };
        for step in 0..=4 {
            let at = f64::from(step) / 4.0;
            let (vx, vy) = (plot.x.0 + at * (plot.x.1 - plot.x.0), plot.y.0 + at * (plot.y.1 - plot.y.0));
            let (px, py) = (plot.px(vx), plot.py(vy));
            let (floor, end) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
            let _ = write!(plot.body, r#"<path class="grid" d="M{px:.1} {TOP}V{floor}M{LEFT} {py:.1}H{end}"/>"#);
            let _ = write!(
                plot.body,
                r#"<text x="{px:.1}" y="{:.1}" text-anchor="middle">{}</text><text x="{:.1}" y="{:.1}" text-anchor="end">{}</text>"#,
                floor + 16.0,
                percent(vx, plot.x),
                LEFT - 6.0,
                py + 4.0,
                percent(vy, plot.y),
            );
        }
        let middle = (LEFT + WIDTH - RIGHT) / 2.0;
        let _ = write!(plot.body, r#"<text x="{middle}" y="{}" text-anchor="middle">{x_label}</text>"#, HEIGHT - 6.0);
        let _ = write!(plot.body, r#"<text x="{LEFT}" y="10">{y_label}</text>"#);
        plot
    }

    fn px(&self, x: f64) -> f64 {
        LEFT + (x - self.x.0) / (self.x.1 - self.x.0) * (WIDTH - LEFT - RIGHT)
    }

    fn py(&self, y: f64) -> f64 {
        HEIGHT - BOTTOM - (y - self.y.0) / (self.y.1 - self.y.0) * (HEIGHT - BOTTOM - TOP)
    }

    /// A line through points.
    pub(super) fn line(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let mut path = String::new();
        for (x, y) in points {
            let _ = write!(path, "{}{:.1} {:.1}", if path.is_empty() { 'M' } else { 'L' }, self.px(x), self.py(y));
        }
        let _ = write!(self.body, r#"<path class="{class}" d="{path}"/>"#);
    }

    /// A point with an interval above and below it, and what it is.
    pub(super) fn point(&mut self, x: f64, y: f64, interval: Option<(f64, f64)>, title: &str) {
        let (px, py) = (self.px(x), self.py(y));
        if let Some((low, high)) = interval {
            let (low, high) = (self.py(low.max(self.y.0)), self.py(high.min(self.y.1)));
            let _ = write!(self.body, r#"<path class="interval" d="M{px:.1} {low:.1}V{high:.1}"/>"#);
        }
        let _ = write!(self.body, r#"<circle cx="{px:.1}" cy="{py:.1}" r="3.5"><title>{title}</title></circle>"#);
    }

    /// The whole drawing.
    pub(super) fn finish(self, name: &str) -> String {
        format!(r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">{}</svg>"#, self.body)
    }
}

/// A bar of a share of `full`, for a table's cell.
pub(super) fn bar(value: f64, full: f64, marked: bool) -> String {
    let width = (value / full).clamp(0.0, 1.0) * 120.0;
    let class = if marked { "bar alarm" } else { "bar" };
    format!(
        r#"<svg class="cell" viewBox="0 0 120 10" aria-hidden="true"><rect class="{class}" width="{width:.1}" height="10"/></svg>"#
    )
}

/// A range that is not empty.
fn widened((low, high): (f64, f64)) -> (f64, f64) {
    if high - low < 1e-9 { (low - 0.005, high + 0.005) } else { (low, high) }
}

/// A share in percent, with as many decimals as the range asks for.
fn percent(value: f64, range: (f64, f64)) -> String {
    let decimals = if range.1 - range.0 > 0.2 { 0 } else { 1 + usize::from(range.1 - range.0 < 0.02) };
    format!("{:.decimals$}%", value * 100.0)
}
