//! The whole template resolved, for tests that look at what the lab itself has no use for.

use super::resolve::Resolver;
use super::{World, is_function, merged, yaml};
use serde_json::{Map, Value, json};

/// Takes a template's text; returns what of it exists in `world` as an object of `Resources`, each with its `Type` and
/// `Properties`, and `Outputs`, each with its `Value`: every reference and condition resolved, and what SAM says of all
/// functions in each of them. An error names the place.
pub fn whole(text: &str, world: &World) -> Result<Value, String> {
    let document = yaml::parse(text)?;
    let resolver = Resolver::new(&document, world)?;
    let globals = document.pointer("/Globals/Function").cloned().unwrap_or_else(|| json!({}));
    let mut resources = Map::new();
    for (logical_id, resource) in resolver.resources() {
        if !resolver.exists(logical_id)? {
            continue;
        }
        let own = resource.get("Properties").cloned().unwrap_or_else(|| json!({}));
        let properties = if is_function(resource) { merged(&globals, &own) } else { own };
        let properties = resolver.resolve(&properties, logical_id)?.unwrap_or_default();
        let kind = resource.get("Type").cloned().unwrap_or_default();
        resources.insert(logical_id.to_owned(), json!({ "Type": kind, "Properties": properties }));
    }
    let mut outputs = Map::new();
    for (name, output) in document.get("Outputs").and_then(Value::as_object).into_iter().flatten() {
        let value = output.get("Value").cloned().unwrap_or_default();
        let value = resolver.resolve(&value, &format!("Outputs.{name}"))?.unwrap_or_default();
        outputs.insert(name.clone(), json!({ "Value": value }));
    }
    Ok(json!({ "Resources": resources, "Outputs": outputs }))
}
