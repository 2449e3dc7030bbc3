//! `requestParameters`: what a call asked for, as CloudTrail spells it for each service.

use crate::call::Call;
use crate::http::ApiRequest;
use serde_json::{Map, Value, json};

/// The request's parameters; null if it has none.
pub(super) fn of(call: &Call) -> Value {
    let parameters = match call.service.as_str() {
        "s3" | "s3control" => s3(call),
        _ if call.request.headers.contains_key("x-amz-target") => json(&call.request),
        _ => super::query::of(call),
    };
    if parameters.is_empty() { Value::Null } else { Value::Object(parameters) }
}

/// S3's: the bucket, the host as AWS knows it, the sub-resource with nothing, headers that mean something, and the body
/// as an object.
fn s3(call: &Call) -> Map<String, Value> {
    let mut parameters = Map::new();
    let (bucket, region) = (call.resource.as_deref().unwrap_or_default(), &call.region);
    let host = if call.service == "s3" {
        parameters.insert("bucketName".to_owned(), json!(bucket));
        format!("{bucket}.s3.{region}.amazonaws.com")
    } else {
        format!("{}.s3-control.{region}.amazonaws.com", call.account)
    };
    parameters.insert("Host".to_owned(), json!(host));
    for (name, value) in call.request.query() {
        if name != "x-id" && !name.to_ascii_lowercase().starts_with("x-amz-") {
            parameters.insert(name, json!(value));
        }
    }
    for (name, value) in &call.request.headers {
        let name = name.as_str();
        let recorded = ["x-amz-acl", "x-amz-object-ownership", "x-amz-bucket-object-lock-enabled"].contains(&name)
            || name.starts_with("x-amz-grant-");
        if let (true, Ok(value)) = (recorded, value.to_str()) {
            parameters.insert(name.to_owned(), json!(value));
        }
    }
    if call.operation == "PutBucketPolicy" {
        let policy = serde_json::from_slice(&call.request.body).unwrap_or_default();
        parameters.insert("bucketPolicy".to_owned(), policy);
    } else if let Some((name, value)) = xml(&call.request.body) {
        parameters.insert(name, value);
    }
    parameters
}

/// An XML body as its root's name and an object.
fn xml(body: &[u8]) -> Option<(String, Value)> {
    let text = str::from_utf8(body).ok()?;
    let document = roxmltree::Document::parse(text).ok()?;
    let root = document.root_element();
    let mut value = element(root);
    if let (Some(xmlns), Value::Object(fields)) = (root.tag_name().namespace(), &mut value) {
        fields.insert("xmlns".to_owned(), json!(xmlns));
    }
    Some((root.tag_name().name().to_owned(), value))
}

/// An element as CloudTrail writes it: attributes and children are fields, what comes more than once is an array, an
/// empty element is an empty text.
fn element(node: roxmltree::Node<'_, '_>) -> Value {
    let mut fields = Map::new();
    for attribute in node.attributes() {
        // The one attribute that S3 has: a grantee's `xsi:type`.
        let name = if attribute.namespace().is_some() { "xsi:type" } else { attribute.name() };
        fields.insert(name.to_owned(), json!(attribute.value()));
        if let Some(namespace) = attribute.namespace() {
            fields.insert("xmlns:xsi".to_owned(), json!(namespace));
        }
    }
    for child in node.children().filter(roxmltree::Node::is_element) {
        let (name, value) = (child.tag_name().name().to_owned(), element(child));
        match fields.get_mut(&name) {
            Some(Value::Array(all)) => all.push(value),
            Some(first) => *first = json!([first.take(), value]),
            None => {
                fields.insert(name, value);
            }
        }
    }
    if fields.is_empty() { scalar(node) } else { Value::Object(fields) }
}

/// A leaf's text: a truth value or a count as such, but never what users name themselves.
fn scalar(node: roxmltree::Node<'_, '_>) -> Value {
    let text = node.text().unwrap_or_default().trim();
    let count = ["Days", "NoncurrentDays", "DaysAfterInitiation", "Years", "MaxAgeSeconds", "Priority"];
    match (text, text.parse::<u64>()) {
        ("true", _) => json!(true),
        ("false", _) => json!(false),
        (_, Ok(number)) if count.contains(&node.tag_name().name()) => json!(number),
        _ => json!(text),
    }
}

/// A JSON call's body, its names in CloudTrail's lower camel case.
fn json(request: &ApiRequest) -> Map<String, Value> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    match lowered(body) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn lowered(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(name, value)| (lower_camel(&name), lowered(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(lowered).collect()),
        leaf => leaf,
    }
}

/// A name in CloudTrail's lower camel case.
pub(super) fn lower_camel(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Caller;
    use crate::understand::understand;
    use http::Method;

    fn put(target: &str, body: &str) -> Value {
        let request = ApiRequest::new(Method::PUT, target).header("x-amz-acl", "private").body(body.to_owned());
        of(&understand(request, &|_| Caller::Anonymous))
    }

    #[test]
    fn a_body_becomes_an_object() {
        let body = r#"<PublicAccessBlockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <BlockPublicAcls>false</BlockPublicAcls><RestrictPublicBuckets>true</RestrictPublicBuckets>
        </PublicAccessBlockConfiguration>"#;
        assert_eq!(
            put("/clinic-scans?publicAccessBlock", body),
            json!({
                "bucketName": "clinic-scans",
                "Host": "clinic-scans.s3.us-east-1.amazonaws.com",
                "publicAccessBlock": "",
                "x-amz-acl": "private",
                "PublicAccessBlockConfiguration": {
                    "xmlns": "http://s3.amazonaws.com/doc/2006-03-01/",
                    "BlockPublicAcls": false,
                    "RestrictPublicBuckets": true,
                },
            })
        );
    }

    #[test]
    fn grants_lifecycles_and_tags_keep_their_shape() {
        let grant = r#"<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>u</URI>
            </Grantee><Permission>READ</Permission></Grant>"#;
        let acl =
            format!("<AccessControlPolicy><AccessControlList>{grant}{grant}</AccessControlList></AccessControlPolicy>");
        let acl = put("/clinic-scans?acl", &acl);
        let grants = acl["AccessControlPolicy"]["AccessControlList"]["Grant"].as_array().unwrap();
        assert_eq!(grants.len(), 2);
        assert_eq!(
            grants[0]["Grantee"],
            json!({ "xsi:type": "Group", "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance", "URI": "u" })
        );
        let rule = "<LifecycleConfiguration><Rule><Filter/><Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>";
        let rule = &put("/clinic-scans?lifecycle", rule)["LifecycleConfiguration"]["Rule"];
        assert_eq!(rule, &json!({ "Filter": "", "Expiration": { "Days": 30 } }));
        let tags = "<Tagging><TagSet><Tag><Key>year</Key><Value>2026</Value></Tag></TagSet></Tagging>";
        assert_eq!(put("/clinic-scans?tagging", tags)["Tagging"]["TagSet"]["Tag"]["Value"], "2026");
    }

    #[test]
    fn a_policy_is_an_object() {
        let policy = put("/clinic-scans?policy", r#"{"Statement":[]}"#);
        assert_eq!(policy["bucketPolicy"], json!({ "Statement": [] }));
    }
}
