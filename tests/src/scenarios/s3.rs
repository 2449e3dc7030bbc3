//! Drift of buckets and of the account's public access block.

use super::{Drift, Scenario};
use crate::s3::{
    ALL_USERS, AUTHENTICATED_USERS, LOG_DELIVERY, PHI, WEBSITE, about, account_block, account_settings, acl, bucket,
    bucket_with_acls, encryption, encryption_with, event_about, grants, key, no_buckets, open_bucket, owner, policy,
    policy_of, public_policy, quietly, reads, settings, website,
};
use crate::{HOME, OTHER_ACCOUNT, event, fresh};
use http::Method;
use lab::Lab;
use serde_json::{Value, json};

/// They.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        control: "s3-public-bucket",
        name: "a bucket without a public access block",
        drift: |lab| {
            Box::pin(async {
                let bucket = open_bucket(lab, "scans").await;
                closed(bucket)
            })
        },
    },
    Scenario {
        control: "s3-public-bucket",
        name: "a public website that holds health data",
        drift: |lab| {
            Box::pin(async {
                let bucket = phi_website(lab).await;
                closed(bucket)
            })
        },
    },
    Scenario {
        control: "s3-public-policy",
        name: "a public statement among others",
        drift: |lab| {
            Box::pin(async {
                let bucket = open_bucket(lab, "scans").await;
                let partner = json!({"AWS": format!("arn:aws:iam::{OTHER_ACCOUNT}:root")});
                let named = reads("Partner", &partner, &bucket);
                let text = policy_of(&[reads("Viewer", &json!("*"), &bucket), named.clone()]);
                quietly(lab, Method::PUT, &format!("/{bucket}?policy"), &text).await;
                without(bucket, Some(policy_of(&[named])))
            })
        },
    },
    Scenario {
        control: "s3-public-policy",
        name: "a public website that holds health data, with nothing else in its policy",
        drift: |lab| Box::pin(async { without(phi_website(lab).await, None) }),
    },
    Scenario {
        control: "s3-public-acl",
        name: "an ACL that lets everybody list a website that holds health data",
        drift: |lab| {
            Box::pin(async {
                let bucket = bucket_with_acls(lab, "website").await;
                quietly(lab, Method::PUT, &format!("/{bucket}?website"), WEBSITE).await;
                quietly(lab, Method::PUT, &format!("/{bucket}?tagging"), PHI).await;
                granting(lab, bucket, &[(ALL_USERS, "READ")]).await
            })
        },
    },
    Scenario {
        control: "s3-public-acl",
        name: "public grants beside S3's log delivery",
        drift: |lab| {
            Box::pin(async {
                let bucket = bucket_with_acls(lab, "logs").await;
                let grants = [
                    (AUTHENTICATED_USERS, "WRITE"),
                    (LOG_DELIVERY, "READ_ACP"),
                    (ALL_USERS, "READ_ACP"),
                    (LOG_DELIVERY, "WRITE"),
                ];
                granting(lab, bucket, &grants).await
            })
        },
    },
    Scenario {
        control: "s3-public-account",
        name: "an account without a block, with a website that holds health data",
        drift: |lab| {
            Box::pin(async {
                no_buckets(lab).await;
                account_block(lab, None).await;
                // Its policy is not what opens it, so its ACLs have to be asked about.
                let website = open_bucket(lab, "website").await;
                quietly(lab, Method::PUT, &format!("/{website}?website"), WEBSITE).await;
                quietly(lab, Method::PUT, &format!("/{website}?tagging"), PHI).await;
                bucket(lab, "closed").await;
                whole()
            })
        },
    },
    Scenario {
        control: "s3-public-account",
        name: "an account's block with half of it off, and a public bucket",
        drift: |lab| {
            Box::pin(async {
                no_buckets(lab).await;
                account_block(lab, None).await;
                let open = open_bucket(lab, "open").await;
                quietly(lab, Method::PUT, &format!("/{open}?policy"), &public_policy(&open)).await;
                account_block(lab, Some(&["BlockPublicAcls", "IgnorePublicAcls"])).await;
                whole()
            })
        },
    },
    Scenario {
        control: "s3-weak-encryption",
        name: "SSE-S3 where a key of the account's is wanted",
        drift: |lab| {
            Box::pin(async {
                let key = key(lab).await;
                wants(lab, &json!({"keys": format!("us-east-1={key}")}));
                encrypted(bucket(lab, "scans").await, "aws:kms", Some(key))
            })
        },
    },
    Scenario {
        control: "s3-weak-encryption",
        name: "SSE-KMS with a key's alias where two layers are wanted",
        drift: |lab| {
            Box::pin(async {
                let (key, bucket, alias) = (key(lab).await, bucket(lab, "scans").await, fresh("alias/phi"));
                let named = json!({"AliasName": alias, "TargetKeyId": key});
                lab.quiet_client(HOME).must_json("kms", "CreateAlias", &named).await.unwrap();
                wants(lab, &json!({"algorithm": "aws:kms:dsse"}));
                let body = encryption_with("aws:kms", Some(&alias));
                quietly(lab, Method::PUT, &format!("/{bucket}?encryption"), &body).await;
                encrypted(bucket, "aws:kms:dsse", Some(key))
            })
        },
    },
];

