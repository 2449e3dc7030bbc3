//! `cloud.rs` against recorded answers of EC2: which requests it makes, and what it makes of the answers.

use super::*;
use crate::tests::{GROUP, rule};
use remediation::fault::DeniedBy;
use remediation::testing::{self, Answer, Fake, SECRET, Sent, answer, occasion, ok};
use remediation::{ConfigRule, Control};

#[path = "course_tests.rs"]
mod courses;

fn place() -> Place<SecurityGroupId> {
    testing::place::<OpenSecurityGroup>(GROUP)
}

fn error(status: u16, code: &str) -> Answer {
    answer(
        status,
        format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>{SECRET}</Message></Error></Errors><RequestID>r</RequestID></Response>"
        ),
    )
}

fn xml(operation: &str, body: &str) -> Answer {
    ok(format!(
        r#"<{operation}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId>{body}</{operation}Response>"#
    ))
}

fn group(owner: &str) -> String {
    format!(
        "<securityGroupInfo><item><ownerId>{owner}</ownerId><groupId>{GROUP}</groupId><groupName>web</groupName>\
         <vpcId>vpc-0123456789abcdef0</vpcId><tagSet><item><key>aws:cloudformation:stack-name</key><value>net</value></item>\
         </tagSet></item></securityGroupInfo>"
    )
}

/// A row of DescribeSecurityGroupRules.
fn row(id: &str, egress: bool, protocol: &str, port: i32, source: &str) -> String {
    format!(
        "<item><securityGroupRuleId>{id}</securityGroupRuleId><groupId>{GROUP}</groupId><groupOwnerId>111122223333</groupOwnerId>\
         <isEgress>{egress}</isEgress><ipProtocol>{protocol}</ipProtocol><fromPort>{port}</fromPort><toPort>{port}</toPort>{source}\
         <description>why</description><tagSet><item><key>ticket</key><value>7</value></item></tagSet></item>"
    )
}

fn rows(rows: &[String], next: &str) -> String {
    format!("<securityGroupRuleSet>{}</securityGroupRuleSet>{next}", rows.concat())
}

const WORLD: &str = "<cidrIpv4>0.0.0.0/0</cidrIpv4>";
const LIST: &str = "<prefixListId>pl-0123456789abcdef0</prefixListId>";
const ITSELF: &str =
    "<referencedGroupInfo><groupId>sg-0123456789abcdef0</groupId><userId>111122223333</userId></referencedGroupInfo>";

/// An account with one group, whose rules are these.
fn aws(rules: Vec<String>) -> impl Fn(&Sent) -> Answer + Send + Sync + 'static {
    move |sent| {
        let operation = sent.operation().unwrap();
        let body = match operation.as_str() {
            "DescribeSecurityGroups" => group(testing::ACCOUNT),
            "DescribeSecurityGroupRules" => rows(&rules, ""),
            "DescribeNetworkInterfaces" => "<networkInterfaceSet><item>\
                <networkInterfaceId>eni-0123456789abcdef0</networkInterfaceId><interfaceType>interface</interfaceType>\
                <attachment><instanceId>i-0123456789abcdef0</instanceId></attachment>\
                <association><publicIp>198.51.100.24</publicIp></association></item></networkInterfaceSet>"
                .to_owned(),
            "GetManagedPrefixListEntries" => {
                "<entrySet><item><cidr>10.0.0.0/8</cidr></item><item><cidr>0.0.0.0/0</cidr></item></entrySet>"
                    .to_owned()
            }
            _ => "<return>true</return>".to_owned(),
        };
        xml(&operation, &body)
    }
}

fn asked(fake: &Fake) -> Vec<String> {
    fake.sent().iter().filter_map(Sent::operation).collect()
}

fn ec2(fake: &Fake) -> Ec2 {
    Ec2::new(&fake.sdk(), Parameters::default())
}

async fn observe(fake: &Fake) -> Result<Option<State>, Fault> {
    ec2(fake).observe(&place(), &occasion()).await
}

