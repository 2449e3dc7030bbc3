use crate::{Kind, Part, State, Tampering, Touch, Weakness};
use proptest::prelude::*;
use remediation::{Control, Resource, Safety, laws};

const ALL: [Weakness; 16] = [
    Weakness::Gone,
    Weakness::Disabled,
    Weakness::NoTarget,
    Weakness::Stopped,
    Weakness::MappingOff,
    Weakness::MappingGone,
    Weakness::StreamOff,
    Weakness::RecoveryOff,
    Weakness::Deletable,
    Weakness::TimeToLiveOff,
    Weakness::KeyDisabled,
    Weakness::KeyGoing,
    Weakness::KeyGone,
    Weakness::VersioningOff,
    Weakness::LockOff,
    Weakness::Public,
];

fn part(name: &str) -> Part {
    Part::parse(name).unwrap()
}

fn touch(call: &str, by_cloudformation: bool) -> Touch {
    Touch {
        call: call.to_owned(),
        by: "arn:aws:iam::111122223333:user/mallory".to_owned(),
        from: Some("198.51.100.24".to_owned()),
        with: Some("cli".to_owned()),
        by_cloudformation,
    }
}

fn state(name: &str) -> State {
    State { part: part(name), ours: true, touched: None, weak: vec![], unread: None, unheard: false }
}

fn states() -> impl Strategy<Value = State> {
    let parts = prop::sample::select(vec!["rule/suture-x", "table/ledger", "role/suture-x", "stack/suture", "key/1"]);
    let calls = prop::sample::select(vec!["DisableRule", "PutRolePolicy", "UpdateStack", "PutBucketPolicy"]);
    let touches = prop::option::of((calls, any::<bool>()).prop_map(|(call, deployed)| touch(call, deployed)));
    let weak = prop::collection::vec(prop::sample::select(ALL.to_vec()), 0..3);
    let unread = prop::option::of(Just("events:DescribeRule was denied".to_owned()));
    (parts, any::<bool>(), touches, weak, unread, any::<bool>()).prop_map(
        |(name, ours, touched, weak, unread, unheard)| State { ours, touched, weak, unread, unheard, ..state(name) },
    )
}

proptest! {
    #[test]
    fn the_laws_hold(state in states()) {
        laws::check::<Tampering>(&state);
    }

    #[test]
    fn nothing_is_ever_written(from in states(), to in states()) {
        prop_assert!(Tampering::changes(&from, &to).is_empty());
        prop_assert!(Tampering::changes(&from, &Tampering::restored(&to)).is_empty());
    }

    #[test]
    fn only_what_is_ours_raises_an_alarm_and_what_is_weakened_always_does(state in states()) {
        let alarm = Tampering::hindrance(&state);
        if !state.ours {
            prop_assert_eq!(&alarm, &None);
        } else if !state.weak.is_empty() || state.touched.as_ref().is_some_and(|touch| !touch.by_cloudformation) {
            let alarm = alarm.unwrap();
            prop_assert_eq!(alarm.id, "tampering");
            prop_assert!(state.weak.iter().all(|weakness| alarm.says.contains(weakness.says())), "{}", alarm.says);
            if let Some(touch) = &state.touched {
                prop_assert!(alarm.says.contains(&touch.by) && alarm.says.contains(&touch.call), "{}", alarm.says);
            }
        }
    }
}

#[test]
fn who_did_what_to_which_part_from_where_and_what_to_do() {
    let touched =
        State { touched: Some(touch("DisableRule", false)), weak: vec![Weakness::Disabled], ..state("rule/suture-x") };
    let says = Tampering::hindrance(&touched).unwrap().says;
    assert!(
        says.starts_with(
            "arn:aws:iam::111122223333:user/mallory called DisableRule on Suture's own rule suture-x from 198.51.100.24 \
             (cli); it is disabled; "
        ),
        "{says}"
    );
    assert!(says.contains("take that identity's access away first") && says.contains("deploy Suture's template again"));
    let found = State { touched: None, ..touched };
    let says = Tampering::hindrance(&found).unwrap().says;
    assert!(says.contains("no event said who") && says.contains("look in CloudTrail for DisableRule"), "{says}");
}

#[test]
fn a_deployment_is_one_alarm_and_what_any_stack_can_attach_another() {
    for (part, call, by_cloudformation, alarms) in [
        // The person, or the pipeline, that deploys.
        ("stack/suture", "UpdateStack", false, true),
        ("stack/suture", "ExecuteChangeSet", false, true),
        // What CloudFormation then does.
        ("function/suture-x", "UpdateFunctionCode", true, false),
        ("function/suture-x", "UpdateFunctionConfiguration", true, false),
        ("rule/suture-x", "PutRule", true, false),
        ("table/ledger", "UpdateTable", true, false),
        ("role/suture-x", "UpdateAssumeRolePolicy", true, false),
        // Another stack can do these to our role, bucket and topic.
        ("role/suture-x", "PutRolePolicy", true, true),
        ("role/suture-x", "AttachRolePolicy", true, true),
        ("bucket/evidence", "PutBucketPolicy", true, true),
        ("topic/arn:aws:sns:us-east-1:111122223333:t", "SetTopicAttributes", true, true),
        // And by hand, everything is.
        ("function/suture-x", "UpdateFunctionCode", false, true),
        ("rule/suture-x", "PutRule", false, true),
    ] {
        let sound = State { touched: Some(touch(call, by_cloudformation)), ..state(part) };
        assert_eq!(Tampering::hindrance(&sound).is_some(), alarms, "{call} on {part}");
        let told = Tampering::notes(&sound).concat();
        assert_eq!(told.contains("a deployment"), !alarms, "{told}");
        let weak = State { weak: vec![Weakness::Gone], ..sound };
        assert!(Tampering::hindrance(&weak).is_some(), "{call} on {part}, which is weakened");
    }
}

