//! Tables that a screen reader reads as tables on a wide screen, on paper and on a phone, where each row is a card: a
//! browser that is told to lay a row out as a block may forget what it was, so every part says it by its role.

use super::write::Html;

/// A column: what it is called, and the class of its cells.
pub(super) struct Column {
    label: &'static str,
    class: &'static str,
}

/// A column of text.
pub(super) const fn column(label: &'static str) -> Column {
    Column { label, class: "" }
}

/// A column of numbers, or of spans of time.
pub(super) const fn figure(label: &'static str) -> Column {
    Column { label, class: "n" }
}

/// A table that is being written.
pub(super) struct Table<'a> {
    html: &'a mut Html,
    columns: &'a [Column],
    next: usize,
}

impl<'a> Table<'a> {
    /// Begins a table. The caption says what it is; `id` is its element's.
    pub(super) fn open(html: &'a mut Html, id: &'static str, caption: &str, columns: &'a [Column]) -> Self {
        html.raw("<table role=table id=\"").raw(id).raw("\"><caption>").text(caption);
        html.raw("</caption><thead role=rowgroup><tr role=row>");
        for column in columns {
            html.raw("<th scope=col role=columnheader");
            class(html, column);
            html.raw(">").raw(column.label).raw("</th>");
        }
        html.raw("</tr></thead><tbody role=rowgroup>");
        Self { html, columns, next: 0 }
    }

    /// Begins a row with the cell that the row is known by.
    pub(super) fn row(&mut self, write: impl FnOnce(&mut Html)) -> &mut Self {
        if self.next > 0 {
            self.html.raw("</tr>\n");
        }
        self.next = 0;
        self.html.raw("<tr role=row><th scope=row role=rowheader");
        self.content(write);
        self.html.raw("</th>");
        self
    }

    /// The next cell.
    pub(super) fn cell(&mut self, write: impl FnOnce(&mut Html)) -> &mut Self {
        self.html.raw("<td role=cell");
        self.content(write);
        self.html.raw("</td>");
        self
    }

    /// The next cell, a count; nothing is drawn faintly.
    pub(super) fn number(&mut self, number: usize) -> &mut Self {
        self.cell(|html| {
            if number == 0 {
                html.raw("<span class=none>0</span>");
            } else {
                html.show(super::words::count(number));
            }
        })
    }

    /// The next cell, a text from anywhere.
    pub(super) fn says(&mut self, text: &str) -> &mut Self {
        self.cell(|html| {
            html.raw("<bdi>").text(text).raw("</bdi>");
        })
    }

    /// The next cell, words of ours.
    pub(super) fn plain(&mut self, text: &'static str) -> &mut Self {
        self.cell(|html| {
            html.text(text);
        })
    }

    /// Ends it.
    pub(super) fn close(self) {
        if self.next > 0 {
            self.html.raw("</tr>\n");
        }
        self.html.raw("</tbody></table>\n");
    }

    fn content(&mut self, write: impl FnOnce(&mut Html)) {
        if let Some(column) = self.columns.get(self.next) {
            class(self.html, column);
            self.html.raw(" data-l=\"").raw(column.label).raw("\"");
        }
        self.next += 1;
        self.html.raw(">");
        write(self.html);
    }
}

fn class(html: &mut Html, column: &Column) {
    if !column.class.is_empty() {
        html.raw(" class=").raw(column.class);
    }
}
