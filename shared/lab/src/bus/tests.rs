//! What EventBridge documents, and what AWS's matcher does, as tables: (event, does it match).

use super::*;
use crate::template::{Template, World};
use serde_json::json;
use std::path::Path;

fn bus(pattern: &Value) -> Result<Bus, String> {
    Bus::new([("rule".to_owned(), "target".to_owned(), pattern.clone())])
}

/// Asserts a table of events against one pattern, and names every row that is wrong.
#[track_caller]
fn table(pattern: &Value, rows: &[(Value, bool)]) {
    let bus = bus(pattern).unwrap();
    let wrong: Vec<String> = rows
        .iter()
        .filter(|(event, expected)| bus.matching(event).is_empty() == *expected)
        .map(|(event, expected)| format!("{event} should{} match", if *expected { "" } else { " not" }))
        .collect();
    assert!(wrong.is_empty(), "{pattern}\n{}", wrong.join("\n"));
}

#[test]
fn exists_looks_at_leaves() {
    table(
        &json!({"a": [{"exists": false}]}),
        &[
            (json!({}), true),
            (json!({"b": 1}), true),
            (json!({"a": null}), false),
            (json!({"a": ""}), false),
            (json!({"a": [1]}), false),
            (json!({"a": []}), true),
            // "Exists match only works on the leaf nodes": an object is not one.
            (json!({"a": {"b": 1}}), true),
            (json!({"a": {}}), true),
        ],
    );
    table(
        &json!({"a": [{"exists": true}]}),
        &[
            (json!({}), false),
            (json!({"a": null}), true),
            (json!({"a": ""}), true),
            (json!({"a": [1]}), true),
            (json!({"a": []}), false),
            (json!({"a": {"b": 1}}), false),
        ],
    );
}

#[test]
fn what_lies_under_a_missing_parent_does_not_exist() {
    table(
        &json!({"s": ["x"], "a": {"b": {"c": [{"exists": false}]}}}),
        &[
            (json!({"s": "x"}), true),
            (json!({"s": "x", "a": null}), true),
            (json!({"s": "x", "a": "text"}), true),
            (json!({"s": "x", "a": {"b": null}}), true),
            (json!({"s": "x", "a": {"b": {"d": 1}}}), true),
            (json!({"s": "x", "a": {"b": {"c": null}}}), false),
            (json!({"s": "x", "a": [{"b": {"c": 1}}, {"b": {"d": 1}}]}), false),
            (json!({"s": "y"}), false),
        ],
    );
}

#[test]
fn anything_but_needs_the_field() {
    table(
        &json!({"a": [{"anything-but": "x"}]}),
        &[
            (json!({}), false),
            (json!({"a": []}), false),
            (json!({"a": {"b": "y"}}), false),
            (json!({"a": "x"}), false),
            (json!({"a": "y"}), true),
            (json!({"a": ""}), true),
            (json!({"a": "xx"}), true),
            (json!({"a": null}), true),
            (json!({"a": 1}), true),
            (json!({"a": false}), true),
            (json!({"a": ["x"]}), false),
            (json!({"a": ["x", "y"]}), true),
        ],
    );
}

#[test]
fn anything_but_takes_a_list_of_one_kind() {
    table(
        &json!({"a": [{"anything-but": ["x", "null"]}]}),
        &[
            (json!({"a": "x"}), false),
            (json!({"a": "null"}), false),
            (json!({"a": null}), true),
            (json!({"a": "z"}), true),
        ],
    );
    table(
        &json!({"a": [{"anything-but": [1, 2]}]}),
        &[
            (json!({"a": 1}), false),
            (json!({"a": 2.0}), false),
            (json!({"a": 3}), true),
            (json!({"a": "1"}), true),
            (json!({}), false),
        ],
    );
    assert!(bus(&json!({"a": [{"anything-but": ["x", 1]}]})).is_err());
    assert!(bus(&json!({"a": [{"anything-but": [null]}]})).is_err());
}

