//! The charts: SVG, drawn here.
//!
//! What was weighed against it, each as it would be inlined (minified, November 2026):
//!
//! | | size | licence | why not |
//! |---|---|---|---|
//! | Observable Plot 0.6 with d3 7.9 | 490 kB | ISC | SVG and good taste, but nothing is drawn without the script |
//! | Vega-Lite 6.4 with Vega 6.4 | 772 kB | BSD-3-Clause | the same; compiles expressions at run time, and so wants `unsafe-eval` or one more part |
//! | Chart.js 4.6 | 210 kB | MIT | a canvas: pixels on paper, nothing for a screen reader, no change of colours when dark mode comes |
//! | uPlot 1.6 | 51 kB | MIT | a canvas, likewise |
//! | Tabulator 6.5 (the table) | 448 kB | MIT | makes the table out of `div`s by script: no table without it, and none on paper but what is in view |
//! | simple-datatables 10.3 (the table) | 104 kB | LGPL-3.0 | pages through rows; what is on another page is not printed and not found |
//! | list.js 2.3 (the table) | 19 kB | MIT | sorts and filters well enough, but tells nobody (`aria-sort`, a status); that is most of our script |
//!
//! Three charts of known shape are a few hundred lines that anybody can read. Drawn here they need no script, print as lines and
//! not as pixels, take their colours from the page's (dark, forced, ink), and add nothing that a reader of a security report
//! would have to trust. Their text is never scaled: places across are per cent of whatever width there is.

use super::axis::{self, Spans, Tick};
use super::tables::{Table, column, figure};
use super::words;
use super::write::Html;
use crate::model::{End, Report};
use crate::summary::percentile;
use std::collections::BTreeMap;
use time::{Date, Duration, OffsetDateTime};

/// How high the plot of the open episodes is, in CSS pixels.
const HIGH: f64 = 200.0;
/// How high a control's row of bars is.
const ROW: f64 = 30.0;
/// Steps that the plot of the open episodes has at most: more than a screen or a sheet of paper has room for.
const STEPS: usize = 1_200;
/// Bars that a distribution has at most.
const BARS: usize = 40;

/// All of them.
pub(super) fn all(html: &mut Html, report: &Report) {
    exposure(html, report);
    weeks(html, report);
    mending(html, report);
}

/// What is drawn of a stretch of time: the most that was open in it.
#[derive(Clone, Copy, Default)]
struct Step {
    at: f64,
    open: usize,
    answered: usize,
}

fn exposure(html: &mut Html, report: &Report) {
    html.raw("<figure class=chart id=chart-open><figcaption><h3>Open over time</h3>");
    let most = report.exposure.iter().map(|point| point.open + point.answered).max().unwrap_or(0);
    let (Some(first), Some(last)) = (report.exposure.first(), report.exposure.last()) else {
        html.raw("<p>Nothing is known of what was open when.</p></figcaption></figure>\n");
        return;
    };
    if most == 0 {
        html.raw("<p>Nothing was open at any time.</p></figcaption></figure>\n");
        return;
    }
    html.raw("<p>How many episodes were open at each moment.");
    let steps = thinned(report);
    if steps.len() < report.exposure.len() {
        html.raw(" Where it changed oftener than can be drawn, the drawing shows the most that was open.");
    }
    html.raw(
        "</p><ul class=legend><li><svg class=key aria-hidden=true><rect class=s-open width=100% height=100% /></svg>",
    );
    html.raw("nobody answers for it: ").show(words::count(last.open)).raw(" at the end</li>");
    html.raw("<li><svg class=key aria-hidden=true><rect class=s-answered width=100% height=100% /></svg>");
    html.raw("exempt, or a fix was taken back: ")
        .show(words::count(last.answered))
        .raw(" at the end</li></ul></figcaption>");
    html.raw("<div class=plot role=img aria-label=\"Open episodes, ");
    html.show(words::period(report.from, report.to)).raw(": ").show(words::count(first.open + first.answered));
    html.raw(" at the beginning, at most ").show(words::count(most)).raw(", ");
    html.show(words::count(last.open + last.answered)).raw(" at the end. The table below has the figures.\">");
    let labels = axis::counts(most);
    let until = axis::place(words::stands(report), report.from, report.to);
    let top = words::float(labels.last().copied().unwrap_or(1));
    html.raw("<svg class=frame width=100% height=226 aria-hidden=true>");
    for label in &labels {
        let y = 6.0 + HIGH - words::float(*label) / top * HIGH;
        html.raw("<line class=grid x1=0 x2=100% y1=").show(tenth(y)).raw(" y2=").show(tenth(y)).raw(" />");
        html.raw("<text class=tick x=-8 y=").show(tenth(y)).raw(" dy=0.32em text-anchor=end>");
        html.show(words::count(*label)).raw("</text>");
    }
    ticks(html, &axis::times(report.from, report.to), 222.0);
    html.raw("<svg x=0 y=6 width=100% height=200 viewBox=\"0 0 1000 200\" preserveAspectRatio=none>");
    if steps.iter().any(|step| step.answered > 0) {
        area(html, "s-answered", &steps, (top, until), |step| (step.open, step.open + step.answered));
    }
    area(html, "s-open", &steps, (top, until), |step| (0, step.open));
    html.raw("</svg></svg></div>\n");
    data(html, |html| {
        let columns =
            [column("Week of"), figure("Most open"), figure("of which nobody answers for"), figure("Open at its end")];
        let mut table = Table::open(html, "data-open", "Open episodes by week", &columns);
        for (monday, week) in by_week(report) {
            table.row(|html| {
                html.text(&monday);
            });
            table.number(week.most).number(week.unanswered).number(week.end);
        }
        table.close();
    });
    html.raw("</figure>\n");
}

