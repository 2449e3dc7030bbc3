//! Which API calls can bring about drift, and where their records say what they touched: one row for each kind of resource.
//!
//! The names are CloudTrail's, which for some calls are not the API's (`PutBucketLifecycle`,
//! `DeleteBucketPublicAccessBlock`; Lambda's carry a date, which is stripped before they are looked up). Whether a control
//! minds a call is its own affair: a call that is in no row here is one that no kind of drift comes from.
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>

/// Calls of one service that touch the same kind of resource.
pub(crate) struct Calls {
    /// The service, as its event source begins: `s3`.
    service: &'static str,
    /// The calls, in the alphabet's order.
    names: &'static str,
    /// Whether they set what holds for the whole account, or what the record cannot name.
    pub(crate) account: bool,
    /// Types, and where their ids are: the first path that leads to a text. A path goes through `requestParameters`, or
    /// behind `<` through `responseElements`; each, if it is wrapped in `<call>Request` or `<call>Response`, inside the
    /// wrapper. `*` is every element of a list. Case does not matter. Type `""` is what the ARN says, type `"EC2"` what the
    /// beginning of the id says.
    pub(crate) at: &'static [(&'static str, &'static [&'static str])],
}

/// The row of a call: takes its event source (`s3.amazonaws.com`) and its name, without a version.
pub(crate) fn find(source: &str, name: &str) -> Option<&'static Calls> {
    let service = source.strip_suffix(".amazonaws.com")?;
    CALLS.iter().find(|calls| calls.service == service && calls.names.split_whitespace().any(|one| one == name))
}

/// Where calls of a service that are in no row most often name what they are about: paths and types.
pub(crate) fn obvious(source: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let service = source.strip_suffix(".amazonaws.com").unwrap_or_default().to_owned();
    OBVIOUS.iter().filter(move |(of, ..)| *of == service).map(|(_, path, r#type)| (*path, *r#type))
}

const fn calls(
    service: &'static str,
    names: &'static str,
    at: &'static [(&'static str, &'static [&'static str])],
) -> Calls {
    Calls { service, names, account: false, at }
}

const fn settings(
    service: &'static str,
    names: &'static str,
    at: &'static [(&'static str, &'static [&'static str])],
) -> Calls {
    Calls { service, names, account: true, at }
}

