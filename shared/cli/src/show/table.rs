//! Tables for people: columns beside each other, a line for each row, and notes beneath it.
//!
//! On a terminal they fit its width: texts are wrapped between words, and where that is not enough, the last columns go
//! beneath their row. No word is broken: ids and names are there to be copied. In a pipe no row is wrapped, so that `grep`
//! finds it whole, unless `COLUMNS` says how wide it is to be.
//!
//! Our own, because comfy-table, the library for it, has no cell that spans columns, which notes need; breaks ids in the middle
//! where a terminal is narrow; and can set no column aside.

use anstyle::Style;
use std::fmt::{Display, Formatter, Result};

/// What is between two columns.
const GAP: usize = 2;
/// How narrow a column of texts may become before its table is taken apart.
const NARROW: usize = 16;
/// How long lines beneath a row are in a pipe.
const LINE: usize = 100;
/// How far what is beneath a row is moved in.
const INDENT: usize = 4;

/// What a row has in a column.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// A text in a style. The text holds no escape sequences: its width is that of its characters.
    pub fn new(text: impl Display, style: Style) -> Self {
        Self { text: text.to_string(), style }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, style: Style::new() }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

#[derive(Debug, Default)]
struct Row {
    cells: Vec<Cell>,
    notes: Vec<(String, String)>,
}

/// A table. What is printed is its [`Display`].
#[derive(Debug)]
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Row>,
}

impl Table {
    /// An empty one with these headings.
    pub fn new(headings: impl IntoIterator<Item = String>) -> Self {
        Self { headings: headings.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row, which has a cell for each heading.
    pub fn add_row<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) -> &mut Self {
        let mut cells: Vec<Cell> = cells.into_iter().map(Into::into).collect();
        cells.resize_with(self.headings.len(), Cell::default);
        self.rows.push(Row { cells, notes: Vec::new() });
        self
    }

    /// Says something beneath the row that was added last.
    pub fn note(&mut self, label: &str, text: impl Into<String>) -> &mut Self {
        if let Some(row) = self.rows.last_mut() {
            row.notes.push((label.to_owned(), text.into()));
        }
        self
    }

    /// Whether there is no row in it.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as it is on a terminal of this many columns, or where the width does not matter.
    fn render(&self, width: Option<usize>) -> String {
        let (shown, widths) = self.columns(width);
        let right: Vec<bool> = (0..shown).map(|column| self.is_numbers(column)).collect();
        let mut lines = Vec::new();
        let bold = Style::new().bold();
        let headings: Vec<Cell> = self.headings.iter().map(|heading| Cell::new(heading, bold)).collect();
        let columns = Columns { widths: &widths, right: &right };
        columns.push(&headings, &mut lines);
        for row in &self.rows {
            columns.push(&row.cells, &mut lines);
            let beneath = self.headings.iter().zip(&row.cells).skip(shown);
            let beneath = beneath.map(|(heading, cell)| (heading.as_str(), cell.text.as_str()));
            let notes = row.notes.iter().map(|(label, text)| (label.as_str(), text.as_str()));
            push_beneath(beneath.chain(notes).filter(|(_, text)| !text.is_empty()), width, &mut lines);
        }
        lines.join("\n")
    }

    /// How many columns are beside each other, and how wide each is.
    fn columns(&self, width: Option<usize>) -> (usize, Vec<usize>) {
        let mut shown = self.headings.len();
        loop {
            let mut widths: Vec<usize> = (0..shown).map(|column| self.most(column, Cell::width)).collect();
            let Some(width) = width else { return (shown, widths) };
            let least: Vec<usize> =
                widths.iter().enumerate().map(|(column, natural)| self.least(column, *natural)).collect();
            let gaps = GAP * shown.saturating_sub(1);
            while widths.iter().sum::<usize>() + gaps > width {
                let may = widths.iter_mut().zip(&least).filter(|(width, least)| **width > **least);
                let Some((widest, _)) = may.max_by_key(|(width, _)| **width) else { break };
                *widest -= 1;
            }
            if widths.iter().sum::<usize>() + gaps <= width || shown <= 1 {
                return (shown, widths);
            }
            shown -= 1;
        }
    }

    /// The largest measure of a column's cells, its heading included.
    fn most(&self, column: usize, measure: impl Fn(&Cell) -> usize) -> usize {
        let heading = self.headings.get(column).map(|heading| measure(&heading.as_str().into())).unwrap_or_default();
        let cells = self.rows.iter().filter_map(|row| row.cells.get(column)).map(measure);
        cells.max().unwrap_or_default().max(heading)
    }

    /// How narrow a column may become: never less than its longest word.
    fn least(&self, column: usize, natural: usize) -> usize {
        let longest = |cell: &Cell| cell.text.split(' ').map(|word| word.chars().count()).max().unwrap_or_default();
        self.most(column, longest).max(natural.min(NARROW))
    }

    /// Whether a column has numbers alone, which end beneath each other.
    fn is_numbers(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.cells.get(column)).peekable();
        // An account is no number: it has twelve digits.
        let number =
            |cell: &Cell| (1..12).contains(&cell.text.len()) && cell.text.bytes().all(|it| it.is_ascii_digit());
        cells.peek().is_some() && cells.all(number)
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(&self.render(super::width()))
    }
}

