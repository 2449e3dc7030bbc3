//! `responseElements`: what a change was answered with, as CloudTrail spells it. Secrets are left out.

use super::parameters::lower_camel;
use super::query::{scalar, wrapped};
use crate::call::Call;
use crate::http::ApiResponse;
use roxmltree::{Document, Node};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The answer's elements; null where CloudTrail keeps none.
pub(super) fn of(call: &Call, answer: &ApiResponse) -> Value {
    let Some(document) = str::from_utf8(&answer.body).ok().and_then(|text| Document::parse(text).ok()) else {
        return Value::Null;
    };
    let root = document.root_element();
    match call.service.as_str() {
        "ec2" if wrapped(&call.operation) => {
            let mut fields = ec2_fields(root);
            fields.insert("xmlns".to_owned(), json!(root.tag_name().namespace().unwrap_or_default()));
            json!({ format!("{}Response", call.operation): fields })
        }
        "ec2" => {
            let fields = ec2_fields(root).into_iter();
            let fields =
                fields.map(|(name, value)| (if name == "return" { "_return".to_owned() } else { name }, value));
            Value::Object(fields.collect())
        }
        "iam" => {
            let result = elements(root).find(|node| node.tag_name().name().ends_with("Result"));
            let fields: Map<_, _> = result.map(|node| iam_fields(node).collect()).unwrap_or_default();
            if fields.is_empty() { Value::Null } else { Value::Object(fields) }
        }
        _ => Value::Null,
    }
}

fn elements<'a, 'input>(node: Node<'a, 'input>) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(Node::is_element)
}

fn ec2_fields(node: Node<'_, '_>) -> Map<String, Value> {
    elements(node).map(|child| (child.tag_name().name().to_owned(), ec2_value(child))).collect()
}

fn ec2_value(node: Node<'_, '_>) -> Value {
    let name = node.tag_name().name();
    if elements(node).any(|child| child.tag_name().name() == "item") {
        let items: Vec<_> = elements(node).map(|item| ec2_item(item)).collect();
        return json!({ "items": items });
    }
    if elements(node).next().is_some() {
        return Value::Object(ec2_fields(node));
    }
    match node.text().map(str::trim).unwrap_or_default() {
        "" if ["Set", "Ranges", "groups", "Ids", "Permissions"].iter().any(|end| name.ends_with(end)) => json!({}),
        text => scalar(name, text),
    }
}

fn ec2_item(item: Node<'_, '_>) -> Value {
    match elements(item).next() {
        Some(_) => Value::Object(ec2_fields(item)),
        None => json!(item.text().unwrap_or_default().trim()),
    }
}

fn iam_fields<'a>(node: Node<'a, '_>) -> impl Iterator<Item = (String, Value)> + 'a {
    let shown = elements(node).filter(|child| !matches!(child.tag_name().name(), "SecretAccessKey" | "Password"));
    shown.map(|child| (lower_camel(child.tag_name().name()), iam_value(child)))
}

fn iam_value(node: Node<'_, '_>) -> Value {
    let name = node.tag_name().name();
    if elements(node).any(|child| child.tag_name().name() == "member") {
        return Value::Array(elements(node).map(iam_value).collect());
    }
    if elements(node).next().is_some() {
        return Value::Object(iam_fields(node).collect());
    }
    let text = node.text().unwrap_or_default().trim();
    match OffsetDateTime::parse(text, &Rfc3339) {
        Ok(date) if name.ends_with("Date") => json!(long_date(date)),
        _ => json!(text),
    }
}

/// A moment as IAM's records have it: `Sep 27, 2022 5:09:18 PM`.
fn long_date(date: OffsetDateTime) -> String {
    let date = date.to_offset(time::UtcOffset::UTC);
    let month: String = date.month().to_string().chars().take(3).collect();
    let (hour, half) = (date.hour(), if date.hour() < 12 { "AM" } else { "PM" });
    let hour = if hour % 12 == 0 { 12 } else { hour % 12 };
    format!("{month} {}, {} {hour}:{:02}:{:02} {half}", date.day(), date.year(), date.minute(), date.second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{ACCOUNT, Caller};
    use crate::http::ApiRequest;
    use http::{Method, StatusCode};

    fn said(service: &str, operation: &str, body: &'static str) -> Value {
        let call = Call {
            service: service.to_owned(),
            operation: operation.to_owned(),
            region: "us-east-1".to_owned(),
            account: ACCOUNT.to_owned(),
            resource: None,
            writes: true,
            caller: Caller::Anonymous,
            request: ApiRequest::new(Method::POST, "/"),
        };
        of(&call, &ApiResponse::new(StatusCode::OK, body))
    }

    #[test]
    fn ec2_tells_the_rules() {
        let body = "<AuthorizeSecurityGroupIngressResponse xmlns='urn:x'><requestId>r</requestId><return>true</return>\
                    <securityGroupRuleSet><item><securityGroupRuleId>sgr-1</securityGroupRuleId><isEgress>false</isEgress>\
                    <fromPort>22</fromPort><groupOwnerId>111122223333</groupOwnerId><tagSet/></item></securityGroupRuleSet>\
                    </AuthorizeSecurityGroupIngressResponse>";
        let rule = json!({ "securityGroupRuleId": "sgr-1", "isEgress": false, "fromPort": 22,
            "groupOwnerId": "111122223333", "tagSet": {} });
        let expected = json!({ "requestId": "r", "_return": true, "securityGroupRuleSet": { "items": [rule] } });
        assert_eq!(said("ec2", "AuthorizeSecurityGroupIngress", body), expected);
        let body = "<R xmlns='urn:x'><requestId>r</requestId><return>true</return></R>";
        let expected = json!({ "requestId": "r", "return": true, "xmlns": "urn:x" });
        let said = said("ec2", "ModifySecurityGroupRules", body);
        assert_eq!(said, json!({ "ModifySecurityGroupRulesResponse": expected }));
    }

    #[test]
    fn iam_tells_the_key_without_its_secret() {
        let body = "<CreateAccessKeyResponse><CreateAccessKeyResult><AccessKey><UserName>bob</UserName>\
                    <AccessKeyId>AKIA1</AccessKeyId><Status>Active</Status><SecretAccessKey>s</SecretAccessKey>\
                    <CreateDate>2022-09-27T17:09:18Z</CreateDate></AccessKey></CreateAccessKeyResult>\
                    <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></CreateAccessKeyResponse>";
        let key = json!({ "userName": "bob", "accessKeyId": "AKIA1", "status": "Active",
            "createDate": "Sep 27, 2022 5:09:18 PM" });
        assert_eq!(said("iam", "CreateAccessKey", body), json!({ "accessKey": key }));
        assert_eq!(said("iam", "UpdateAccessKey", "<R><ResponseMetadata/></R>"), Value::Null);
        assert_eq!(said("kms", "DisableKey", "{}"), Value::Null);
    }
}
