//! `cloud.rs` against recorded answers of S3: which requests it makes, and what it makes of the answers.

use super::*;
use remediation::Control;
use remediation::fault::DeniedBy;
use remediation::testing::{self, Answer, SECRET, answer, occasion, ok};

const OWNER: &str = testing::ACCOUNT;

/// A request as it went out, in S3's terms.
#[derive(Clone, Debug)]
struct Sent {
    method: String,
    host: String,
    /// `publicAccessBlock`, `website`, …
    about: String,
    owner: Option<String>,
    body: String,
}

impl From<&testing::Sent> for Sent {
    fn from(sent: &testing::Sent) -> Self {
        let about = sent.query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
        Self {
            method: sent.method.clone(),
            host: sent.host.clone(),
            about: about.filter(|name| *name != "x-id").collect(),
            owner: sent.header("x-amz-expected-bucket-owner").map(str::to_owned),
            body: sent.body.clone(),
        }
    }
}

/// S3 with an answer for each sub-resource, and what it was asked.
struct Fake {
    s3: S3,
    aws: testing::Fake,
}

impl Fake {
    fn new(answer: impl Fn(&Sent) -> Answer + Send + Sync + 'static) -> Self {
        Self::with(Parameters::default(), answer)
    }

    fn with(parameters: Parameters, answer: impl Fn(&Sent) -> Answer + Send + Sync + 'static) -> Self {
        let aws = testing::Fake::new(move |sent| answer(&sent.into()));
        Self { s3: S3::new(&aws.sdk(), parameters), aws }
    }

    async fn observe(&self) -> Result<Option<State>, Fault> {
        self.s3.observe(&place(), &occasion()).await
    }

    fn sent(&self) -> Vec<Sent> {
        self.aws.sent().iter().map(Sent::from).collect()
    }

    /// `GET publicAccessBlock`, …
    fn asked(&self) -> Vec<String> {
        self.sent().iter().map(|sent| format!("{} {}", sent.method, sent.about)).collect()
    }
}

fn place() -> Place<BucketName> {
    testing::place::<PublicBucket>("clinic-scans")
}

fn error(status: u16, code: &str) -> Answer {
    answer(status, format!("<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>"))
}

fn block_xml(settings: &[(&str, bool)]) -> String {
    let settings: Vec<String> = settings.iter().map(|(name, on)| format!("<{name}>{on}</{name}>")).collect();
    let settings = settings.concat();
    format!("<PublicAccessBlockConfiguration>{settings}</PublicAccessBlockConfiguration>")
}

fn full_block() -> String {
    let names = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];
    block_xml(&names.map(|name| (name, true)))
}

const WEBSITE: &str =
    "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument></WebsiteConfiguration>";

fn tags(key: &str, value: &str) -> String {
    format!(
        "<Tagging><TagSet><Tag><Key>team</Key><Value>x</Value></Tag><Tag><Key>{key}</Key><Value>{value}</Value></Tag></TagSet></Tagging>"
    )
}

fn ownership(rule: &str) -> String {
    format!("<OwnershipControls><Rule><ObjectOwnership>{rule}</ObjectOwnership></Rule></OwnershipControls>")
}

/// A bucket without anything: each sub-resource is answered with S3's code for "not set".
fn bare(sent: &Sent) -> Answer {
    match sent.about.as_str() {
        "publicAccessBlock" => error(404, "NoSuchPublicAccessBlockConfiguration"),
        "policyStatus" => error(404, "NoSuchBucketPolicy"),
        "website" => error(404, "NoSuchWebsiteConfiguration"),
        "tagging" => error(404, "NoSuchTagSet"),
        "ownershipControls" => error(404, "OwnershipControlsNotFoundError"),
        other => panic!("asked for {other:?}"),
    }
}

/// A website that serves everybody.
fn website(sent: &Sent) -> Answer {
    match sent.about.as_str() {
        "policyStatus" => ok("<PolicyStatus><IsPublic>true</IsPublic></PolicyStatus>"),
        "website" => ok(WEBSITE),
        "ownershipControls" => ok(ownership("BucketOwnerEnforced")),
        _ => bare(sent),
    }
}

