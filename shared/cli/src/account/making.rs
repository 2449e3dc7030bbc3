//! What a clinic has, made as somebody made it long ago: past the journal, so that it is no event and wakes nobody.

use ::lab::http::ApiResponse;
use ::lab::{Client, Lab};
use bytes::Bytes;
use http::Method;
use serde_json::json;

/// The first element of this name in an answer.
pub fn text(answer: &ApiResponse, element: &str) -> Result<String, String> {
    answer.texts(element).into_iter().next().ok_or_else(|| format!("the answer has no {element}"))
}

/// A bucket policy that lets everybody read.
pub fn public_policy(bucket: &str) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "EverybodyReads",
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": format!("arn:aws:s3:::{bucket}/*"),
        }],
    })
    .to_string()
}

/// A public access block with these of its four settings on.
pub fn block(on: &[&str]) -> String {
    let settings: Vec<String> = on.iter().map(|name| format!("<{name}>true</{name}>")).collect();
    format!("<PublicAccessBlockConfiguration>{}</PublicAccessBlockConfiguration>", settings.concat())
}

/// The four settings of a public access block.
pub const SETTINGS: [&str; 4] = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];

/// The tag that says that a bucket holds health data.
pub const PHI: &str = "<Tagging><TagSet><Tag><Key>data-classification</Key><Value>phi</Value></Tag></TagSet></Tagging>";

/// A website, with this page as its first.
pub fn website(index: &str) -> String {
    format!("<WebsiteConfiguration><IndexDocument><Suffix>{index}</Suffix></IndexDocument></WebsiteConfiguration>")
}

/// A new bucket without its public access block.
pub async fn open_bucket(quiet: &Client, name: &str) -> Result<(), String> {
    quiet.must(Method::PUT, &format!("/{name}"), Bytes::new()).await?;
    quiet.must(Method::DELETE, &format!("/{name}?publicAccessBlock"), Bytes::new()).await?;
    Ok(())
}

/// Grants everybody to read a bucket, where logs are delivered too, by its access control list: as the whole list.
pub async fn grants(quiet: &Client, bucket: &str) -> Result<String, String> {
    let ownership =
        "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerPreferred</ObjectOwnership></Rule></OwnershipControls>";
    quiet.must(Method::PUT, &format!("/{bucket}?ownershipControls"), ownership).await?;
    let owner = text(&quiet.s3(Method::GET, &format!("/{bucket}?acl"), Bytes::new()).await?, "ID")?;
    Ok(GRANTS.replace("OWNER", &owner))
}

const GRANTS: &str = r#"<AccessControlPolicy><Owner><ID>OWNER</ID></Owner><AccessControlList>
<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>OWNER</ID></Grantee>
<Permission>FULL_CONTROL</Permission></Grant>
<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>http://acs.amazonaws.com/groups/s3/LogDelivery</URI></Grantee>
<Permission>WRITE</Permission></Grant>
<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>
<Permission>READ</Permission></Grant></AccessControlList></AccessControlPolicy>"#;

/// A user with a key that was made then, and last used then, if ever; the key.
pub async fn user(lab: &Lab, quiet: &Client, name: &str, made: &str, used: Option<&str>) -> Result<String, String> {
    quiet.must_query("iam", "CreateUser", &[("UserName", name)]).await?;
    let answer = quiet.must_query("iam", "CreateAccessKey", &[("UserName", name)]).await?;
    let key = text(&answer, "AccessKeyId")?;
    let used = used.map(|date| json!({"date": date, "service": "s3", "region": "us-east-1"}));
    lab.wish("iam/age-key", json!({"accessKeyId": key, "created": made, "lastUsed": used})).await?;
    Ok(key)
}

/// The id of what EC2 describes with this filter.
pub async fn first(
    quiet: &Client,
    operation: &str,
    filter: &str,
    value: &str,
    element: &str,
) -> Result<String, String> {
    text(&quiet.must_query("ec2", operation, &[("Filter.1.Name", filter), ("Filter.1.Value.1", value)]).await?, element)
}

/// A security group in the default VPC.
pub async fn group(quiet: &Client, name: &str) -> Result<String, String> {
    let vpc = first(quiet, "DescribeVpcs", "is-default", "true", "vpcId").await?;
    let fields = [("GroupName", name), ("GroupDescription", "of the clinic"), ("VpcId", &vpc)];
    text(&quiet.must_query("ec2", "CreateSecurityGroup", &fields).await?, "groupId")
}

/// Lets these ranges in at a port.
pub async fn allow(quiet: &Client, group: &str, port: &str, ranges: &[&str]) -> Result<(), String> {
    let mut fields = vec![
        ("GroupId".to_owned(), group.to_owned()),
        ("IpPermissions.1.IpProtocol".to_owned(), "tcp".to_owned()),
        ("IpPermissions.1.FromPort".to_owned(), port.to_owned()),
        ("IpPermissions.1.ToPort".to_owned(), port.to_owned()),
    ];
    for (at, range) in ranges.iter().enumerate() {
        fields.push((format!("IpPermissions.1.IpRanges.{}.CidrIp", at + 1), (*range).to_owned()));
    }
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    quiet.must_query("ec2", "AuthorizeSecurityGroupIngress", &fields).await.map(drop)
}

/// An instance in a security group.
pub async fn instance(quiet: &Client, group: &str) -> Result<String, String> {
    let image = text(&quiet.must_query("ec2", "DescribeImages", &[]).await?, "imageId")?;
    let fields = [("ImageId", image.as_str()), ("MinCount", "1"), ("MaxCount", "1"), ("SecurityGroupId.1", group)];
    text(&quiet.must_query("ec2", "RunInstances", &fields).await?, "instanceId")
}