#[test]
fn what_could_not_be_read_is_told_all_the_same() {
    let touched = State {
        touched: Some(touch("DeleteRolePolicy", false)),
        unread: Some("events:DescribeRule on rule/suture-x was denied".to_owned()),
        ..state("rule/suture-x")
    };
    let says = Tampering::hindrance(&touched).unwrap().says;
    assert!(says.contains("could not be read: events:DescribeRule"), "{says}");
}

#[test]
fn a_topic_that_nobody_hears_is_a_note() {
    let state = State { unheard: true, ..state("topic/arn:aws:sns:us-east-1:111122223333:t") };
    assert_eq!(Tampering::hindrance(&state), None);
    assert!(Tampering::notes(&state).concat().contains("nobody hears"));
}

#[test]
fn parts_are_named_as_events_name_them() {
    let topic = "arn:aws:sns:us-east-1:111122223333:suture-Announcements-1";
    let function = "arn:aws:lambda:us-east-1:111122223333:function:suture-Recorder-1:live";
    for (r#type, id, name, ought) in [
        ("AWS::Events::Rule", "suture-x", Some("suture-x"), "rule/suture-x"),
        ("AWS::Events::Rule", "arn:aws:events:us-east-1:111122223333:rule/suture-x", Some("suture-x"), "rule/suture-x"),
        ("AWS::Lambda::Function", "suture-Recorder-1", None, "function/suture-Recorder-1"),
        ("AWS::Lambda::Function", function, Some("suture-Recorder-1"), "function/suture-Recorder-1"),
        ("AWS::Lambda::Function", "111122223333:function:suture-Recorder-1:3", None, "function/suture-Recorder-1"),
        ("AWS::KMS::Key", "arn:aws:kms:us-east-1:111122223333:key/1234-ab", None, "key/1234-ab"),
        ("AWS::KMS::Key", "1234-ab", None, "key/1234-ab"),
        ("AWS::SNS::Topic", topic, Some("suture-Announcements-1"), &format!("topic/{topic}")),
        ("AWS::Logs::LogGroup", "/aws/lambda/suture-x", None, "log-group//aws/lambda/suture-x"),
        ("AWS::CloudFormation::Stack", "arn:aws:cloudformation:r:a:stack/suture/1", Some("suture"), "stack/suture"),
    ] {
        let resource = Resource { r#type: r#type.to_owned(), id: id.to_owned(), name: name.map(str::to_owned) };
        let found = Tampering::target_of(&resource).unwrap();
        assert_eq!(found.to_string(), ought, "{id}");
        assert_eq!(Tampering::target(ought), Ok(found), "a person names it as the record does");
        assert!(resource.r#type == Tampering::ABOUT.resource_type || Tampering::ABOUT.also.contains(&r#type));
    }
    for bad in
        ["", "suture-x", "rule/", "rule/a b", "rule/{{x}}", "rule/*", "dog/suture-x", "rule/a\nb", "key/\u{202e}"]
    {
        assert!(Part::parse(bad).is_err(), "{bad}");
    }
    assert!(Part::parse(&format!("rule/{}", "a".repeat(513))).is_err());
}

#[test]
fn a_part_of_this_deployment_is_told_from_everything_else() {
    let topic = "arn:aws:sns:us-east-1:111122223333:suture-Announcements-1";
    let ours = crate::Deployment {
        stack: "suture".to_owned(),
        ledger: "suture-LedgerTable-1".to_owned(),
        evidence: "suture-evidencebucket-1".to_owned(),
        topic: topic.to_owned(),
    };
    for (name, ought) in [
        ("rule/suture-x", Some(true)),
        ("rule/suturex", Some(false)),
        ("rule/my-suture-x", Some(false)),
        ("rule/suture", Some(false)),
        ("role/suture-x-us-east-1", Some(true)),
        ("function/clinic-triage", Some(false)),
        ("log-group/suture-S3Log-1", Some(true)),
        ("log-group//aws/lambda/suture-x", Some(true)),
        ("log-group//aws/lambda/clinic", Some(false)),
        ("table/suture-LedgerTable-1", Some(true)),
        ("table/suture-LedgerTable-2", Some(false)),
        ("bucket/suture-evidencebucket-1", Some(true)),
        ("bucket/clinic-scans", Some(false)),
        ("stack/suture", Some(true)),
        ("stack/suture-x", Some(false)),
        (&format!("topic/{topic}"), Some(true)),
        (&format!("topic/{topic}2"), Some(false)),
        (&format!("subscription/{topic}:0a1b"), Some(true)),
        (&format!("subscription/{topic}2:0a1b"), Some(false)),
        ("key/1234", None),
    ] {
        assert_eq!(ours.has(&part(name)), ought, "{name}");
        // Who does not know its deployment takes nothing for its own.
        assert_ne!(crate::Deployment::default().has(&part(name)), Some(true), "{name}");
    }
    assert!(ours.is_recorder("suture-Recorder-1") && !ours.is_recorder("suture-S3PublicBucket-1"));
}

#[test]
fn it_writes_nothing_and_no_gate_for_writes_can_silence_it() {
    let about = Tampering::ABOUT;
    assert!(about.fixes_with.is_empty() && about.undoes_with.is_empty() && about.safety == Safety::Reversible);
    let reads = ["Describe", "Get", "List"];
    let actions = about.observes_with.iter().chain(about.lists_with);
    for action in actions {
        let name = action.split(':').nth(1).unwrap();
        assert!(reads.iter().any(|begins| name.starts_with(begins)), "{action}");
    }
    assert!(Kind::Rule.word() == "rule" && about.sweeps == Some("rate(1 hour)"));
}