struct Columns<'a> {
    widths: &'a [usize],
    right: &'a [bool],
}

impl Columns<'_> {
    /// Adds the lines of one row.
    fn push(&self, cells: &[Cell], lines: &mut Vec<String>) {
        let wrapped: Vec<Vec<String>> =
            self.widths.iter().zip(cells).map(|(width, cell)| wrap(&cell.text, Some(*width))).collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or_default();
        for number in 0..height {
            let mut line = String::new();
            let mut owed = 0;
            for (((width, right), cell), texts) in self.widths.iter().zip(self.right).zip(cells).zip(&wrapped) {
                let text = texts.get(number).map(String::as_str).unwrap_or_default();
                let pad = width.saturating_sub(text.chars().count());
                if text.is_empty() {
                    owed += width + GAP;
                    continue;
                }
                let (before, after) = if *right { (pad, 0) } else { (0, pad) };
                line.push_str(&" ".repeat(owed + before));
                line.push_str(&super::painted(cell.style, &text));
                owed = after + GAP;
            }
            lines.push(line);
        }
    }
}

/// Adds what is beneath a row: a label, and a text that begins where all of them do.
fn push_beneath<'a>(notes: impl Iterator<Item = (&'a str, &'a str)>, width: Option<usize>, lines: &mut Vec<String>) {
    let notes: Vec<(&str, &str)> = notes.collect();
    let label_width = notes.iter().map(|(label, _)| label.chars().count()).max().unwrap_or_default();
    let hang = if label_width == 0 { INDENT } else { INDENT + label_width + GAP };
    let mut before = "";
    for (label, text) in notes {
        // A label that is the one above is not said again.
        let said = if label == before { "" } else { label };
        before = label;
        let room = width.unwrap_or(LINE).saturating_sub(hang).max(NARROW);
        for (number, part) in wrap(text, Some(room)).into_iter().enumerate() {
            let said = if number == 0 { said } else { "" };
            let pad = " ".repeat(hang - INDENT - said.chars().count());
            let said = if said.is_empty() { String::new() } else { super::faint(said) };
            lines.push(format!("{}{said}{pad}{part}", " ".repeat(INDENT)));
        }
    }
}

/// A text in lines of at most this width, broken between words alone.
pub fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else { return vec![text.to_owned()] };
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use anstream::adapter::strip_str;
    use proptest::prelude::*;

    fn sample() -> Table {
        let mut table = Table::new(["control", "resource", "writes", "what it would break"].map(str::to_owned));
        table.add_row(["s3-public-bucket", "clinic-website", "1", "visitors of the website would get 403"]);
        table.note("breaks", "uploads that ask for public access would fail with AccessDenied");
        table.add_row(["ebs-unencrypted-default", "111122223333", "12", ""]);
        table
    }

    fn plain(table: &Table, width: Option<usize>) -> String {
        strip_str(&table.render(width)).to_string()
    }

    #[test]
    fn in_a_pipe_a_row_is_a_line_whatever_its_length() {
        assert_eq!(
            plain(&sample(), None),
            "control                  resource        writes  what it would break\n\
             s3-public-bucket         clinic-website       1  visitors of the website would get 403\n    \
             breaks  uploads that ask for public access would fail with AccessDenied\n\
             ebs-unencrypted-default  111122223333        12"
        );
    }

    #[test]
    fn on_a_terminal_texts_are_wrapped_and_then_columns_go_beneath() {
        assert_eq!(
            plain(&sample(), Some(76)),
            "control                  resource        writes  what it would break\n\
             s3-public-bucket         clinic-website       1  visitors of the website\n\
             \x20                                                would get 403\n    \
             breaks  uploads that ask for public access would fail with AccessDenied\n\
             ebs-unencrypted-default  111122223333        12"
        );
        assert_eq!(
            plain(&sample(), Some(50)),
            "control                  resource        writes\n\
             s3-public-bucket         clinic-website       1\n    \
             what it would break  visitors of the website\n    \
             \x20                    would get 403\n    \
             breaks               uploads that ask for\n    \
             \x20                    public access would fail\n    \
             \x20                    with AccessDenied\n\
             ebs-unencrypted-default  111122223333        12"
        );
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_its_terminal_but_for_a_word_that_is(
            rows in proptest::collection::vec(proptest::collection::vec("[a-z]{0,9}( [a-z]{1,9}){0,6}", 4), 0..6),
            width in 40_usize..200,
        ) {
            let mut table = Table::new(["one", "two", "three", "four"].map(str::to_owned));
            for row in &rows {
                table.add_row(row.iter().map(String::as_str));
            }
            let shown = plain(&table, Some(width));
            prop_assert!(shown.lines().all(|line| line.chars().count() <= width && line.trim_end() == line), "{}", shown);
            let said = |text: &str| text.split_whitespace().map(str::len).sum::<usize>();
            let all: usize = rows.iter().flatten().map(|text| said(text)).sum();
            prop_assert!(said(&shown) >= all, "nothing is left out: {}", shown);
        }
    }
}
