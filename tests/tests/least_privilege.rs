//! Least privilege, proved: each role makes use of its permissions to the last one, and each that is taken away is missed by
//! something that the function does, which names it. The lab weighs every call of every role; the whole of the system's tests
//! run with nothing but what `template.yaml` allows.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail as tests do")]

use http::Method;
use lab::Lab;
use lab::gateway::Happening;
use lab::permissions::Grant;
use lab::runtime::Report;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use system_tests::ec2::QUARANTINE;
use system_tests::iam::{STALE, User, about};
use system_tests::ledger::{evidence_bucket, opened, posture, rows, settled, table};
use system_tests::s3::{FUNCTION, account_block, open_bucket, website};
use system_tests::scenarios::{Drift, Look, Scenario, all, looks};
use system_tests::{
    ACCOUNT, About, HOME, OTHER_ACCOUNT, PATIENCE, alone, controls, event, faults, invoke_whole, last_record, only,
    variant, workspace,
};
use tokio::time::timeout;

/// What is allowed and no act here can miss: the function (`*` for each), the action, what the resource ends with, and why.
const UNSEEN: &[(&str, &str, &str, &str)] = &[
    ("*", "logs:CreateLogStream", "", "Lambda writes the log"),
    ("*", "logs:PutLogEvents", "", "Lambda writes the log"),
    ("*", "sqs:SendMessage", "UnhandledEvents", "Lambda hands over what failed"),
    ("*", "sqs:ReceiveMessage", "SweepQueue", "Lambda reads the queue"),
    ("*", "sqs:DeleteMessage", "SweepQueue", "Lambda reads the queue"),
    ("*", "sqs:GetQueueAttributes", "SweepQueue", "Lambda reads the queue"),
    ("recorder", "dynamodb:DescribeStream", "", "Lambda reads the stream"),
    ("recorder", "dynamodb:GetRecords", "", "Lambda reads the stream"),
    ("recorder", "dynamodb:GetShardIterator", "", "Lambda reads the stream"),
    ("recorder", "dynamodb:ListStreams", "", "Lambda reads the stream"),
];

/// What is made use of, and whose absence changes nothing that anybody is told: the function, the action, and why.
const UNMISSED: &[(&str, &str, &str)] = &[
    // What somebody has done to Suture itself is told with the ledger or without it, and looked at again.
    ("suture-tampering", "dynamodb:GetItem", "it is told all the same"),
    ("suture-tampering", "dynamodb:Query", "it is told all the same"),
    ("suture-tampering", "kms:Decrypt", "it is told all the same"),
];

/// A function's time-out, in seconds.
const WHOLE: u64 = 900;
/// The same where a permission is missing: what cannot be read back is read again as long as there is time.
const SHORT: u64 = 5;

