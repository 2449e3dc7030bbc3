//! The little of CSV that the credential report needs.

/// The fields of a line: split at commas, except within double quotes, of which two stand for one. A user's name can have a
/// comma in it.
pub(crate) fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut rest = line.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '"' if quoted && rest.peek() == Some(&'"') => {
                field.push('"');
                rest.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            char => field.push(char),
        }
    }
    fields.push(field);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        for (line, expected) in [
            ("", &[""][..]),
            ("a", &["a"]),
            ("a,b,,c", &["a", "b", "", "c"]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("\"say \"\"a\"\"\",c", &["say \"a\"", "c"]),
            ("\"a,b", &["a,b"]),
        ] {
            assert_eq!(fields(line), expected, "{line}");
        }
    }
}