#[tokio::test]
async fn a_closed_group_costs_two_reads() {
    let rules = vec![
        row("sgr-1", false, "tcp", 443, WORLD),
        row("sgr-2", true, "-1", -1, WORLD),
        row("sgr-3", false, "-1", -1, ITSELF),
    ];
    let fake = Fake::new(aws(rules));
    let state = observe(&fake).await.unwrap().unwrap();
    assert_eq!(asked(&fake), ["DescribeSecurityGroups", "DescribeSecurityGroupRules"]);
    assert_eq!(state.rules.len(), 1, "neither egress nor group references: {:?}", state.rules);
    assert_eq!((state.users, state.foreign), (None, None));
    for sent in fake.sent() {
        assert_eq!(sent.host, "ec2.us-west-2.amazonaws.com", "the group's region, not our own");
    }
    assert_eq!(fake.sent()[0].field("GroupId.1").as_deref(), Some(GROUP));
    assert_eq!(fake.sent()[1].field("Filter.1.Name").as_deref(), Some("group-id"));
    assert_eq!(fake.sent()[1].field("Filter.1.Value.1").as_deref(), Some(GROUP));
}

#[tokio::test]
async fn an_open_group_costs_one_more() {
    let fake = Fake::new(aws(vec![row("sgr-1", false, "tcp", 22, WORLD)]));
    let state = observe(&fake).await.unwrap().unwrap();
    assert_eq!(asked(&fake), ["DescribeSecurityGroups", "DescribeSecurityGroupRules", "DescribeNetworkInterfaces"]);
    let rule = &state.rules[0];
    assert_eq!((rule.id.as_deref(), rule.description.as_deref()), (Some("sgr-1"), Some("why")));
    assert_eq!(rule.tags.get("ticket").map(String::as_str), Some("7"));
    assert_eq!(rule.traffic.to_string(), "tcp 22 from 0.0.0.0/0");
    let users = state.users.clone().unwrap();
    assert_eq!((users.total(), users.public), (1, 1));
    assert!(matches!(state.group.keepers.as_slice(), [ec2::Keeper::CloudFormation(stack)] if stack == "net"));
    let interfaces = &fake.sent()[2];
    assert_eq!(interfaces.field("Filter.1.Name").as_deref(), Some("group-id"));
    assert_eq!(interfaces.field("Filter.1.Value.1").as_deref(), Some(GROUP));
}

#[tokio::test]
async fn prefix_lists_are_resolved_where_they_matter() {
    let fake = Fake::new(aws(vec![row("sgr-1", false, "tcp", 22, LIST), row("sgr-2", false, "tcp", 3389, LIST)]));
    let state = observe(&fake).await.unwrap().unwrap();
    assert_eq!(
        asked(&fake),
        [
            "DescribeSecurityGroups",
            "DescribeSecurityGroupRules",
            "GetManagedPrefixListEntries",
            "DescribeNetworkInterfaces"
        ],
        "each list once"
    );
    assert_eq!(OpenSecurityGroup::desired(&state).rules, []);
    let web = Fake::new(aws(vec![row("sgr-1", false, "tcp", 443, LIST)]));
    observe(&web).await.unwrap().unwrap();
    assert_eq!(asked(&web).len(), 2, "whom 443 lets in does not matter");
}

#[tokio::test]
async fn a_prefix_list_that_cannot_be_read_is_said_to_be_so() {
    for code in ["InvalidPrefixListID.NotFound", "InvalidPrefixListId.NotFound"] {
        let others = aws(vec![row("sgr-1", false, "tcp", 22, LIST)]);
        let fake = Fake::new(move |sent| match sent.operation().as_deref() {
            Some("GetManagedPrefixListEntries") => error(400, code),
            _ => others(sent),
        });
        let state = observe(&fake).await.unwrap().unwrap();
        assert_eq!(OpenSecurityGroup::hindrance(&state).map(|hindrance| hindrance.id), Some("source-unknown"));
    }
}

#[tokio::test]
async fn rules_come_in_pages() {
    let others = aws(vec![]);
    let fake = Fake::new(move |sent| match (sent.operation().as_deref(), sent.field("NextToken").as_deref()) {
        (Some("DescribeSecurityGroupRules"), None) => xml(
            "DescribeSecurityGroupRules",
            &rows(&[row("sgr-1", false, "tcp", 443, WORLD)], "<nextToken>a b+c</nextToken>"),
        ),
        (Some("DescribeSecurityGroupRules"), Some("a b+c")) => xml(
            "DescribeSecurityGroupRules",
            &rows(&[row("sgr-2", false, "tcp", 22, WORLD)], "<nextToken></nextToken>"),
        ),
        (Some("DescribeSecurityGroupRules"), other) => panic!("{other:?}"),
        _ => others(sent),
    });
    let state = observe(&fake).await.unwrap().unwrap();
    let rules: Vec<String> = state.rules.iter().map(|rule| rule.traffic.to_string()).collect();
    assert_eq!(rules, ["tcp 22 from 0.0.0.0/0", "tcp 443 from 0.0.0.0/0"]);
}

