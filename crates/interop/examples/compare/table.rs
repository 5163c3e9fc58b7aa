//! The rows.

use std::fmt::Write as _;

/// One comparison.
struct Row {
    measure: String,
    target: String,
    ours: f64,
    apache: f64,
    unit: &'static str,
    is_disturbed: bool,
}

/// All of one part.
pub(crate) struct Table {
    title: String,
    rows: Vec<Row>,
}

/// The median of what was measured.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Table {
    pub(crate) fn new(title: &str) -> Self {
        Self { title: title.to_owned(), rows: Vec::new() }
    }

    /// Adds a row and prints it, so that whoever waits sees something.
    pub(crate) fn add(
        &mut self,
        measure: &str,
        target: &str,
        (ours, apache): (f64, f64),
        unit: &'static str,
        is_disturbed: bool,
    ) {
        eprintln!("{measure}: {} against {} {unit}", shown(ours), shown(apache));
        let (measure, target) = (measure.to_owned(), target.to_owned());
        self.rows.push(Row { measure, target, ours, apache, unit, is_disturbed });
    }

    pub(crate) fn markdown(&self) -> String {
        let mut out = format!("\n## {}\n\n", self.title);
        out += "| measure | Rookeeper | Apache 3.9.5 | ratio | target |\n";
        out += "| --- | --- | --- | --- | --- |\n";
        for row in &self.rows {
            let ratio = row.ours / row.apache;
            let ratio = if row.ours == 0.0 {
                "none".to_owned()
            } else if ratio < 0.5 {
                format!("1/{:.1}", 1.0 / ratio)
            } else {
                format!("{ratio:.2}x")
            };
            let _ = writeln!(
                out,
                "| {}{} | {} {} | {} {} | {ratio} | {} |",
                row.measure,
                if row.is_disturbed { " *" } else { "" },
                shown(row.ours),
                row.unit,
                shown(row.apache),
                row.unit,
                row.target
            );
        }
        out
    }
}

fn shown(value: f64) -> String {
    if 1000.0 <= value.abs() {
        format!("{value:.0}")
    } else if 10.0 <= value.abs() {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}