#[test]
fn anything_but_takes_a_prefix() {
    let role = "arn:aws:iam::111122223333:role/suture-";
    let events = [
        (json!({"a": format!("{role}s3-public-bucket")}), false),
        (json!({"a": role}), false),
        (json!({"a": "arn:aws:iam::111122223333:role/suture"}), true),
        (json!({"a": format!("x{role}")}), true),
        (json!({"a": ""}), true),
        (json!({"a": "two\nlines"}), true),
        (json!({"a": 1}), true),
        (json!({"a": -1}), true),
        (json!({"a": null}), true),
        (json!({"a": true}), true),
        (json!({}), false),
    ];
    table(&json!({"a": [{"anything-but": {"prefix": role}}]}), &events);
    table(&json!({"a": [{"anything-but": {"prefix": [role, "other"]}}]}), &events);
}

#[test]
fn anything_but_takes_other_comparisons() {
    for (inner, no, yes) in [
        (json!({"suffix": ".png"}), "x.png", "x.png.exe"),
        (json!({"wildcard": "*/lib/*"}), "usr/lib/x", "usr/lib"),
        (json!({"equals-ignore-case": ["initializing", "b"]}), "INITIALIZING", "stopped"),
    ] {
        let rows =
            [(json!({ "a": no }), false), (json!({ "a": yes }), true), (json!({"a": 1}), true), (json!({}), false)];
        table(&json!({"a": [{ "anything-but": inner }]}), &rows);
    }
}

#[test]
fn a_value_is_of_its_own_kind() {
    table(
        &json!({"a": [null]}),
        &[(json!({"a": null}), true), (json!({"a": "null"}), false), (json!({"a": ""}), false), (json!({}), false)],
    );
    table(&json!({"a": [""]}), &[(json!({"a": ""}), true), (json!({"a": null}), false), (json!({}), false)]);
    table(&json!({"a": [true]}), &[(json!({"a": true}), true), (json!({"a": "true"}), false)]);
    table(
        &json!({"a": [100]}),
        &[
            (json!({"a": 100}), true),
            (json!({"a": 100.0}), true),
            (json!({"a": "100"}), false),
            (json!({"a": 101}), false),
        ],
    );
    table(&json!({"a": ["100"]}), &[(json!({"a": "100"}), true), (json!({"a": 100}), false)]);
}

#[test]
fn numbers_are_compared_as_numbers() {
    table(
        &json!({"a": [{"numeric": [">", 0, "<=", 5]}]}),
        &[
            (json!({"a": 0}), false),
            (json!({"a": 0.0}), false),
            (json!({"a": 1e-9}), true),
            (json!({"a": 5}), true),
            (json!({"a": 5.1}), false),
            (json!({"a": "3"}), false),
            (json!({"a": null}), false),
        ],
    );
    for operator in ["<", "<="] {
        let rows = [json!("-7"), json!(""), json!("text"), json!(null), json!(true), json!(false), json!([]), json!(6)];
        let rows = rows.map(|value| (json!({ "a": value }), false));
        table(&json!({"a": [{"numeric": [operator, 5]}]}), &rows);
        table(&json!({"a": [{"numeric": [operator, 5]}]}), &[(json!({"a": 4.9}), true), (json!({"a": -1e300}), true)]);
    }
    for operator in [">", ">="] {
        let rows = [json!("7"), json!(""), json!("text"), json!(null), json!(true), json!(false), json!([]), json!(-6)];
        let rows = rows.map(|value| (json!({ "a": value }), false));
        table(&json!({"a": [{"numeric": [operator, -5]}]}), &rows);
        table(&json!({"a": [{"numeric": [operator, -5]}]}), &[(json!({"a": -4.9}), true), (json!({"a": 1e300}), true)]);
    }
    table(&json!({"a": [{"numeric": ["<", 5]}]}), &[(json!({"a": 5}), false), (json!({}), false)]);
    table(&json!({"a": [{"numeric": ["<=", 5]}]}), &[(json!({"a": 5}), true)]);
    table(&json!({"a": [{"numeric": [">", 3]}]}), &[(json!({"a": 3}), false), (json!({"a": 3.1}), true)]);
    table(&json!({"a": [{"numeric": ["=", 3.018e2]}]}), &[(json!({"a": 301.8}), true), (json!({"a": 301}), false)]);
}

