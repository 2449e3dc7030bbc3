//! The public access block of an account, by S3 Control.

use crate::{assert_error, event, of, shared, text};
use http::Method;
use lab::http::{ApiRequest, ApiResponse, Upstream};
use lab::{Client, Lab};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BLOCK: &str = "PublicAccessBlockConfiguration";

fn block(settings: &[&str]) -> String {
    let on: Vec<_> = settings.iter().map(|name| format!("<{name}>true</{name}>")).collect();
    let on = on.concat();
    format!("<{BLOCK} xmlns=\"http://awss3control.amazonaws.com/doc/2018-08-20/\">{on}</{BLOCK}>")
}

fn address(lab: &Lab) -> SocketAddr {
    lab.endpoint().strip_prefix("http://").unwrap().parse().unwrap()
}

/// A bucket with ACLs and without a block of its own.
async fn open_bucket(client: &Client, name: &str) {
    let create = ApiRequest::new(Method::PUT, format!("/{name}")).header("x-amz-object-ownership", "ObjectWriter");
    assert_eq!(client.send("s3", create).await.unwrap().status, 200);
    client.must(Method::DELETE, &format!("/{name}?publicAccessBlock"), "").await.unwrap();
}

async fn acl(client: &Client, bucket: &str, canned: &str) -> ApiResponse {
    let set = ApiRequest::new(Method::PUT, format!("/{bucket}?acl")).header("x-amz-acl", canned);
    client.send("s3", set).await.unwrap()
}

fn public_policy(bucket: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::{bucket}","arn:aws:s3:::{bucket}/*"]}}]}}"#
    )
}

/// As the SDK sends it through a proxy: the account before the host, the target whole.
#[test]
fn it_is_reached_as_through_a_proxy() {
    shared(async |lab| {
        let account = "100000000060";
        let ask = async |method: &str, body: &str| {
            let mut stream = TcpStream::connect(address(lab)).await.unwrap();
            let request = format!(
                "{method} http://{account}.s3-control.lab/v20180820/configuration/publicAccessBlock HTTP/1.1\r\n\
                 host: {account}.s3-control.lab\r\nauthorization: AWS4-HMAC-SHA256 Credential={account}/20260101/\
                 us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\nx-amz-account-id: {account}\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        assert!(ask("GET", "").await.contains("NoSuchPublicAccessBlockConfiguration"));
        assert!(ask("PUT", &block(&["BlockPublicAcls"])).await.starts_with("HTTP/1.1 201 "));
        let there = ask("GET", "").await;
        assert!(there.contains("<BlockPublicAcls>true</BlockPublicAcls>"), "{there}");
        assert!(there.contains("<RestrictPublicBuckets>false</RestrictPublicBuckets>"), "{there}");
        assert!(ask("DELETE", "").await.starts_with("HTTP/1.1 204 "));
        assert!(ask("GET", "").await.contains("NoSuchPublicAccessBlockConfiguration"));
        let names: Vec<_> = lab
            .calls(|call| call.service == "s3control" && call.caller.account() == Some(account))
            .iter()
            .map(|call| (call.operation.clone(), call.resource.clone()))
            .collect();
        assert_eq!(names[1], ("PutPublicAccessBlock".to_owned(), Some(account.to_owned())));
    });
}

#[test]
fn what_it_blocks_no_bucket_can_open() {
    shared(async |lab| {
        let (account, bucket) = ("100000000061", "account-block-writes");
        let client = of(lab, account);
        open_bucket(&client, bucket).await;
        let set = async |settings: &[&str]| {
            let answer = client.account_block(Method::PUT, account, &block(settings)).await.unwrap();
            assert_eq!(answer.status, 201, "{}", text(&answer));
        };
        set(&["BlockPublicAcls", "BlockPublicPolicy"]).await;
        for canned in ["public-read", "authenticated-read"] {
            assert_error(&acl(&client, bucket, canned).await, 403, "AccessDenied");
        }
        assert_eq!(acl(&client, bucket, "log-delivery-write").await.status, 200);
        let policy =
            async || client.s3(Method::PUT, &format!("/{bucket}?policy"), public_policy(bucket)).await.unwrap();
        let refused = policy().await;
        assert_error(&refused, 403, "AccessDenied");
        assert!(text(&refused).contains("BlockPublicPolicy"), "{}", text(&refused));
        client.account_block(Method::DELETE, account, "").await.unwrap();
        assert_eq!(
            (acl(&client, bucket, "public-read").await.status.as_u16(), policy().await.status.as_u16()),
            (200, 204)
        );
    });
}

#[test]
fn it_cuts_off_everybody_at_once() {
    shared(async |lab| {
        // Nobody's calls are the lab's own account's.
        let (account, bucket) = (lab::call::ACCOUNT, "account-block-reads");
        let client = of(lab, account);
        open_bucket(&client, bucket).await;
        let nobody = Upstream::new(address(lab));
        let read =
            async || nobody.send(ApiRequest::new(Method::GET, format!("/{bucket}"))).await.unwrap().status.as_u16();
        assert_eq!(read().await, 403);
        for (open, setting) in [("policy", "RestrictPublicBuckets"), ("acl", "IgnorePublicAcls")] {
            if open == "policy" {
                client.must(Method::PUT, &format!("/{bucket}?policy"), public_policy(bucket)).await.unwrap();
            } else {
                assert_eq!(acl(&client, bucket, "public-read").await.status, 200);
            }
            assert_eq!(read().await, 200, "{open}");
            client.account_block(Method::PUT, account, &block(&[setting])).await.unwrap();
            assert_eq!(read().await, 403, "{setting}");
            client.account_block(Method::DELETE, account, "").await.unwrap();
            assert_eq!(read().await, 200, "{open} again");
            if open == "policy" {
                client.must(Method::DELETE, &format!("/{bucket}?policy"), "").await.unwrap();
            }
        }
    });
}

#[test]
fn its_changes_are_events() {
    shared(async |lab| {
        let account = "100000000062";
        let client = of(lab, account);
        let mut happenings = lab.listen();
        client.account_block(Method::PUT, account, &block(&["BlockPublicAcls"])).await.unwrap();
        event(&mut happenings, "PutAccountPublicAccessBlock", account).await;
        client.account_block(Method::DELETE, account, "").await.unwrap();
        event(&mut happenings, "DeleteAccountPublicAccessBlock", account).await;
    });
}
