//! EC2 as far as this control calls it: interfaces, groups and rules behind the query protocol.

use super::{OWNER, error};
use remediation::testing::{Answer, Fake, Sent, ok};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Arc, Mutex};

type Tags = Vec<(&'static str, &'static str)>;

#[derive(Clone, Debug, PartialEq)]
pub struct Eni {
    pub vpc: String,
    pub owner: String,
    pub groups: BTreeSet<String>,
    pub instance: Option<String>,
    pub tags: BTreeSet<String>,
    pub kind: String,
    pub managed: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sg {
    pub name: String,
    pub vpc: String,
    pub owner: String,
    /// Ids of rules, whether they are for egress, and their CIDRs.
    pub rules: BTreeMap<String, (bool, String)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    pub enis: BTreeMap<String, Eni>,
    pub groups: BTreeMap<String, Sg>,
    /// Instances and the tags that they have.
    pub instances: BTreeMap<String, (&'static str, Tags)>,
    /// How many writes are carried out before EC2 falls silent.
    pub dies_after: Option<usize>,
    pub writes: Vec<String>,
    /// The writes while which an interface was in an open group.
    pub open_during: Vec<String>,
    pub next: u32,
}

/// EC2 as a function of requests, and the world behind it.
pub fn serve(world: World) -> (Fake, Arc<Mutex<World>>) {
    let world = Arc::new(Mutex::new(world));
    let behind = world.clone();
    (Fake::new(move |sent| behind.lock().unwrap().answer(sent)), world)
}

fn items(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().fold(String::new(), |mut all, part| {
        write!(all, "<item>{part}</item>").unwrap();
        all
    })
}

fn numbered(sent: &Sent, name: &str) -> Vec<String> {
    (1..).map_while(|number| sent.field(&format!("{name}.{number}"))).collect()
}

/// The filters of a request.
fn filters(sent: &Sent) -> Vec<(String, Vec<String>)> {
    let name = |number| sent.field(&format!("Filter.{number}.Name"));
    (1..).map_while(|n| Some((name(n)?, numbered(sent, &format!("Filter.{n}.Value"))))).collect()
}

fn fits(value: &str, pattern: &str) -> bool {
    pattern.strip_suffix('*').map_or(value == pattern, |start| value.starts_with(start))
}

impl World {
    fn dead(&self) -> bool {
        self.dies_after.is_some_and(|after| self.writes.len() >= after)
    }

    pub fn answer(&mut self, sent: &Sent) -> Answer {
        let operation = sent.operation().unwrap();
        let dry = sent.field("DryRun").as_deref() == Some("true");
        if self.dead() {
            return error("InternalError");
        }
        if operation.starts_with("Describe") {
            return ok(format!("<{operation}Response>{}</{operation}Response>", self.describe(&operation, sent)));
        }
        let mut after = self.clone();
        let answer = after.write(&operation, sent);
        if dry {
            return if answer.status == 200 { error("DryRunOperation") } else { answer };
        }
        if answer.status == 200 {
            *self = after;
            self.writes.push(operation.clone());
            let open = |id: &String| self.groups.get(id).is_some_and(|group| group.name.starts_with("suture-opening-"));
            if self.enis.values().any(|eni| eni.groups.iter().any(open)) {
                self.open_during.push(operation);
            }
        }
        answer
    }

    fn describe(&self, operation: &str, sent: &Sent) -> String {
        let filters = filters(sent);
        match operation {
            "DescribeNetworkInterfaces" => {
                let fits = |id: &str, eni: &Eni| {
                    filters.iter().all(|(name, values)| match name.as_str() {
                        "group-id" => values.iter().any(|value| eni.groups.contains(value)),
                        "tag-key" => values.iter().any(|value| eni.tags.contains(value)),
                        "attachment.instance-id" => eni.instance.as_ref().is_some_and(|it| values.contains(it)),
                        "network-interface-id" => values.iter().any(|value| value == id),
                        other => panic!("{other}"),
                    })
                };
                let found = self.enis.iter().filter(|(id, eni)| fits(id, eni)).map(|(id, eni)| {
                    let groups = items(eni.groups.iter().map(|id| format!("<groupId>{id}</groupId>")));
                    let tags = items(eni.tags.iter().map(|key| format!("<key>{key}</key><value></value>")));
                    let attachment = eni.instance.as_ref().map(|id| format!("<instanceId>{id}</instanceId>"));
                    format!(
                        "<networkInterfaceId>{id}</networkInterfaceId><vpcId>{}</vpcId><ownerId>{}</ownerId>\
                         <interfaceType>{}</interfaceType><requesterManaged>{}</requesterManaged>\
                         <groupSet>{groups}</groupSet><tagSet>{tags}</tagSet><attachment>{}</attachment>",
                        eni.vpc,
                        eni.owner,
                        eni.kind,
                        eni.managed,
                        attachment.unwrap_or_default()
                    )
                });
                format!("<networkInterfaceSet>{}</networkInterfaceSet>", items(found))
            }
            "DescribeSecurityGroups" => {
                let asked = numbered(sent, "GroupId");
                let fits = |id: &String, group: &Sg| {
                    (asked.is_empty() || asked.contains(id))
                        && filters.iter().all(|(name, values)| {
                            let value = match name.as_str() {
                                "group-name" => &group.name,
                                "owner-id" => &group.owner,
                                "vpc-id" => &group.vpc,
                                "group-id" => id,
                                other => panic!("{other}"),
                            };
                            values.iter().any(|pattern| fits(value, pattern))
                        })
                };
                let found = self.groups.iter().filter(|(id, group)| fits(id, group)).map(|(id, group)| {
                    format!(
                        "<groupId>{id}</groupId><groupName>{}</groupName><vpcId>{}</vpcId><ownerId>{}</ownerId>",
                        group.name, group.vpc, group.owner
                    )
                });
                format!("<securityGroupInfo>{}</securityGroupInfo>", items(found))
            }
            "DescribeSecurityGroupRules" => {
                let group = &filters[0].1[0];
                let rules = self.groups.get(group).map(|group| group.rules.clone()).unwrap_or_default();
                let rules = rules.into_iter().map(|(id, (egress, cidr))| {
                    let tag = if cidr.contains(':') { "cidrIpv6" } else { "cidrIpv4" };
                    format!(
                        "<securityGroupRuleId>{id}</securityGroupRuleId><isEgress>{egress}</isEgress>\
                         <ipProtocol>-1</ipProtocol><fromPort>-1</fromPort><toPort>-1</toPort><{tag}>{cidr}</{tag}>"
                    )
                });
                format!("<securityGroupRuleSet>{}</securityGroupRuleSet>", items(rules))
            }
            "DescribeInstances" => {
                let asked = &filters[0].1;
                let found = self.instances.iter().filter(|(id, _)| asked.contains(id)).map(|(id, (state, tags))| {
                    let tags = items(tags.iter().map(|(key, value)| format!("<key>{key}</key><value>{value}</value>")));
                    let spot = "<instanceLifecycle>spot</instanceLifecycle>";
                    format!(
                        "<instanceId>{id}</instanceId><instanceState><name>{state}</name></instanceState>{spot}\
                         <tagSet>{tags}</tagSet>"
                    )
                });
                format!("<reservationSet><item><instancesSet>{}</instancesSet></item></reservationSet>", items(found))
            }
            other => panic!("{other}"),
        }
    }

    fn id(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}-{:017x}", 0xf000 + self.next)
    }

    fn write(&mut self, operation: &str, sent: &Sent) -> Answer {
        let field = |name: &str| sent.field(name).unwrap_or_default();
        let mut said = String::new();
        match operation {
            "CreateSecurityGroup" => {
                let (name, vpc) = (field("GroupName"), field("VpcId"));
                if self.groups.values().any(|group| (&group.name, &group.vpc) == (&name, &vpc)) {
                    return error("InvalidGroup.Duplicate");
                }
                let (id, rule) = (self.id("sg"), self.id("sgr"));
                said = format!("<groupId>{id}</groupId>");
                let rules = BTreeMap::from([(rule, (true, "0.0.0.0/0".to_owned()))]);
                self.groups.insert(id, Sg { name, vpc, owner: OWNER.to_owned(), rules });
            }
            "AuthorizeSecurityGroupIngress" | "AuthorizeSecurityGroupEgress" => {
                let egress = operation.ends_with("Egress");
                for number in 1.. {
                    let at = format!("IpPermissions.{number}");
                    let Some(protocol) = sent.field(&format!("{at}.IpProtocol")) else { break };
                    assert_eq!(protocol, "-1");
                    let four = sent.field(&format!("{at}.IpRanges.1.CidrIp"));
                    let cidr = four.or_else(|| sent.field(&format!("{at}.Ipv6Ranges.1.CidrIpv6"))).unwrap();
                    let id = self.id("sgr");
                    let Some(group) = self.groups.get_mut(&field("GroupId")) else {
                        return error("InvalidGroup.NotFound");
                    };
                    if group.rules.values().any(|rule| *rule == (egress, cidr.clone())) {
                        return error("InvalidPermission.Duplicate");
                    }
                    group.rules.insert(id, (egress, cidr));
                }
            }
            "RevokeSecurityGroupIngress" | "RevokeSecurityGroupEgress" => {
                let Some(group) = self.groups.get_mut(&field("GroupId")) else { return error("InvalidGroup.NotFound") };
                for id in numbered(sent, "SecurityGroupRuleId") {
                    if group.rules.remove(&id).is_none() {
                        return error("InvalidSecurityGroupRuleId.NotFound");
                    }
                }
            }
            "CreateTags" | "DeleteTags" => {
                let Some(eni) = self.enis.get_mut(&field("ResourceId.1")) else {
                    return error("InvalidNetworkInterfaceID.NotFound");
                };
                for key in (1..).map_while(|number| sent.field(&format!("Tag.{number}.Key"))) {
                    if operation == "CreateTags" {
                        eni.tags.insert(key)
                    } else {
                        eni.tags.remove(&key)
                    };
                }
            }
            "ModifyNetworkInterfaceAttribute" => {
                let groups = numbered(sent, "SecurityGroupId");
                if groups.iter().any(|id| !self.groups.contains_key(id)) {
                    return error("InvalidGroup.NotFound");
                }
                let Some(eni) = self.enis.get_mut(&field("NetworkInterfaceId")) else {
                    return error("InvalidNetworkInterfaceID.NotFound");
                };
                if eni.managed {
                    return error("OperationNotPermitted");
                }
                eni.groups = groups.into_iter().collect();
            }
            "DeleteSecurityGroup" => {
                let id = field("GroupId");
                if self.enis.values().any(|eni| eni.groups.contains(&id)) {
                    return error("DependencyViolation");
                }
                if self.groups.remove(&id).is_none() {
                    return error("InvalidGroup.NotFound");
                }
            }
            other => panic!("{other}"),
        }
        ok(format!("<{operation}Response>{said}<return>true</return></{operation}Response>"))
    }
}
