//! The comparisons of an event pattern, each on one leaf of an event.
//!
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>

use serde_json::{Map, Value};
use std::net::IpAddr;

/// What one value in a pattern's array asks of a leaf.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    /// That it is there, whatever it holds, `null` too; or that it is not, which no leaf passes.
    Exists(bool),
    /// That it is this very string, boolean or null, or this number however it is written.
    Equals(Value),
    /// That it is a string of this kind.
    Text(Text),
    /// That it is a number within all of these bounds.
    Numeric(Vec<(Bound, f64)>),
    /// That it is an address that begins with these bits.
    Cidr(IpAddr, u32),
    /// That it passes none of these.
    AnythingBut(Vec<Test>),
}

/// What a string is asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Text {
    Prefix(String),
    Suffix(String),
    /// In small letters.
    PrefixIgnoringCase(String),
    /// In small letters.
    SuffixIgnoringCase(String),
    /// In small letters.
    IgnoringCase(String),
    /// What must stand between the stars, the first at the beginning and the last at the end.
    Wildcard(Vec<String>),
}

/// How a number lies to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bound {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl Test {
    /// Takes one value of a pattern's array; returns the test that it stands for, or why it is none.
    pub(super) fn parse(value: &Value) -> Result<Self, String> {
        let (name, operand) = match value {
            Value::Object(operator) => only(operator)?,
            Value::Array(_) => return Err("an array inside the array; a value must be plain".to_owned()),
            plain => return Ok(Self::Equals(plain.clone())),
        };
        match (name, operand) {
            ("exists", Value::Bool(yes)) => Ok(Self::Exists(*yes)),
            ("numeric", Value::Array(bounds)) => numeric(bounds).map(Self::Numeric),
            ("cidr", Value::String(range)) => cidr(range),
            ("anything-but", Value::Object(inner)) => {
                let (name, operand) = only(inner)?;
                let strings = of_one_kind(operand, Value::is_string)?;
                if strings.iter().any(|text| text.as_str() == Some("")) {
                    return Err(format!("anything-but of an empty {name}; give it a text"));
                }
                let tests = strings.into_iter().map(|text| Text::parse(name, text).map(Self::Text));
                Ok(Self::AnythingBut(tests.collect::<Result<_, _>>()?))
            }
            ("anything-but", operand) => {
                let strings = of_one_kind(operand, Value::is_string);
                let values = strings.or_else(|_| of_one_kind(operand, Value::is_number))?;
                Ok(Self::AnythingBut(values.into_iter().cloned().map(Self::Equals).collect()))
            }
            _ => Text::parse(name, operand).map(Self::Text),
        }
    }

    /// Whether a leaf of an event passes.
    pub(super) fn passes(&self, leaf: &Value) -> bool {
        match self {
            Self::Exists(yes) => *yes,
            Self::Equals(Value::Number(wanted)) => {
                leaf.as_f64().is_some_and(|n| Bound::Equal.holds(n, wanted.as_f64()))
            }
            Self::Equals(wanted) => leaf == wanted,
            Self::Text(test) => leaf.as_str().is_some_and(|text| test.passes(text)),
            Self::Numeric(bounds) => leaf
                .as_f64()
                .is_some_and(|number| bounds.iter().all(|(bound, limit)| bound.holds(number, Some(*limit)))),
            Self::Cidr(network, length) => leaf
                .as_str()
                .and_then(|text| text.parse().ok())
                .is_some_and(|address| shared(*network, address, *length)),
            Self::AnythingBut(tests) => !tests.iter().any(|test| test.passes(leaf)),
        }
    }
}

impl Text {
    fn parse(name: &str, operand: &Value) -> Result<Self, String> {
        if let (Value::Object(inner), "prefix" | "suffix") = (operand, name) {
            return match (name, only(inner)?) {
                ("prefix", ("equals-ignore-case", Value::String(text))) => {
                    Ok(Self::PrefixIgnoringCase(text.to_lowercase()))
                }
                ("suffix", ("equals-ignore-case", Value::String(text))) => {
                    Ok(Self::SuffixIgnoringCase(text.to_lowercase()))
                }
                _ => Err(format!("{name} of {operand}; it takes a text, or equals-ignore-case of a text")),
            };
        }
        match (name, operand) {
            ("prefix", Value::String(text)) => Ok(Self::Prefix(text.clone())),
            ("suffix", Value::String(text)) => Ok(Self::Suffix(text.clone())),
            ("equals-ignore-case", Value::String(text)) => Ok(Self::IgnoringCase(text.to_lowercase())),
            ("wildcard", Value::String(text)) => wildcard(text).map(Self::Wildcard),
            ("prefix" | "suffix" | "equals-ignore-case" | "wildcard" | "exists" | "numeric" | "cidr", _) => {
                Err(format!("{name} of {operand}, which it does not take"))
            }
            _ => Err(format!("{name} is no comparison of EventBridge's")),
        }
    }