/// A website that everybody reads and that is tagged as holding health data.
async fn phi_website(lab: &Lab) -> String {
    let bucket = website(lab).await;
    quietly(lab, Method::PUT, &format!("/{bucket}?tagging"), PHI).await;
    bucket
}

fn closed(bucket: String) -> Drift {
    Drift {
        event: about("delete-public-access-block", &bucket),
        mended: Box::new(move |lab| {
            let bucket = bucket.clone();
            Box::pin(async move { settings(lab, &bucket).await.is_some_and(|on| on.len() == 4) })
        }),
    }
}

/// A bucket whose policy ought to be this.
fn without(bucket: String, rest: Option<String>) -> Drift {
    Drift {
        event: event_about("s3-public-policy", "put-bucket-policy", &bucket),
        mended: Box::new(move |lab| {
            let (bucket, rest) = (bucket.clone(), rest.clone());
            Box::pin(async move { policy(lab, &bucket).await == rest })
        }),
    }
}

/// A bucket with these grants, of which those that are not public ought to stay.
async fn granting(lab: &Lab, bucket: String, given: &[(&str, &str)]) -> Drift {
    let owner = owner(lab, &bucket).await;
    quietly(lab, Method::PUT, &format!("/{bucket}?acl"), &acl(&owner, given)).await;
    let stays = given.iter().filter(|(to, _)| *to != ALL_USERS && *to != AUTHENTICATED_USERS);
    let mut stays: Vec<_> = stays.map(|(to, what)| ((*to).to_owned(), (*what).to_owned())).collect();
    stays.sort();
    Drift {
        event: event_about("s3-public-acl", "put-bucket-acl", &bucket),
        mended: Box::new(move |lab| {
            let (bucket, stays) = (bucket.clone(), stays.clone());
            Box::pin(async move { grants(lab, &bucket).await == stays })
        }),
    }
}

/// The account, whose block ought to be whole.
fn whole() -> Drift {
    Drift {
        event: event("s3-public-account", "delete-account-public-access-block"),
        mended: Box::new(|lab| Box::pin(async { account_settings(lab).await.is_some_and(|on| on.len() == 4) })),
    }
}

/// Deploys s3-weak-encryption with these parameters, as an update of the stack does.
fn wants(lab: &Lab, parameters: &Value) {
    lab.set("s3-weak-encryption", &[("SUTURE_PARAMETERS", &parameters.to_string())]).unwrap();
}

/// A bucket that ought to be encrypted so by default.
fn encrypted(bucket: String, algorithm: &'static str, key: Option<String>) -> Drift {
    Drift {
        event: event_about("s3-weak-encryption", "put-bucket-encryption", &bucket),
        mended: Box::new(move |lab| {
            let (bucket, key) = (bucket.clone(), key.clone());
            Box::pin(async move {
                let shown = encryption(lab, &bucket).await.unwrap_or_default();
                shown.contains(&format!("<SSEAlgorithm>{algorithm}</SSEAlgorithm>"))
                    && key.is_none_or(|key| shown.contains(&format!("<KMSMasterKeyID>{key}</KMSMasterKeyID>")))
                    // What the write must not lose.
                    && shown.contains("SSE-C")
            })
        }),
    }
}