#[test]
fn strings_are_compared_by_their_ends_and_without_case() {
    let rows = |yes: &str, no: &str| {
        [
            (json!({ "a": yes }), true),
            (json!({ "a": no }), false),
            (json!({"a": null}), false),
            (json!({"a": 1}), false),
        ]
    };
    table(&json!({"a": [{"prefix": "aws."}]}), &rows("aws.s3", "my.aws.s3"));
    table(&json!({"a": [{"suffix": ".png"}]}), &rows("x.png", "x.png.exe"));
    table(&json!({"a": [{"wildcard": "dir/*.png"}]}), &rows("dir/a/b.png", "other/dir/b.png"));
    table(&json!({"a": [{"wildcard": "*a*b*"}]}), &rows("xaxbx", "xbxa"));
    table(&json!({"a": [{"wildcard": "a*a"}]}), &rows("aa", "a"));
    table(&json!({"a": [{"wildcard": "\\*\\\\*"}]}), &rows("*\\x", "x\\x"));
    table(&json!({"a": [{"wildcard": "plain"}]}), &rows("plain", "plainer"));
    table(&json!({"a": [{"equals-ignore-case": "AliCe"}]}), &rows("alice", "alices"));
    table(&json!({"a": [{"prefix": {"equals-ignore-case": "EventB"}}]}), &rows("eventbridge", "my eventbridge"));
    table(&json!({"a": [{"suffix": {"equals-ignore-case": ".png"}}]}), &rows("x.PNG", "x.pn"));
    table(&json!({"a": [{"cidr": "2001:db8::/32"}]}), &rows("2001:db8:1::1", "2001:db9::1"));
    table(&json!({"a": [{"cidr": "0.0.0.0/0"}]}), &rows("203.0.113.7", "::1"));
    table(&json!({"a": [{"cidr": "10.0.0.0/24"}]}), &rows("10.0.0.255", "s3.amazonaws.com"));
}

#[test]
fn an_array_matches_by_any_element_but_fields_of_one_element_belong_together() {
    table(
        &json!({"r": ["a", "b"]}),
        &[
            (json!({"r": ["c", "b"]}), true),
            (json!({"r": [["c"], ["b"]]}), true),
            (json!({"r": ["c"]}), false),
            (json!({"r": []}), false),
        ],
    );
    // The name of a field counts with its parents: this is `a.b`, not `b` and not `a`.
    let nested = json!({"a": [{"b": 1}, {}], "s": "x"});
    table(&json!({"b": [{"exists": true}]}), &[(nested.clone(), false)]);
    table(&json!({"a": [{"anything-but": "y"}]}), &[(nested, false)]);
    // AWS's matcher joins names with dots, and its README warns of it.
    table(&json!({"a.b": ["x"]}), &[(json!({"a": {"b": "x"}}), true), (json!({"a.b": "x"}), true)]);
    let jones = json!({"e": [{"f": "Anna", "l": "Smith"}, {"f": "Peter", "l": "Jones"}]});
    table(&json!({"e": {"f": ["Anna"], "l": ["Jones"]}}), &[(jones.clone(), false)]);
    table(&json!({"e": {"f": ["Peter"], "l": ["Jones"]}}), &[(jones, true)]);
}