/// The steps that are drawn: all of them, or the highest of each stretch of time.
fn thinned(report: &Report) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let whole = report.exposure.len() <= STEPS;
    let wide = 100.0 / words::float(STEPS);
    for point in &report.exposure {
        let at = axis::place(point.at, report.from, report.to);
        let step = Step { at, open: point.open, answered: point.answered };
        match steps.last_mut() {
            Some(last) if !whole && at - last.at < wide => {
                if step.open + step.answered > last.open + last.answered {
                    (last.open, last.answered) = (step.open, step.answered);
                }
            }
            _ => steps.push(step),
        }
    }
    if let (false, Some(last), Some(point)) = (whole, steps.last().copied(), report.exposure.last()) {
        steps.push(Step { at: last.at, open: point.open, answered: point.answered });
    }
    steps
}

/// The area between two counts, as steps. With what is at the plot's top, and how far it goes: not into the future.
fn area(
    html: &mut Html,
    class: &'static str,
    steps: &[Step],
    (top, until): (f64, f64),
    of: impl Fn(&Step) -> (usize, usize),
) {
    let y = |count: usize| tenth(HIGH - words::float(count) / top * HIGH);
    let ends = steps.iter().skip(1).map(|step| step.at).chain([until]);
    let spans: Vec<(f64, f64, usize, usize)> = steps
        .iter()
        .zip(ends)
        .map(|(step, end)| {
            let (low, high) = of(step);
            (tenth(step.at * 10.0), tenth(end * 10.0), low, high)
        })
        .collect();
    html.raw("<path class=").raw(class).raw(" d=\"M0 200");
    for (from, to, _, high) in &spans {
        html.raw("L").show(from).raw(" ").show(y(*high)).raw("H").show(to);
    }
    for (from, to, low, _) in spans.iter().rev() {
        html.raw("L").show(to).raw(" ").show(y(*low)).raw("H").show(from);
    }
    html.raw("Z\"/>");
}

/// A week of the table under the chart.
#[derive(Default)]
struct Week {
    most: usize,
    unanswered: usize,
    end: usize,
}

fn by_week(report: &Report) -> BTreeMap<String, Week> {
    let mut weeks: BTreeMap<String, Week> = BTreeMap::new();
    let (mut open, mut answered) = (0, 0);
    let mut points = report.exposure.iter().peekable();
    let mut monday = monday(report.from);
    // The first moment that is not in the period any more is nobody's, and neither is the future.
    while let Some(start) = monday.filter(|monday| monday.midnight().assume_utc() < words::stands(report)) {
        let end = start.midnight().assume_utc() + Duration::WEEK;
        let week = weeks.entry(start.to_string()).or_default();
        (week.most, week.unanswered) = (open + answered, open);
        while let Some(point) = points.next_if(|point| point.at < end) {
            (open, answered) = (point.open, point.answered);
            week.most = week.most.max(open + answered);
            week.unanswered = week.unanswered.max(open);
        }
        week.end = open + answered;
        monday = start.checked_add(Duration::WEEK);
    }
    weeks
}

fn monday(at: OffsetDateTime) -> Option<Date> {
    let date = at.to_offset(time::UtcOffset::UTC).date();
    date.checked_sub(Duration::days(i64::from(date.weekday().number_days_from_monday())))
}

