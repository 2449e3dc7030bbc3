//! Which tool made a call, in one word: for saying who keeps undoing a fix.
//!
//! A user agent is whatever the caller wrote, so nothing of it goes further: it is only looked for names that we know. AWS
//! itself writes for which service a call was made, and its name is taken as it is, if it is one.
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>

use crate::value::{text, yes};
use serde_json::Value;

/// The AWS console.
const CONSOLE: &str = "console";
/// The most of a user agent that is looked at, in bytes: CloudTrail keeps 1 KB.
const LONGEST: usize = 4096;

/// How products of a user agent begin, in lower case, and the tool that each stands for. The tool before what it is built
/// on: Pulumi's bridged provider can say Terraform beside its own name, and every tool names an SDK.
/// <https://github.com/pulumi/pulumi-aws/pull/1604>
/// <https://github.com/hashicorp/terraform/pull/9806>
/// <https://github.com/crossplane-contrib/provider-jet-aws/pull/180>
/// <https://github.com/opentofu/opentofu/pull/2955>
const PRODUCTS: &[(&str, &str)] = &[
    ("pulumi", "pulumi"),
    ("crossplane", "crossplane"),
    ("opentofu", "opentofu"),
    ("terraform", "terraform"),
    ("cloudcustodian", "cloud-custodian"),
    ("aws-cdk", "cdk"),
    ("aws-cli", "cli"),
    ("s3console", CONSOLE),
    ("awsconsole", CONSOLE),
    // What console pages and AWS services call by, in AWS's own network or not.
    ("aws-internal", "aws"),
    ("aws-sdk", "sdk"),
    ("boto", "sdk"),
    // A page of the console that calls from the browser: no other page can sign a call.
    ("mozilla", CONSOLE),
];

/// The tool that made the call of a CloudTrail record: `terraform`, `opentofu`, `pulumi`, `crossplane`, `cdk`,
/// `cloud-custodian`, `cli`, `console`, `sdk`; `cloudformation`, or another AWS service by its name
/// (`autoscaling.amazonaws.com`); `aws` where AWS does not say which service. None if it cannot be told.
///
/// What CDK deploys is `cloudformation`'s doing: the calls are CloudFormation's. `cdk` is what its command line does itself.
pub(crate) fn agent(record: &Value) -> Option<String> {
    let user_agent = text(record, "/userAgent").unwrap_or_default();
    let in_console = yes(record.get("sessionCredentialFromConsole"));
    // AWS writes these two; the caller cannot.
    let by_aws = ["/userIdentity/invokedBy", "/sourceIPAddress"].iter().find_map(|at| service(text(record, at)?));
    let found = by_aws.or_else(|| console_name(user_agent)).or_else(|| product(user_agent).map(str::to_owned));
    match found.as_deref() {
        // The same internal client serves the console and AWS's own errands; the session says which.
        Some("aws") | None if in_console => Some(CONSOLE.to_owned()),
        None if [text(record, "/sourceIPAddress"), Some(user_agent)].iter().flatten().any(|text| is_internal(text)) => {
            Some("aws".to_owned())
        }
        _ => found,
    }
}

/// The AWS service that a text names, if it does.
fn service(text: &str) -> Option<String> {
    let name = text.strip_suffix(".cn").unwrap_or(text).strip_suffix(".amazonaws.com")?;
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if name.len() > 64 || !name.split('.').all(label) {
        return None;
    }
    match name {
        "cloudformation" => Some("cloudformation".to_owned()),
        "signin" => Some(CONSOLE.to_owned()),
        _ => Some(text.to_owned()),
    }
}

/// The console, by the hosts that stand for it in place of a user agent: `signin.amazonaws.com`, `console.amazonaws.com`,
/// `console.ec2.amazonaws.com`. Another service's name is not believed here: the caller may have written it.
fn console_name(user_agent: &str) -> Option<String> {
    let host = user_agent.trim_matches(['[', ']']);
    let is = host.ends_with(".amazonaws.com") && (host.starts_with("console.") || host.starts_with("signin."));
    is.then(|| CONSOLE.to_owned())
}

