//! ARNs: the CloudFormation type of what they name, and the name that its API knows it by.
//!
//! Forms: <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>

/// The parts of an ARN that say what it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arn<'a> {
    /// `s3`, `ec2`, `iam`.
    pub(crate) service: &'a str,
    /// Everything after the account: `security-group/sg-0a1b`.
    pub(crate) resource: &'a str,
}

/// Takes an ARN apart; none if the text is none.
pub(crate) fn parse(text: &str) -> Option<Arn<'_>> {
    let mut parts = text.splitn(6, ':');
    let (arn, _partition, service) = (parts.next()?, parts.next()?, parts.next()?);
    let (_region, _account, resource) = (parts.next()?, parts.next()?, parts.next()?);
    (arn == "arn" && !service.is_empty() && !resource.is_empty()).then_some(Arn { service, resource })
}

/// Where in the rest of an ARN the name is.
#[derive(Clone, Copy)]
enum Name {
    /// All of it.
    All,
    /// Up to this character.
    Until(char),
    /// After the last slash: IAM's paths are no part of a name.
    Last,
    /// Nowhere: what stands there is an id that no API takes as a name.
    Nowhere,
}

/// Service, how the resource part begins, the type, and where the name is. The first that fits is right.
const ARNS: &[(&str, &str, &str, Name)] = {
    use Name::{All, Last, Nowhere, Until};
    &[
        ("access-analyzer", "analyzer/", "AWS::AccessAnalyzer::Analyzer", All),
        ("acm", "certificate/", "AWS::CertificateManager::Certificate", All),
        ("apigateway", "/domainnames/", "AWS::ApiGateway::DomainName", All),
        ("autoscaling", "autoScalingGroup:", "AWS::AutoScaling::AutoScalingGroup", Last),
        ("autoscaling", "launchConfiguration:", "AWS::AutoScaling::LaunchConfiguration", Last),
        ("backup", "backup-plan:", "AWS::Backup::BackupPlan", All),
        ("backup", "backup-vault:", "AWS::Backup::BackupVault", All),
        ("backup", "recovery-point:", "AWS::Backup::RecoveryPoint", All),
        ("cloudformation", "stack/", "AWS::CloudFormation::Stack", Until('/')),
        ("cloudfront", "distribution/", "AWS::CloudFront::Distribution", All),
        ("cloudtrail", "trail/", "AWS::CloudTrail::Trail", All),
        ("cloudwatch", "alarm:", "AWS::CloudWatch::Alarm", All),
        ("codebuild", "project/", "AWS::CodeBuild::Project", All),
        ("dax", "cache/", "AWS::DAX::Cluster", All),
        ("dms", "rep:", "AWS::DMS::ReplicationInstance", Nowhere),
        ("dynamodb", "table/", "AWS::DynamoDB::Table", Until('/')),
        ("ec2", "client-vpn-endpoint/", "AWS::EC2::ClientVpnEndpoint", All),
        ("ec2", "elastic-ip/", "AWS::EC2::EIP", All),
        ("ec2", "image/", "AWS::EC2::Image", All),
        ("ec2", "instance/", "AWS::EC2::Instance", All),
        ("ec2", "internet-gateway/", "AWS::EC2::InternetGateway", All),
        ("ec2", "launch-template/", "AWS::EC2::LaunchTemplate", All),
        ("ec2", "network-acl/", "AWS::EC2::NetworkAcl", All),
        ("ec2", "network-interface/", "AWS::EC2::NetworkInterface", All),
        ("ec2", "route-table/", "AWS::EC2::RouteTable", All),
        ("ec2", "security-group/", "AWS::EC2::SecurityGroup", All),
        ("ec2", "snapshot/", "AWS::EC2::Snapshot", All),
        ("ec2", "subnet/", "AWS::EC2::Subnet", All),
        ("ec2", "transit-gateway/", "AWS::EC2::TransitGateway", All),
        ("ec2", "volume/", "AWS::EC2::Volume", All),
        ("ec2", "vpc-endpoint/", "AWS::EC2::VPCEndpoint", All),
        ("ec2", "vpc/", "AWS::EC2::VPC", All),
        ("ec2", "vpn-connection/", "AWS::EC2::VPNConnection", All),
        ("ecr", "repository/", "AWS::ECR::Repository", All),
        ("ecs", "cluster/", "AWS::ECS::Cluster", All),
        ("ecs", "service/", "AWS::ECS::Service", Last),
        ("ecs", "task-definition/", "AWS::ECS::TaskDefinition", All),
        ("eks", "addon/", "AWS::EKS::Addon", Nowhere),
        ("eks", "cluster/", "AWS::EKS::Cluster", All),
        ("elasticache", "replicationgroup:", "AWS::ElastiCache::ReplicationGroup", All),
        ("elasticbeanstalk", "environment/", "AWS::ElasticBeanstalk::Environment", Last),
        ("elasticfilesystem", "file-system/", "AWS::EFS::FileSystem", All),
        ("elasticloadbalancing", "listener/", "AWS::ElasticLoadBalancingV2::Listener", Nowhere),
        ("elasticloadbalancing", "loadbalancer/app/", "AWS::ElasticLoadBalancingV2::LoadBalancer", Until('/')),
        ("elasticloadbalancing", "loadbalancer/gwy/", "AWS::ElasticLoadBalancingV2::LoadBalancer", Until('/')),
        ("elasticloadbalancing", "loadbalancer/net/", "AWS::ElasticLoadBalancingV2::LoadBalancer", Until('/')),
        ("elasticloadbalancing", "loadbalancer/", "AWS::ElasticLoadBalancing::LoadBalancer", All),
        ("elasticmapreduce", "cluster/", "AWS::EMR::Cluster", All),
        ("es", "domain/", "AWS::OpenSearchService::Domain", All),
        ("events", "rule/", "AWS::Events::Rule", Last),
        ("glacier", "vaults/", "AWS::Glacier::Vault", All),
        ("guardduty", "detector/", "AWS::GuardDuty::Detector", Until('/')),
        ("iam", "group/", "AWS::IAM::Group", Last),
        ("iam", "policy/", "AWS::IAM::Policy", Last),
        ("iam", "role/", "AWS::IAM::Role", Last),
        ("iam", "server-certificate/", "AWS::IAM::ServerCertificate", Last),
        ("iam", "user/", "AWS::IAM::User", Last),
        ("kinesis", "stream/", "AWS::Kinesis::Stream", All),
        ("kms", "alias/", "AWS::KMS::Alias", All),
        ("kms", "key/", "AWS::KMS::Key", All),
        ("lambda", "function:", "AWS::Lambda::Function", Until(':')),
        ("logs", "log-group:", "AWS::Logs::LogGroup", Until(':')),
        ("rds", "cluster-pg:", "AWS::RDS::DBClusterParameterGroup", All),
        ("rds", "cluster-snapshot:", "AWS::RDS::DBClusterSnapshot", All),
        ("rds", "cluster:", "AWS::RDS::DBCluster", All),
        ("rds", "db:", "AWS::RDS::DBInstance", All),
        // Findings without details have the DbiResourceId here, not the name.
        ("rds", "dbcluster/", "AWS::RDS::DBCluster", Nowhere),
        ("rds", "dbcluster:", "AWS::RDS::DBCluster", Nowhere),
        ("rds", "dbinstance/", "AWS::RDS::DBInstance", Nowhere),
        ("rds", "dbinstance:", "AWS::RDS::DBInstance", Nowhere),
        ("rds", "es:", "AWS::RDS::EventSubscription", All),
        ("rds", "pg:", "AWS::RDS::DBParameterGroup", All),
        ("rds", "snapshot:", "AWS::RDS::DBSnapshot", All),
        ("redshift", "cluster:", "AWS::Redshift::Cluster", All),
        ("redshift", "parametergroup:", "AWS::Redshift::ClusterParameterGroup", All),
        ("s3", "accesspoint/", "AWS::S3::AccessPoint", All),
        ("s3", "", "AWS::S3::Bucket", Until('/')),
        ("sagemaker", "endpoint-config/", "AWS::SageMaker::EndpointConfig", All),
        ("sagemaker", "notebook-instance/", "AWS::SageMaker::NotebookInstance", All),
        ("secretsmanager", "secret:", "AWS::SecretsManager::Secret", All),
        ("sns", "", "AWS::SNS::Topic", Until(':')),
        ("sqs", "", "AWS::SQS::Queue", All),
        ("ssm", "document/", "AWS::SSM::Document", All),
        ("states", "stateMachine:", "AWS::StepFunctions::StateMachine", All),
        ("wafv2", "regional/webacl/", "AWS::WAFv2::WebACL", Until('/')),
        ("wafv2", "global/webacl/", "AWS::WAFv2::WebACL", Until('/')),
    ]
};

