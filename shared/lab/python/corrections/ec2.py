"""Security groups, network interfaces and EBS settings as EC2 has them. What differs is told in src/quirks/ec2.rs."""

import ipaddress
import re

from moto.core.responses import ActionResult
from moto.ec2 import exceptions
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.security_groups import GroupedSecurityRuleView, SecurityGroup, SecurityGroupRule
from moto.ec2.responses import EC2Response

from lab_paging import paged

# --- rules -----------------------------------------------------------------------------------------------------------


def canonical(cidr):
    """A range as EC2 keeps it: the network's own address, IPv6 shortened."""
    try:
        return str(ipaddress.ip_network(cidr, strict=False))
    except ValueError:
        raise EC2ClientError("InvalidParameterValue", f"CIDR block {cidr} is malformed") from None


def identity(rule):
    """What makes two rules the same: never the description, never the id."""
    pair = rule.source_group
    return (
        rule.is_egress,
        rule.ip_protocol,
        rule.from_port,
        rule.to_port,
        rule.ip_range.get("CidrIp"),
        rule.ip_range.get("CidrIpv6"),
        pair.get("GroupId"),
        rule.prefix_list_id,
    )


def shown(rule):
    peer = rule.cidr_ipv4 or rule.cidr_ipv6 or rule.prefix_list_id or rule.source_group.get("GroupId")
    protocol = "ALL" if rule.ip_protocol == "-1" else rule.ip_protocol.upper()
    ports = "" if rule.from_port is None else f", from port: {rule.from_port}, to port: {rule.to_port}"
    return f'"peer: {peer}, {protocol}{ports}, ALLOW"'


SecurityGroupRule.__eq__ = lambda self, other: identity(self) == identity(other)
SecurityGroupRule.__hash__ = lambda self: hash(self.id)
made = SecurityGroupRule.__init__


def make(self, *arguments, **named):
    prefix_list = named.get("prefix_list_id") or (arguments[7] if len(arguments) > 7 else None)
    made(self, *arguments, **named)
    if self.ip_protocol == "-1":
        self.from_port = self.to_port = None
    if self.ip_protocol == "58":
        self.ip_protocol = "icmpv6"
    self.prefix_list_description = (prefix_list or {}).get("Description")


def description(self):
    source = self.source_group or {}
    return self.ip_range.get("Description") or source.get("Description") or self.prefix_list_description


SecurityGroupRule.__init__ = make
SecurityGroupRule.description = property(description)
SecurityGroupRule.group_owner_id = property(lambda self: self.ec2_backend.account_id)


def rule_arn(self):
    backend = self.ec2_backend
    return f"arn:aws:ec2:{backend.region_name}:{backend.account_id}:security-group-rule/{self.id}"


SecurityGroupRule.security_group_rule_arn = property(rule_arn)


def grouped(self, rules):
    """The rules as DescribeSecurityGroups shows them: one permission for each protocol and port range."""
    views = {}
    for rule in rules:
        ports = (rule.from_port, rule.to_port, rule.ip_protocol)
        view = views.setdefault(ports, GroupedSecurityRuleView(*ports))
        if rule.ip_range:
            view.all_ip_ranges.append(rule.ip_range)
        if rule.source_group:
            view.source_groups.append(rule.source_group)
        if rule.prefix_list_id:
            about = {"PrefixListId": rule.prefix_list_id, "Description": rule.prefix_list_description}
            view.prefix_list_ids.append({name: value for name, value in about.items() if value is not None})
    return list(views.values())


SecurityGroup._flattened_rules = grouped


