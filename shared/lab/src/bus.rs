//! EventBridge's matching: which rules an event would wake.
//!
//! The patterns are the template's own, so what matches here is what would match in AWS: by the user guide,
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>, and where that is silent
//! by AWS's own matcher, <https://github.com/aws/event-ruler>. What surprises people, and is so there:
//!
//! - only leaves count: a field that holds an object or an empty array does not exist;
//! - `anything-but` needs the field to be there; `exists: false` needs it to be nowhere, so it holds under a missing
//!   parent too;
//! - in an array any element will do, for `anything-but` as well, but two fields of a pattern are never found in two
//!   different elements of one array.
//!
//! It is written out here because the crate quamina, whose language this is, would have to be wrapped in more code than
//! this and still be wrong: 0.7.0 has no `$or`, takes `exists` only by itself, matches every string with
//! `{"numeric": ["<", 5]}`, and can find `b` in `{"a": [{"b": 1}]}`.
//!
//! Not done, since no rule of ours comes near: an IPv6 address is equal only to itself as it is written, and numbers are
//! 64-bit floats, where EventBridge keeps to five billion either way and six decimals.

mod compare;

use compare::Test;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How many patterns one pattern may expand to: far more than a person can read, and far less than takes the memory.
const MOST_ALTERNATIVES: usize = 1000;

/// One rule of the bus.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The rule's name.
    pub name: String,
    /// The function that the rule wakes.
    pub target: String,
    /// The event pattern, as the template has it.
    pub pattern: Value,
}

/// An event bus with its rules.
#[derive(Debug)]
pub struct Bus {
    rules: Vec<(Rule, Vec<Fields>)>,
}

/// A pattern without `$or`: for each field, by its path, the tests of which one must pass.
type Fields = BTreeMap<String, Vec<Test>>;

impl Bus {
    /// Takes rules as (name, target, pattern); returns the bus, or the reason why one of the patterns is none.
    pub fn new(rules: impl IntoIterator<Item = (String, String, Value)>) -> Result<Self, String> {
        let parsed = rules.into_iter().map(|(name, target, pattern)| {
            let object = pattern.as_object().ok_or_else(|| "it is not an object".to_owned());
            let alternatives = object.and_then(|object| expand(object, "", vec![Fields::new()]));
            let alternatives = alternatives.map_err(|error| format!("event pattern of rule {name}: {error}"))?;
            Ok((Rule { name, target, pattern }, alternatives))
        });
        Ok(Self { rules: parsed.collect::<Result<_, String>>()? })
    }

    /// Takes an event; returns the rules that it matches, in the order in which they were given. What is not a JSON
    /// object matches none: EventBridge accepts no such event.
    pub fn matching(&self, event: &Value) -> Vec<&Rule> {
        if !event.is_object() {
            return Vec::new();
        }
        let mut leaves = Leaves::default();
        leaves.collect(event, "", &[]);
        let matched = |alternatives: &[Fields]| {
            alternatives.iter().any(|fields| leaves.satisfy(&fields.iter().collect::<Vec<_>>(), &[]))
        };
        self.rules.iter().filter(|(_, alternatives)| matched(alternatives)).map(|(rule, _)| rule).collect()
    }

    /// The rules, in the order in which they were given.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|(rule, _)| rule)
    }
}

/// Takes part of a pattern and what the parts before it came to; returns the alternatives that the two make together.
fn expand(object: &Map<String, Value>, path: &str, before: Vec<Fields>) -> Result<Vec<Fields>, String> {
    if object.is_empty() {
        return Err(format!("{} is an empty object; name a field in it, or leave it out", shown(path)));
    }
    let mut all = before;
    for (key, value) in object {
        let place = below(path, key);
        all = match value {
            Value::Array(options) if key == "$or" => disjoin(options, path, &all)?,
            _ if key == "$or" => return Err(format!("{place} is not an array; list two or more objects in it")),
            Value::Object(inner) => expand(inner, &place, all)?,
            Value::Array(values) => {
                let tests = tests(values, &place)?;
                // Where an `$or` names a field a second time, AWS's matcher keeps the later one.
                for fields in &mut all {
                    fields.insert(place.clone(), tests.clone());
                }
                all
            }
            _ => return Err(format!("{place} is neither an object nor an array; write [{value}]")),
        };
        if all.len() > MOST_ALTERNATIVES {
            return Err(format!("{place} makes more than {MOST_ALTERNATIVES} combinations; split the rule"));
        }
    }
    Ok(all)
}

fn disjoin(options: &[Value], path: &str, before: &[Fields]) -> Result<Vec<Fields>, String> {
    let place = below(path, "$or");
    if options.len() < 2 {
        return Err(format!("{place} has fewer than two objects; list two or more"));
    }
    let mut all = Vec::new();
    for option in options {
        let option = option.as_object().ok_or_else(|| format!("{place} holds {option}; list objects only"))?;
        all.extend(expand(option, path, before.to_vec())?);
    }
    Ok(all)
}

fn tests(values: &[Value], place: &str) -> Result<Vec<Test>, String> {
    if values.is_empty() {
        return Err(format!("{place} is an empty array; name a value in it, or leave it out"));
    }
    values.iter().map(|value| Test::parse(value).map_err(|error| format!("{place}: {error}"))).collect()
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "the top" } else { path }
}

/// Element `.1` of array `.0`; arrays are numbered as they are met.
type Element = (usize, usize);

/// An event's leaves, by paths that do not show arrays, each with the elements that it lies in.
#[derive(Default)]
struct Leaves<'a> {
    by_path: BTreeMap<String, Vec<(&'a Value, Vec<Element>)>>,
    arrays: usize,
}

impl<'a> Leaves<'a> {
    fn collect(&mut self, value: &'a Value, path: &str, within: &[Element]) {
        match value {
            Value::Object(object) => {
                object.iter().for_each(|(key, value)| self.collect(value, &below(path, key), within));
            }
            Value::Array(items) => {
                let array = self.arrays;
                self.arrays += 1;
                for (index, item) in items.iter().enumerate() {
                    // A plain element shares its array with everything: only objects and arrays hold fields together.
                    let element = (item.is_object() || item.is_array()).then_some((array, index));
                    let within: Vec<Element> = within.iter().copied().chain(element).collect();
                    self.collect(item, path, &within);
                }
            }
            leaf => self.by_path.entry(path.to_owned()).or_default().push((leaf, within.to_vec())),
        }
    }

    /// Whether every field finds a leaf that passes, and no two of those lie in different elements of one array.
    fn satisfy(&self, fields: &[(&String, &Vec<Test>)], within: &[Element]) -> bool {
        let Some(((path, tests), rest)) = fields.split_first() else { return true };
        let Some(leaves) = self.by_path.get(*path) else {
            return tests.contains(&Test::Exists(false)) && self.satisfy(rest, within);
        };
        leaves.iter().any(|(leaf, own)| {
            let elsewhere = own.iter().any(|(array, index)| within.iter().any(|(a, i)| a == array && i != index));
            !elsewhere && tests.iter().any(|test| test.passes(leaf)) && self.satisfy(rest, &[within, own].concat())
        })
    }
}

#[cfg(test)]
mod tests;
