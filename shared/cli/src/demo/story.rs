//! The story: one morning in a small clinic.

use super::stage::Stage;
use super::step::{Shown, Step};
use crate::account::HOME_REGION;
use crate::account::making::{SETTINGS, block, open_bucket, public_policy, website};
use ::lab::Lab;
use http::{Method, StatusCode};
use serde_json::{Value, json};

/// The control that the story is about.
pub const FUNCTION: &str = "s3-public-bucket";
/// The function that takes fixes back.
pub const UNDO: &str = "undo";
const SCANS: &str = "clinic-scans";
const BILLING: &str = "clinic-billing";
const WEBSITE: &str = "clinic-website";
const INTAKE: &str = "clinic-intake";

/// The first day: alice opens a bucket, and Suture only says.
pub async fn plan(stage: &mut Stage<'_>) -> Result<Step, String> {
    let mut step = Step::new("plan", "The first day. Suture looks and says; it writes nothing");
    step.happened("alice, in a hurry, takes the public access block off clinic-scans: the patients' pictures.");
    stage.opens(&stage.alice, SCANS, &mut step).await?;
    step.expect_outcome("planned", 0);
    step.types(&stage.desk, &["plan", FUNCTION, SCANS], Shown::With(&["put-public", "would break"]), 1).await?;
    let open = stage.block(SCANS).await?.is_none();
    step.see("nothing was written: clinic-scans is as alice left it", open);
    Ok(step)
}

/// The control is turned on, and closes the bucket.
pub async fn fix(stage: &mut Stage<'_>) -> Result<Step, String> {
    let mut step = Step::new("fix", "The plans were right for a week: the control is turned on");
    step.types(&stage.desk, &["mode", FUNCTION, "enforce"], Shown::Nothing, 0).await?;
    step.happened("alice lets everybody read clinic-scans, by a bucket policy.");
    let doing = stage.alice.must(Method::PUT, "/clinic-scans?policy", public_policy(SCANS));
    step.did_after(stage.event_of(FUNCTION, doing).await?);
    step.expect_outcome("fixed", 1);
    stage.fixed = step.field("/id");
    step.see("read independently: all four settings of the block are on", stage.block(SCANS).await? == Some(4));
    let nobody = stage.alice.s3(Method::PUT, "/clinic-scans?policy", public_policy(SCANS)).await?;
    step.see("alice tries once more, and AWS says no (403)", nobody.status == StatusCode::FORBIDDEN);
    Ok(step)
}

