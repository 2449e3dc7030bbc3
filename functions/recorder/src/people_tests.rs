use super::*;
use remediation::testing::{Answer, Fake, SECRET, Sent, answer, ok};

const TOPIC: &str = "arn:aws:sns:us-east-1:111122223333:suture";

fn aws(respond: impl Fn(&Sent) -> Answer + Send + Sync + 'static) -> (Fake, Aws) {
    let fake = Fake::new(respond);
    let aws = Aws::new(&fake.sdk(), Some(TOPIC.to_owned()), true);
    (fake, aws)
}

fn message() -> Message {
    Message { subject: "Suture fixed clinic-scans".to_owned(), text: "It was public.\n--\n{}".to_owned() }
}

fn finding() -> AwsSecurityFinding {
    AwsSecurityFinding::builder().id("suture/s3-public-bucket/x").build()
}

#[tokio::test]
async fn a_message_goes_to_the_topic() {
    let (fake, aws) =
        aws(|_| ok("<PublishResponse><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>"));
    assert_eq!(aws.message(&message()).await, Ok(Told::Yes));
    let sent = fake.sent();
    let field = |name| sent.first().unwrap().field(name).unwrap();
    assert_eq!((field("Action"), field("TopicArn")), ("Publish".to_owned(), TOPIC.to_owned()));
    assert_eq!((field("Subject"), field("Message")), (message().subject, message().text));
}

#[tokio::test]
async fn without_a_topic_and_a_hub_nobody_is_called() {
    let fake = Fake::new(|_| ok(""));
    let aws = Aws::new(&fake.sdk(), None, false);
    assert_eq!(aws.message(&message()).await, Ok(Told::Nobody));
    assert_eq!(aws.finding(&finding()).await, Ok(Told::Nobody));
    assert!(fake.sent().is_empty());
}

#[tokio::test]
async fn what_sns_says_is_told_apart() {
    for (status, code, passes, says) in [
        (404, "NotFound", false, "does not exist"),
        (403, "AuthorizationError", false, "sns:Publish on topic"),
        (400, "Throttled", true, "sns:Publish on topic"),
        (400, "InvalidParameter", false, "sns:Publish on topic"),
        (500, "InternalError", true, "sns:Publish on topic"),
    ] {
        let body =
            format!("<ErrorResponse><Error><Code>{code}</Code><Message>{SECRET}</Message></Error></ErrorResponse>");
        let (_, aws) = aws(move |_| answer(status, body.clone()));
        let Err(Trouble::Away { why, retry, .. }) = aws.message(&message()).await else { panic!("{code}") };
        assert_eq!(retry, passes, "{code}: {why}");
        assert!(why.contains(says) && !why.contains(SECRET), "{code}: {why}");
    }
}

#[tokio::test]
async fn a_hub_that_is_not_enabled_is_nobody() {
    let (fake, aws) = aws(|_| Answer {
        status: 401,
        headers: vec![("x-amzn-errortype", "InvalidAccessException".to_owned())],
        body: format!("{{\"Message\": \"{SECRET}\"}}"),
    });
    assert_eq!(aws.finding(&finding()).await, Ok(Told::Nobody));
    assert_eq!(aws.finding(&finding()).await, Ok(Told::Nobody));
    assert_eq!(fake.sent().first().map(|sent| sent.path.clone()).as_deref(), Some("/findings/import"));
}

#[tokio::test]
async fn a_finding_that_is_not_accepted_is_not_told() {
    let (_, good) = aws(|_| ok("{\"FailedCount\": 0, \"SuccessCount\": 1}"));
    assert_eq!(good.finding(&finding()).await, Ok(Told::Yes));
    let (_, bad) = aws(|_| {
        ok(
            "{\"FailedCount\": 1, \"SuccessCount\": 0, \"FailedFindings\": [{\"Id\": \"x\", \"ErrorCode\": \"InvalidInput\", \"ErrorMessage\": \"SECRET\"}]}",
        )
    });
    let Err(Trouble::Away { why, retry: false, .. }) = bad.finding(&finding()).await else { panic!() };
    assert!(!why.contains("SECRET"), "{why}");
}
