//! How fast the lab is: `cargo test -p lab --test services speed -- --ignored --nocapture`.

use crate::{of, shared};
use http::Method;
use lab::http::ApiResponse;
use serde_json::json;
use std::time::Instant;
use tokio::task::JoinSet;

/// Prints how many calls of each kind go through the gateway in a second, sixteen at a time, among ten thousand buckets,
/// users and security groups.
#[test]
#[ignore = "a measurement"]
fn calls_in_a_second() {
    shared(async |lab| {
        let account = "100000000099";
        let client = of(lab, account);
        let started = Instant::now();
        for what in ["s3/fill", "iam/fill", "ec2/fill"] {
            let wish = json!({ "account": account, "count": 10_000, "prefix": "speed", "open": true });
            lab.wish(what, wish).await.unwrap();
        }
        println!("30,000 made in {:.2?}", started.elapsed());
        for kind in ["bucket's block", "block put", "user's keys", "groups (a page of 1000)"] {
            let started = Instant::now();
            let calls: usize = if kind.starts_with("groups") { 20 } else { 1000 };
            let mut set: JoinSet<Result<ApiResponse, String>> = JoinSet::new();
            for number in 0..calls {
                if number >= 16 {
                    set.join_next().await.unwrap().unwrap().unwrap();
                }
                let client = client.clone();
                let name = format!("speed-{number:06}");
                set.spawn(async move {
                    let target = format!("/{name}?publicAccessBlock");
                    let block = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>";
                    match kind {
                        "bucket's block" => client.s3(Method::GET, &target, "").await,
                        "block put" => client.must(Method::PUT, &target, block).await,
                        "user's keys" => client.must_query("iam", "ListAccessKeys", &[("UserName", &name)]).await,
                        _ => client.must_query("ec2", "DescribeSecurityGroups", &[("MaxResults", "1000")]).await,
                    }
                });
            }
            while let Some(answer) = set.join_next().await {
                answer.unwrap().unwrap();
            }
            let rate = f64::from(u32::try_from(calls).unwrap()) / started.elapsed().as_secs_f64();
            println!("{kind}: {rate:.0} calls a second");
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", lab.process().unwrap())).unwrap();
        println!("moto: {}", status.lines().find(|line| line.starts_with("VmRSS")).unwrap());
    });
}
