//! One way to write JSON, so that the same evidence is the same bytes.

use serde_json::{Map, Value};

/// The canonical text of a value, as RFC 8785 has it: no spaces, the members of objects in the order of their names (as
/// UTF-16), in texts only what must be escaped escaped. <https://www.rfc-editor.org/rfc/rfc8785>
///
/// It differs where the RFC would change a number. Whole numbers are written with all their digits, though the RFC rounds
/// those beyond 2^53; other numbers become texts, so that no reader's rounding matters. Records hold only small whole
/// numbers.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value);
    text
}

fn write(out: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                write(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => object(out, members),
        Value::Number(number) if number.is_f64() => quoted(out, &number.to_string()),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => quoted(out, text),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Null => out.push_str("null"),
    }
}

fn object(out: &mut String, members: &Map<String, Value>) {
    let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    out.push('{');
    for (number, (name, value)) in sorted.into_iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        quoted(out, name);
        out.push(':');
        write(out, value);
    }
    out.push('}');
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => out.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The value with every number that is not whole as the text that [`canonical`] makes of it. It survives being written and
/// read by anything that reads JSON.
pub(crate) fn settled(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(settled).collect()),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.clone(), settled(value))).collect())
        }
        Value::Number(number) if number.is_f64() => Value::String(number.to_string()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// The example of RFC 8785, section 3.2.3: the order of names, as UTF-16.
    #[test]
    fn names_are_in_the_order_of_the_rfc() {
        let given = json!({
            "\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew Letter Dalet With Dagesh", "1": "One",
            "\u{1f600}": "Emoji: Grinning Face", "\u{80}": "Control", "\u{f6}": "Latin Small Letter O With Diaeresis",
        });
        let expected = "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\"\u{f6}\":\"Latin Small Letter O \
                        With Diaeresis\",\"\u{20ac}\":\"Euro Sign\",\"\u{1f600}\":\"Emoji: Grinning \
                        Face\",\"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}";
        assert_eq!(canonical(&given), expected);
    }

    /// The text of RFC 8785, section 3.2.2.2, and the literals of 3.2.2.1.
    #[test]
    fn only_what_must_be_is_escaped() {
        let given = json!({"literals": [null, true, false], "string": "\u{20ac}$\u{f}\nA'B\"\\\\\"/\u{7f}"});
        let expected = "{\"literals\":[null,true,false],\"string\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\u{7f}\"}";
        assert_eq!(canonical(&given), expected);
    }

    #[test]
    fn numbers_keep_their_digits() {
        let given = json!([0, -1, u64::MAX, i64::MIN, 1.5, 1e300]);
        assert_eq!(canonical(&given), "[0,-1,18446744073709551615,-9223372036854775808,\"1.5\",\"1e+300\"]");
    }

    /// Any JSON, with names that sort differently in UTF-8 and UTF-16.
    pub(crate) fn json() -> impl Strategy<Value = Value> {
        let text = prop_oneof![any::<String>(), "[\u{e000}-\u{ffff}\u{10000}-\u{10fff}a-c\"\\\\\n]{0,4}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map(text.clone(), inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_settled_is_read_back_as_it_was(value in json()) {
            let settled = settled(&value);
            let text = canonical(&settled);
            prop_assert_eq!(&text, &canonical(&value));
            let read: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read, &settled);
            prop_assert_eq!(canonical(&read), text);
        }

        #[test]
        fn no_space_and_no_control_character_is_outside_a_text(value in json()) {
            let text = canonical(&value);
            prop_assert!(!text.chars().any(|c| c < ' '));
            // Texts taken out, what is left is punctuation, literals and digits.
            let (mut rest, mut inside, mut escaped) = (String::new(), false, false);
            for c in text.chars() {
                match c {
                    _ if escaped => escaped = false,
                    '\\' if inside => escaped = true,
                    '"' => inside = !inside,
                    c if !inside => rest.push(c),
                    _ => {}
                }
            }
            prop_assert!(rest.chars().all(|c| "{}[]:,-0123456789truefalsn".contains(c)), "{}", rest);
        }
    }
}