/// Something that a function is made to do.
enum Act {
    /// To mend a drift.
    Fix(Scenario),
    /// To mend one while tags can exempt.
    Tagged(Scenario),
    /// To look at something and leave it alone.
    Look(&'static Look),
    /// To look at everything: by schedule, or as an event of this name asks for.
    Sweep(Option<&'static str>),
    /// To look at everything by schedule in two regions and accounts, which it leaves to its queue.
    Spread,
    /// To mend a drift that the event of this name tells of.
    Told(Scenario, &'static str),
    /// To take a fix back.
    Undo(Scenario),
    /// To take an undo back that left the resource alone.
    Redo(Scenario),
}

/// What an act came to.
struct Came {
    /// In a word.
    to: String,
    /// Everything that was said.
    said: String,
}

impl Came {
    fn of(report: &Report, to: impl Into<String>) -> Self {
        Self { to: to.into(), said: format!("{:?}\n{}", report.answer, report.log.join("\n")) }
    }

    /// By a field of the last record.
    fn by(report: &Report, field: &str) -> Self {
        let lines = report.log.iter().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let record = lines.map(|line| line["record"].clone()).find(Value::is_object).unwrap_or_default();
        Self::of(report, record[field].as_str().unwrap_or("without a record"))
    }
}

impl Act {
    fn name(&self) -> String {
        match self {
            Self::Fix(scenario) => format!("fix {}", scenario.name),
            Self::Tagged(scenario) => format!("fix, while tags exempt, {}", scenario.name),
            Self::Look(look) => format!("look at {}", look.name),
            Self::Sweep(name) => format!("sweep {}", name.unwrap_or_default()),
            Self::Spread => "sweep two regions and accounts".to_owned(),
            Self::Told(scenario, name) => format!("{name} of {}", scenario.name),
            Self::Undo(scenario) => format!("undo {}: {}", scenario.control, scenario.name),
            Self::Redo(scenario) => format!("undo the undo of {}: {}", scenario.control, scenario.name),
        }
    }

    /// What it comes to with all permissions.
    fn ought(&self) -> &str {
        match self {
            Self::Fix(_) | Self::Tagged(_) | Self::Told(..) => "fixed",
            Self::Look(look) => look.refused_by,
            Self::Sweep(_) | Self::Spread => "swept",
            Self::Undo(_) | Self::Redo(_) => "undone",
        }
    }

    /// Does it, within so many seconds if it is no sweep. `begin` is called when nothing but the act itself is left to be done.
    async fn play(&self, lab: &Lab, function: &str, seconds: u64, begin: impl FnOnce()) -> Came {
        let busy = match self {
            Self::Undo(scenario) | Self::Redo(scenario) => scenario.control,
            _ => function,
        };
        only(lab, busy);
        let mut config = lab.gateway.functions.config(function).unwrap();
        let sweeps = matches!(self, Self::Sweep(_) | Self::Spread);
        config.timeout = Duration::from_secs(if sweeps { WHOLE } else { seconds });
        lab.gateway.functions.configure(config);
        // It would be in the way of what is to be opened.
        account_block(lab, None).await;
        posture(lab, |posture| posture.tags_exempt = matches!(self, Self::Tagged(_))).await;
        match self {
            Self::Fix(scenario) | Self::Tagged(scenario) => {
                let Drift { event, .. } = (scenario.drift)(lab).await;
                begin();
                Came::by(&invoke_whole(lab, function, &event).await, "outcome")
            }
            Self::Look(look) => {
                if function == STALE {
                    no_report(lab).await;
                }
                let event = (look.event)(lab).await;
                begin();
                Came::by(&invoke_whole(lab, function, &event).await, "refused_by")
            }
            Self::Sweep(_) | Self::Spread => {
                if function == STALE {
                    no_report(lab).await;
                }
                let before = lab.gateway.functions.config(function).unwrap();
                let spread = matches!(self, Self::Spread);
                let accounts = format!("{ACCOUNT},{OTHER_ACCOUNT}");
                let variables = [
                    ("SUTURE_REGIONS", if spread { "us-east-1,eu-west-1" } else { HOME }),
                    ("SUTURE_ACCOUNTS", if spread { &accounts } else { ACCOUNT }),
                    // Whoever gets the message would need it; whoever sends it does not.
                    ("SUTURE_MEMBER_ROLE", if spread { "arn:aws:iam::{account}:role/suture-member" } else { "" }),
                    ("SUTURE_EXTERNAL_ID", if spread { "an-external-id" } else { "" }),
                ];
                lab.set(function, &variables).unwrap();
                begin();
                let report = match self {
                    Self::Sweep(Some(name)) => invoke_whole(lab, function, &event(function, name)).await,
                    _ => timeout(PATIENCE, lab.fire(function)).await.unwrap().unwrap().remove(0),
                };
                lab.gateway.functions.configure(before);
                let answer = if report.answer.is_ok() { report.json() } else { Value::Null };
                let handed_over = report.log.iter().any(|line| line.contains("were handed over"));
                let listed = answer["sweeps"][0].is_object() && answer["sweeps"][0]["cut_short"].is_null();
                let whole = listed || (matches!(self, Self::Spread) && handed_over);
                Came::of(&report, if whole { "swept" } else { "cut short" })
            }
            Self::Told(scenario, name) => {
                let Drift { event: drift, .. } = (scenario.drift)(lab).await;
                let event = told(lab, function, name, drift).await;
                begin();
                Came::by(&invoke_whole(lab, function, &event).await, "outcome")
            }
            Self::Undo(scenario) | Self::Redo(scenario) => {
                let again = matches!(self, Self::Redo(_));
                let Drift { event, .. } = (scenario.drift)(lab).await;
                let mut past = last_record(&invoke_whole(lab, scenario.control, &event).await);
                let hours = if again { 24 } else { 0 };
                let undo = |past: &Value| {
                    json!({
                        "mode": "undo", "record": past["id"], "override": ["phi"], "leave_alone_hours": hours,
                    })
                };
                if again {
                    past = last_record(&invoke_whole(lab, "undo", &undo(&past)).await);
                }
                begin();
                Came::by(&invoke_whole(lab, "undo", &undo(&past)).await, "outcome")
            }
        }
    }
}

/// Makes the credential report too old, and the function forget the one that it has read.
async fn no_report(lab: &Lab) {
    for _ in 0..2 {
        system_tests::iam::quietly(lab, "GenerateCredentialReport", &[]).await;
    }
    lab.wish("iam/report", json!({"hoursAgo": 5, "takes": 1})).await.unwrap();
    lab.set(STALE, &[]).unwrap();
}

/// The event of this name about what another one, `drift`, is about.
async fn told(lab: &Lab, function: &str, name: &str, mut drift: Value) -> Value {
    variant(lab, function, "planning", &[("SUTURE_MODE", "plan")]);
    // A manual request for more than the deployment's mode is refused, and no plan.
    if let Some(mode) = drift.get_mut("mode") {
        *mode = "plan".into();
    }
    let planned = last_record(&invoke_whole(lab, "planning", &drift).await);
    let id = planned["resource"]["id"].as_str().unwrap();
    if function == STALE {
        let user = system_tests::iam::quietly(lab, "GetUser", &[("UserName", id)]).await;
        return about(STALE, name, &User { name: id.to_owned(), id: user.texts("UserId").remove(0) }, &[]);
    }
    let samples = ["clinic-scans", "sg-0123456789abcdef0", "AKIAEXAMPLEEXAMPLE03"];
    let text = samples.iter().fold(event(function, name).to_string(), |text, sample| text.replace(sample, id));
    serde_json::from_str(&text).unwrap()
}

/// What a control is made to do: all that needs a permission of its own.
fn acts(about: &About) -> Vec<Act> {
    let scenarios: Vec<_> = all().into_iter().filter(|scenario| scenario.control == about.id).collect();
    let looks = looks().into_iter().filter(|look| look.control == about.id);
    let mut acts: Vec<_> = scenarios.iter().copied().map(Act::Fix).chain(looks.map(Act::Look)).collect();
    let is_there = |name: &str| workspace().join(format!("events/{}/{name}.json", about.id)).is_file();
    if let (Some(first), Some(last)) = (scenarios.first(), scenarios.last()) {
        acts.push(Act::Tagged(*first));
        // One whose resource is what the sample events are about.
        let told = match about.id.as_str() {
            STALE => scenarios[0],
            QUARANTINE => scenarios[1],
            _ => *last,
        };
        let names = ["security-hub", "security-hub-v2", "security-hub-action", "rule-change", "config-compliance"];
        acts.extend(names.into_iter().filter(|name| is_there(name)).map(|name| Act::Told(told, name)));
    }
    acts.extend(about.sweeps.is_some().then_some(Act::Sweep(None)));
    acts.extend(is_there("rule-scheduled").then_some(Act::Sweep(Some("rule-scheduled"))));
    // Last: what it leaves to the queue goes on behind it.
    acts.extend(about.sweeps.is_some().then_some(Act::Spread));
    acts
}

fn is_unseen(function: &str, grant: &Grant) -> bool {
    UNSEEN.iter().any(|(of, action, on, _)| {
        [function, "*"].contains(of) && grant.action == *action && grant.resource.ends_with(on)
            || on.is_empty() && [function, "*"].contains(of) && grant.action == *action
    })
}

fn is_unmissed(function: &str, grant: &Grant) -> bool {
    UNMISSED.iter().any(|(of, action, _)| *of == function && grant.action == *action)
}

/// What is wrong with a function's role, as far as these acts show it: permissions that none of them uses, and permissions that
/// are missed by none of them that uses them.
async fn wrong(lab: &Lab, function: &str, acts: &[Act]) -> Vec<String> {
    let role = lab.gateway.functions.config(function).unwrap().role;
    let permissions = &lab.gateway.permissions;
    let mut wrong = Vec::new();
    let mut users: BTreeMap<Grant, Vec<(&Act, Came)>> = BTreeMap::new();
    for act in acts {
        let came = act.play(lab, function, WHOLE, || permissions.forget(ACCOUNT, &role)).await;
        if came.to != act.ought() {
            wrong.push(format!("{function}: {}: {}: {}", act.name(), came.to, came.said));
        }
        for grant in permissions.used(ACCOUNT, &role) {
            let came = Came { to: came.to.clone(), said: came.said.clone() };
            users.entry(grant).or_default().push((act, came));
        }
    }
    for grant in permissions.grants(ACCOUNT, &role) {
        if is_unseen(function, &grant) {
            continue;
        }
        let Some(users) = users.get(&grant) else {
            wrong.push(format!("{function}: nothing needs {grant}"));
            continue;
        };
        let mut ends = Vec::new();
        for (act, whole) in users {
            let came = act.play(lab, function, SHORT, || permissions.withhold(ACCOUNT, &role, [grant.clone()])).await;
            permissions.withhold(ACCOUNT, &role, []);
            if came.said.contains(&grant.action) && !whole.said.contains(&grant.action) {
                ends.clear();
                break;
            }
            ends.push(format!("{}: {}", act.name(), came.to));
        }
        if ends.is_empty() == is_unmissed(function, &grant) {
            wrong.push(format!("{function}: {grant} is taken away, and nobody is told: {ends:#?}"));
        }
    }
    wrong
}

#[test]
fn each_permission_of_a_control_is_used_and_missed_by_its_name() {
    let only = std::env::var("CONTROL").ok();
    let controls = controls();
    alone(async |lab| {
        let mut all = Vec::new();
        for about in controls.iter().filter(|about| only.as_deref().is_none_or(|only| only == about.id)) {
            all.extend(wrong(lab, &about.id, &acts(about)).await);
        }
        assert!(all.is_empty(), "{all:#?}");
    });
}

#[test]
fn each_permission_of_the_undo_function_is_used_and_missed_by_its_name() {
    // It takes all controls' fixes to show all of it.
    if std::env::var_os("CONTROL").is_some() {
        return;
    }
    alone(async |lab| {
        let mut acts: Vec<_> = all().into_iter().map(Act::Undo).collect();
        acts.extend(all().into_iter().map(Act::Redo));
        let all = wrong(lab, "undo", &acts).await;
        assert!(all.is_empty(), "{all:#?}");
    });
}

/// Something that the recorder is woken for.
#[derive(Clone, Copy, Debug)]
enum News {
    /// A fix.
    Fixed,
    /// A refusal, which becomes a finding.
    Refused,
    /// A fix whose evidence was written, and nobody said so.
    Unanswered,
    /// A fix after the ledger has lost the end of the chain.
    ChainLost,
    /// The same, and the last piece of the chain was deleted, as far as one can.
    PieceDeleted,
    /// The hour is over.
    Hourly,
}

impl News {
    const ALL: [Self; 6] =
        [Self::Fixed, Self::Refused, Self::Unanswered, Self::ChainLost, Self::PieceDeleted, Self::Hourly];

    /// Makes it happen; everything that the recorder said of it, until all is done or `enough`.
    async fn happens(self, lab: &Lab, number: usize, begin: impl FnOnce(), enough: impl Fn(&str) -> bool) -> String {
        settled(lab).await;
        let mut happenings = lab.listen();
        let resource = match self {
            Self::Refused => website(lab).await,
            _ => open_bucket(lab, "scans").await,
        };
        match self {
            Self::Unanswered => faults(lab, &["s3:PutObject=drop-answer*1"]),
            Self::ChainLost => forget_the_chain(lab).await,
            Self::PieceDeleted => {
                forget_the_chain(lab).await;
                let (client, bucket) = (lab.quiet_client(HOME), evidence_bucket(lab));
                let all =
                    client.must(Method::GET, &format!("/{bucket}?list-type=2&prefix=records/"), "").await.unwrap();
                let last = all.texts("Key").into_iter().max().unwrap();
                client.must(Method::DELETE, &format!("/{bucket}/{last}"), "").await.unwrap();
            }
            _ => {}
        }
        begin();
        if matches!(self, Self::Hourly) {
            let reports = timeout(PATIENCE, lab.fire("recorder")).await.unwrap().unwrap();
            return reports.iter().map(said).collect();
        }
        invoke_whole(lab, FUNCTION, &opened(&resource, number)).await;
        let mut all = String::new();
        let heard = async {
            loop {
                if let Happening::Invocation(report) = happenings.recv().await.unwrap()
                    && report.function == "recorder"
                {
                    all.push_str(&said(&report));
                    if enough(&all) {
                        return;
                    }
                }
            }
        };
        // Without a permission the stream tries again for good.
        let _ = timeout(Duration::from_secs(3), heard).await;
        faults(lab, &[]);
        all
    }
}

fn said(report: &Report) -> String {
    format!("{:?}\n{}\n", report.answer, report.log.join("\n"))
}

/// Takes the end of the chain of evidence out of the ledger.
async fn forget_the_chain(lab: &Lab) {
    for row in rows(lab).await.into_iter().filter(|row| row.pk == "chain") {
        let key = json!({"pk": {"S": row.pk}, "sk": {"S": row.sk}});
        let delete = json!({"TableName": table(lab), "Key": key});
        lab.quiet_client(HOME).must_json("dynamodb", "DeleteItem", &delete).await.unwrap();
    }
}

#[test]
fn each_permission_of_the_recorder_is_used_and_missed_by_its_name() {
    alone(async |lab| {
        let role = lab.gateway.functions.config("recorder").unwrap().role;
        let permissions = &lab.gateway.permissions;
        let (mut wrong, mut number) = (Vec::new(), 0);
        let mut users: BTreeMap<Grant, Vec<News>> = BTreeMap::new();
        for news in News::ALL {
            number += 1;
            let said = news.happens(lab, number, || permissions.forget(ACCOUNT, &role), |_| false).await;
            assert!(!said.contains("was denied"), "{news:?}: {said}");
            for grant in permissions.used(ACCOUNT, &role) {
                users.entry(grant).or_default().push(news);
            }
        }
        for grant in permissions.grants(ACCOUNT, &role) {
            if is_unseen("recorder", &grant) {
                continue;
            }
            let Some(users) = users.get(&grant) else {
                wrong.push(format!("recorder: nothing needs {grant}"));
                continue;
            };
            let mut named = false;
            for news in users {
                number += 1;
                let enough =
                    |said: &str| said.contains(&format!("{} on ", grant.action)) && said.contains("was denied");
                let begin = || permissions.withhold(ACCOUNT, &role, [grant.clone()]);
                named = enough(&news.happens(lab, number, begin, enough).await);
                permissions.withhold(ACCOUNT, &role, []);
                if named {
                    break;
                }
            }
            if named == is_unmissed("recorder", &grant) {
                wrong.push(format!("recorder: {grant} is taken away, and nobody is told: {users:?}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}

/// What a role has lost in AWS is lost in the lab, to the last call.
#[test]
fn a_role_without_permissions_is_refused_whatever_it_asks_for() {
    alone(async |lab| {
        only(lab, FUNCTION);
        let bucket = open_bucket(lab, "scans").await;
        let role = lab.gateway.functions.config(FUNCTION).unwrap().role;
        let all = lab.gateway.permissions.grants(ACCOUNT, &role);
        lab.gateway.permissions.withhold(ACCOUNT, &role, all);
        let report = invoke_whole(lab, FUNCTION, &json!({"resource": bucket, "mode": "enforce"})).await;
        let answered: Vec<_> = report.calls.iter().map(|call| (call.name(), call.status)).collect();
        assert!(!answered.is_empty() && answered.iter().all(|(_, status)| *status >= 400), "{answered:?}");
    });
}
