//! Buckets' settings as the SDK reads them.

use crate::{of, one, shared, text};
use http::Method;
use lab::Client;
use lab::http::ApiRequest;
use serde_json::json;

const OWNER: &str = "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a";
const GROUPS: &str = "http://acs.amazonaws.com/groups";

async fn bucket(client: &Client, name: &str) {
    let create = ApiRequest::new(Method::PUT, format!("/{name}")).header("x-amz-object-ownership", "ObjectWriter");
    assert_eq!(client.send("s3", create).await.unwrap().status, 200);
    client.must(Method::DELETE, &format!("/{name}?publicAccessBlock"), "").await.unwrap();
}

async fn get(client: &Client, target: &str) -> String {
    text(&client.must(Method::GET, target, "").await.unwrap())
}

/// The name of an answer's root element.
fn root(answer: &str) -> String {
    let rest = answer.rsplit_once("?>").map_or(answer, |(_, rest)| rest);
    rest.trim_start().trim_start_matches('<').split([' ', '>', '/']).next().unwrap().to_owned()
}

#[test]
fn answers_have_the_root_that_sdks_look_for() {
    shared(async |lab| {
        let client = of(lab, "100000000070");
        bucket(&client, "roots").await;
        for (target, expected, value) in [
            ("versioning", "VersioningConfiguration", "<Status>Enabled</Status>"),
            ("accelerate", "AccelerateConfiguration", "<Status>Enabled</Status>"),
            ("notification", "NotificationConfiguration", "<EventBridgeConfiguration/>"),
            ("logging", "BucketLoggingStatus", ""),
            ("inventory", "ListInventoryConfigurationsResult", ""),
        ] {
            let target = format!("/roots?{target}");
            assert_eq!(root(&get(&client, &target).await), expected);
            if !value.is_empty() {
                client.must(Method::PUT, &target, format!("<{expected}>{value}</{expected}>")).await.unwrap();
                let there = get(&client, &target).await;
                assert!(root(&there) == expected && there.contains(value), "{there}");
            }
        }
    });
}

#[test]
fn encryption_keeps_all_that_was_put() {
    shared(async |lab| {
        let client = of(lab, "100000000071");
        bucket(&client, "encrypted").await;
        let blocked = "<BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes>";
        let fresh = get(&client, "/encrypted?encryption").await;
        assert!(fresh.contains("AES256") && fresh.contains(blocked), "a new bucket blocks SSE-C: {fresh}");
        let put = async |key: &str, more: &str| {
            let default = "<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>alias/phi</KMSMasterKeyID>";
            let rule = format!("<ApplyServerSideEncryptionByDefault>{default}</ApplyServerSideEncryptionByDefault>");
            let name = "ServerSideEncryptionConfiguration";
            let body = format!("<{name}><Rule>{rule}<BucketKeyEnabled>{key}</BucketKeyEnabled>{more}</Rule></{name}>");
            client.must(Method::PUT, "/encrypted?encryption", body).await.unwrap();
            get(&client, "/encrypted?encryption").await
        };
        let both = put("true", blocked).await;
        assert!(both.contains("<BucketKeyEnabled>true</BucketKeyEnabled>") && both.contains(blocked), "{both}");
        assert!(both.contains("<KMSMasterKeyID>alias/phi</KMSMasterKeyID>"), "{both}");
        let neither = put("false", "").await;
        assert!(neither.contains("<BucketKeyEnabled>false</BucketKeyEnabled>"), "{neither}");
        assert!(!neither.contains("BlockedEncryptionTypes"), "the whole configuration is replaced: {neither}");
        let none = put("true", &blocked.replace("SSE-C", "NONE")).await;
        assert!(none.contains("<EncryptionType>NONE</EncryptionType>"), "{none}");
        client.must(Method::DELETE, "/encrypted?encryption", "").await.unwrap();
        let gone = get(&client, "/encrypted?encryption").await;
        assert!(gone.contains("AES256") && !gone.contains("BlockedEncryptionTypes"), "{gone}");
    });
}

