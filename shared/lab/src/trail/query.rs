//! `requestParameters` of query calls: EC2's in its two spellings, IAM's and the others' in one.
//!
//! No page of AWS's lists them; the shapes are those of records that people publish, above all the samples in
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-examples.html> and in EC2's own
//! <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitor-with-cloudtrail.html>.

use crate::call::Call;
use crate::understand::form;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A form's fields as the structure that their names spell: `IpPermissions.1.IpRanges.1.CidrIp`.
#[derive(Debug, Default)]
struct Tree {
    text: Option<String>,
    fields: BTreeMap<String, Tree>,
    /// By their numbers; a list may leave some out.
    items: BTreeMap<u32, Tree>,
}

impl Tree {
    fn of(call: &Call) -> Self {
        let mut root = Self::default();
        for (name, text) in form(&call.request) {
            if matches!(name.as_str(), "Action" | "Version") {
                continue;
            }
            let mut place = &mut root;
            for part in name.split('.').filter(|part| *part != "member") {
                place = match part.parse() {
                    Ok(number) => place.items.entry(number).or_default(),
                    Err(_) => place.fields.entry(part.to_owned()).or_default(),
                };
            }
            place.text = Some(text);
        }
        root
    }
}

/// The parameters of a query call.
pub(super) fn of(call: &Call) -> Map<String, Value> {
    let tree = Tree::of(call);
    if call.service != "ec2" {
        return tree
            .fields
            .iter()
            .map(|(name, tree)| (super::parameters::lower_camel(name), plain(name, tree)))
            .collect();
    }
    if wrapped(&call.operation) {
        let inner: Map<_, _> =
            tree.fields.iter().map(|(name, tree)| (name.clone(), collapsed(name, tree, None))).collect();
        let inner = if inner.is_empty() { json!("") } else { Value::Object(inner) };
        return Map::from_iter([(format!("{}Request", call.operation), inner)]);
    }
    let mut parameters: Map<_, _> = tree.fields.iter().map(|(name, tree)| itemized(name, tree, true)).collect();
    if ["Authorize", "Revoke"].iter().any(|verb| call.operation.starts_with(verb)) {
        parameters.entry("ipPermissions").or_insert_with(|| json!({}));
    }
    if call.operation == "CreateSecurityGroup" {
        // Its name on the wire is the API's, in the record it is the answer's.
        let described = parameters.remove("groupDescription").or_else(|| parameters.remove("description"));
        parameters.extend(described.map(|text| ("groupDescription".to_owned(), text)));
    }
    if call.operation == "RunInstances" {
        let moved = ["imageId", "minCount", "maxCount", "keyName"];
        let one: Map<_, _> =
            moved.iter().filter_map(|name| Some(((*name).to_owned(), parameters.remove(*name)?))).collect();
        parameters.insert("instancesSet".to_owned(), json!({ "items": [one] }));
    }
    parameters
}

/// Whether an operation is one of the newer ones, which EC2 records as their XML: names as they are, wrapped in the
/// operation's, a list of one as its item.
pub(super) fn wrapped(operation: &str) -> bool {
    const OF_OLD: &[&str] = &["DescribeSecurityGroups"];
    const NEWER: &[&str] = &[
        "SecurityGroupRules",
        "EbsEncryptionByDefault",
        "EbsDefaultKmsKeyId",
        "ManagedPrefixList",
        "FlowLogs",
        "InstanceMetadataOptions",
        "SnapshotBlockPublicAccess",
        "ImageBlockPublicAccess",
    ];
    !OF_OLD.contains(&operation) && NEWER.iter().any(|part| operation.contains(part))
}

/// The names of lists on the wire, in the record, and of a plain item's field there.
const LISTS: &[(&str, &str, &str)] = &[
    ("IpPermissions", "ipPermissions", ""),
    ("IpRanges", "ipRanges", ""),
    ("Ipv6Ranges", "ipv6Ranges", ""),
    ("Groups", "groups", ""),
    ("PrefixListIds", "prefixListIds", ""),
    ("SecurityGroupRuleId", "securityGroupRuleIds", "securityGroupRuleId"),
    ("SecurityGroupId", "groupSet", "groupId"),
    ("GroupId", "groupSet", "groupId"),
    ("SecurityGroup", "groupSet", "groupName"),
    ("ResourceId", "resourcesSet", "resourceId"),
    ("Tag", "tagSet", ""),
    ("TagSpecification", "tagSpecificationSet", ""),
];