const CALM: Exposure = Exposure {
    public_policy: false,
    website: false,
    acls_apply: false,
    phi: false,
    public_websites: PublicWebsites::Refuse,
};

async fn exposure(fake: &Fake) -> Exposure {
    fake.observe().await.unwrap().unwrap().exposure.unwrap()
}

#[tokio::test]
async fn a_compliant_bucket_costs_one_request() {
    let fake = Fake::new(|_| ok(full_block()));
    assert_eq!(fake.observe().await, Ok(Some(State { block: Some(Block::FULL), exposure: None })));
    assert_eq!(fake.asked(), ["GET publicAccessBlock"]);
    assert_eq!(fake.sent()[0].host, "s3.us-west-2.amazonaws.com", "the bucket's region, not our own");
}

#[tokio::test]
async fn a_drifted_bucket_costs_two_more() {
    let fake = Fake::new(bare);
    assert_eq!(fake.observe().await, Ok(Some(State { block: None, exposure: Some(CALM) })));
    assert_eq!(fake.asked(), ["GET publicAccessBlock", "GET policyStatus", "GET website"]);
}

#[tokio::test]
async fn a_website_costs_another_two() {
    let fake = Fake::new(website);
    assert_eq!(exposure(&fake).await, Exposure { public_policy: true, website: true, ..CALM });
    let expected = ["GET publicAccessBlock", "GET policyStatus", "GET website", "GET tagging", "GET ownershipControls"];
    assert_eq!(fake.asked(), expected);
}

#[tokio::test]
async fn every_request_names_the_owner_that_it_expects() {
    let fake = Fake::new(|sent| if sent.method == "GET" { website(sent) } else { answer(204, "") });
    fake.observe().await.unwrap();
    for change in [Change::PutPublicAccessBlock(Block::FULL), Change::DeletePublicAccessBlock] {
        fake.s3.apply(&place(), &change).await.unwrap();
    }
    let sent = fake.sent();
    assert_eq!(sent.len(), 7);
    for sent in sent {
        assert_eq!(sent.owner.as_deref(), Some(OWNER), "{sent:?}");
    }
}

#[tokio::test]
async fn a_setting_that_is_not_in_the_answer_is_off() {
    let off = Block {
        block_public_acls: false,
        ignore_public_acls: false,
        block_public_policy: false,
        restrict_public_buckets: false,
    };
    let cases = [
        (block_xml(&[]), off),
        (block_xml(&[("BlockPublicAcls", true)]), Block { block_public_acls: true, ..off }),
        (
            block_xml(&[("IgnorePublicAcls", true), ("BlockPublicAcls", false)]),
            Block { ignore_public_acls: true, ..off },
        ),
        (block_xml(&[("BlockPublicPolicy", true)]), Block { block_public_policy: true, ..off }),
        (block_xml(&[("RestrictPublicBuckets", true)]), Block { restrict_public_buckets: true, ..off }),
    ];
    for (xml, block) in cases {
        let answer = xml.clone();
        let fake =
            Fake::new(move |sent| if sent.about == "publicAccessBlock" { ok(answer.clone()) } else { bare(sent) });
        assert_eq!(fake.observe().await.unwrap().unwrap().block, Some(block), "{xml}");
        assert_eq!(fake.sent().len(), 3, "a gap is looked into: {xml}");
    }
}

#[tokio::test]
async fn what_a_policy_status_says() {
    for (xml, public) in [
        ("<PolicyStatus><IsPublic>true</IsPublic></PolicyStatus>", true),
        ("<PolicyStatus><IsPublic>TRUE</IsPublic></PolicyStatus>", true),
        ("<PolicyStatus><IsPublic>false</IsPublic></PolicyStatus>", false),
        ("<PolicyStatus/>", false),
    ] {
        let fake = Fake::new(move |sent| if sent.about == "policyStatus" { ok(xml) } else { bare(sent) });
        // An answer in a form that is not S3's own may fail; it must not read as "not public".
        match fake.observe().await {
            Ok(state) => assert_eq!(state.unwrap().exposure.unwrap().public_policy, public, "{xml}"),
            Err(fault) => assert!(xml.contains("TRUE"), "{xml}: {fault}"),
        }
    }
}