/// The calls that can bring about drift.
const CALLS: &[Calls] = &[
    calls(
        "s3",
        "CreateBucket DeleteBucket DeleteBucketEncryption DeleteBucketLifecycle DeleteBucketOwnershipControls \
         DeleteBucketPolicy DeleteBucketPublicAccessBlock DeleteBucketReplication PutBucketAcl \
         PutBucketEncryption PutBucketLifecycle PutBucketLifecycleConfiguration PutBucketLogging \
         PutBucketNotification PutBucketNotificationConfiguration PutBucketObjectLockConfiguration \
         PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock PutBucketReplication \
         PutBucketVersioning PutBucketWebsite PutObjectLockConfiguration",
        &[("AWS::S3::Bucket", &["bucketName"])],
    ),
    settings("s3", "DeleteAccountPublicAccessBlock PutAccountPublicAccessBlock", &[]),
    calls("s3", "CreateAccessPoint PutAccessPointPolicy", &[("AWS::S3::AccessPoint", &["name", "accessPointName"])]),
    calls(
        "iam",
        "AttachUserPolicy CreateAccessKey CreateLoginProfile DeactivateMFADevice DeleteUserPermissionsBoundary \
         PutUserPolicy UpdateAccessKey UpdateLoginProfile",
        &[("AWS::IAM::User", &["userName", "<accessKey/userName", "<loginProfile/userName"])],
    ),
    // It names the device, and not whose it was.
    settings("iam", "DeleteVirtualMFADevice", &[]),
    calls(
        "iam",
        "AttachRolePolicy CreateRole DeleteRole DeleteRolePermissionsBoundary DeleteRolePolicy DetachRolePolicy \
         PutRolePermissionsBoundary PutRolePolicy UpdateAssumeRolePolicy UpdateRole",
        &[("AWS::IAM::Role", &["roleName"])],
    ),
    calls("iam", "AttachGroupPolicy PutGroupPolicy", &[("AWS::IAM::Group", &["groupName"])]),
    calls(
        "iam",
        "CreatePolicy CreatePolicyVersion SetDefaultPolicyVersion",
        &[("AWS::IAM::Policy", &["policyArn", "<policy/arn"])],
    ),
    settings("iam", "DeleteAccountPasswordPolicy UpdateAccountPasswordPolicy", &[]),
    calls(
        "ec2",
        "AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CreateSecurityGroup ModifySecurityGroupRules",
        &[("AWS::EC2::SecurityGroup", &["groupId", "<groupId", "<securityGroupRuleSet/*/groupId"])],
    ),
    calls("ec2", "ModifyManagedPrefixList", &[("AWS::EC2::PrefixList", &["prefixListId"])]),
    calls("ec2", "CreateNetworkAclEntry ReplaceNetworkAclEntry", &[("AWS::EC2::NetworkAcl", &["networkAclId"])]),
    calls("ec2", "CreateDefaultVpc CreateVpc", &[("AWS::EC2::VPC", &["<vpc/vpcId"])]),
    calls(
        "ec2",
        "CreateDefaultSubnet CreateSubnet ModifySubnetAttribute",
        &[("AWS::EC2::Subnet", &["subnetId", "<subnet/subnetId"])],
    ),
    settings(
        "ec2",
        "DeleteFlowLogs DisableEbsEncryptionByDefault DisableImageBlockPublicAccess \
         DisableSnapshotBlockPublicAccess ModifyEbsDefaultKmsKeyId ModifyInstanceMetadataDefaults \
         ModifyVpcBlockPublicAccessOptions ResetEbsDefaultKmsKeyId",
        &[],
    ),
    calls("ec2", "CreateRoute ReplaceRoute", &[("AWS::EC2::RouteTable", &["routeTableId"])]),
    calls(
        "ec2",
        "AttachInternetGateway",
        &[("AWS::EC2::InternetGateway", &["internetGatewayId"]), ("AWS::EC2::VPC", &["vpcId"])],
    ),
    calls(
        "ec2",
        "DeleteVpcEndpoints",
        &[("AWS::EC2::VPCEndpoint", &["vpcEndpointId/*", "vpcEndpointIdSet/*", "vpcEndpointIdSet/*/vpcEndpointId"])],
    ),
    calls(
        "ec2",
        "CreateTransitGateway ModifyTransitGateway",
        &[("AWS::EC2::TransitGateway", &["transitGatewayId", "<transitGateway/transitGatewayId"])],
    ),
    calls(
        "ec2",
        "RunInstances",
        &[
            ("AWS::EC2::Instance", &["<instancesSet/*/instanceId"]),
            (
                "AWS::EC2::SecurityGroup",
                &[
                    "<instancesSet/*/groupSet/*/groupId",
                    "<instancesSet/*/networkInterfaceSet/*/groupSet/*/groupId",
                    "groupSet/*/groupId",
                    "networkInterfaceSet/*/groupSet/*/groupId",
                ],
            ),
        ],
    ),
    calls(
        "ec2",
        "AssociateAddress DisassociateIamInstanceProfile ModifyInstanceMetadataOptions StopInstances",
        &[(
            "AWS::EC2::Instance",
            &["instanceId", "instancesSet/*/instanceId", "<iamInstanceProfileAssociation/instanceId", "<instanceId"],
        )],
    ),
    calls("ec2", "AttachVolume CreateVolume", &[("AWS::EC2::Volume", &["volumeId", "<volumeId"])]),
    calls("ec2", "ModifySnapshotAttribute", &[("AWS::EC2::Snapshot", &["snapshotId"])]),
    calls("ec2", "ModifyImageAttribute", &[("AWS::EC2::Image", &["imageId"])]),
    calls(
        "ec2",
        "CreateLaunchTemplateVersion",
        &[("AWS::EC2::LaunchTemplate", &["launchTemplateId", "<launchTemplateVersion/launchTemplateId"])],
    ),
    calls("ec2", "ModifyNetworkInterfaceAttribute", &[("AWS::EC2::NetworkInterface", &["networkInterfaceId"])]),
    calls("ec2", "DeleteTags", &[("EC2", &["resourcesSet/*/resourceId"])]),
    calls(
        "autoscaling",
        "CreateAutoScalingGroup UpdateAutoScalingGroup",
        &[("AWS::AutoScaling::AutoScalingGroup", &["autoScalingGroupName"])],
    ),
    calls(
        "autoscaling",
        "CreateLaunchConfiguration",
        &[("AWS::AutoScaling::LaunchConfiguration", &["launchConfigurationName"])],
    ),
    calls(
        "kms",
        "CreateKey DisableKey DisableKeyRotation PutKeyPolicy ScheduleKeyDeletion",
        &[("AWS::KMS::Key", &["keyId", "<keyMetadata/keyId", "<keyId"])],
    ),
    calls(
        "secretsmanager",
        "CancelRotateSecret CreateSecret PutResourcePolicy UpdateSecret",
        &[("AWS::SecretsManager::Secret", &["secretId", "<aRN", "<arn", "name"])],
    ),
    calls(
        "cloudtrail",
        "CreateTrail DeleteTrail PutEventSelectors StopLogging UpdateTrail",
        &[("AWS::CloudTrail::Trail", &["name", "trailName"])],
    ),
    settings(
        "config",
        "DeleteConfigurationRecorder PutConfigurationRecorder StopConfigurationRecorder",
        &[("AWS::Config::ConfigurationRecorder", &["configurationRecorderName", "configurationRecorder/name"])],
    ),
    settings("config", "DeleteDeliveryChannel", &[("AWS::Config::DeliveryChannel", &["deliveryChannelName"])]),
    calls(
        "guardduty",
        "DeleteDetector DisassociateFromAdministratorAccount DisassociateFromMasterAccount StopMonitoringMembers \
         UpdateDetector UpdateMalwareScanSettings",
        &[("AWS::GuardDuty::Detector", &["detectorId"])],
    ),
    settings("securityhub", "BatchDisableStandards DisableSecurityHub", &[]),
    settings("macie2", "DisableMacie UpdateMacieSession", &[]),
    settings("inspector2", "Disable", &[]),
    calls("access-analyzer", "DeleteAnalyzer", &[("AWS::AccessAnalyzer::Analyzer", &["analyzerName"])]),
    settings("account", "DeleteAlternateContact", &[]),
    calls(
        "logs",
        "CreateLogGroup DeleteLogGroup DeleteLogStream DeleteRetentionPolicy DisassociateKmsKey PutRetentionPolicy",
        &[("AWS::Logs::LogGroup", &["logGroupName", "resourceIdentifier"])],
    ),
    calls(
        "logs",
        "DeleteMetricFilter",
        &[("AWS::Logs::MetricFilter", &["filterName"]), ("AWS::Logs::LogGroup", &["logGroupName"])],
    ),
    calls(
        "monitoring",
        "DeleteAlarms DisableAlarmActions PutMetricAlarm",
        &[("AWS::CloudWatch::Alarm", &["alarmName", "alarmNames"])],
    ),
    calls(
        "wafv2",
        "CreateWebACL DeleteLoggingConfiguration",
        &[("AWS::WAFv2::WebACL", &["resourceArn", "<summary/aRN", "name"])],
    ),
    calls("wafv2", "DisassociateWebACL", &[("", &["resourceArn"])]),
    calls("waf-regional", "DisassociateWebACL", &[("", &["resourceArn"])]),
    calls(
        "events",
        "DeleteRule DisableRule PutRule PutTargets RemoveTargets",
        &[("AWS::Events::Rule", &["rule", "name"])],
    ),
    calls(
        "lambda",
        "AddPermission CreateFunction CreateFunctionUrlConfig DeleteFunction DeleteFunctionEventInvokeConfig \
         PutFunctionConcurrency RemovePermission UpdateFunctionCode UpdateFunctionConfiguration \
         UpdateFunctionUrlConfig",
        &[("AWS::Lambda::Function", &["functionName"])],
    ),
    calls(
        "lambda",
        "DeleteEventSourceMapping UpdateEventSourceMapping",
        &[("AWS::Lambda::Function", &["functionName", "<functionArn"])],
    ),
    calls(
        "rds",
        "CreateDBInstance CreateDBInstanceReadReplica ModifyDBInstance RestoreDBInstanceFromDBSnapshot \
         RestoreDBInstanceFromS3 RestoreDBInstanceToPointInTime",
        &[("AWS::RDS::DBInstance", &["targetDBInstanceIdentifier", "dBInstanceIdentifier"])],
    ),
    calls(
        "rds",
        "CreateDBCluster ModifyDBCluster RestoreDBClusterFromS3 RestoreDBClusterFromSnapshot \
         RestoreDBClusterToPointInTime",
        &[("AWS::RDS::DBCluster", &["dBClusterIdentifier"])],
    ),
    calls(
        "rds",
        "CopyDBSnapshot CreateDBSnapshot ModifyDBSnapshotAttribute",
        &[("AWS::RDS::DBSnapshot", &["targetDBSnapshotIdentifier", "dBSnapshotIdentifier"])],
    ),
    calls(
        "rds",
        "CopyDBClusterSnapshot CreateDBClusterSnapshot ModifyDBClusterSnapshotAttribute",
        &[("AWS::RDS::DBClusterSnapshot", &["targetDBClusterSnapshotIdentifier", "dBClusterSnapshotIdentifier"])],
    ),
    calls("rds", "ModifyDBParameterGroup", &[("AWS::RDS::DBParameterGroup", &["dBParameterGroupName"])]),
    calls(
        "rds",
        "ModifyDBClusterParameterGroup",
        &[("AWS::RDS::DBClusterParameterGroup", &["dBClusterParameterGroupName"])],
    ),
    calls(
        "dynamodb",
        "CreateTable DeleteTable UpdateContinuousBackups UpdateTable UpdateTimeToLive",
        &[("AWS::DynamoDB::Table", &["tableName"])],
    ),
    calls("dax", "CreateCluster", &[("AWS::DAX::Cluster", &["clusterName"])]),
    calls("backup", "DeleteBackupPlan UpdateBackupPlan", &[("AWS::Backup::BackupPlan", &["backupPlanId"])]),
    calls(
        "backup",
        "DeleteBackupVaultAccessPolicy DeleteBackupVaultLockConfiguration PutBackupVaultAccessPolicy",
        &[("AWS::Backup::BackupVault", &["backupVaultName"])],
    ),
    calls("elasticfilesystem", "CreateFileSystem", &[("AWS::EFS::FileSystem", &["<fileSystemId"])]),
    calls(
        "elasticloadbalancing",
        "CreateListener ModifyListener",
        &[
            ("AWS::ElasticLoadBalancingV2::Listener", &["listenerArn", "<listeners/*/listenerArn"]),
            ("AWS::ElasticLoadBalancingV2::LoadBalancer", &["loadBalancerArn"]),
        ],
    ),
    calls("elasticloadbalancing", "CreateRule", &[("AWS::ElasticLoadBalancingV2::Listener", &["listenerArn"])]),
    calls(
        "elasticloadbalancing",
        "CreateLoadBalancer CreateLoadBalancerListeners ModifyLoadBalancerAttributes \
         SetLoadBalancerPoliciesOfListener",
        &[
            ("AWS::ElasticLoadBalancingV2::LoadBalancer", &["loadBalancerArn", "<loadBalancers/*/loadBalancerArn"]),
            ("AWS::ElasticLoadBalancing::LoadBalancer", &["loadBalancerName"]),
        ],
    ),
    calls(
        "cloudfront",
        "CreateDistribution UpdateDistribution",
        &[("AWS::CloudFront::Distribution", &["id", "<distribution/id"])],
    ),
    calls(
        "apigateway",
        "CreateDeployment CreateStage UpdateStage",
        &[
            ("AWS::ApiGateway::Stage", &["stageName", "createStageInput/stageName", "createDeploymentInput/stageName"]),
            ("AWS::ApiGateway::RestApi", &["restApiId", "apiId"]),
        ],
    ),
    calls(
        "apigateway",
        "CreateDomainName UpdateDomainName",
        &[("AWS::ApiGateway::DomainName", &["domainName", "createDomainNameInput/domainName"])],
    ),
    calls(
        "sns",
        "AddPermission CreateTopic DeleteTopic SetTopicAttributes",
        &[("AWS::SNS::Topic", &["topicArn", "<topicArn", "name"])],
    ),
    calls("sns", "SetSubscriptionAttributes Unsubscribe", &[("AWS::SNS::Subscription", &["subscriptionArn"])]),
    calls(
        "sqs",
        "AddPermission CreateQueue SetQueueAttributes",
        &[("AWS::SQS::Queue", &["queueUrl", "<queueUrl", "queueName"])],
    ),
    calls("kinesis", "CreateStream StopStreamEncryption", &[("AWS::Kinesis::Stream", &["streamName", "streamARN"])]),
    calls(
        "ecr",
        "CreateRepository PutImageScanningConfiguration PutImageTagMutability SetRepositoryPolicy",
        &[("AWS::ECR::Repository", &["repositoryName"])],
    ),
    calls(
        "ecs",
        "RegisterTaskDefinition",
        &[("AWS::ECS::TaskDefinition", &["<taskDefinition/taskDefinitionArn", "family"])],
    ),
    calls("eks", "CreateCluster DeleteAddon UpdateClusterConfig", &[("AWS::EKS::Cluster", &["clusterName", "name"])]),
    calls(
        "elasticbeanstalk",
        "UpdateEnvironment",
        &[("AWS::ElasticBeanstalk::Environment", &["environmentName", "environmentId", "<environmentName"])],
    ),
    settings("elasticmapreduce", "PutBlockPublicAccessConfiguration", &[]),
    calls("elasticmapreduce", "RunJobFlow", &[("AWS::EMR::Cluster", &["<jobFlowId"])]),
    calls(
        "cloudformation",
        "DeleteStack ExecuteChangeSet UpdateStack",
        &[("AWS::CloudFormation::Stack", &["stackName"])],
    ),
    calls("codebuild", "CreateProject UpdateProject", &[("AWS::CodeBuild::Project", &["name"])]),
    calls("dms", "CreateReplicationInstance", &[("AWS::DMS::ReplicationInstance", &["replicationInstanceIdentifier"])]),
    calls(
        "es",
        "CreateDomain CreateElasticsearchDomain UpdateDomainConfig UpdateElasticsearchDomainConfig",
        &[("AWS::OpenSearchService::Domain", &["domainName"])],
    ),
    calls(
        "redshift",
        "CreateCluster DisableLogging ModifyCluster",
        &[("AWS::Redshift::Cluster", &["clusterIdentifier"])],
    ),
    calls(
        "redshift",
        "ModifyClusterParameterGroup",
        &[("AWS::Redshift::ClusterParameterGroup", &["parameterGroupName"])],
    ),
    calls(
        "elasticache",
        "CreateReplicationGroup ModifyReplicationGroup",
        &[("AWS::ElastiCache::ReplicationGroup", &["replicationGroupId"])],
    ),
    calls("sagemaker", "CreateNotebookInstance", &[("AWS::SageMaker::NotebookInstance", &["notebookInstanceName"])]),
    calls("sagemaker", "CreateEndpointConfig", &[("AWS::SageMaker::EndpointConfig", &["endpointConfigName"])]),
    calls("ssm", "ModifyDocumentPermission", &[("AWS::SSM::Document", &["name"])]),
    settings("ssm", "UpdateServiceSetting", &[]),
    calls("glacier", "SetVaultAccessPolicy", &[("AWS::Glacier::Vault", &["vaultName"])]),
    calls("codeartifact", "PutPackageOriginConfiguration", &[("AWS::CodeArtifact::Repository", &["repository"])]),
    calls(
        "organizations",
        "AttachPolicy CreatePolicy UpdatePolicy",
        &[("AWS::Organizations::Policy", &["policyId", "<policy/policySummary/id"])],
    ),
    settings("organizations", "LeaveOrganization", &[]),
];

