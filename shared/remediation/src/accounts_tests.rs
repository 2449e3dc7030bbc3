//! Each account's own clients, and its role assumed once and with its external id.

use super::*;
use crate::fault::Fault;
use crate::testing::{ACCOUNT as OURS, Fake, Sent, answer, ok};
use std::cell::Cell;

const THEIRS: &str = "444455556666";

fn account(id: &str) -> AccountId {
    AccountId::parse(id).unwrap()
}

fn role() -> MemberRole {
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/suture-member-toy-open-door");
    MemberRole { arn, external_id: Some("clinic-7".to_owned()) }
}

/// STS, which lends `ASIA…` and the account's last digit; other services answer nothing.
fn lends(sent: &Sent) -> crate::testing::Answer {
    if sent.operation().as_deref() != Some("AssumeRole") {
        return ok("{}");
    }
    let arn = sent.field("RoleArn").unwrap();
    let id = arn.split(':').nth(4).unwrap();
    ok(format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA{id}</AccessKeyId>\
         <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
         <Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    ))
}

fn hub(fake: &Fake) -> Accounts {
    Accounts::new(fake.sdk(), Some(account(OURS)), Some(role()))
}

async fn key(sdk: &SdkConfig) -> String {
    let provider = sdk.credentials_provider().unwrap();
    provider.provide_credentials().await.unwrap().access_key_id().to_owned()
}

#[tokio::test]
async fn at_home_nobodys_role_is_assumed() {
    let fake = Fake::new(lends);
    let accounts = hub(&fake);
    let home = key(&fake.sdk()).await;
    assert_eq!(key(&accounts.sdk(&account(OURS)).await.unwrap()).await, home);
    // Nor anywhere else, where no member lends one.
    let alone = Accounts::new(fake.sdk(), Some(account(OURS)), None);
    assert_eq!(key(&alone.sdk(&account(THEIRS)).await.unwrap()).await, home);
    assert!(fake.sent().is_empty());
}

#[tokio::test]
async fn a_members_role_is_assumed_once_with_its_external_id() {
    let fake = Fake::new(lends);
    let accounts = hub(&fake);
    for _ in 0..3 {
        accounts.sdk(&account(THEIRS)).await.unwrap();
    }
    // The SDK asks the provider anew when the credentials are about to end.
    for times in [1, 2] {
        assert_eq!(key(&accounts.sdk(&account(THEIRS)).await.unwrap()).await, format!("ASIA{THEIRS}"));
        assert_eq!(fake.sent().len(), times, "the first is what was there already");
    }
    let sent = fake.sent();
    for field in [
        ("RoleArn", "arn:aws:iam::444455556666:role/suture-member-toy-open-door"),
        ("ExternalId", "clinic-7"),
        ("RoleSessionName", "suture"),
    ] {
        assert_eq!(sent[0].field(field.0).as_deref(), Some(field.1));
    }
    assert_eq!(key(&accounts.sdk(&account("777788889999")).await.unwrap()).await, "ASIA777788889999");
}

#[tokio::test]
async fn what_sts_refuses_is_told_as_that_and_asked_again_another_time() {
    for (status, code, retry, says) in [
        (
            403,
            "AccessDenied",
            false,
            "sts:AssumeRole on the role arn:aws:iam::444455556666:role/suture-member-toy-open-door",
        ),
        (503, "ServiceUnavailable", true, "sts:AssumeRole"),
    ] {
        let fake = Fake::new(move |_| {
            answer(
                status,
                format!("<ErrorResponse><Error><Code>{code}</Code><Message>secret</Message></Error></ErrorResponse>"),
            )
        });
        let accounts = hub(&fake);
        let fault = accounts.sdk(&account(THEIRS)).await.unwrap_err();
        assert_eq!(fault.is_worth_a_retry(), retry, "{fault}");
        assert!(fault.to_string().contains(says) && !fault.to_string().contains("secret"), "{fault}");
        let asked = fake.sent().len();
        assert!(accounts.sdk(&account(THEIRS)).await.is_err());
        assert!(fake.sent().len() > asked, "a refusal is not kept: the role may be there by now");
    }
    let fake = Fake::new(|_| {
        answer(
            403,
            "<ErrorResponse><Error><Code>AccessDenied</Code><Message>with an explicit deny in a service control \
                     policy</Message></Error></ErrorResponse>",
        )
    });
    let fault = hub(&fake).sdk(&account(THEIRS)).await.unwrap_err();
    assert!(matches!(fault, Fault::Denied { by: DeniedBy::Organization, action: "sts:AssumeRole", .. }), "{fault}");
}

#[tokio::test]
async fn each_account_has_clients_of_its_own_made_once() {
    let fake = Fake::new(lends);
    let (accounts, made) = (hub(&fake), Cell::new(0));
    let clouds = Clouds::new(&accounts, |_: &SdkConfig| made.set(made.get() + 1));
    assert_eq!(made.get(), 1, "our own, at once");
    for id in [OURS, THEIRS, THEIRS, OURS, "777788889999"] {
        clouds.of(&account(id)).await.unwrap();
    }
    assert_eq!(made.get(), 3);
}

#[tokio::test]
async fn answers_go_to_the_account_and_region_that_wait_for_them() {
    let fake = Fake::new(lends);
    let accounts = hub(&fake);
    let region = Region::parse("eu-west-1").unwrap();
    let replies = accounts.replies(&account(THEIRS), &region).await.unwrap();
    let _ = replies.rule_parameters("s3-rule").await;
    let sent = fake.sent();
    let last = sent.last().unwrap();
    assert_eq!(last.host, "config.eu-west-1.amazonaws.com");
    assert!(last.header("authorization").unwrap().contains(&format!("ASIA{THEIRS}")));
}