#[tokio::test]
async fn tags_and_ownership_of_a_website() {
    let with = |tagging: Answer, owned: Answer, phi_tag: &str| {
        let parameters = Parameters { phi_tag: phi_tag.to_owned(), public_websites: PublicWebsites::Close };
        Fake::with(parameters, move |sent| match sent.about.as_str() {
            "tagging" => tagging.clone(),
            "ownershipControls" => owned.clone(),
            _ => website(sent),
        })
    };
    let phi_tag = Parameters::default().phi_tag;
    for (tag, value, phi) in [
        ("data-classification", "phi", true),
        ("data-classification", "PHI", false),
        ("data-classification", "", false),
        ("classification", "phi", false),
    ] {
        let fake = with(ok(tags(tag, value)), ok(ownership("BucketOwnerEnforced")), &phi_tag);
        let seen = exposure(&fake).await;
        assert_eq!((seen.phi, seen.public_websites), (phi, PublicWebsites::Close), "{tag}={value}");
    }
    // A tag without a value, and one whose value has an equals sign.
    assert!(exposure(&with(ok(tags("hipaa", "")), ok(ownership("ObjectWriter")), "hipaa")).await.phi);
    assert!(exposure(&with(ok(tags("a", "b=c")), ok(ownership("ObjectWriter")), "a=b=c")).await.phi);
    for (owned, acls_apply) in [
        (ok(ownership("BucketOwnerEnforced")), false),
        (ok(ownership("BucketOwnerPreferred")), true),
        (ok(ownership("ObjectWriter")), true),
        (ok("<OwnershipControls></OwnershipControls>"), true),
        // Buckets from before April 2023 have none: their ACLs have effect.
        (error(404, "OwnershipControlsNotFoundError"), true),
    ] {
        assert_eq!(
            exposure(&with(error(404, "NoSuchTagSet"), owned.clone(), &phi_tag)).await.acls_apply,
            acls_apply,
            "{owned:?}"
        );
    }
}

#[tokio::test]
async fn a_bucket_that_is_gone_at_any_request() {
    for gone in ["publicAccessBlock", "policyStatus", "website", "tagging", "ownershipControls"] {
        let fake = Fake::new(move |sent| if sent.about == gone { error(404, "NoSuchBucket") } else { website(sent) });
        assert_eq!(fake.observe().await, Ok(None), "{gone}");
    }
    for change in [Change::PutPublicAccessBlock(Block::FULL), Change::DeletePublicAccessBlock] {
        let fake = Fake::new(|_| error(404, "NoSuchBucket"));
        assert_eq!(fake.s3.apply(&place(), &change).await, Err(Fault::Gone));
    }
}

#[tokio::test]
async fn another_region_is_named_by_the_answer() {
    let away = |region: &str| vec![("x-amz-bucket-region", region.to_owned())];
    for (status, code) in
        [(301, "PermanentRedirect"), (307, "TemporaryRedirect"), (400, "AuthorizationHeaderMalformed")]
    {
        let fake = Fake::new(move |_| Answer { headers: away("eu-central-1"), ..error(status, code) });
        let elsewhere = Fault::Elsewhere(Region::parse("eu-central-1").unwrap());
        assert_eq!(fake.observe().await, Err(elsewhere.clone()), "{code}");
        assert_eq!(fake.sent().len(), 1, "nothing is followed on its own");
        assert_eq!(fake.s3.apply(&place(), &Change::PutPublicAccessBlock(Block::FULL)).await, Err(elsewhere));
    }
    // A 404 or 403 comes with the header, too, and is no redirection; nor is a region that we asked already, or none.
    for (status, code, header) in [
        (403, "AccessDenied", "eu-central-1"),
        (404, "NoSuchBucket", "eu-central-1"),
        (301, "PermanentRedirect", "us-west-2"),
        (301, "PermanentRedirect", "../etc"),
    ] {
        let fake = Fake::new(move |_| Answer { headers: away(header), ..error(status, code) });
        assert!(!matches!(fake.observe().await, Err(Fault::Elsewhere(_))), "{status} {code} {header}");
    }
}

