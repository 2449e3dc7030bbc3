//! Groups and their keepers.

use super::*;
use aws_sdk_ec2::types::Tag;

fn keepers(tags: &[(&str, &str)]) -> Vec<Keeper> {
    let tag = |(key, value): &(&str, &str)| Tag::builder().key(*key).value(*value).build();
    let group = SecurityGroup::builder().group_id("sg-903004f8").set_tags(Some(tags.iter().map(tag).collect())).build();
    Group::read(&group).unwrap().keepers
}

#[test]
fn tags_tell_who_will_put_it_back() {
    let text = str::to_owned;
    for (tag, keeper) in [
        (("aws:cloudformation:stack-name", "net"), Some(Keeper::CloudFormation(text("net")))),
        (("kubernetes.io/cluster/prod", "owned"), Some(Keeper::Kubernetes(text("prod")))),
        (("aws:eks:cluster-name", "prod"), Some(Keeper::Kubernetes(text("prod")))),
        (("elbv2.k8s.aws/cluster", "prod"), Some(Keeper::LoadBalancerController(text("prod")))),
        (("ManagedBy", "Terraform"), Some(Keeper::Terraform(text("Terraform")))),
        (("provisioner", "terraform-cloud"), Some(Keeper::Terraform(text("terraform-cloud")))),
        (("terraform", "true"), Some(Keeper::Terraform(text("true")))),
        (("terraform", "false"), None),
        (("managed-by", "hand"), None),
        (("Name", "terraform"), None),
    ] {
        assert_eq!(keepers(&[("team", "x"), tag]), keeper.into_iter().collect::<Vec<_>>(), "{tag:?}");
    }
    for keeper in
        keepers(&[("kubernetes.io/cluster/a\nb", "owned"), ("aws:cloudformation:stack-name", &"x".repeat(9999))])
    {
        let advice = keeper.advice();
        assert!(advice.len() < 400 && !advice.contains(char::is_control), "{advice}");
    }
}

#[test]
fn the_default_group_and_the_owner() {
    let group = |name: &str, owner: Option<&str>| {
        let group = SecurityGroup::builder().group_id("sg-903004f8").group_name(name);
        Group::read(&group.set_owner_id(owner.map(str::to_owned)).build()).unwrap()
    };
    let ours = AccountId::parse("111122223333").unwrap();
    assert!(group("default", None).is_default() && !group("Default", None).is_default());
    assert_eq!(group("web", Some("111122223333")).foreign_owner(&ours), None);
    assert_eq!(group("web", Some("444455556666")).foreign_owner(&ours), Some("444455556666"));
    assert_eq!(group("web", None).foreign_owner(&ours), None);
    assert!(Group::read(&SecurityGroup::builder().group_id("x").build()).is_none());
}
