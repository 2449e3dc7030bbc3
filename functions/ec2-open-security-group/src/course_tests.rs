//! Whole courses: a sweep's listing, and the way there and back.

use super::*;
use crate::WideRanges;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[tokio::test]
async fn a_sweep_skips_what_the_listing_shows_to_be_fine() {
    let permission = |ports: &str, source: &str| {
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        format!("<item><ipProtocol>tcp</ipProtocol><fromPort>{first}</fromPort><toPort>{last}</toPort>{source}</item>")
    };
    let v4 = |cidr: &str| format!("<ipRanges><item><cidrIp>{cidr}</cidrIp></item></ipRanges>");
    let v6 = |cidr: &str| format!("<ipv6Ranges><item><cidrIpv6>{cidr}</cidrIpv6></item></ipv6Ranges>");
    let list =
        "<prefixListIds><item><prefixListId>pl-0123456789abcdef0</prefixListId></item></prefixListIds>".to_owned();
    let item = |id: usize, permissions: &[String]| {
        format!("<item><groupId>sg-{id:08x}</groupId><ipPermissions>{}</ipPermissions></item>", permissions.concat())
    };
    let groups = [
        item(0, &[]),
        item(1, &[permission("22", &v4("0.0.0.0/0"))]),
        item(2, &[permission("22", &v4("10.0.0.0/8")), permission("443", &v4("0.0.0.0/0"))]),
        item(3, &[permission("443", &v4("0.0.0.0/0")), permission("0-65535", &v6("::/0"))]),
        item(4, &[permission("22", &list)]),
        item(5, &[permission("443", &list)]),
        "<item><groupId>not an id</groupId></item>".to_owned(),
    ];
    let body = format!("<securityGroupInfo>{}</securityGroupInfo><nextToken>more</nextToken>", groups.concat());
    let fake = Fake::new(move |_| xml("DescribeSecurityGroups", &body));
    let (account, region) = (testing::account(), testing::region());
    let page = ec2(&fake).list(&account, &region, &occasion(), Some("token")).await.unwrap();
    let ids: Vec<&str> = page.targets.iter().map(SecurityGroupId::as_str).collect();
    assert_eq!(ids, ["sg-00000001", "sg-00000003", "sg-00000004"]);
    assert_eq!(page.next.as_deref(), Some("more"));
    let sent = &fake.sent()[0];
    assert_eq!(sent.field("NextToken").as_deref(), Some("token"));
    assert_eq!(sent.field("Filter.1.Name").as_deref(), Some("owner-id"), "groups that are shared with us are not ours");
    assert_eq!(sent.field("Filter.1.Value.1").as_deref(), Some(testing::ACCOUNT));
}

/// A group that forgets what is revoked and knows what is made: the whole way there and back.
#[tokio::test]
async fn a_split_and_back_again() {
    let (rules, ids) =
        (vec![row("sgr-0", false, "tcp", 0, WORLD).replace("<toPort>0<", "<toPort>65535<")], AtomicUsize::new(1));
    let rules = Mutex::new(rules);
    let fake = Fake::new(move |sent| {
        let operation = sent.operation().unwrap();
        let mut rules = rules.lock().unwrap();
        match operation.as_str() {
            "DescribeSecurityGroupRules" => return xml(&operation, &rows(&rules, "")),
            "RevokeSecurityGroupIngress" => {
                let gone: Vec<String> = (1..).map_while(|n| sent.field(&format!("SecurityGroupRuleId.{n}"))).collect();
                rules.retain(|row| !gone.iter().any(|id| row.contains(&format!("<securityGroupRuleId>{id}<"))));
            }
            "AuthorizeSecurityGroupIngress" => {
                for n in (1..).take_while(|n| sent.field(&format!("IpPermissions.{n}.IpProtocol")).is_some()) {
                    let field = |name: &str| sent.field(&format!("IpPermissions.{n}.{name}")).unwrap();
                    let made = row(&format!("sgr-{}", ids.fetch_add(1, Ordering::Relaxed)), false, "tcp", 0, WORLD);
                    let made = made.replace("<fromPort>0<", &format!("<fromPort>{}<", field("FromPort")));
                    rules.push(made.replace("<toPort>0<", &format!("<toPort>{}<", field("ToPort"))));
                }
            }
            _ => {}
        }
        drop(rules);
        aws(vec![])(sent)
    });
    let ec2 = Ec2::new(&fake.sdk(), Parameters { wide_ranges: WideRanges::Split, ..Parameters::default() });
    let look = async || ec2.observe(&place(), &occasion()).await.unwrap().unwrap();
    let write = async |from: &State, to: &State| {
        for change in OpenSecurityGroup::changes(from, to) {
            ec2.apply(&place(), &change).await.unwrap();
        }
    };
    let before = look().await;
    write(&before, &OpenSecurityGroup::desired(&before)).await;
    let after = look().await;
    assert_eq!(OpenSecurityGroup::changes(&after, &OpenSecurityGroup::desired(&after)), []);
    assert!(after.rules.len() > 10 && after.rules.iter().all(|rule| rule.description.as_deref() == Some("why")));
    write(&after, &OpenSecurityGroup::restored(&before)).await;
    let back = look().await;
    assert_eq!(OpenSecurityGroup::changes(&back, &before), []);
    assert_eq!(back.rules.len(), 1);
    assert_ne!(back.rules[0].id, before.rules[0].id, "a rule that is made again has a new id");
}