#[tokio::test]
async fn a_client_for_each_region() {
    let fake = Fake::new(|_| ok(full_block()));
    for region in ["us-west-2", "eu-central-1", "us-west-2"] {
        let place = Place { region: Region::parse(region).unwrap(), ..place() };
        fake.s3.observe(&place, &occasion()).await.unwrap();
    }
    let hosts: Vec<String> = fake.sent().into_iter().map(|sent| sent.host).collect();
    assert!(hosts[1].contains("eu-central-1") && hosts[0] == hosts[2] && hosts[0].contains("us-west-2"), "{hosts:?}");
}

#[tokio::test]
async fn a_denied_request_names_the_action_that_is_missing() {
    for (about, action) in [
        ("publicAccessBlock", "s3:GetBucketPublicAccessBlock"),
        ("policyStatus", "s3:GetBucketPolicyStatus"),
        ("website", "s3:GetBucketWebsite"),
        ("tagging", "s3:GetBucketTagging"),
        ("ownershipControls", "s3:GetBucketOwnershipControls"),
    ] {
        let fake = Fake::new(move |sent| if sent.about == about { error(403, "AccessDenied") } else { website(sent) });
        let denied = Fault::Denied { action, resource: "bucket clinic-scans".to_owned(), by: DeniedBy::Unsaid };
        assert_eq!(fake.observe().await, Err(denied), "{about}");
        assert!(<PublicBucket as remediation::Control>::ABOUT.observes_with.contains(&action), "{action}");
    }
    for change in [Change::PutPublicAccessBlock(Block::FULL), Change::DeletePublicAccessBlock] {
        let fake = Fake::new(|_| error(403, "AccessDenied"));
        let Err(Fault::Denied { action, .. }) = fake.s3.apply(&place(), &change).await else { panic!("{change:?}") };
        assert_eq!([action], <PublicBucket as remediation::Control>::ABOUT.fixes_with);
        assert_eq!([action], <PublicBucket as remediation::Control>::ABOUT.undoes_with);
    }
}

#[tokio::test]
async fn who_denied_it_is_in_the_message() {
    let message = "User: arn:aws:sts::111122223333:assumed-role/r/s is not authorized to perform: \
                   s3:PutBucketPublicAccessBlock on resource: \"arn:aws:s3:::clinic-scans\" with an explicit deny in a \
                   service control policy: arn:aws:organizations::444455556666:policy/o-x/service_control_policy/p-y";
    let fake = Fake::new(move |_| {
        answer(403, format!("<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>"))
    });
    let fault = fake.s3.apply(&place(), &Change::PutPublicAccessBlock(Block::FULL)).await.unwrap_err();
    assert!(matches!(fault, Fault::Denied { by: DeniedBy::Organization, .. }), "{fault:?}");
}

#[tokio::test]
async fn trouble_by_consequence() {
    for (status, code, conflict) in [
        (409, "OperationAborted", true),
        (503, "SlowDown", false),
        (503, "ServiceUnavailable", false),
        (429, "TooManyRequests", false),
        (400, "RequestTimeout", false),
        (400, "ExpiredToken", false),
    ] {
        let fake = Fake::new(move |_| error(status, code));
        for fault in [
            fake.observe().await.unwrap_err(),
            fake.s3.apply(&place(), &Change::PutPublicAccessBlock(Block::FULL)).await.unwrap_err(),
        ] {
            let expected =
                if conflict { matches!(fault, Fault::Conflict(_)) } else { matches!(fault, Fault::Retry(_)) };
            assert!(expected, "{status} {code}: {fault:?}");
        }
    }
    // Nobody knows whether a call that AWS failed at was carried out.
    for (status, code) in [(500, "InternalError"), (502, "")] {
        let fake = Fake::new(move |_| error(status, code));
        assert!(matches!(fake.observe().await, Err(Fault::Lost(_))), "{status} {code}");
    }
    for (status, code) in [(400, "InvalidRequest"), (405, "MethodNotAllowed"), (403, "InvalidAccessKeyId")] {
        let fake = Fake::new(move |_| error(status, code));
        assert!(matches!(fake.observe().await, Err(Fault::GiveUp(_))), "{status} {code}");
    }
    // A proxy's page, and an answer that is no XML: nothing is to be concluded from them.
    for (status, body) in [(502, "<html>bad gateway</html>"), (200, "<PublicAccessBlockConfiguration"), (200, "hello")]
    {
        let fake = Fake::new(move |_| answer(status, body));
        assert!(matches!(fake.observe().await, Err(Fault::Lost(_))), "{status} {body}: {:?}", fake.observe().await);
    }
}

