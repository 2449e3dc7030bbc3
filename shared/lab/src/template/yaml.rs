//! YAML as CloudFormation writes it, into JSON: `!Ref X` becomes `{"Ref": "X"}`, `!GetAtt A.B` becomes
//! `{"Fn::GetAtt": ["A", "B"]}`, and any other `!Name` becomes `{"Fn::Name": …}`.
//!
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html>

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// Takes a template's text, in YAML or in JSON; returns it in the long form, or an error that names the place.
pub fn parse(text: &str) -> Result<Value, String> {
    let documents = Yaml::load_from_str(text).map_err(|error| format!("not YAML: {error}"))?;
    match documents.as_slice() {
        [document] => json(document, "the top"),
        all => Err(format!("{} YAML documents; a template is exactly one", all.len())),
    }
}

fn json(node: &Yaml, place: &str) -> Result<Value, String> {
    match node {
        Yaml::Value(scalar) => Ok(plain(scalar)),
        Yaml::Sequence(items) => {
            let items = items.iter().enumerate().map(|(index, item)| json(item, &format!("{place}[{index}]")));
            Ok(Value::Array(items.collect::<Result<_, _>>()?))
        }
        Yaml::Mapping(pairs) => {
            let mut object = Map::new();
            for (key, value) in pairs {
                let key = match key {
                    Yaml::Value(Scalar::String(key)) => key.to_string(),
                    Yaml::Value(other) => plain(other).to_string(),
                    _ => return Err(format!("{place}: a key is neither text nor a number")),
                };
                let value = json(value, &format!("{place}.{key}"))?;
                object.insert(key, value);
            }
            Ok(Value::Object(object))
        }
        Yaml::Tagged(tag, node) if tag.handle == "!" => {
            let operand = json(node, place)?;
            Ok(match (tag.suffix.as_str(), operand) {
                (name @ ("Ref" | "Condition"), operand) => json!({ name: operand }),
                ("GetAtt", Value::String(path)) => {
                    let (resource, attribute) = path.split_once('.').unwrap_or((&path, ""));
                    json!({ "Fn::GetAtt": [resource, attribute] })
                }
                (name, operand) => json!({ format!("Fn::{name}"): operand }),
            })
        }
        Yaml::Tagged(tag, _) => {
            Err(format!("{place}: the tag {}{} is none of CloudFormation's", tag.handle, tag.suffix))
        }
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => {
            Err(format!("{place} cannot be read; write it out"))
        }
    }
}

fn plain(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(yes) => (*yes).into(),
        Scalar::Integer(number) => (*number).into(),
        Scalar::FloatingPoint(number) => (**number).into(),
        Scalar::String(text) => text.to_string().into(),
    }
}