/// An ACL's grants as grantee and permission.
fn grants(acl: &str) -> Vec<(String, String)> {
    let mut rest = acl;
    let mut all = Vec::new();
    while let Some((_, after)) = rest.split_once("<Grant>") {
        let (grant, after) = after.split_once("</Grant>").unwrap();
        let inner = |name: &str| {
            let (_, value) = grant.split_once(&format!("<{name}>"))?;
            Some(value.split('<').next().unwrap().to_owned())
        };
        all.push((inner("URI").or_else(|| inner("ID")).unwrap(), inner("Permission").unwrap()));
        rest = after;
    }
    all
}

#[test]
fn acls_keep_every_grant() {
    shared(async |lab| {
        let client = of(lab, "100000000072");
        bucket(&client, "granted").await;
        let owner = (OWNER.to_owned(), "FULL_CONTROL".to_owned());
        let group = |name: &str, permission: &str| (format!("{GROUPS}/{name}"), permission.to_owned());
        let all = |more: &[(String, String)]| [std::slice::from_ref(&owner), more].concat();
        for (canned, expected) in [
            ("private", vec![]),
            ("public-read", vec![group("global/AllUsers", "READ")]),
            ("public-read-write", vec![group("global/AllUsers", "READ"), group("global/AllUsers", "WRITE")]),
            ("authenticated-read", vec![group("global/AuthenticatedUsers", "READ")]),
            ("log-delivery-write", vec![group("s3/LogDelivery", "WRITE"), group("s3/LogDelivery", "READ_ACP")]),
        ] {
            let set = ApiRequest::new(Method::PUT, "/granted?acl").header("x-amz-acl", canned);
            assert_eq!(client.send("s3", set).await.unwrap().status, 200);
            assert_eq!(grants(&get(&client, "/granted?acl").await), all(&expected), "{canned}");
        }
        let other = "1".repeat(64);
        let read = format!("uri=\"{GROUPS}/global/AllUsers\", id=\"{other}\"");
        let set = ApiRequest::new(Method::PUT, "/granted?acl")
            .header("x-amz-grant-read", &read)
            .header("x-amz-grant-full-control", &format!("id=\"{OWNER}\""));
        assert_eq!(client.send("s3", set).await.unwrap().status, 200);
        let mut there = grants(&get(&client, "/granted?acl").await);
        there.sort();
        let mut expected = all(&[group("global/AllUsers", "READ"), (other.clone(), "READ".to_owned())]);
        expected.sort();
        assert_eq!(there, expected);

        // What was read can be written back as it is.
        let xsi = "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"";
        let grant = |grantee: &str, kind: &str, permission: &str| {
            format!(
                "<Grant><Grantee {xsi} xsi:type=\"{kind}\">{grantee}</Grantee><Permission>{permission}</Permission></Grant>"
            )
        };
        let list = [
            grant(&format!("<ID>{OWNER}</ID>"), "CanonicalUser", "FULL_CONTROL"),
            grant(&format!("<ID>{other}</ID>"), "CanonicalUser", "WRITE_ACP"),
            grant(&format!("<URI>{GROUPS}/global/AllUsers</URI>"), "Group", "READ"),
            grant(&format!("<URI>{GROUPS}/global/AuthenticatedUsers</URI>"), "Group", "READ_ACP"),
            grant(&format!("<URI>{GROUPS}/s3/LogDelivery</URI>"), "Group", "WRITE"),
        ];
        let owner = format!("<Owner><ID>{OWNER}</ID></Owner>");
        let body = format!(
            "<AccessControlPolicy>{owner}<AccessControlList>{}</AccessControlList></AccessControlPolicy>",
            list.concat()
        );
        client.must(Method::PUT, "/granted?acl", body.clone()).await.unwrap();
        let first = get(&client, "/granted?acl").await;
        assert_eq!(grants(&first), grants(&body));
        client.must(Method::PUT, "/granted?acl", first.clone()).await.unwrap();
        assert_eq!(get(&client, "/granted?acl").await, first);
    });
}