#[tokio::test]
async fn the_write_is_four_trues() {
    let fake = Fake::new(|_| ok(""));
    fake.s3.apply(&place(), &Change::PutPublicAccessBlock(Block::FULL)).await.unwrap();
    let [sent] = fake.sent().try_into().unwrap();
    assert_eq!((sent.method.as_str(), sent.about.as_str()), ("PUT", "publicAccessBlock"));
    for name in ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"] {
        assert!(sent.body.contains(&format!("<{name}>true</{name}>")), "{}", sent.body);
    }
    assert_eq!((sent.body.matches("true").count(), sent.body.matches("false").count()), (4, 0));
}

#[tokio::test]
async fn an_undo_writes_the_very_settings_that_were() {
    for bits in 0..16_u8 {
        let on = |bit: u8| bits & bit != 0;
        let was = Block {
            block_public_acls: on(1),
            ignore_public_acls: on(2),
            block_public_policy: on(4),
            restrict_public_buckets: on(8),
        };
        let fake = Fake::new(|_| ok(""));
        fake.s3.apply(&place(), &Change::PutPublicAccessBlock(was)).await.unwrap();
        let body = fake.sent()[0].body.clone();
        for (name, bit) in
            [("BlockPublicAcls", 1), ("IgnorePublicAcls", 2), ("BlockPublicPolicy", 4), ("RestrictPublicBuckets", 8)]
        {
            assert!(body.contains(&format!("<{name}>{}</{name}>", on(bit))), "{was:?}: {body}");
        }
    }
    let fake = Fake::new(|_| answer(204, ""));
    fake.s3.apply(&place(), &Change::DeletePublicAccessBlock).await.unwrap();
    assert_eq!(fake.asked(), ["DELETE publicAccessBlock"]);
}

#[tokio::test]
async fn no_fault_repeats_what_aws_said() {
    let mut answers: Vec<Answer> = vec![ok(SECRET), answer(500, SECRET)];
    for status in [301, 307, 400, 403, 404, 405, 409, 412, 429, 500, 503] {
        for code in ["AccessDenied", "SlowDown", "OperationAborted", "PermanentRedirect", "InvalidRequest", "", SECRET]
        {
            answers.push(error(status, code));
        }
    }
    for answer in answers {
        // A code of AWS's is a word, and is repeated; the message is not.
        let code_is_secret = answer.body.contains(&format!("<Code>{SECRET}"));
        let again = answer.clone();
        let fake = Fake::new(move |_| again.clone());
        for fault in [
            fake.observe().await.err(),
            fake.s3.apply(&place(), &Change::PutPublicAccessBlock(Block::FULL)).await.err(),
        ] {
            let text = fault.map(|fault| format!("{fault} {fault:?}")).unwrap_or_default();
            assert!(!text.contains(SECRET) && !text.contains('<'), "{answer:?}: {text}");
            assert!(!text.contains("AKIDEXAMPLE") && text.len() < 600 && !text.contains(char::is_control), "{text}");
            assert!(code_is_secret || !text.contains("SECRET"), "{answer:?}: {text}");
        }
    }
}

#[tokio::test]
async fn tags_are_the_buckets_own() {
    let fake = Fake::new(|sent| if sent.about == "tagging" { ok(tags("suture", "x")) } else { bare(sent) });
    let found = fake.s3.tags(&place()).await.unwrap();
    assert_eq!(found, [("team".to_owned(), "x".to_owned()), ("suture".to_owned(), "x".to_owned())]);
    assert_eq!(fake.asked(), ["GET tagging"]);
    assert_eq!(fake.sent()[0].owner.as_deref(), Some(OWNER));
    let Err(Fault::Denied { action, .. }) = Fake::new(|_| error(403, "AccessDenied")).s3.tags(&place()).await else {
        panic!()
    };
    assert_eq!(PublicBucket::ABOUT.tags_with, [action]);
}