fn weeks(html: &mut Html, report: &Report) {
    let mut rows: BTreeMap<&str, usize> = BTreeMap::new();
    for week in &report.weeks {
        for (control, number) in &week.began {
            *rows.entry(control).or_default() += number;
        }
    }
    let most = report.weeks.iter().flat_map(|week| week.began.values()).copied().max().unwrap_or(0);
    html.raw("<figure class=chart id=chart-weeks><figcaption><h3>New drift by control and week</h3>");
    if most == 0 {
        html.raw("<p>No drift began in the period.</p></figcaption></figure>\n");
        return;
    }
    html.raw("<p>How many episodes began in each week, by control. All rows have the same height: a full one is ");
    html.show(words::many(most, "episode")).raw(" in a week.</p></figcaption>");
    html.raw("<div class=rows role=img aria-label=\"New drift by control, in all: ");
    for (place, (control, number)) in rows.iter().enumerate() {
        html.raw(if place == 0 { "" } else { ", " }).text(control).raw(" ").show(words::count(*number));
    }
    html.raw(". The table below has each week.\">");
    let wide = 100.0 / words::float(report.weeks.len().max(1));
    for (control, number) in &rows {
        html.raw("<div class=line><span class=name>").text(control).raw("</span><svg class=bars width=100% height=30>");
        html.raw("<line class=base x1=0 x2=100% y1=29.5 y2=29.5 />");
        for (place, week) in report.weeks.iter().enumerate() {
            let Some(began) = week.began.get(*control).filter(|began| **began > 0) else { continue };
            let high = (words::float(*began) / words::float(most) * (ROW - 3.0)).max(2.0);
            let x = words::float(place) * wide;
            bar(html, x, wide, ROW - 1.0 - high, high);
            html.raw("<title>week of ").text(&week.monday).raw(": ").show(words::count(*began)).raw("</title></rect>");
        }
        html.raw("</svg><span class=sum>").show(words::count(*number)).raw("</span></div>");
    }
    html.raw("<div class=\"line scale\"><span></span><svg class=bars width=100% height=18>");
    ticks(html, &week_ticks(report), 14.0);
    html.raw("</svg><span></span></div></div>\n");
    data(html, |html| {
        let columns = [column("Week of"), figure("Episodes"), column("Of which")];
        let mut table = Table::open(html, "data-weeks", "New episodes by week", &columns);
        for week in &report.weeks {
            table.row(|html| {
                html.text(&week.monday);
            });
            table.number(week.began.values().sum());
            table.cell(|html| {
                for (place, (control, number)) in week.began.iter().enumerate() {
                    html.raw(if place == 0 { "" } else { ", " });
                    html.text(control).raw("&nbsp;").show(words::count(*number));
                }
            });
        }
        table.close();
    });
    html.raw("</figure>\n");
}

/// The weeks that have room for a label.
fn week_ticks(report: &Report) -> Vec<Tick> {
    let weeks = words::float(report.weeks.len().max(1));
    if report.weeks.len() <= 6 {
        let days =
            report.weeks.iter().map(|week| date(&week.monday).map(|day| words::short_day(day.midnight().assume_utc())));
        let places = days.enumerate().map(|(place, day)| ((words::float(place) + 0.5) * 100.0 / weeks, day));
        return places.filter_map(|(at, day)| Some(Tick { at, label: day? })).collect();
    }
    let first = report.weeks.first().map(|week| week.monday.as_str());
    let Some(start) = first.and_then(date) else { return Vec::new() };
    let from = start.midnight().assume_utc();
    axis::times(from, from.checked_add(Duration::WEEK * weeks).unwrap_or(from))
}

/// A day as the model writes it.
fn date(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '-');
    let year = parts.next()?.parse().ok()?;
    let month = time::Month::try_from(parts.next()?.parse::<u8>().ok()?).ok()?;
    Date::from_calendar_date(year, month, parts.next()?.parse().ok()?).ok()
}

