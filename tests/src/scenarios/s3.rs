//! Drift of buckets and of the account's public access block.

use super::{Drift, Scenario};
use crate::s3::{about, open_bucket, quietly, settings, website};
use http::Method;

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
                let bucket = website(lab).await;
                let tags =
                    "<Tagging><TagSet><Tag><Key>data-classification</Key><Value>phi</Value></Tag></TagSet></Tagging>";
                quietly(lab, Method::PUT, &format!("/{bucket}?tagging"), tags).await;
                closed(bucket)
            })
        },
    },
];

fn closed(bucket: String) -> Drift {
    Drift {
        event: about("delete-public-access-block", &bucket),
        mended: Box::new(move |lab| {
            let bucket = bucket.clone();
            Box::pin(async move { settings(lab, &bucket).await.is_some_and(|on| on.len() == 4) })
        }),
    }
}
