//! Ids of EC2's resources, checked at the border so that the rest of the program can trust them.

use remediation::shown;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What stands after the prefix of an id: 8 hexadecimal digits, or 17 since 2016, in lower case.
/// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html>
fn is_hex_tail(tail: &str) -> bool {
    matches!(tail.len(), 8 | 17) && tail.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The id in `text`, which is the id itself or an ARN `arn:aws:ec2:<region>:<account>:<kind>/<id>`.
fn parse(text: &str, prefix: &str, kind: &str, what: &str) -> Result<String, String> {
    let id = match text.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "ec2", _, _, resource] => {
            let other = || format!("{} is the ARN of something else than {what}", shown(text));
            resource.strip_prefix(kind).and_then(|rest| rest.strip_prefix('/')).ok_or_else(other)?
        }
        ["arn", ..] => return Err(format!("{} is the ARN of something else than {what}", shown(text))),
        _ => text,
    };
    if id.strip_prefix(prefix).is_some_and(is_hex_tail) {
        return Ok(id.to_owned());
    }
    let hint = if text.contains("{{") { " (a template that was never filled in?)" } else { "" };
    Err(format!("{} is not the id of {what}, such as {prefix}0123456789abcdef0{hint}", shown(text)))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes the id or its ARN; otherwise says what is wrong with the text. The account and region of an ARN are
            /// not kept: where the resource is, the event says.
            pub fn parse(text: &str) -> Result<Self, String> {
                parse(text, $prefix, $kind, $what).map(Self)
            }

            /// The id.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

id! {
    /// The id of a security group: `sg-0123456789abcdef0`.
    SecurityGroupId, "sg-", "security-group", "a security group"
}
id! {
    /// The id of an instance: `i-0123456789abcdef0`.
    InstanceId, "i-", "instance", "an instance"
}
id! {
    /// The id of a network interface: `eni-0123456789abcdef0`.
    InterfaceId, "eni-", "network-interface", "a network interface"
}
id! {
    /// The id of a VPC: `vpc-0123456789abcdef0`.
    VpcId, "vpc-", "vpc", "a VPC"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_arns() {
        for good in [
            "sg-0123456789abcdef0",
            "sg-903004f8",
            "arn:aws:ec2:us-east-1:111122223333:security-group/sg-0123456789abcdef0",
            "arn:aws-us-gov:ec2:us-gov-west-1:111122223333:security-group/sg-903004f8",
        ] {
            assert!(SecurityGroupId::parse(good).unwrap().as_str().starts_with("sg-"), "{good}");
        }
        assert_eq!(InstanceId::parse("i-0123456789abcdef0").unwrap().to_string(), "i-0123456789abcdef0");
        assert_eq!(InterfaceId::parse("eni-0123456789abcdef0").unwrap().as_str(), "eni-0123456789abcdef0");
        assert_eq!(
            VpcId::parse("arn:aws:ec2:us-east-1:111122223333:vpc/vpc-903004f8").unwrap().as_str(),
            "vpc-903004f8"
        );
    }

    #[test]
    fn nothing_else() {
        for bad in [
            "",
            "sg-",
            "sg-0123456789abcdef",
            "sg-0123456789abcdef01",
            "sg-0123456789ABCDEF0",
            "sg-0123456789abcdefg",
            "SG-0123456789abcdef0",
            " sg-0123456789abcdef0",
            "sg-0123456789abcdef0\n",
            "sg-0123456789abcdef0,sg-1123456789abcdef0",
            "sgr-0123456789abcdef0",
            "i-0123456789abcdef0",
            "default",
            "{{group}}",
            "sg-{{{group}}}",
            "sg-0123456789abcdef٠",
            "arn:aws:ec2:us-east-1:111122223333:instance/sg-0123456789abcdef0",
            "arn:aws:ec2:us-east-1:111122223333:security-group/i-0123456789abcdef0",
            "arn:aws:ec2:us-east-1:111122223333:security-group-rule/sgr-0123456789abcdef0",
            "arn:aws:ec2:us-east-1:111122223333:security-group/sg-0123456789abcdef0:x",
            "arn:aws:s3:::sg-0123456789abcdef0",
            "arn:aws:ec2",
        ] {
            assert!(SecurityGroupId::parse(bad).is_err(), "{bad}");
        }
        assert!(SecurityGroupId::parse("{{group}}").unwrap_err().contains("never filled in"));
        assert!(InstanceId::parse("sg-0123456789abcdef0").is_err());
    }

    #[test]
    fn a_record_cannot_smuggle_in_another_text() {
        assert!(serde_json::from_str::<SecurityGroupId>(r#""sg-0123456789abcdef0""#).is_ok());
        assert!(serde_json::from_str::<SecurityGroupId>(r#""sg-1/../x""#).is_err());
    }
}
