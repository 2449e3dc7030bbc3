//! Users, access keys and the credential report.

use crate::{assert_error, event, of, one, shared, text};
use lab::Client;
use lab::http::ApiResponse;
use serde_json::json;

/// A new user with a key; the key's id.
async fn user(client: &Client, name: &str) -> String {
    client.must_query("iam", "CreateUser", &[("UserName", name)]).await.unwrap();
    one(&client.must_query("iam", "CreateAccessKey", &[("UserName", name)]).await.unwrap(), "AccessKeyId")
}

async fn last_used(client: &Client, key: &str) -> ApiResponse {
    client.query("iam", "GetAccessKeyLastUsed", &[("AccessKeyId", key)]).await.unwrap()
}

/// All of a list, page by page, and how many pages it took.
async fn all(client: &Client, operation: &str, fixed: &[(&str, &str)], element: &str) -> (Vec<String>, usize) {
    let (mut found, mut marker, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let mut parameters = fixed.to_vec();
        if !marker.is_empty() {
            parameters.push(("Marker", &marker));
        }
        let page = client.must_query("iam", operation, &parameters).await.unwrap();
        found.extend(page.texts(element));
        pages += 1;
        assert_eq!(one(&page, "IsTruncated") == "true", !page.texts("Marker").is_empty());
        match page.texts("Marker").pop() {
            Some(next) => marker = next,
            None => return (found, pages),
        }
    }
}

#[test]
fn lists_come_in_pages() {
    shared(async |lab| {
        let client = of(lab, "100000000030");
        for name in ["dora", "anna", "carl", "bert", "emil"] {
            user(&client, name).await;
        }
        let (users, pages) = all(&client, "ListUsers", &[("MaxItems", "2")], "UserName").await;
        assert_eq!(
            (users.as_slice(), pages),
            (["anna", "bert", "carl", "dora", "emil"].map(str::to_owned).as_slice(), 3)
        );
        client.must_query("iam", "CreateAccessKey", &[("UserName", "anna")]).await.unwrap();
        let one_key = [("UserName", "anna"), ("MaxItems", "1")];
        let (keys, pages) = all(&client, "ListAccessKeys", &one_key, "AccessKeyId").await;
        assert_eq!((keys.len(), pages), (2, 2));
        let tags: Vec<_> = (0..5).flat_map(|at| [(at, "Key"), (at, "Value")]).collect();
        let names: Vec<_> = tags.iter().map(|(at, part)| format!("Tags.member.{}.{part}", at + 1)).collect();
        let values: Vec<_> = tags.iter().map(|(at, part)| format!("{part}{at}")).collect();
        let mut parameters = vec![("UserName", "anna")];
        parameters.extend(names.iter().map(String::as_str).zip(values.iter().map(String::as_str)));
        client.must_query("iam", "TagUser", &parameters).await.unwrap();
        let three = [("UserName", "anna"), ("MaxItems", "3")];
        let (keys, pages) = all(&client, "ListUserTags", &three, "Key").await;
        assert_eq!((keys, pages), ((0..5).map(|at| format!("Key{at}")).collect(), 2));
        for (name, value) in [("MaxItems", "0"), ("MaxItems", "1001"), ("Marker", "nothing")] {
            assert_error(&client.query("iam", "ListUsers", &[(name, value)]).await.unwrap(), 400, "ValidationError");
        }
        // A hundred where nothing is said.
        let wish = json!({ "account": "100000000030", "count": 130, "prefix": "many", "keys": 0 });
        lab.wish("iam/fill", wish).await.unwrap();
        let (users, pages) = all(&client, "ListUsers", &[], "UserName").await;
        assert_eq!((users.len(), pages), (135, 2));
    });
}

#[test]
fn users_have_unique_ids() {
    shared(async |lab| {
        let client = of(lab, "100000000035");
        let mut ids = Vec::new();
        for name in ["anna", "bert"] {
            let made = one(&client.must_query("iam", "CreateUser", &[("UserName", name)]).await.unwrap(), "UserId");
            let read = one(&client.must_query("iam", "GetUser", &[("UserName", name)]).await.unwrap(), "UserId");
            assert_eq!(made, read);
            ids.push(made);
        }
        let listed = client.must_query("iam", "ListUsers", &[]).await.unwrap();
        assert_eq!(listed.texts("UserId"), ids);
        assert_ne!(ids[0], ids[1]);
        for id in ids {
            let capitals = id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
            assert!(id.len() == 21 && id.starts_with("AIDA") && capitals, "{id}");
        }
    });
}