/// The type of what an ARN names, and its name as far as the ARN tells it; none for services that are not in the table.
pub(crate) fn named<'a>(arn: &Arn<'a>) -> Option<(&'static str, Option<&'a str>)> {
    if arn.service == "apigateway" && arn.resource.contains("/stages/") {
        return Some(("AWS::ApiGateway::Stage", arn.resource.rsplit('/').next()));
    }
    let fits = |(service, begins, _, _): &&(&str, &str, &str, Name)| {
        *service == arn.service && arn.resource.starts_with(begins)
    };
    let (_, begins, r#type, name) = ARNS.iter().find(fits)?;
    let rest = arn.resource.strip_prefix(begins).unwrap_or_default();
    let name = match name {
        Name::All => Some(rest),
        Name::Until(end) => rest.split(*end).next(),
        Name::Last => rest.rsplit('/').next(),
        Name::Nowhere => None,
    };
    // What findings without details have in place of an IAM name is its unique id, which no API takes.
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
    let unique = |name: &str| {
        arn.service == "iam"
            && name.len() == 21
            && ["AIDA", "AROA", "AGPA", "ANPA", "ASCA"].iter().any(|begins| name.starts_with(begins))
            && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    Some((r#type, name.filter(|name| !name.is_empty() && !unique(name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_names() {
        let table = [
            ("arn:aws:s3:::clinic-scans", "AWS::S3::Bucket", Some("clinic-scans")),
            ("arn:aws-us-gov:s3:::clinic-scans", "AWS::S3::Bucket", Some("clinic-scans")),
            ("arn:aws:s3:us-east-1:111122223333:accesspoint/lab", "AWS::S3::AccessPoint", Some("lab")),
            ("arn:aws:iam::111122223333:user/ward/anna", "AWS::IAM::User", Some("anna")),
            ("arn:aws:iam::111122223333:user/AIDAEXAMPLEEXAMPLE123", "AWS::IAM::User", None),
            ("arn:aws:iam::111122223333:user/AIDA", "AWS::IAM::User", Some("AIDA")),
            ("arn:aws:ec2:us-east-1:111122223333:security-group/sg-0a1b", "AWS::EC2::SecurityGroup", Some("sg-0a1b")),
            ("arn:aws:rds:us-east-1:111122223333:db:records", "AWS::RDS::DBInstance", Some("records")),
            ("arn:aws:rds:us-east-1:111122223333:dbinstance:db-ABC", "AWS::RDS::DBInstance", None),
            ("arn:aws:rds:us-east-1:111122223333:cluster-snapshot:s", "AWS::RDS::DBClusterSnapshot", Some("s")),
            ("arn:aws:lambda:us-east-1:111122223333:function:triage:live", "AWS::Lambda::Function", Some("triage")),
            ("arn:aws:logs:us-east-1:111122223333:log-group:/ward/a:*", "AWS::Logs::LogGroup", Some("/ward/a")),
            ("arn:aws:apigateway:us-east-1::/restapis/abc/stages/prod", "AWS::ApiGateway::Stage", Some("prod")),
            (
                "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/app/front/50dc",
                "AWS::ElasticLoadBalancingV2::LoadBalancer",
                Some("front"),
            ),
            (
                "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/old",
                "AWS::ElasticLoadBalancing::LoadBalancer",
                Some("old"),
            ),
        ];
        for (arn, r#type, name) in table {
            assert_eq!(parse(arn).and_then(|arn| named(&arn)), Some((r#type, name)), "{arn}");
        }
        for other in ["", "clinic-scans", "arn:aws:s3:::", "arn:aws:s3", "ARN:aws:s3:::clinic-scans"] {
            assert_eq!(parse(other), None, "{other}");
        }
        assert_eq!(parse("arn:aws:braket:us-east-1:111122223333:job/1").and_then(|arn| named(&arn)), None);
    }
}