def permission(backend, group, asked, egress, tags):
    """The rules that one IpPermission, or the same without the list around it, stands for."""
    protocol = asked.get("IpProtocol")
    if protocol is None:
        raise EC2ClientError("MissingParameter", "The request must contain the parameter ipProtocol")
    ports = (asked.get("FromPort"), asked.get("ToPort"))
    if str(protocol).lower() in ("tcp", "udp", "6", "17") and None in ports:
        text = "Invalid value for portRange. Must specify both from and to ports with TCP/UDP."
        raise EC2ClientError("InvalidParameterValue", text)
    if str(protocol).lower() in ("tcp", "udp", "6", "17") and int(ports[0]) > int(ports[1]):
        text = f"Invalid TCP/UDP port range ({ports[0]}:{ports[1]})"
        raise EC2ClientError("InvalidParameterValue", text)
    ports = tuple(-1 if port is None else port for port in ports)

    def rule(ip_range=None, source=None, prefix_list=None):
        named = {"is_egress": egress, "tags": dict(tags)}
        return SecurityGroupRule(backend, str(protocol), group.id, *ports, ip_range, source, prefix_list, **named)

    four = list(asked.get("IpRanges", []))
    six = list(asked.get("Ipv6Ranges", []))
    four += [{"CidrIp": asked["CidrIp"]}] if asked.get("CidrIp") else []
    six += [{"CidrIpv6": asked["CidrIpv6"]}] if asked.get("CidrIpv6") else []
    pairs = list(asked.get("UserIdGroupPairs", []))
    if asked.get("SourceSecurityGroupName"):
        pairs.append({"GroupName": asked["SourceSecurityGroupName"]})
    rules = [rule({**one, "CidrIp": canonical(one["CidrIp"])}) for one in four]
    rules += [rule({**one, "CidrIpv6": canonical(one["CidrIpv6"])}) for one in six]
    for pair in pairs:
        # A group that was deleted since can still be revoked; one that never was cannot be authorized.
        name = pair.get("GroupId") or pair.get("GroupName")
        named = backend.get_security_group_by_name_or_id(name, group.vpc_id)
        source = {"GroupId": named.id if named else name, "UserId": pair.get("UserId") or backend.account_id}
        source["OwnerId"] = source["UserId"]
        if pair.get("Description"):
            source["Description"] = pair["Description"]
        rules.append(rule(None, source))
    rules += [rule(None, None, one) for one in asked.get("PrefixListIds", [])]
    return rules


def wanted_group(response):
    backend = response.ec2_backend
    name, by_name = response._get_param("GroupId"), response._get_param("GroupName")
    if name is None and by_name is None:
        raise EC2ClientError("MissingParameter", "The request must contain the parameter groupName or groupId")
    if name is not None and not re.fullmatch(r"sg-[0-9a-f]{8,17}", name):
        raise EC2ClientError("InvalidGroupId.Malformed", f'Invalid id: "{name}" (expecting "sg-...")')
    group = backend.get_security_group_from_id(name) if name else backend.get_security_group_from_name(by_name)
    if group is None:
        missing = f"The security group '{name or by_name}' does not exist"
        raise EC2ClientError("InvalidGroup.NotFound", missing)
    return group


def wanted_rules(response, group, egress):
    tags = response._parse_tag_specification().get("security-group-rule", {})
    asked = response._get_param("IpPermissions") or [response._get_params()]
    rules = []
    for one in asked:
        rules += permission(response.ec2_backend, group, one, egress, tags)
    if not rules:
        raise EC2ClientError("MissingParameter", "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.")
    if len({identity(rule) for rule in rules}) < len(rules):
        raise EC2ClientError("InvalidParameterValue", "The same permission must not appear multiple times")
    return rules


def authorize(egress):
    def operation(self):
        group = wanted_group(self)
        rules, there = wanted_rules(self, group, egress), group.egress_rules if egress else group.ingress_rules
        for rule in rules:
            source = rule.source_group.get("GroupId")
            if source and rule.source_group["UserId"] == self.ec2_backend.account_id:
                if self.ec2_backend.get_security_group_from_id(source) is None:
                    missing = f"The security group '{source}' does not exist"
                    raise EC2ClientError("InvalidGroup.NotFound", missing)
            if rule in there:
                text = f"the specified rule {shown(rule)} already exists"
                raise EC2ClientError("InvalidPermission.Duplicate", text)
        if len(there) + len(rules) > 60:
            raise exceptions.RulesPerSecurityGroupLimitExceededError()
        there.extend(rules)
        return ActionResult({"Return": True, "SecurityGroupRules": [described(rule) for rule in rules]})

    return operation