/// EC2's older spelling: lower camel case, lists as `{"items": […]}`, an empty one as `{}`.
fn itemized(name: &str, tree: &Tree, top: bool) -> (String, Value) {
    if tree.items.is_empty() && tree.fields.is_empty() {
        return (super::parameters::lower_camel(name), scalar(name, tree.text.as_deref().unwrap_or_default()));
    }
    if tree.items.is_empty() {
        let fields: Map<_, _> = tree.fields.iter().map(|(name, tree)| itemized(name, tree, false)).collect();
        return (super::parameters::lower_camel(name), Value::Object(fields));
    }
    let known = LISTS.iter().find(|(wire, ..)| *wire == name);
    let lower = super::parameters::lower_camel(name);
    let set =
        known.map_or_else(|| if top { format!("{lower}Set") } else { lower.clone() }, |(_, set, _)| (*set).to_owned());
    let field = known.map_or(lower.as_str(), |(.., field)| field);
    let item = |tree: &Tree| {
        if let Some(text) = &tree.text {
            return Value::Object(Map::from_iter([(field.to_owned(), scalar(field, text))]));
        }
        let mut fields: Map<_, _> = tree.fields.iter().map(|(name, tree)| itemized(name, tree, false)).collect();
        if set == "ipPermissions" {
            for list in ["groups", "ipRanges", "ipv6Ranges", "prefixListIds"] {
                fields.entry(list).or_insert_with(|| json!({}));
            }
        }
        Value::Object(fields)
    };
    let items: Vec<_> = tree.items.values().map(item).collect();
    (set.clone(), json!({ "items": items }))
}

/// EC2's newer spelling: names as on the wire, items with their number as `tag`, a list of one as its item.
fn collapsed(name: &str, tree: &Tree, number: Option<u32>) -> Value {
    if !tree.items.is_empty() {
        let mut items: Vec<_> = tree.items.iter().map(|(number, tree)| collapsed(name, tree, Some(*number))).collect();
        return if items.len() == 1 { items.remove(0) } else { Value::Array(items) };
    }
    match (&tree.text, number) {
        (Some(text), None) => scalar(name, text),
        (Some(text), Some(number)) => json!({ "content": scalar(name, text), "tag": number }),
        (None, number) => {
            let fields = tree.fields.iter().map(|(name, tree)| (name.clone(), collapsed(name, tree, None)));
            Value::Object(fields.chain(number.map(|number| ("tag".to_owned(), json!(number)))).collect())
        }
    }
}

/// The other services' spelling: lower camel case, lists as arrays.
fn plain(name: &str, tree: &Tree) -> Value {
    let fields = |tree: &Tree| {
        let fields = tree.fields.iter().map(|(name, tree)| (super::parameters::lower_camel(name), plain(name, tree)));
        Value::Object(fields.collect())
    };
    match &tree.text {
        Some(text) => scalar(name, text),
        None if tree.items.is_empty() => fields(tree),
        None => Value::Array(tree.items.values().map(|tree| plain(name, tree)).collect()),
    }
}

/// The fields that are numbers in records; a protocol, an account and whatever people name themselves never are.
const NUMBERS: &[&str] = &[
    "fromport",
    "toport",
    "mincount",
    "maxcount",
    "maxitems",
    "maxresults",
    "maxentries",
    "durationseconds",
    "code",
    "pendingwindowindays",
    "amilaunchindex",
    "deviceindex",
    "networkcardindex",
    "maxsessionduration",
    "currentversion",
];