#[test]
fn policies_are_kept_to_the_byte_and_logging_and_replication_whole() {
    shared(async |lab| {
        let client = of(lab, "100000000073");
        for name in ["kept", "kept-logs"] {
            bucket(&client, name).await;
        }
        let policy = "{ \"Version\" : \"2012-10-17\",\n\t\"Statement\":[{\"Sid\":\"\u{e9}\",\"Effect\":\"Deny\",\
                      \"Principal\":\"*\",\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::kept/*\"}] }";
        client.must(Method::PUT, "/kept?policy", policy).await.unwrap();
        assert_eq!(get(&client, "/kept?policy").await, policy);

        let delivery = ApiRequest::new(Method::PUT, "/kept-logs?acl").header("x-amz-acl", "log-delivery-write");
        assert_eq!(client.send("s3", delivery).await.unwrap().status, 200);
        let target =
            "<LoggingEnabled><TargetBucket>kept-logs</TargetBucket><TargetPrefix>a/</TargetPrefix></LoggingEnabled>";
        let body = format!("<BucketLoggingStatus>{target}</BucketLoggingStatus>");
        client.must(Method::PUT, "/kept?logging", body).await.unwrap();
        let answer = client.must(Method::GET, "/kept?logging", "").await.unwrap();
        assert_eq!((one(&answer, "TargetBucket"), one(&answer, "TargetPrefix")), ("kept-logs".into(), "a/".into()));

        for name in ["kept", "kept-logs"] {
            let on = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
            client.must(Method::PUT, &format!("/{name}?versioning"), on).await.unwrap();
        }
        let criteria = "<SourceSelectionCriteria><SseKmsEncryptedObjects><Status>Enabled</Status></SseKmsEncryptedObjects></SourceSelectionCriteria>";
        let rule = format!(
            "<Rule><ID>a</ID><Priority>1</Priority><Filter><Prefix>scans/</Prefix></Filter><Status>Enabled</Status>{criteria}\
             <Destination><Bucket>arn:aws:s3:::kept-logs</Bucket></Destination>\
             <DeleteMarkerReplication><Status>Enabled</Status></DeleteMarkerReplication></Rule>"
        );
        let by = "<Role>arn:aws:iam::100000000073:role/replication</Role>";
        let body = format!("<ReplicationConfiguration>{by}{rule}</ReplicationConfiguration>");
        client.must(Method::PUT, "/kept?replication", body).await.unwrap();
        let there = get(&client, "/kept?replication").await;
        for part in [criteria, "<Prefix>scans/</Prefix>", "<DeleteMarkerReplication><Status>Enabled</Status>"] {
            assert!(there.contains(part), "{there}");
        }
    });
}

#[test]
fn ten_thousand_buckets_are_made_and_listed() {
    shared(async |lab| {
        let account = "100000000074";
        let client = of(lab, account);
        let wish =
            json!({ "account": account, "count": 10_000, "prefix": "sweep", "region": "eu-west-1", "open": true });
        assert_eq!(lab.wish("s3/fill", wish).await.unwrap()["names"].as_array().unwrap().len(), 10_000);
        let (mut names, mut token) = (0, String::new());
        loop {
            let page = client.must(Method::GET, &format!("/?max-buckets=1000{token}"), "").await.unwrap();
            names += page.texts("Name").len();
            assert!(page.texts("BucketRegion").iter().all(|region| region == "eu-west-1"));
            match page.texts("ContinuationToken").pop() {
                Some(next) => token = format!("&continuation-token={next}"),
                None => break,
            }
        }
        assert_eq!(names, 10_000);
        let west = lab.client(account, "eu-west-1");
        let answer = west.s3(Method::GET, "/sweep-009999?publicAccessBlock", "").await.unwrap();
        assert_eq!(answer.status, 404, "open, as was asked for");
        assert!(get(&west, "/sweep-009999?ownershipControls").await.contains("BucketOwnerEnforced"));
    });
}