def described(rule):
    """A rule for answers that say -1 where there are no ports; the rule itself says nothing there."""
    copy = rule.__class__.__new__(rule.__class__)
    copy.__dict__.update(rule.__dict__)
    copy.from_port = -1 if rule.from_port is None else rule.from_port
    copy.to_port = -1 if rule.to_port is None else rule.to_port
    return copy


def revoked(rule):
    fields = {
        "SecurityGroupRuleId": rule.id,
        "GroupId": rule.group_id,
        "IsEgress": rule.is_egress,
        "IpProtocol": rule.ip_protocol,
        "FromPort": -1 if rule.from_port is None else rule.from_port,
        "ToPort": -1 if rule.to_port is None else rule.to_port,
        "CidrIpv4": rule.cidr_ipv4,
        "CidrIpv6": rule.cidr_ipv6,
        "PrefixListId": rule.prefix_list_id,
        "ReferencedGroupId": rule.source_group.get("GroupId"),
        "Description": rule.description,
    }
    return {name: value for name, value in fields.items() if value is not None}


def revoke(egress):
    def operation(self):
        group = wanted_group(self)
        there, ids = group.egress_rules if egress else group.ingress_rules, self._get_param("SecurityGroupRuleIds")
        unknown = []
        if ids:
            known = {rule.id: rule for rule in there}
            for one in ids:
                if not re.fullmatch(r"sgr-[0-9a-f]{8,17}", one):
                    text = f'Invalid id: "{one}" (expecting "sgr-...")'
                    raise EC2ClientError("InvalidSecurityGroupRuleId.Malformed", text)
                if one not in known:
                    text = f"The security group rule ID '{one}' does not exist"
                    raise EC2ClientError("InvalidSecurityGroupRuleId.NotFound", text)
            gone = [known[one] for one in dict.fromkeys(ids)]
        else:
            asked = wanted_rules(self, group, egress)
            unknown = [rule for rule in asked if rule not in there]
            vpc = self.ec2_backend.vpcs.get(group.vpc_id)
            if unknown and not (vpc and str(vpc.is_default).lower() == "true"):
                text = "The specified rule does not exist in this security group."
                raise EC2ClientError("InvalidPermission.NotFound", text)
            gone = [rule for rule in there if rule in asked]
        kept = [rule for rule in there if rule not in gone]
        if egress:
            group.egress_rules = kept
        else:
            group.ingress_rules = kept
        result = {"Return": True, "RevokedSecurityGroupRules": [revoked(rule) for rule in gone]}
        if unknown:
            result["UnknownIpPermissions"] = group._flattened_rules(unknown)
        return ActionResult(result)

    return operation