    fn passes(&self, text: &str) -> bool {
        match self {
            Self::Prefix(prefix) => text.starts_with(prefix),
            Self::Suffix(suffix) => text.ends_with(suffix),
            Self::PrefixIgnoringCase(prefix) => text.to_lowercase().starts_with(prefix),
            Self::SuffixIgnoringCase(suffix) => text.to_lowercase().ends_with(suffix),
            Self::IgnoringCase(wanted) => text.to_lowercase() == *wanted,
            Self::Wildcard(parts) => between_stars(parts, text),
        }
    }
}

impl Bound {
    fn holds(self, number: f64, limit: Option<f64>) -> bool {
        let order = limit.and_then(|limit| number.partial_cmp(&limit));
        order.is_some_and(|order| match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Equal => order.is_eq(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Greater => order.is_gt(),
        })
    }
}

fn only(operator: &Map<String, Value>) -> Result<(&str, &Value), String> {
    let mut parts = operator.iter();
    match (parts.next(), parts.next()) {
        (Some((name, operand)), None) => Ok((name, operand)),
        _ => Err(format!("a comparison with {} operators; it takes exactly one", operator.len())),
    }
}

/// One value, or a list of values, all of the kind that is asked for.
fn of_one_kind(operand: &Value, kind: fn(&Value) -> bool) -> Result<Vec<&Value>, String> {
    let values: Vec<&Value> = operand.as_array().map_or_else(|| vec![operand], |all| all.iter().collect());
    if values.is_empty() || !values.iter().all(|value| kind(value)) {
        return Err(format!("anything-but of {operand}; it takes strings or numbers, not both and nothing else"));
    }
    Ok(values)
}

/// One bound, or a lower and an upper one in this order.
fn numeric(bounds: &[Value]) -> Result<Vec<(Bound, f64)>, String> {
    let wrong = || format!("numeric of {bounds:?}; it takes an operator and a number, or a lower and an upper bound");
    let bound = |operator: &Value, limit: &Value| {
        let bound = match operator.as_str() {
            Some("<") => Bound::Less,
            Some("<=") => Bound::LessOrEqual,
            Some("=") => Bound::Equal,
            Some(">=") => Bound::GreaterOrEqual,
            Some(">") => Bound::Greater,
            _ => return Err(wrong()),
        };
        Ok((bound, limit.as_f64().ok_or_else(wrong)?))
    };
    match bounds {
        [operator, limit] => Ok(vec![bound(operator, limit)?]),
        [lower, least, upper, most] => {
            let (lower, upper) = (bound(lower, least)?, bound(upper, most)?);
            let ordered = matches!(lower.0, Bound::Greater | Bound::GreaterOrEqual)
                && matches!(upper.0, Bound::Less | Bound::LessOrEqual)
                && lower.1 < upper.1;
            if ordered { Ok(vec![lower, upper]) } else { Err(wrong()) }
        }
        _ => Err(wrong()),
    }
}

fn cidr(range: &str) -> Result<Test, String> {
    let parsed = range.split_once('/').and_then(|(network, length)| {
        let network: IpAddr = network.parse().ok()?;
        let length = length.parse().ok()?;
        (length <= if network.is_ipv4() { 32 } else { 128 }).then_some(Test::Cidr(network, length))
    });
    parsed.ok_or_else(|| format!("cidr of {range}; it takes a network such as 10.0.0.0/24"))
}

/// Whether two addresses of one family have their first bits in common.
fn shared(network: IpAddr, address: IpAddr, bits: u32) -> bool {
    let differing = match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => (network.to_bits() ^ address.to_bits()).leading_zeros(),
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits() ^ address.to_bits()).leading_zeros(),
        _ => return false,
    };
    differing >= bits
}

/// Splits at the stars. `\*` and `\\` stand for themselves; any other escape, and two stars in a row, are errors.
fn wildcard(text: &str) -> Result<Vec<String>, String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, characters.peek()) {
            ('\\', Some(escaped @ ('*' | '\\'))) => {
                part.push(*escaped);
                characters.next();
            }
            ('\\', _) => return Err(format!("wildcard of {text}; a backslash stands before * or \\ only")),
            ('*', Some('*')) => return Err(format!("wildcard of {text}; two stars in a row mean no more than one")),
            ('*', _) => parts.push(std::mem::take(&mut part)),
            (plain, _) => part.push(plain),
        }
    }
    parts.push(part);
    Ok(parts)
}

fn between_stars(parts: &[String], text: &str) -> bool {
    let [first, middle @ .., last] = parts else { return parts.first().is_some_and(|whole| whole == text) };
    let Some(mut rest) = text.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str())) else {
        return false;
    };
    // The earliest place for each part leaves the most for those behind it.
    middle.iter().all(|part| match rest.split_once(part.as_str()) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}