#[test]
fn or_is_expanded_at_any_depth() {
    table(
        &json!({"s": ["x"], "$or": [{"m": [1]}, {"n": [2], "$or": [{"p": [3]}, {"q": {"r": [4]}}]}]}),
        &[
            (json!({"s": "x", "m": 1}), true),
            (json!({"s": "x", "n": 2}), false),
            (json!({"s": "x", "n": 2, "p": 3}), true),
            (json!({"s": "x", "n": 2, "q": {"r": 4}}), true),
            (json!({"s": "y", "m": 1}), false),
        ],
    );
    table(
        &json!({"$or": [{"a": [1]}, {"b": [1]}], "d": {"k": [1], "$or": [{"e": [1]}, {"f": [1]}]}}),
        &[
            (json!({"a": 1, "d": {"k": 1, "f": 1}}), true),
            (json!({"b": 1, "d": {"k": 1, "e": 1}}), true),
            (json!({"b": 1, "d": {"k": 1}}), false),
            (json!({"d": {"k": 1, "e": 1}}), false),
            (json!({"a": 1, "d": {"e": 1}}), false),
        ],
    );
    // An `$or` of something that is never there, as the only thing asked.
    table(
        &json!({"$or": [{"b": ["x"], "c": [{"exists": false}]}, {"b": [{"exists": false}], "c": [{"exists": false}]}]}),
        &[(json!({}), true), (json!({"b": "x"}), true), (json!({"b": "y"}), false), (json!({"c": 1}), false)],
    );
    // A field beside the `$or` and one inside it share a parent.
    table(
        &json!({"d": {"u": {"t": ["User"]}, "$or": [{"u": {"n": ["a"]}}, {"u": {"n": ["b"]}}]}}),
        &[(json!({"d": {"u": {"t": "User", "n": "b"}}}), true), (json!({"d": {"u": {"t": "Role", "n": "b"}}}), false)],
    );
}

#[test]
fn exists_may_stand_beside_other_values() {
    table(
        &json!({"a": [{"exists": false}, {"anything-but": "x"}, "y"], "b": [1]}),
        &[
            (json!({"b": 1}), true),
            (json!({"b": 1, "a": "y"}), true),
            (json!({"b": 1, "a": "z"}), true),
            (json!({"b": 1, "a": "x"}), false),
            (json!({"a": "y"}), false),
        ],
    );
}

#[test]
fn refuses_what_eventbridge_refuses() {
    for pattern in [
        json!("text"),
        json!({}),
        json!({"a": {}}),
        json!({"a": []}),
        json!({"a": "x"}),
        json!({"a": [["x"]]}),
        json!({"a": [{}]}),
        json!({"a": [{"prefix": "x", "suffix": "y"}]}),
        json!({"a": [{"like": "x"}]}),
        json!({"a": [{"numeric": ["!=", 3]}]}),
        json!({"a": [{"numeric": ["<", "3"]}]}),
        json!({"a": [{"numeric": ["<"]}]}),
        json!({"a": [{"numeric": []}]}),
        json!({"a": [{"numeric": ["<", 1, ">", 3]}]}),
        json!({"a": [{"numeric": [">", 3, "<", 1]}]}),
        json!({"a": [{"anything-but": {"exists": true}}]}),
        json!({"a": [{"anything-but": {"like": "x"}}]}),
        json!({"a": [{"anything-but": []}]}),
        json!({"a": [{"anything-but": null}]}),
        json!({"a": [{"anything-but": {"prefix": ""}}]}),
        json!({"a": [{"prefix": 1}]}),
        json!({"a": [{"prefix": {"suffix": "x"}}]}),
        json!({"a": [{"wildcard": "a**b"}]}),
        json!({"a": [{"wildcard": "a\\b"}]}),
        json!({"a": [{"cidr": "10.0.0.0"}]}),
        json!({"a": [{"cidr": "10.0.0.0/33"}]}),
        json!({"a": [{"exists": "no"}]}),
        json!({"$or": [{"a": [1]}]}),
        json!({"$or": {"a": [1]}}),
        json!({"$or": [{"a": [1]}, "b"]}),
    ] {
        let error = bus(&pattern).err().unwrap_or_else(|| panic!("{pattern} was accepted"));
        assert!(error.starts_with("event pattern of rule rule: "), "{error}");
    }
    let either = json!([{"a": [1]}, {"b": [1]}]);
    let many: Value = (0..11).map(|n| (format!("f{n}"), json!({ "$or": either }))).collect();
    assert!(bus(&many).err().unwrap().contains("more than 1000"));
}