def modify_rules(self):
    """ModifySecurityGroupRules: all or nothing, and a rule keeps its kind of peer and its id."""
    group, changes = wanted_group(self), []
    for one in self._get_param("SecurityGroupRules", []):
        name, asked = one["SecurityGroupRuleId"], one["SecurityGroupRule"]
        rule = group.get_rule(name)
        if rule is None:
            text = f"The security group rule ID '{name}' does not exist"
            raise EC2ClientError("InvalidSecurityGroupRuleId.NotFound", text)
        peers = {"CidrIpv4": "CidrIp", "CidrIpv6": "CidrIpv6", "PrefixListId": None, "ReferencedGroupId": None}
        given = [peer for peer in peers if asked.get(peer) is not None]
        if len(given) != 1:
            text = "Exactly one of cidrIp, cidrIpv6, prefixListId, or referencedGroupId can be specified"
            raise EC2ClientError("InvalidParameterCombination" if given else "MissingParameter", text)
        now = {"CidrIpv4": rule.cidr_ipv4, "CidrIpv6": rule.cidr_ipv6, "PrefixListId": rule.prefix_list_id}
        if not now.get(given[0], rule.source_group):
            text = f"Invalid rule type for security group rule '{name}'."
            raise EC2ClientError("InvalidParameterValue", text)
        whole = {field: asked.get(field) for field in ("IpProtocol", "FromPort", "ToPort")}
        about = {"Description": asked["Description"]} if asked.get("Description") else {}
        peer = asked[given[0]]
        whole |= {
            "CidrIpv4": {"IpRanges": [{"CidrIp": peer, **about}]},
            "CidrIpv6": {"Ipv6Ranges": [{"CidrIpv6": peer, **about}]},
            "PrefixListId": {"PrefixListIds": [{"PrefixListId": peer, **about}]},
            "ReferencedGroupId": {"UserIdGroupPairs": [{"GroupId": peer, **about}]},
        }[given[0]]
        [new] = permission(self.ec2_backend, group, whole, rule.is_egress, {})
        new.id = rule.id
        changes.append((rule, new))
    for rule, new in changes:
        there = group.egress_rules if rule.is_egress else group.ingress_rules
        if any(other == new for other in there if other.id != rule.id):
            text = f"the specified rule {shown(new)} already exists"
            raise EC2ClientError("InvalidPermission.Duplicate", text)
    for rule, new in changes:
        kept = ("id", "ec2_backend", "filters")
        rule.__dict__.update({name: value for name, value in new.__dict__.items() if name not in kept})
    return ActionResult({"Return": True})


EC2Response.authorize_security_group_ingress = authorize(egress=False)
EC2Response.authorize_security_group_egress = authorize(egress=True)
EC2Response.revoke_security_group_ingress = revoke(egress=False)
EC2Response.revoke_security_group_egress = revoke(egress=True)
EC2Response.modify_security_group_rules = modify_rules

# --- groups ----------------------------------------------------------------------------------------------------------

created = EC2Backend.create_security_group


def create(self, name, description, vpc_id=None, tags=None, force=False, is_default=None):
    group = created(self, name, description, vpc_id=vpc_id, tags=tags, force=force, is_default=is_default)
    if is_default:
        itself = {"GroupId": group.id, "UserId": self.account_id, "OwnerId": self.account_id}
        group.ingress_rules.append(SecurityGroupRule(self, "-1", group.id, None, None, None, itself, is_egress=False))
    return group


EC2Backend.create_security_group = create
deleted = EC2Response.delete_security_group


def delete(self):
    group = wanted_group(self)
    if group.is_default:
        text = f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
        raise EC2ClientError("CannotDelete", text)
    if any(group in eni.group_set for eni in self.ec2_backend.enis.values()):
        raise EC2ClientError("DependencyViolation", f"resource {group.id} has a dependent object")
    return deleted(self)


EC2Response.delete_security_group = delete
EC2Response.describe_security_groups_unchecked = EC2Response.describe_security_groups


def describe_groups(self):
    for name in self._get_param("GroupIds", []):
        if not re.fullmatch(r"sg-[0-9a-f]{8,17}", name):
            raise EC2ClientError("InvalidGroupId.Malformed", f'Invalid id: "{name}" (expecting "sg-...")')
        if self.ec2_backend.get_security_group_from_id(name) is None:
            raise EC2ClientError("InvalidGroup.NotFound", f"The security group '{name}' does not exist")
    return self.describe_security_groups_unchecked()


EC2Response.describe_security_groups = describe_groups

KNOWN_FILTERS = ("group-id", "security-group-rule-id", "tag-key")


def find_group(self, group_id):
    """A group by its id, without a look at all the others."""
    for groups in list(self.groups.values()):
        if group_id in groups:
            return groups[group_id]
    return None