/// A field's text: a truth value or a number as such where the field is one.
pub(super) fn scalar(name: &str, text: &str) -> Value {
    let lower = name.to_ascii_lowercase();
    match (text, text.parse::<i64>()) {
        ("true" | "false", _) if lower != "value" && lower != "key" => json!(text == "true"),
        (_, Ok(number)) if NUMBERS.contains(&lower.as_str()) => json!(number),
        _ => json!(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Caller;
    use crate::http::ApiRequest;
    use crate::understand::understand;
    use http::Method;

    fn parameters(service: &str, body: &str) -> Value {
        let scope = format!("x Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/{service}/aws4_request");
        let request = ApiRequest::new(Method::POST, "/")
            .header("authorization", &scope)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.to_owned());
        Value::Object(of(&understand(request, &|_| Caller::Anonymous)))
    }

    #[test]
    fn permissions_are_items_and_empty_lists_are_there() {
        let body = "Action=AuthorizeSecurityGroupIngress&GroupId=sg-1&IpPermissions.1.IpProtocol=tcp\
                    &IpPermissions.1.FromPort=22&IpPermissions.1.ToPort=22&IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0%2F0\
                    &IpPermissions.1.IpRanges.2.CidrIp=10.0.0.0%2F8&IpPermissions.1.IpRanges.2.Description=a+b";
        let expected = json!({
            "groupId": "sg-1",
            "ipPermissions": { "items": [{
                "ipProtocol": "tcp", "fromPort": 22, "toPort": 22,
                "groups": {}, "ipv6Ranges": {}, "prefixListIds": {},
                "ipRanges": { "items": [
                    { "cidrIp": "0.0.0.0/0" }, { "cidrIp": "10.0.0.0/8", "description": "a b" },
                ] },
            }] },
        });
        assert_eq!(parameters("ec2", body), expected);
        let revoke = parameters("ec2", "Action=RevokeSecurityGroupIngress&GroupId=sg-1&SecurityGroupRuleId.1=sgr-1");
        let ids = json!({ "items": [{ "securityGroupRuleId": "sgr-1" }] });
        assert_eq!(revoke, json!({ "groupId": "sg-1", "ipPermissions": {}, "securityGroupRuleIds": ids }));
    }

    #[test]
    fn newer_calls_are_wrapped() {
        let body = "Action=ModifySecurityGroupRules&GroupId=sg-1&SecurityGroupRule.1.SecurityGroupRuleId=sgr-1\
                    &SecurityGroupRule.1.SecurityGroupRule.CidrIpv4=0.0.0.0%2F0\
                    &SecurityGroupRule.1.SecurityGroupRule.FromPort=22";
        let rule = json!({ "CidrIpv4": "0.0.0.0/0", "FromPort": 22 });
        let rule = json!({ "SecurityGroupRuleId": "sgr-1", "SecurityGroupRule": rule, "tag": 1 });
        let expected = json!({ "ModifySecurityGroupRulesRequest": { "GroupId": "sg-1", "SecurityGroupRule": rule } });
        assert_eq!(parameters("ec2", body), expected);
        let all = "Action=AuthorizeSecurityGroupEgress&GroupId=sg-1&IpPermissions.1.IpProtocol=-1";
        assert_eq!(parameters("ec2", all)["ipPermissions"]["items"][0]["ipProtocol"], "-1", "a protocol is a text");
        let none = parameters("ec2", "Action=DisableEbsEncryptionByDefault&Version=2016-11-15");
        assert_eq!(none, json!({ "DisableEbsEncryptionByDefaultRequest": "" }));
    }

    #[test]
    fn groups_and_tags_have_the_records_names() {
        let body = "Action=ModifyNetworkInterfaceAttribute&NetworkInterfaceId=eni-1&SecurityGroupId.1=sg-1";
        let groups = json!({ "items": [{ "groupId": "sg-1" }] });
        assert_eq!(parameters("ec2", body), json!({ "networkInterfaceId": "eni-1", "groupSet": groups }));
        let body = "Action=CreateTags&ResourceId.1=i-1&Tag.1.Key=a&Tag.1.Value=b";
        let expected = json!({
            "resourcesSet": { "items": [{ "resourceId": "i-1" }] },
            "tagSet": { "items": [{ "key": "a", "value": "b" }] },
        });
        assert_eq!(parameters("ec2", body), expected);
        let tags = parameters("iam", "Action=TagUser&UserName=bob&Tags.member.1.Key=a&Tags.member.1.Value=b");
        assert_eq!(tags, json!({ "userName": "bob", "tags": [{ "key": "a", "value": "b" }] }));
    }
}
