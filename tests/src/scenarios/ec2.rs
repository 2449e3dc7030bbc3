//! Drift of security groups, interfaces and the default encryption of volumes.

use super::{Drift, Scenario};
use crate::ec2::{
    DEFAULT, EBS, Machine, OPEN, Permission, QUARANTINE, SSH, about, authorize, call, default_group, ebs, everything,
    first, group, groups_of, ingress, interface, interface_is, key, machine, parameters, prefix_list, rules, set_ebs,
    set_groups, vpc,
};
use crate::{HOME, event};
use lab::Lab;
use serde_json::{Value, json};

/// They.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        control: OPEN,
        name: "ssh for the world beside the office, by both protocols, on a group in use",
        drift: |lab| {
            Box::pin(async {
                parameters(lab, OPEN, &json!({}));
                let sources = ["203.0.113.0/24 the office", "0.0.0.0/0", "::/0"];
                let group = group(lab, &[("tcp", "22", &sources), ("tcp", "443", &["0.0.0.0/0"])]).await;
                interface(&lab.quiet_client(HOME), &group).await;
                let event = about(OPEN, "authorize-security-group-ingress", &group);
                left(group, event, &["in tcp 22 from 203.0.113.0/24 (the office)", "in tcp 443 from 0.0.0.0/0"])
            })
        },
    },
    Scenario {
        control: OPEN,
        name: "a prefix list that holds the world in halves",
        drift: |lab| {
            Box::pin(async {
                parameters(lab, OPEN, &json!({}));
                let list = prefix_list(&lab.quiet_client(HOME), "IPv4", &["0.0.0.0/1", "128.0.0.0/1"]).await;
                let group = group(lab, &[("tcp", "3389", &[&list])]).await;
                let event = json!({"resource": group, "mode": "enforce"});
                left(group, event, &[])
            })
        },
    },
    Scenario {
        control: OPEN,
        name: "a wide range with tags, of which the rest may stay",
        drift: |lab| {
            Box::pin(async {
                parameters(lab, OPEN, &json!({"wide_ranges": "split"}));
                let group = group(lab, &[]).await;
                let wide = ("tcp", "20-3500", &["0.0.0.0/0 vendor"][..]);
                authorize(&lab.quiet_client(HOME), "Ingress", &group, &[wide], &[("owner", "ward-7")]).await;
                let event = json!({"resource": group, "mode": "enforce"});
                let rest = ["24-87", "89-134", "136-138", "140-160", "162-388", "390-444", "446-635", "637-1432"];
                let more = ["1435-1520", "1522-2048", "2050-2180", "2182-2483", "2485-3305", "3307-3388", "3390-3500"];
                let rest: Vec<_> = rest.iter().chain(&more).collect();
                let rest: Vec<_> =
                    rest.iter().map(|ports| format!("in tcp {ports} from 0.0.0.0/0 (vendor) owner=ward-7")).collect();
                left(group, event, &rest.iter().map(String::as_str).collect::<Vec<_>>())
            })
        },
    },
    Scenario {
        control: DEFAULT,
        name: "a new VPC's default group, named by its VPC",
        drift: |lab| {
            Box::pin(async {
                let vpc = vpc(&lab.quiet_client(HOME)).await;
                let group = default_group(&lab.quiet_client(HOME), &vpc).await;
                let text = event(DEFAULT, "create-vpc").to_string();
                let event = serde_json::from_str(&text.replace("vpc-0123456789abcdef0", &vpc)).unwrap();
                empty(group, event)
            })
        },
    },
    Scenario {
        control: DEFAULT,
        name: "a default group with rules of all kinds, some with tags",
        drift: |lab| {
            Box::pin(async {
                let client = lab.quiet_client(HOME);
                let vpc = vpc(&client).await;
                let group = default_group(&client, &vpc).await;
                let list = prefix_list(&client, "IPv4", &["198.51.100.0/24"]).await;
                let world = ("tcp", "22", &["0.0.0.0/0 for a moment", "::/0"][..]);
                authorize(&client, "Ingress", &group, &[world], &[("owner", "ward-7")]).await;
                authorize(&client, "Ingress", &group, &[("icmp", "-1", &["10.0.0.0/8"])], &[]).await;
                let out = ("udp", "53-54", &[list.as_str()][..]);
                authorize(&client, "Egress", &group, &[out], &[("owner", "ward-7")]).await;
                let event = json!({"resource": group, "mode": "enforce"});
                empty(group, event)
            })
        },
    },
    Scenario {
        control: EBS,
        name: "an account that never switched it on",
        drift: |lab| {
            Box::pin(async {
                parameters(lab, EBS, &json!({}));
                set_ebs(&lab.quiet_client(HOME), false, None).await;
                encrypts_with("alias/aws/ebs".to_owned())
            })
        },
    },
    Scenario {
        control: EBS,
        name: "an account that never switched it on, and is to use its own key",
        drift: |lab| {
            Box::pin(async {
                let wanted = wanted_key(lab).await;
                set_ebs(&lab.quiet_client(HOME), false, None).await;
                encrypts_with(wanted)
            })
        },
    },
    Scenario {
        control: EBS,
        name: "another customer's key",
        drift: |lab| {
            Box::pin(async {
                let wanted = wanted_key(lab).await;
                let other = key(&lab.quiet_client(HOME)).await;
                set_ebs(&lab.quiet_client(HOME), true, Some(&other)).await;
                encrypts_with(wanted)
            })
        },
    },
    Scenario {
        control: QUARANTINE,
        name: "an instance in a VPC where nothing was ever in quarantine",
        drift: |lab| {
            Box::pin(async {
                parameters(lab, QUARANTINE, &json!({}));
                let machine = machine(lab).await;
                cut_off(&machine.instance.clone(), machine, true, &[])
            })
        },
    },
    Scenario {
        control: QUARANTINE,
        name: "a group whose interface was taken out of quarantine by hand, its tags left",
        drift: |lab| {
            Box::pin(async {
                parameters(lab, QUARANTINE, &json!({}));
                let machine = machine(lab).await;
                marked(lab, &machine, "sg-0123456789abcdef1").await;
                quarantine_group(lab, &machine, &[]).await;
                cut_off(&machine.group.clone(), machine, true, &[])
            })
        },
    },
    Scenario {
        control: QUARANTINE,
        name: "a quarantine that somebody opened",
        drift: |lab| {
            Box::pin(async {
                parameters(lab, QUARANTINE, &json!({}));
                let machine = machine(lab).await;
                let group = quarantine_group(lab, &machine, &[SSH]).await;
                let all = ("-1", "", &["0.0.0.0/0"][..]);
                authorize(&lab.quiet_client(HOME), "Egress", &group, &[all], &[]).await;
                set_groups(&lab.quiet_client(HOME), &machine.interface, &[&group]).await;
                cut_off(&machine.instance.clone(), machine, false, &[])
            })
        },
    },
    Scenario {
        control: QUARANTINE,
        name: "a quarantine that forensic tools are to reach from now on",
        drift: |lab| {
            Box::pin(async {
                parameters(lab, QUARANTINE, &json!({"forensics_cidr": "10.9.0.0/24"}));
                let machine = machine(lab).await;
                let group = quarantine_group(lab, &machine, &[]).await;
                set_groups(&lab.quiet_client(HOME), &machine.interface, &[&group]).await;
                cut_off(&machine.instance.clone(), machine, false, &["in -1 from 10.9.0.0/24 (forensics)"])
            })
        },
    },
    Scenario {
        control: QUARANTINE,
        name: "an open group that a request left behind",
        drift: |lab| {
            Box::pin(async {
                parameters(lab, QUARANTINE, &json!({}));
                let machine = machine(lab).await;
                let group = quarantine_group(lab, &machine, &[]).await;
                set_groups(&lab.quiet_client(HOME), &machine.interface, &[&group]).await;
                let name = format!("suture-opening-{}", machine.instance);
                own_group(lab, &machine, &name, &[("-1", "", &["0.0.0.0/0", "::/0"])]).await;
                cut_off(&machine.instance.clone(), machine, false, &[])
            })
        },
    },
];