def describe_rules(self, sg_rule_ids, filters):
    """The rules of the groups that were asked for; moto copies every rule of the account first."""
    for name in filters:
        if name not in KNOWN_FILTERS and not name.startswith("tag:"):
            raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
    asked = filters.get("group-id")
    for name in asked or []:
        if not re.fullmatch(r"sg-[0-9a-f]{8,17}", name):
            raise EC2ClientError("InvalidGroupId.Malformed", f'Invalid id: "{name}" (expecting "sg-...")')
    groups = [group for vpc in list(self.groups.values()) for group in list(vpc.values())]
    if asked is not None:
        groups = [group for group in map(self.get_security_group_from_id, asked) if group]
    rules = [rule for group in groups for rule in group.egress_rules + group.ingress_rules]
    if sg_rule_ids:
        there = {rule.id: rule for rule in rules}
        for name in sg_rule_ids:
            if name not in there:
                text = f"The security group rule ID '{name}' does not exist"
                raise EC2ClientError("InvalidSecurityGroupRuleId.NotFound", text)
        rules = [there[name] for name in sg_rule_ids]
    rest = {name: values for name, values in filters.items() if name != "group-id"}
    return [described(rule) for rule in rules if rule.matches_filters(rest)]


EC2Backend.get_security_group_from_id = find_group
EC2Backend.describe_security_group_rules = describe_rules

# --- prefix lists ----------------------------------------------------------------------------------------------------

entries = EC2Backend.get_managed_prefix_list_entries


def prefix_list_entries(self, prefix_list_id):
    there = entries(self, prefix_list_id)
    if there is None or there.state == "delete-complete":
        text = f"The prefix list ID '{prefix_list_id}' does not exist"
        raise EC2ClientError("InvalidPrefixListID.NotFound", text)
    return there


EC2Backend.get_managed_prefix_list_entries = prefix_list_entries

# --- pages -----------------------------------------------------------------------------------------------------------

WIDE = {"size": "MaxResults", "token": "NextToken", "limits": (5, 1000)}
NARROW = {"size": "MaxResults", "token": "NextToken", "limits": (1, 100)}
paged(EC2Response, "describe_security_groups", "SecurityGroups", lambda group: group.id, **WIDE)
paged(EC2Response, "describe_security_group_rules", "SecurityGroupRules", lambda rule: rule.id, **WIDE)
paged(EC2Response, "describe_network_interfaces", "NetworkInterfaces", lambda eni: eni.id, **WIDE)
paged(EC2Response, "describe_vpcs", "Vpcs", lambda vpc: vpc.id, **WIDE)
paged(EC2Response, "describe_subnets", "Subnets", lambda subnet: subnet.id, **WIDE)
paged(EC2Response, "get_managed_prefix_list_entries", "Entries", lambda entry: entry["Cidr"], **NARROW, default=100)

import lab_interfaces  # noqa: E402, F401
import lab_ebs  # noqa: E402, F401

# --- the lab's own ---------------------------------------------------------------------------------------------------


def fill(account, body):
    """Makes `count` security groups named after `prefix` in the default VPC, each with these permissions."""
    backend = ec2_backends[account][body.get("region", "us-east-1")]
    ids = []
    for number in range(body["count"]):
        group = backend.create_security_group(f"{body['prefix']}-{number:06}", "made by the lab", force=True)
        for one in body.get("permissions", []):
            group.ingress_rules += permission(backend, group, one, False, {})
        ids.append(group.id)
    return {"groupIds": ids}


def interface(account, body):
    """Makes a network interface what no caller can make it: a service's own, a load balancer's."""
    eni = ec2_backends[account][body.get("region", "us-east-1")].get_network_interface(body["networkInterfaceId"])
    for name in ("requester_managed", "requester_id", "interface_type", "description", "public_ip"):
        if name in body:
            setattr(eni, name, body[name])
    return {}


LAB = {"fill": fill, "interface": interface}