fn mending(html: &mut Html, report: &Report) {
    let mut rows: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut untimed = 0;
    for episode in report.episodes.iter().filter(|episode| episode.end == End::Fixed) {
        match episode.ended.filter(|_| episode.timed) {
            Some(ended) => {
                rows.entry(&episode.control).or_default().push((ended - episode.began).as_seconds_f64().max(0.0));
            }
            None => untimed += 1,
        }
    }
    for spans in rows.values_mut() {
        spans.sort_by(f64::total_cmp);
    }
    html.raw("<figure class=chart id=chart-mending><figcaption><h3>Time to mend, by control</h3>");
    let shortest = rows.values().filter_map(|spans| spans.first()).copied().fold(f64::INFINITY, f64::min);
    let longest = rows.values().filter_map(|spans| spans.last()).copied().fold(0.0, f64::max);
    if rows.is_empty() {
        html.raw("<p>Suture mended nothing in the period whose beginning is known.</p></figcaption></figure>\n");
        return;
    }
    html.raw(
        "<p>From the beginning of drift to its mending by Suture, on a logarithmic scale: mind the \
        marks. The line across is the median. A row is as high as its own fullest bar.",
    );
    if untimed > 0 {
        html.raw(" Not in it: ").show(words::many(untimed, "mended episode"));
        html.raw(" of which it is not known when the drift began, or for which somebody answered meanwhile.");
    }
    html.raw("</p></figcaption><div class=rows role=img aria-label=\"Median time to mend: ");
    for (place, (control, spans)) in rows.iter().enumerate() {
        html.raw(if place == 0 { "" } else { ", " })
            .text(control)
            .raw(" ")
            .show(words::span(percentile(spans, 50).unwrap_or_default()));
    }
    html.raw(". The table below has more.\">");
    let axis = Spans::new(shortest, longest);
    for (control, spans) in &rows {
        html.raw("<div class=line><span class=name>").text(control).raw("</span><svg class=bars width=100% height=30>");
        for tick in &axis.ticks {
            html.raw("<line class=grid y1=0 y2=30 x1=")
                .show(tenth(tick.at))
                .raw("% x2=")
                .show(tenth(tick.at))
                .raw("% />");
        }
        html.raw("<line class=base x1=0 x2=100% y1=29.5 y2=29.5 />");
        distribution(html, &axis, spans);
        let median = tenth(axis.place(percentile(spans, 50).unwrap_or_default()));
        html.raw("<line class=median y1=1 y2=30 x1=").show(median).raw("% x2=").show(median).raw("% />");
        html.raw("</svg><span class=sum>").show(words::span(percentile(spans, 50).unwrap_or_default()));
        html.raw(" <small>of ").show(words::count(spans.len())).raw("</small></span></div>");
    }
    html.raw("<div class=\"line scale\"><span></span><svg class=bars width=100% height=18>");
    ticks(html, &axis.ticks, 14.0);
    html.raw("</svg><span></span></div></div>\n");
    data(html, |html| {
        let columns = [
            column("Control"),
            figure("Mended"),
            figure("Shortest"),
            figure("Median"),
            figure("95 of 100 within"),
            figure("Longest"),
        ];
        let mut table = Table::open(html, "data-mending", "Time to mend, by control", &columns);
        for (control, spans) in &rows {
            table.row(|html| {
                html.text(control);
            });
            table.number(spans.len());
            for share in [0, 50, 95, 100] {
                table.cell(|html| {
                    html.show(words::span(percentile(spans, share).unwrap_or_default()));
                });
            }
        }
        table.close();
    });
    html.raw("</figure>\n");
}

/// The bars of a sorted distribution.
fn distribution(html: &mut Html, axis: &Spans, spans: &[f64]) {
    let wide = 100.0 / words::float(BARS);
    let mut bars = Vec::new();
    let mut rest = spans;
    for place in 1..=BARS {
        let end = axis.seconds(words::float(place) * wide);
        let within = if place == BARS { rest.len() } else { rest.partition_point(|seconds| *seconds < end) };
        let (bar, more) = rest.split_at(within);
        bars.push(bar);
        rest = more;
    }
    let fullest = words::float(bars.iter().map(|bar| bar.len()).max().unwrap_or(1).max(1));
    for (place, within) in bars.iter().enumerate() {
        let (Some(first), Some(last)) = (within.first(), within.last()) else { continue };
        let high = (words::float(within.len()) / fullest * (ROW - 5.0)).max(2.0);
        bar(html, words::float(place) * wide, wide, ROW - 1.0 - high, high);
        html.raw("<title>").show(words::span(*first));
        if within.len() > 1 {
            html.raw(" to ").show(words::span(*last));
        }
        html.raw(": ").show(words::many(within.len(), "episode")).raw("</title></rect>");
    }
}

/// Begins a bar; whoever calls ends it, with its title.
fn bar(html: &mut Html, x: f64, wide: f64, y: f64, high: f64) {
    // Few bars are not to become blocks.
    let width = (wide * 0.84).min(8.0);
    html.raw("<rect class=s-bar x=").show(hundredth(x + (wide - width) / 2.0)).raw("% width=").show(hundredth(width));
    html.raw("% y=").show(tenth(y)).raw(" height=").show(tenth(high)).raw(" >");
}

/// The labels below a plot. The first and last keep within it.
fn ticks(html: &mut Html, ticks: &[Tick], y: f64) {
    for tick in ticks {
        let anchor = match tick.at {
            at if at < 3.0 => "start",
            at if at > 97.0 => "end",
            _ => "middle",
        };
        html.raw("<text class=tick x=")
            .show(tenth(tick.at))
            .raw("% y=")
            .show(tenth(y))
            .raw(" text-anchor=")
            .raw(anchor);
        html.raw(">").text(&tick.label).raw("</text>");
    }
}

/// The figures of a chart, for whoever wants them as such.
fn data(html: &mut Html, table: impl FnOnce(&mut Html)) {
    html.raw("<details class=data><summary>The figures as a table</summary>\n");
    table(html);
    html.raw("</details>\n");
}

/// No more digits than can be seen.
fn tenth(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn hundredth(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