/// A group of the function's own, with these ways in and none out.
async fn own_group(lab: &Lab, machine: &Machine, name: &str, permissions: &[Permission<'_>]) -> String {
    let client = lab.quiet_client(HOME);
    let parameters = [("GroupName", name), ("GroupDescription", "of Suture"), ("VpcId", &machine.vpc)];
    let group = first(&call(&client, "CreateSecurityGroup", &parameters).await, "groupId");
    for rule in rules(&client, &group).await {
        let parameters = [("GroupId", group.as_str()), ("SecurityGroupRuleId.1", &rule.id)];
        call(&client, "RevokeSecurityGroupEgress", &parameters).await;
    }
    authorize(&client, "Ingress", &group, permissions, &[]).await;
    group
}

async fn quarantine_group(lab: &Lab, machine: &Machine, permissions: &[Permission<'_>]) -> String {
    own_group(lab, machine, "suture-quarantine", permissions).await
}

/// Tags an interface as one that was moved out of this group.
async fn marked(lab: &Lab, machine: &Machine, group: &str) {
    let key = format!("suture-quarantine:{group}");
    let tags = [
        ("ResourceId.1", machine.interface.as_str()),
        ("Tag.1.Key", "suture-quarantine"),
        ("Tag.1.Value", ""),
        ("Tag.2.Key", &key),
        ("Tag.2.Value", ""),
    ];
    call(&lab.quiet_client(HOME), "CreateTags", &tags).await;
}

/// Drift of a target that is to be cut off: its interface in quarantine and nothing else, tagged with where it was if we
/// move it, nothing let through but this, and no open group left.
fn cut_off(target: &str, machine: Machine, moved: bool, allowed: &'static [&'static str]) -> Drift {
    let Machine { interface, group, vpc, .. } = machine;
    let marks = if moved { vec!["suture-quarantine".to_owned(), format!("suture-quarantine:{group}")] } else { vec![] };
    Drift {
        event: json!({"resource": target, "mode": "enforce", "reason": "INC-1"}),
        mended: Box::new(move |lab| {
            let (interface, vpc, marks) = (interface.clone(), vpc.clone(), marks.clone());
            Box::pin(async move {
                let client = lab.quiet_client(HOME);
                let there = groups_of(&client, &vpc).await;
                let Some(quarantine) = there.get("suture-quarantine") else { return false };
                interface_is(&client, &interface).await == (vec!["suture-quarantine".to_owned()], marks)
                    && everything(lab, quarantine).await == allowed
                    && !there.keys().any(|name| name.starts_with("suture-opening"))
            })
        }),
    }
}

/// Drift of a group of which these rules for who comes in are left.
fn left(group: String, event: Value, rules: &[&str]) -> Drift {
    let mut rules: Vec<_> = rules.iter().map(|rule| (*rule).to_owned()).collect();
    rules.sort();
    Drift {
        event,
        mended: Box::new(move |lab| {
            let (group, rules) = (group.clone(), rules.clone());
            Box::pin(async move { ingress(lab, &group).await == rules })
        }),
    }
}

/// Drift of a group that is to have no rules.
fn empty(group: String, event: Value) -> Drift {
    Drift {
        event,
        mended: Box::new(move |lab| {
            let group = group.clone();
            Box::pin(async move { everything(lab, &group).await.is_empty() })
        }),
    }
}

/// A key that the function is told to set.
async fn wanted_key(lab: &Lab) -> String {
    let key = key(&lab.quiet_client(HOME)).await;
    parameters(lab, EBS, &json!({"ebs_keys": format!("{HOME}={key}")}));
    key
}

/// Drift of an account that is to encrypt with this key.
fn encrypts_with(key: String) -> Drift {
    Drift {
        event: event(EBS, "disable-ebs-encryption-by-default"),
        mended: Box::new(move |lab| {
            let key = key.clone();
            Box::pin(async move { ebs(&lab.quiet_client(HOME)).await == (true, key) })
        }),
    }
}
