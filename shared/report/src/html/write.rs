//! HTML as it grows. What goes in is either ours, and then a literal, or it is escaped: there is no third way in.

use std::fmt::{self, Display, Write};

/// A page, or a part of one.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Markup of ours. Only what was written into the program can be `'static`, so nothing from outside gets in here.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text from anywhere, for an element's content or a quoted attribute.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            escape(&mut self.0, c);
        }
        self
    }

    /// What shows itself as text: a number, a time. Escaped all the same.
    pub(super) fn show(&mut self, what: impl Display) -> &mut Self {
        let _ = write!(Escaping(&mut self.0), "{what}");
        self
    }

    /// No more of a text than so many characters; the rest is told by an ellipsis.
    pub(super) fn cut(&mut self, text: &str, most: usize) -> &mut Self {
        let mut chars = text.chars();
        for c in chars.by_ref().take(most) {
            escape(&mut self.0, c);
        }
        if chars.next().is_some() {
            self.0.push('…');
        }
        self
    }

    /// A moment, to the minute, with the exact one for machines. All are UTC.
    pub(super) fn moment(&mut self, at: time::OffsetDateTime) -> &mut Self {
        self.raw("<time datetime=\"").show(super::words::exact(at)).raw("\">");
        self.show(super::words::stamp(at)).raw("</time>")
    }

    /// A part that was made apart.
    pub(super) fn part(&mut self, part: &Html) -> &mut Self {
        self.0.push_str(&part.0);
        self
    }

    /// Whether nothing was written.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The markup.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Escapes on the way into a string.
struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().for_each(|c| escape(self.0, c));
        Ok(())
    }
}

/// One character, so that it is shown as itself: neither as markup, nor unseen, nor turning the text around it.
fn escape(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        '\n' | '\t' => out.push(c),
        c if unseen(c) => {
            let _ = write!(out, "⟨U+{:04X}⟩", u32::from(c));
        }
        c => out.push(c),
    }
}

/// Whether a reader would not see it, or would see other characters elsewhere because of it: controls, marks and
/// overrides of direction, what has no width, and tags. <https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing>
fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