/// Where calls of a service that are in no row above most often name what they are about: service, path, type.
const OBVIOUS: &[(&str, &str, &str)] = &[
    ("s3", "bucketName", "AWS::S3::Bucket"),
    ("iam", "userName", "AWS::IAM::User"),
    ("iam", "roleName", "AWS::IAM::Role"),
    ("iam", "groupName", "AWS::IAM::Group"),
    ("iam", "policyArn", "AWS::IAM::Policy"),
    ("lambda", "functionName", "AWS::Lambda::Function"),
    ("kms", "keyId", "AWS::KMS::Key"),
    ("ec2", "groupId", "AWS::EC2::SecurityGroup"),
    ("ec2", "instanceId", "AWS::EC2::Instance"),
    ("ec2", "instancesSet/*/instanceId", "AWS::EC2::Instance"),
    ("ec2", "imageId", "AWS::EC2::Image"),
    ("ec2", "snapshotId", "AWS::EC2::Snapshot"),
    ("ec2", "volumeId", "AWS::EC2::Volume"),
    ("ec2", "vpcId", "AWS::EC2::VPC"),
    ("ec2", "networkAclId", "AWS::EC2::NetworkAcl"),
    ("ec2", "routeTableId", "AWS::EC2::RouteTable"),
    ("cloudtrail", "name", "AWS::CloudTrail::Trail"),
    ("cloudtrail", "trailName", "AWS::CloudTrail::Trail"),
    ("rds", "dBInstanceIdentifier", "AWS::RDS::DBInstance"),
    ("rds", "dBClusterIdentifier", "AWS::RDS::DBCluster"),
    ("rds", "dBSnapshotIdentifier", "AWS::RDS::DBSnapshot"),
    ("dynamodb", "tableName", "AWS::DynamoDB::Table"),
    ("secretsmanager", "secretId", "AWS::SecretsManager::Secret"),
    ("sns", "topicArn", "AWS::SNS::Topic"),
    ("sqs", "queueUrl", "AWS::SQS::Queue"),
    ("logs", "logGroupName", "AWS::Logs::LogGroup"),
    ("ecr", "repositoryName", "AWS::ECR::Repository"),
    ("guardduty", "detectorId", "AWS::GuardDuty::Detector"),
    ("es", "domainName", "AWS::OpenSearchService::Domain"),
    ("redshift", "clusterIdentifier", "AWS::Redshift::Cluster"),
    ("events", "rule", "AWS::Events::Rule"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_in_one_row_and_every_row_leads_somewhere() {
        let mut all = std::collections::BTreeSet::new();
        for calls in CALLS {
            let names: Vec<&str> = calls.names.split_whitespace().collect();
            assert!(names.is_sorted() && !names.is_empty(), "{}", calls.names);
            for name in names {
                assert!(all.insert((calls.service, name)), "{} {name} is there twice", calls.service);
                assert!(find(&format!("{}.amazonaws.com", calls.service), name).is_some());
            }
            assert!(calls.account || !calls.at.is_empty(), "{}", calls.names);
            for (kind, paths) in calls.at {
                assert!(
                    !paths.is_empty() && (kind.is_empty() || *kind == "EC2" || kind.starts_with("AWS::")),
                    "{kind}"
                );
            }
        }
        assert!(find("s3.amazonaws.com.example", "CreateBucket").is_none() && find("s3", "CreateBucket").is_none());
        assert!(find("ec2.amazonaws.com", "CreateBucket").is_none(), "a call of one service is none of another's");
    }
}