#[test]
fn rules_answer_once_each_and_in_order() {
    let rule = |name: &str, pattern: Value| (name.to_owned(), format!("{name}-target"), pattern);
    let bus = Bus::new([
        rule("b", json!({"$or": [{"x": [1]}, {"y": [1]}]})),
        rule("a", json!({"x": [1]})),
        rule("c", json!({"x": [2]})),
    ])
    .unwrap();
    let names = |event| bus.matching(&event).into_iter().map(|rule| rule.target.as_str()).collect::<Vec<_>>();
    assert_eq!(names(json!({"x": 1, "y": 1})), ["b-target", "a-target"]);
    assert_eq!(names(json!({"x": 2})), ["c-target"]);
    assert_eq!(names(json!("text")), [""; 0]);
    assert_eq!(bus.rules().count(), 3);
}

/// A rule as it is deployed, against the events that we ship and small changes to them.
#[test]
fn the_rule_of_s3_public_bucket() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let fixture = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/template/fixture.yaml"));
    let template = Template::read(fixture, &World::default()).unwrap();
    let rules = template.functions.iter().flat_map(|function| {
        function.rules.iter().map(|rule| (rule.name.clone(), function.logical_id.clone(), rule.pattern.clone()))
    });
    let bus = Bus::new(rules).unwrap();
    let event = |name: &str| -> Value {
        let path = root.join("events/s3-public-bucket").join(name);
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let with = |name: &str, pointer: &str, value: Value| {
        let mut changed = event(name);
        *changed.pointer_mut(pointer).unwrap() = value;
        changed
    };
    let issuer = "/detail/userIdentity/sessionContext/sessionIssuer/arn";
    let (user, role) = ("delete-public-access-block.json", "put-public-access-block-partial.json");
    for (event, expected) in [
        (event(user), true),
        (event(role), true),
        (event("create-bucket.json"), true),
        (event("put-bucket-policy.json"), true),
        (event("put-bucket-acl.json"), true),
        (event("own-call.json"), false),
        (event("denied-call.json"), false),
        (event("manual-plan.json"), false),
        (event("manual-enforce.json"), false),
        // Nothing that the pattern looks at: the gates are for these.
        (event("hostile-bucket-name.json"), true),
        (event("unrendered-template.json"), true),
        (event("other-account.json"), true),
        // Somebody else's role, whose name begins like ours.
        (
            with("own-call.json", issuer, json!("arn:aws:iam::111122223333:role/suture-s3-public-bucket-us-east-10")),
            true,
        ),
        (
            with("own-call.json", issuer, json!("arn:aws:iam::444455556666:role/suture-s3-public-bucket-us-east-1")),
            true,
        ),
        // A federated caller: a session, but no issuer.
        (with(role, "/detail/userIdentity/sessionContext", json!({"attributes": {}})), true),
        (with(user, "/detail/userIdentity", json!({"type": "Root"})), true),
        // Anybody may put events of a source of their own; `aws.` is AWS's alone.
        (with(user, "/source", json!("aws.s3.mine")), false),
        (with(user, "/source", json!("aws.ec2")), false),
        (with(user, "/detail/eventSource", json!("s3express.amazonaws.com")), false),
        (with(user, "/detail-type", json!("AWS Service Event via CloudTrail")), false),
        (with(user, "/detail/eventName", json!("GetBucketPublicAccessBlock")), false),
        (with(user, "/detail/eventName", json!("DeleteBucket")), false),
    ] {
        let matched = bus.matching(&event);
        assert_eq!(!matched.is_empty(), expected, "{event:#}");
        assert!(matched.iter().all(|rule| rule.target == "S3PublicBucket"));
    }
}