#[tokio::test]
async fn a_group_that_is_not_there_is_gone_and_one_of_another_account_is_seen() {
    for code in ["InvalidGroup.NotFound", "InvalidSecurityGroupID.NotFound"] {
        let others = aws(vec![]);
        let fake = Fake::new(move |sent| match sent.operation().as_deref() {
            Some("DescribeSecurityGroups") => error(400, code),
            _ => others(sent),
        });
        assert_eq!(observe(&fake).await, Ok(None));
    }
    let others = aws(vec![row("sgr-1", false, "tcp", 22, WORLD)]);
    let fake = Fake::new(move |sent| match sent.operation().as_deref() {
        Some("DescribeSecurityGroups") => xml("DescribeSecurityGroups", &group("444455556666")),
        _ => others(sent),
    });
    let state = observe(&fake).await.unwrap().unwrap();
    assert_eq!(state.foreign.as_deref(), Some("444455556666"));
    assert_eq!(asked(&fake).len(), 2, "nothing to close, nobody to count");
}

#[tokio::test]
async fn a_config_rule_that_makes_no_sense_is_given_up_before_any_call() {
    let fake = Fake::new(aws(vec![]));
    let parameters = serde_json::from_str(r#"{"authorizedTcpPorts": "https"}"#).unwrap();
    let rule = Some(ConfigRule { name: "sg".to_owned(), parameters: Some(parameters) });
    let looked = ec2(&fake).observe(&place(), &Occasion { rule, ..occasion() }).await;
    assert!(matches!(looked, Err(Fault::GiveUp(why)) if why.contains("authorizedTcpPorts")));
    assert_eq!(asked(&fake), Vec::<String>::new());
}

#[tokio::test]
async fn a_config_rules_ports_become_part_of_the_state() {
    let fake = Fake::new(aws(vec![row("sgr-1", false, "tcp", 8080, WORLD)]));
    let parameters = serde_json::from_str(r#"{"authorizedTcpPorts": "443"}"#).unwrap();
    let rule = Some(ConfigRule { name: "sg".to_owned(), parameters: Some(parameters) });
    let state = ec2(&fake).observe(&place(), &Occasion { rule, ..occasion() }).await.unwrap().unwrap();
    assert_eq!(OpenSecurityGroup::desired(&state).rules, []);
}

#[tokio::test]
async fn the_writes_say_exactly_what_was_decided() {
    let fake = Fake::new(aws(vec![]));
    let rules = vec![rule("tcp 22 0.0.0.0/0"), rule("tcp 22 ::/0")];
    ec2(&fake).apply(&place(), &Change::Revoke(rules.clone())).await.unwrap();
    let mut made = vec![rule("tcp 20-21 0.0.0.0/0"), rule("icmpv6 ::/0"), rule("tcp 22 pl-0123456789abcdef0")];
    made[0].description = Some("vendor & co".to_owned());
    made[0].tags = [("ticket", "7"), ("aws:cloudformation:stack-name", "net")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    ec2(&fake).apply(&place(), &Change::Authorize(made)).await.unwrap();
    let [revoke, authorize] = <[Sent; 2]>::try_from(fake.sent()).unwrap();
    let fields = |sent: &Sent| -> Vec<(String, String)> {
        let parts = sent.body.split('&').filter_map(|pair| pair.split('=').next());
        let named = parts.filter(|name| !matches!(*name, "Action" | "Version"));
        named.map(|name| (name.to_owned(), sent.field(name).unwrap())).collect()
    };
    let expect = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(revoke.operation().as_deref(), Some("RevokeSecurityGroupIngress"));
    let (first, second) = (rules[0].id.clone().unwrap(), rules[1].id.clone().unwrap());
    let mut sent = fields(&revoke);
    sent.sort();
    assert_eq!(
        sent,
        expect(&[("GroupId", GROUP), ("SecurityGroupRuleId.1", &first), ("SecurityGroupRuleId.2", &second)])
    );
    assert_eq!(authorize.operation().as_deref(), Some("AuthorizeSecurityGroupIngress"));
    let mut sent = fields(&authorize);
    sent.sort();
    assert_eq!(
        sent,
        expect(&[
            ("GroupId", GROUP),
            ("IpPermissions.1.FromPort", "20"),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
            ("IpPermissions.1.IpRanges.1.Description", "vendor & co"),
            ("IpPermissions.1.ToPort", "21"),
            ("IpPermissions.2.FromPort", "-1"),
            ("IpPermissions.2.IpProtocol", "icmpv6"),
            ("IpPermissions.2.Ipv6Ranges.1.CidrIpv6", "::/0"),
            ("IpPermissions.2.ToPort", "-1"),
            ("IpPermissions.3.FromPort", "22"),
            ("IpPermissions.3.IpProtocol", "tcp"),
            ("IpPermissions.3.PrefixListIds.1.PrefixListId", "pl-0123456789abcdef0"),
            ("IpPermissions.3.ToPort", "22"),
            ("TagSpecification.1.ResourceType", "security-group-rule"),
            ("TagSpecification.1.Tag.1.Key", "ticket"),
            ("TagSpecification.1.Tag.1.Value", "7"),
        ])
    );
}

#[tokio::test]
async fn a_rule_without_an_id_is_not_revoked_by_anything_else() {
    let fake = Fake::new(aws(vec![]));
    let unmade = Rule { id: None, ..rule("tcp 22 0.0.0.0/0") };
    let applied = ec2(&fake).apply(&place(), &Change::Revoke(vec![rule("tcp 22 ::/0"), unmade])).await;
    assert!(matches!(applied, Err(Fault::Moved(_))));
    assert_eq!(asked(&fake), Vec::<String>::new());
}

#[tokio::test]
async fn a_rule_that_was_narrowed_at_that_moment_is_told() {
    // A rule that is modified keeps its id: what goes is what it is by then.
    let revoked = |ports: &str, source: &str| {
        let row = format!(
            "<item><securityGroupRuleId>sgr-tcp2200000</securityGroupRuleId><isEgress>false</isEgress>\
             <ipProtocol>tcp</ipProtocol>{ports}{source}</item>"
        );
        format!("<return>true</return><revokedSecurityGroupRuleSet>{row}</revokedSecurityGroupRuleSet>")
    };
    let ssh = "<fromPort>22</fromPort><toPort>22</toPort>";
    for (body, told) in [
        (revoked(ssh, WORLD), None),
        (revoked("", ""), None),
        (revoked(ssh, "<cidrIpv4>203.0.113.0/24</cidrIpv4>"), Some("203.0.113.0/24")),
        (revoked(ssh, "<referencedGroupId>sg-903004f8</referencedGroupId>"), Some("sg-903004f8")),
        (revoked("<fromPort>443</fromPort><toPort>443</toPort>", WORLD), Some("443")),
        ("<return>true</return>".to_owned(), None),
    ] {
        let fake = Fake::new(move |_| xml("RevokeSecurityGroupIngress", &body));
        let applied = ec2(&fake).apply(&place(), &Change::Revoke(vec![rule("tcp 22 0.0.0.0/0")])).await;
        match (told, applied) {
            (None, Ok(())) => {}
            // It may have been carried out: the reading-back decides, and the record says this.
            (Some(told), Err(Fault::Lost(why))) => assert!(why.contains(told) && why.contains("by hand"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_rehearsal_writes_nothing_and_says_what_ec2_says() {
    for change in [Change::Revoke(vec![rule("tcp 22 0.0.0.0/0")]), Change::Authorize(vec![rule("tcp 80 0.0.0.0/0")])] {
        for (refuses, said) in [(true, Ok(true)), (false, Ok(false))] {
            // An emulator that knows no DryRun answers as to a write.
            let done = aws(vec![]);
            let fake = Fake::new(move |sent| if refuses { error(412, "DryRunOperation") } else { done(sent) });
            assert_eq!(ec2(&fake).rehearse(&place(), &change).await, said);
            assert_eq!(fake.sent().len(), 1);
            assert_eq!(fake.sent()[0].field("DryRun").as_deref(), Some("true"));
        }
        let fake = Fake::new(|_| error(403, "UnauthorizedOperation"));
        let denied = ec2(&fake).rehearse(&place(), &change).await;
        assert!(matches!(denied, Err(Fault::Denied { by: DeniedBy::Unsaid, .. })), "{denied:?}");
        let fake = Fake::new(aws(vec![]));
        ec2(&fake).apply(&place(), &change).await.unwrap();
        assert_eq!(fake.sent()[0].field("DryRun"), None);
    }
}

#[tokio::test]
async fn what_errors_mean() {
    let revoke = || Change::Revoke(vec![rule("tcp 22 0.0.0.0/0")]);
    let authorize = || Change::Authorize(vec![rule("tcp 80 0.0.0.0/0")]);
    for (change, status, code, meaning) in [
        // Somebody was quicker: look again.
        (revoke(), 400, "InvalidPermission.NotFound", "Moved"),
        (revoke(), 400, "InvalidSecurityGroupRuleId.NotFound", "Moved"),
        (authorize(), 400, "InvalidPermission.Duplicate", "Moved"),
        (revoke(), 400, "InvalidGroup.NotFound", "Gone"),
        (revoke(), 503, "RequestLimitExceeded", "Retry"),
        (revoke(), 503, "Unavailable", "Retry"),
        (revoke(), 500, "InternalError", "Lost"),
        (revoke(), 403, "UnauthorizedOperation", "Denied"),
        (revoke(), 401, "AuthFailure", "GiveUp"),
        (revoke(), 400, "InvalidGroupId.Malformed", "GiveUp"),
        (authorize(), 400, "RulesPerSecurityGroupLimitExceeded", "GiveUp"),
        (authorize(), 400, "InvalidParameterValue", "GiveUp"),
    ] {
        let fake = Fake::new(move |_| error(status, code));
        let fault = ec2(&fake).apply(&place(), &change).await.unwrap_err();
        assert_eq!(format!("{fault:?}").split(['(', ' ']).next(), Some(meaning), "{code}: {fault:?}");
        assert!(!format!("{fault:?} {fault}").contains(SECRET), "{fault:?}");
        if meaning != "Gone" {
            assert!(fault.to_string().contains(GROUP) && fault.to_string().contains("ec2:"), "{fault}");
        }
    }
}

#[tokio::test]
async fn a_read_that_is_denied_names_the_action() {
    for (operation, action) in [
        ("DescribeSecurityGroups", "ec2:DescribeSecurityGroups"),
        ("DescribeSecurityGroupRules", "ec2:DescribeSecurityGroupRules"),
        ("DescribeNetworkInterfaces", "ec2:DescribeNetworkInterfaces"),
        ("GetManagedPrefixListEntries", "ec2:GetManagedPrefixListEntries"),
    ] {
        let others = aws(vec![row("sgr-1", false, "tcp", 22, WORLD), row("sgr-2", false, "tcp", 22, LIST)]);
        let fake = Fake::new(move |sent| {
            if sent.operation().as_deref() == Some(operation) {
                error(403, "UnauthorizedOperation")
            } else {
                others(sent)
            }
        });
        let denied = observe(&fake).await;
        assert!(matches!(&denied, Err(Fault::Denied { action: named, .. }) if *named == action), "{denied:?}");
        assert!(OpenSecurityGroup::ABOUT.observes_with.contains(&action));
    }
}

#[tokio::test]
async fn tags_are_the_groups_own() {
    let fake = Fake::new(aws(vec![]));
    let tag = ("aws:cloudformation:stack-name".to_owned(), "net".to_owned());
    assert_eq!(ec2(&fake).tags(&place()).await, Ok(vec![tag]));
    assert_eq!(asked(&fake), ["DescribeSecurityGroups"]);
    assert_eq!(fake.sent()[0].field("GroupId.1").as_deref(), Some(GROUP));
    let Err(Fault::Denied { action, .. }) =
        ec2(&Fake::new(|_| error(403, "UnauthorizedOperation"))).tags(&place()).await
    else {
        panic!()
    };
    assert_eq!(OpenSecurityGroup::ABOUT.tags_with, [action]);
}