/// The first tool of [`PRODUCTS`] that is among the products of a user agent; what stands in parentheses is a comment.
fn product(user_agent: &str) -> Option<&'static str> {
    let mut short: String = user_agent.to_ascii_lowercase();
    short.truncate(short.floor_char_boundary(LONGEST));
    let mut depth = 0_usize;
    let outside = |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => return if depth == 0 { c } else { ' ' },
        }
        ' '
    };
    let products: String = short.chars().map(outside).collect();
    let products: Vec<&str> = products.split([' ', '[', ']', ',']).filter(|product| !product.is_empty()).collect();
    let named = |begins: &str| products.iter().any(|product| product.starts_with(begins));
    PRODUCTS.iter().find(|(begins, _)| named(begins)).map(|(_, tool)| *tool)
}

/// What CloudTrail writes for calls that AWS makes by itself: `AWS Internal`, also with a number.
fn is_internal(text: &str) -> bool {
    text == "AWS Internal" || text.starts_with("AWS Internal/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn of(user_agent: &str) -> Option<String> {
        agent(&json!({"userAgent": user_agent, "sourceIPAddress": "192.0.2.10"}))
    }

    #[test]
    fn tools_by_their_user_agent() {
        for (user_agent, tool) in [
            (
                "APN/1.0 HashiCorp/1.0 Terraform/1.1.2 (+https://www.terraform.io) terraform-provider-aws/3.76.1 \
                 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go/1.44.157 (go1.19.3; darwin; arm64)",
                "terraform",
            ),
            ("[aws-sdk-go/1.10.18 (go1.8; linux; amd64) APN/1.0 HashiCorp/1.0 Terraform/0.9.8]", "terraform"),
            ("aws-sdk-go-v2/1.30.0 APN/1.0 OpenTofu-S3-Backend/1.0 OpenTofu/1.10.1", "opentofu"),
            (
                "APN/1.0 Pulumi/1.0 Pulumi-Aws/4.17.0 (+https://www.pulumi.com) terraform-provider-aws/4 aws-sdk-go/1.40.20",
                "pulumi",
            ),
            (
                "APN/1.0 HashiCorp/1.0 Terraform/1.0.5 aws-sdk-go/1.40.29 crossplane-provider-jet-aws/v0.4.0",
                "crossplane",
            ),
            ("CloudCustodian(net-change-encryption)/0.9.2 Python/3.8.3 Botocore/1.15.49", "cloud-custodian"),
            ("aws-cdk/2.100.0 aws-sdk-js/2.1450.0", "cdk"),
            ("aws-cli/2.13.5 Python/3.11.4 Linux/4.14.255 exec-env/CloudShell exe/x86_64.amzn.2 prompt/off", "cli"),
            ("aws-cli/1.15.42 Python/3.6.1 Darwin/17.7.0 botocore/1.10.42", "cli"),
            ("Boto3/1.28.0 md/Botocore#1.31.0 ua/2.0 os/linux", "sdk"),
            ("aws-sdk-java/2.20.0", "sdk"),
            ("aws-sdk-rust/1.3.0 os/linux lang/rust/1.90.0", "sdk"),
            ("console.amazonaws.com", "console"),
            ("console.ec2.amazonaws.com", "console"),
            ("signin.amazonaws.com", "console"),
            ("AWSConsole", "console"),
            ("[S3Console/0.4, aws-internal/3 aws-sdk-java/1.11.666 Linux/4.9.184]", "console"),
            ("[Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko)]", "console"),
            ("aws-internal/3 aws-sdk-java/1.12.124 Linux/4.9.273", "aws"),
            ("AWS Internal", "aws"),
        ] {
            assert_eq!(of(user_agent).as_deref(), Some(tool), "{user_agent}");
        }
    }

    #[test]
    fn what_is_no_tool_that_we_know() {
        for user_agent in [
            "",
            "...",
            "curl/8.0 (terraform; aws-cli/2)",
            "my-terraform/1",
            "68319f60-9dec-43b2-9702-de3a08c9d8a3",
            // The caller can write a service's name; AWS would have written it elsewhere too.
            "cloudformation.amazonaws.com",
            "autoscaling.amazonaws.com",
            "console.amazonaws.com.example",
            "AWS Internally",
        ] {
            assert_eq!(of(user_agent), None, "{user_agent}");
        }
        assert_eq!(agent(&json!({})), None);
        assert_eq!(agent(&json!({"userAgent": 7, "userIdentity": "x", "sourceIPAddress": ["x"]})), None);
    }

    #[test]
    fn a_service_is_believed_where_aws_names_it() {
        let by = |invoked_by: &str, address: &str| {
            agent(&json!({
                "userAgent": "aws-cli/2.13.0", "userIdentity": {"invokedBy": invoked_by}, "sourceIPAddress": address,
            }))
        };
        for (invoked_by, address, tool) in [
            ("cloudformation.amazonaws.com", "192.0.2.10", "cloudformation"),
            ("", "cloudformation.amazonaws.com", "cloudformation"),
            ("cloudformation.amazonaws.com.cn", "192.0.2.10", "cloudformation"),
            ("autoscaling.amazonaws.com", "192.0.2.10", "autoscaling.amazonaws.com"),
            ("", "lambda.amazonaws.com", "lambda.amazonaws.com"),
            ("signin.amazonaws.com", "192.0.2.10", "console"),
            // A service that acts for another is not the one that was asked to.
            ("cloudformation.amazonaws.com", "autoscaling.amazonaws.com", "cloudformation"),
            // Not the name of a service: the next best.
            ("AWS Internal", "192.0.2.10", "cli"),
            ("evil\n.amazonaws.com", "192.0.2.10", "cli"),
            (".amazonaws.com", "192.0.2.10", "cli"),
            ("amazonaws.com", "192.0.2.10", "cli"),
            ("x.amazonaws.com.example", "192.0.2.10", "cli"),
        ] {
            assert_eq!(by(invoked_by, address).as_deref(), Some(tool), "{invoked_by} {address}");
        }
    }

    #[test]
    fn a_console_session_tells_the_console_from_aws_itself() {
        let of = |user_agent: &str, address: &str| {
            let session = "true";
            agent(&json!({
                "userAgent": user_agent, "sourceIPAddress": address, "sessionCredentialFromConsole": session,
            }))
        };
        for (user_agent, address, tool) in [
            ("aws-internal/3 aws-sdk-java/1.12.124", "AWS Internal", "console"),
            ("AWS Internal", "AWS Internal", "console"),
            ("unheard-of/1", "192.0.2.10", "console"),
            // CloudShell.
            ("aws-cli/2.13.5 exec-env/CloudShell", "192.0.2.10", "cli"),
            ("aws-cli/2.13.5", "cloudformation.amazonaws.com", "cloudformation"),
        ] {
            assert_eq!(of(user_agent, address).as_deref(), Some(tool), "{user_agent}");
        }
    }

    proptest! {
        /// Whatever the caller writes, what comes out is a word of ours.
        #[test]
        fn nothing_of_a_user_agent_comes_through(
            user_agent in "(\\PC|[\\[(,/ )\\]\u{1b}\n]|terraform|aws-sdk|signin\\.|\\.amazonaws\\.com|AWS Internal){0,40}",
        ) {
            let tool = of(&user_agent);
            let ours = |tool: &str| tool == "aws" || PRODUCTS.iter().any(|(_, name)| *name == tool);
            prop_assert!(tool.as_deref().is_none_or(ours), "{tool:?}");
        }

        /// Whatever stands where AWS names a service, what comes out is a word.
        #[test]
        fn a_service_is_a_word(name in "(\\PC|[a-z.-]|\n){0,80}(\\.amazonaws\\.com)?(\\.cn)?") {
            let tool = agent(&json!({"sourceIPAddress": name})).unwrap_or_default();
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
            prop_assert!(tool.len() <= 96 && tool.bytes().all(plain), "{tool:?}");
        }
    }
}