#[test]
fn keys_have_an_age_and_a_last_use() {
    shared(async |lab| {
        let client = of(lab, "100000000031");
        let key = user(&client, "bob").await;
        let never = last_used(&client, &key).await;
        assert_eq!((one(&never, "ServiceName"), one(&never, "Region")), ("N/A".into(), "N/A".into()));
        assert!(never.texts("LastUsedDate").is_empty(), "{}", text(&never));
        let at = json!({ "date": "2025-03-04T05:06:07Z", "service": "s3", "region": "eu-west-1" });
        let wish = json!({ "account": "100000000031", "accessKeyId": key, "created": "2024-01-02T03:04:05Z",
            "lastUsed": at });
        lab.wish("iam/age-key", wish).await.unwrap();
        let answer = last_used(&client, &key).await;
        assert_eq!(one(&answer, "LastUsedDate"), "2025-03-04T05:06:07Z");
        assert_eq!((one(&answer, "UserName"), one(&answer, "Region")), ("bob".into(), "eu-west-1".into()));
        let list = client.must_query("iam", "ListAccessKeys", &[("UserName", "bob")]).await.unwrap();
        assert_eq!(one(&list, "CreateDate"), "2024-01-02T03:04:05Z");

        // Dates can be told as people do.
        let wish = json!({ "account": "100000000031", "accessKeyId": key, "lastUsed": { "date": "0.5 days ago" } });
        lab.wish("iam/age-key", wish).await.unwrap();
        let answer = last_used(&client, &key).await;
        assert!(one(&answer, "LastUsedDate").as_str() > "2026", "{}", text(&answer));

        assert_error(&last_used(&client, "AKIA0000000000000000").await, 404, "NoSuchEntity");
        assert_error(&last_used(&of(lab, "100000000032"), &key).await, 403, "AccessDenied");
        let wrong = lab.wish("iam/age-key", json!({ "accessKeyId": "AKIA0000000000000000" })).await.unwrap_err();
        assert!(wrong.contains("there is no access key"), "{wrong}");
    });
}

#[test]
fn keys_are_deactivated_and_events_say_so() {
    shared(async |lab| {
        let client = of(lab, "100000000033");
        let mut happenings = lab.listen();
        let key = user(&client, "bob").await;
        event(&mut happenings, "CreateAccessKey", "bob").await;
        let set = async |name: &str, key: &str, status: &str| {
            let parameters = [("UserName", name), ("AccessKeyId", key), ("Status", status)];
            client.query("iam", "UpdateAccessKey", &parameters).await.unwrap()
        };
        assert_error(&set("eve", &key, "Inactive").await, 404, "NoSuchEntity");
        assert_error(&set("bob", "AKIA0000000000000000", "Inactive").await, 404, "NoSuchEntity");
        assert_error(&set("bob", &key, "asleep").await, 400, "ValidationError");
        assert_eq!(set("bob", &key, "Inactive").await.status, 200);
        event(&mut happenings, "UpdateAccessKey", &key).await;
        let list = client.must_query("iam", "ListAccessKeys", &[("UserName", "bob")]).await.unwrap();
        assert_eq!(one(&list, "Status"), "Inactive");
        for operation in ["ListAccessKeys", "ListUserTags", "GetUser"] {
            let missing = client.query("iam", operation, &[("UserName", "eve")]).await.unwrap();
            assert_error(&missing, 404, "NoSuchEntity");
        }
    });
}

#[test]
fn a_credential_report_takes_its_time_and_is_kept() {
    shared(async |lab| {
        let client = of(lab, "100000000034");
        let key = user(&client, "bob").await;
        let wish = json!({ "account": "100000000034", "accessKeyId": key, "created": "2024-01-02T03:04:05Z",
            "lastUsed": null });
        lab.wish("iam/age-key", wish).await.unwrap();
        let get = async || client.query("iam", "GetCredentialReport", &[]).await.unwrap();
        let generate = async || one(&client.must_query("iam", "GenerateCredentialReport", &[]).await.unwrap(), "State");
        assert_error(&get().await, 410, "ReportNotPresent");
        assert_eq!(generate().await, "STARTED");
        assert_error(&get().await, 404, "ReportInProgress");
        assert_eq!([generate().await, generate().await, generate().await], ["INPROGRESS", "COMPLETE", "COMPLETE"]);
        let rows = async || {
            let content = one(&get().await, "Content");
            let text = String::from_utf8(base64(&content)).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let first = rows().await;
        assert_eq!(first.len(), 3);
        assert_eq!(first[0].split(',').count(), 22);
        assert!(first.iter().all(|row| row.split(',').count() == 22), "{first:?}");
        assert!(first[1].starts_with("<root_account>,arn:aws:iam::100000000034:root,"), "{}", first[1]);
        let bob: Vec<_> = first[2].split(',').collect();
        assert_eq!((bob[0], bob[3], bob[4]), ("bob", "false", "N/A"));
        assert_eq!(bob[8..14], ["true", "2024-01-02T03:04:05Z", "N/A", "N/A", "N/A", "false"]);
        // It is four hours old before another is made.
        user(&client, "carl").await;
        assert_eq!((generate().await.as_str(), rows().await.len()), ("COMPLETE", 3));
        let wish = json!({ "account": "100000000034", "hoursAgo": 5, "takes": 1, "rootKeys": true });
        lab.wish("iam/report", wish).await.unwrap();
        assert_error(&get().await, 410, "ReportExpired");
        assert_eq!([generate().await, generate().await], ["STARTED", "COMPLETE"]);
        let second = rows().await;
        assert_eq!((second.len(), second[1].split(',').nth(8)), (4, Some("true")));
    });
}

/// Base64 without a crate for it.
fn base64(text: &str) -> Vec<u8> {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits: Vec<_> = text.bytes().filter_map(|b| alphabet.bytes().position(|a| a == b)).collect();
    digits
        .chunks(4)
        .flat_map(|four| {
            let bits = four.iter().fold(0_usize, |bits, digit| bits << 6 | digit) << (6 * (4 - four.len()));
            bits.to_be_bytes()[5..].iter().copied().take(four.len() - 1).collect::<Vec<_>>()
        })
        .collect()
}
