"""Network interfaces and instances as EC2 has them: the groups are the interface's, and a change replaces them."""

import re

from moto.core.responses import EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance
from moto.ec2.responses import EC2Response

NetworkInterface.group_set = property(lambda self: self._group_set)


def primary(instance):
    nics = getattr(instance, "nics", {})
    return nics.get(0) or next(iter(nics.values()), None)


def groups_of(instance):
    nic = primary(instance)
    return list(nic._group_set) if nic else instance.__dict__.get("_groups_at_launch", [])


def launch_with(instance, groups):
    instance.__dict__["_groups_at_launch"] = groups


Instance.security_groups = property(groups_of, launch_with)


def named_groups(backend, ids, vpc_id):
    groups = []
    for name in dict.fromkeys(ids):
        if not re.fullmatch(r"sg-[0-9a-f]{8,17}", name):
            raise EC2ClientError("InvalidGroupId.Malformed", f'Invalid id: "{name}" (expecting "sg-...")')
        group = backend.get_security_group_from_id(name)
        if group is None:
            raise EC2ClientError("InvalidGroup.NotFound", f"The security group '{name}' does not exist")
        if group.vpc_id != vpc_id:
            text = "You have specified two resources that belong to different networks."
            raise EC2ClientError("InvalidGroup.NotFound", text)
        groups.append(group)
    if len(groups) > 5:
        text = "You have exceeded the number of security groups that you can assign to an interface"
        raise EC2ClientError("SecurityGroupsPerInterfaceLimitExceeded", text)
    return groups


def modify_interface(self):
    eni = self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
    if eni.requester_managed:
        text = "You do not have permission to access the specified resource."
        raise EC2ClientError("AuthFailure", text)
    ids = self._get_param("Groups", [])
    groups = named_groups(self.ec2_backend, ids, eni.vpc_id)
    if groups:
        eni._group_set = groups
    check, about = self._get_param("SourceDestCheck.Value"), self._get_param("Description.Value")
    if check is not None:
        eni.source_dest_check = check
    if about is not None:
        eni.description = about
    return EmptyResult()


EC2Response.modify_network_interface_attribute = modify_interface


def modify_instance_groups(self):
    """ModifyInstanceAttribute with Groups: the groups of the one interface."""
    instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
    groups = self._get_param("Groups", [])
    if len(instance.nics) > 1:
        text = (
            f"There are multiple interfaces attached to instance '{instance.id}'. Please specify an interface ID for "
            "the operation instead."
        )
        raise EC2ClientError("InvalidInstanceID", text)
    nic = primary(instance)
    nic._group_set = named_groups(self.ec2_backend, groups, nic.vpc_id) or nic._group_set
    return True


EC2Response._security_grp_instance_attribute_handler = modify_instance_groups


def page_of_instances(whole):
    """DescribeInstances has pages of its own in moto; what it lacks is the refusal of a size beside ids."""

    def operation(self):
        if self._get_param("MaxResults") is not None and self._get_param("InstanceIds"):
            text = "The parameter instancesSet cannot be used with the parameter maxResults"
            raise EC2ClientError("InvalidParameterCombination", text)
        return whole(self)

    return operation


EC2Response.describe_instances = page_of_instances(EC2Response.describe_instances)