/// What must not set it off does not: its own call, and an event that comes twice.
pub async fn again(stage: &mut Stage<'_>) -> Result<Step, String> {
    let lab = stage.lab;
    let mut step = Step::new("again", "Its own call is an event too, and events come twice");
    let event = json!({
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.s3",
        "account": ::lab::call::ACCOUNT,
        "region": HOME_REGION,
        "detail": {
            "eventSource": "s3.amazonaws.com",
            "eventName": "PutBucketPublicAccessBlock",
            "awsRegion": HOME_REGION,
            "recipientAccountId": ::lab::call::ACCOUNT,
            "userIdentity": {"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"arn": own_role(lab)}}},
            "requestParameters": {"bucketName": SCANS},
        },
    });
    let rules = lab.gateway.bus.matching(&event).iter().filter(|rule| rule.target == FUNCTION).count();
    step.see("the rule leaves out what the function itself did", rules == 0);
    step.did(lab.invoke(FUNCTION, &event).await?);
    let answer = step.reports().last().map(::lab::runtime::Report::json).unwrap_or_default();
    step.expect(
        "the function, given it all the same, ignores it",
        answer.pointer("/unread/0/as") == Some(&json!("ignored")),
    );
    step.expect_writes(0);
    let duplicate = json!({"resource": SCANS, "mode": "enforce", "reason": "a duplicate"});
    step.did(lab.invoke(FUNCTION, &duplicate).await?);
    step.expect_outcome("compliant", 0);
    Ok(step)
}

fn own_role(lab: &Lab) -> String {
    let spec = lab.template.functions.iter().find(|spec| spec.code_dir == FUNCTION);
    spec.map(|spec| spec.role_arn.clone()).unwrap_or_default()
}

/// A website is public on purpose: a guard refuses.
pub async fn guard(stage: &mut Stage<'_>) -> Result<Step, String> {
    let mut step = Step::new("guard", "What a fix would break is looked at first");
    step.happened("clinic-website is open too. alice changes its first page.");
    let doing = stage.alice.must(Method::PUT, "/clinic-website?website", website("home.html"));
    step.did_after(stage.event_of(FUNCTION, doing).await?);
    step.expect_outcome("refused", 0);
    step.see("the website is still there", stage.block(WEBSITE).await?.is_none());
    Ok(step)
}

/// Somebody answers for it: an exemption.
pub async fn exemption(stage: &mut Stage<'_>) -> Result<Step, String> {
    let mut step = Step::new("exemption", "Somebody answers for the website: with a name, a reason and an end");
    let control = format!("--control={FUNCTION}");
    let exempt = [
        "exempt",
        &control,
        "--resource=clinic-website",
        "--owner=web@clinic.example",
        "--reason",
        "the public website, CHG-123",
        "--until=30d",
    ];
    step.types(&stage.desk, &exempt, Shown::With(&["exempt ", "until "]), 0).await?;
    step.happened("alice changes the page again.");
    let doing = stage.alice.must(Method::PUT, "/clinic-website?website", website("index.html"));
    step.did_after(stage.event_of(FUNCTION, doing).await?);
    step.expect_outcome("exempt", 0);
    Ok(step)
}

/// A plan waits for a person, and what is approved is what is written.
pub async fn approval(stage: &mut Stage<'_>) -> Result<Step, String> {
    let mut step = Step::new("approval", "clinic-billing has readers: from here on, somebody is asked first");
    step.types(&stage.desk, &["mode", FUNCTION, "approve"], Shown::Nothing, 0).await?;
    step.happened("alice opens clinic-billing.");
    stage.opens(&stage.alice, BILLING, &mut step).await?;
    step.expect_outcome("awaiting-approval", 0);
    let first = step.field("/approval/id");
    stage.settled().await?;
    step.tells(stage.lab, BILLING);
    step.happened("bob, who saw the message too, switches two of the four settings on by himself.");
    let doing = stage.bob.must(Method::PUT, "/clinic-billing?publicAccessBlock", block(&[SETTINGS[0], SETTINGS[1]]));
    stage.event_of(FUNCTION, doing).await?;
    let outdated = ["approve", first.as_str(), "--yes"];
    step.types(&stage.desk, &outdated, Shown::With(&["what was approved"]), 1).await?;
    let half = stage.block(BILLING).await?;
    step.see("what was approved is not what would be written any more: nothing was written", half == Some(2));
    let next = stage.waiting().await?;
    let approve = ["approve", next.as_str(), "--yes", "--reason=CHG-124"];
    step.types(&stage.desk, &approve, Shown::With(&["caused by", "fixed", "record:"]), 0).await?;
    step.see("read independently: all four settings are on", stage.block(BILLING).await? == Some(4));
    step.types(&stage.desk, &["approve", next.as_str(), "--yes"], Shown::With(&["refused"]), 1).await?;
    stage.approved = record_of(stage, BILLING, "fixed").await?;
    step.types(&stage.desk, &["mode", FUNCTION, "enforce"], Shown::Nothing, 0).await?;
    Ok(step)
}

/// The id of the latest record of a resource with this outcome.
async fn record_of(stage: &Stage<'_>, resource: &str, outcome: &str) -> Result<String, String> {
    let history = stage.desk.type_in(&["history", resource, "--control", FUNCTION, "--json"]).await?;
    let history: Value = serde_json::from_str(&history.said).unwrap_or_default();
    let records = history.get("records").and_then(Value::as_array).cloned().unwrap_or_default();
    let found = records.iter().find(|record| record.get("outcome").and_then(Value::as_str) == Some(outcome));
    let id = found.and_then(|record| record.get("id")).and_then(Value::as_str);
    id.map(str::to_owned).ok_or_else(|| format!("{resource} has no record that says {outcome}"))
}

/// Somebody who keeps undoing is named, not fought.
pub async fn flap(stage: &mut Stage<'_>) -> Result<Step, String> {
    let mut step = Step::new("flap", "A pipeline has another opinion: it is named, not fought");
    open_bucket(&stage.quiet, INTAKE).await?;
    step.happened("deploy-pipeline takes the block off clinic-intake, with every deployment.");
    for _ in 0..3 {
        stage.opens(&stage.pipeline, INTAKE, &mut step).await?;
        step.expect_outcome("fixed", 1);
    }
    stage.opens(&stage.pipeline, INTAKE, &mut step).await?;
    step.expect_outcome("refused", 0);
    let why = step.field("/why");
    step.expect("it names who", why.contains("deploy-pipeline"));
    stage.settled().await?;
    step.tells(stage.lab, "gave up");
    Ok(step)
}

/// Everything is stopped; a person mends by hand.
pub async fn stop(stage: &mut Stage<'_>) -> Result<Step, String> {
    let mut step = Step::new("stop", "Something else is going on: everything stops, and a person mends by hand");
    step.types(&stage.desk, &["stop", "--reason", "INC-7: moving buckets"], Shown::With(&["Stopped"]), 0).await?;
    step.happened("alice opens clinic-scans once more.");
    stage.opens(&stage.alice, SCANS, &mut step).await?;
    step.expect_outcome("refused", 0);
    step.see("nothing was written", stage.block(SCANS).await?.is_none());
    step.types(&stage.desk, &["resume"], Shown::With(&["Resumed"]), 0).await?;
    let fix = ["fix", FUNCTION, SCANS, "--yes", "--reason=INC-7"];
    step.types(&stage.desk, &fix, Shown::With(&["fixed", "record:"]), 0).await?;
    step.see("read independently: all four settings are on", stage.block(SCANS).await? == Some(4));
    Ok(step)
}

/// A fix is taken back by its record's id, and left alone then.
pub async fn undo(stage: &mut Stage<'_>) -> Result<Step, String> {
    let mut step = Step::new("undo", "The fix of clinic-billing broke a report: it is taken back, by its record");
    let undo = ["undo", stage.approved.as_str(), "--leave-alone=3d", "--reason=INC-8", "--yes"];
    step.types(&stage.desk, &undo, Shown::With(&["undone", "left alone until"]), 0).await?;
    step.see("read independently: it is as bob left it", stage.block(BILLING).await? == Some(2));
    step.happened("The next event about it:");
    let doing = stage.bob.must(Method::PUT, "/clinic-billing?publicAccessBlock", block(&[SETTINGS[0], SETTINGS[1]]));
    step.did_after(stage.event_of(FUNCTION, doing).await?);
    step.expect_outcome("exempt", 0);
    let scans = ["undo", stage.fixed.as_str(), "--yes"];
    step.happened("But clinic-scans holds health data:");
    step.types(&stage.desk, &scans, Shown::With(&["refused"]), 1).await?;
    step.see("that one stays closed", stage.block(SCANS).await? == Some(4));
    Ok(step)
}
