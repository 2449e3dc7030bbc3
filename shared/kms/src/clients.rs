//! KMS, region by region: a key is known in its own alone.

use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use remediation::Region;
use std::cell::RefCell;
use std::collections::HashMap;

/// KMS, one client for each region that was needed so far; they share connections.
#[derive(Debug)]
pub struct Clients {
    sdk: SdkConfig,
    clients: RefCell<HashMap<Region, Client>>,
}

impl Clients {
    /// KMS as this configuration reaches it. No call is made yet.
    pub fn new(sdk: &SdkConfig) -> Self {
        Self { sdk: sdk.clone(), clients: RefCell::default() }
    }

    /// The client for a region.
    pub fn at(&self, region: &Region) -> Client {
        let mut clients = self.clients.borrow_mut();
        let connect = || {
            let region = aws_sdk_kms::config::Region::new(region.to_string());
            Client::from_conf(aws_sdk_kms::config::Builder::from(&self.sdk).region(region).build())
        };
        clients.entry(region.clone()).or_insert_with(connect).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use remediation::testing::{Fake, ok};

    #[tokio::test]
    async fn a_client_for_each_region() {
        let fake = Fake::new(|_| ok("{}"));
        let clients = Clients::new(&fake.sdk());
        for region in ["us-west-2", "eu-west-1", "us-west-2"] {
            let client = clients.at(&Region::parse(region).unwrap());
            client.describe_key().key_id("x").send().await.unwrap();
        }
        let hosts: Vec<String> = fake.sent().into_iter().map(|sent| sent.host).collect();
        let host = |region: &str| format!("kms.{region}.amazonaws.com");
        assert_eq!(hosts, [host("us-west-2"), host("eu-west-1"), host("us-west-2")]);
        assert_eq!(clients.clients.borrow().len(), 2);
    }
}
