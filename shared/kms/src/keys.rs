//! A key for each region, as an operator sets them.

use crate::KeyArn;
use remediation::{Region, shown};
use serde::Deserialize;

/// A key for each region: `us-east-1=arn:aws:kms:us-east-1:…:key/…,eu-west-1=…`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Keys(Vec<KeyArn>);

impl Keys {
    /// The key of a region, if one is set.
    pub fn of(&self, region: &Region) -> Option<&KeyArn> {
        self.0.iter().find(|key| key.region() == region)
    }
}

impl TryFrom<String> for Keys {
    type Error = String;
    /// What is wrong with a pair is said when the function starts: a key that does not fit its region never would, and EC2
    /// itself looks at a key only after it has said yes.
    fn try_from(text: String) -> Result<Self, String> {
        let mut keys = Self::default();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let Some((region, key)) = pair.split_once('=') else {
                return Err(format!("{} is not like us-east-1=arn:aws:kms:us-east-1:…:key/…", shown(pair)));
            };
            let (region, key) = (Region::parse(region.trim())?, KeyArn::parse(key.trim())?);
            if key.region() != &region {
                return Err(format!("the key for {region} is in {}: a key serves its own region alone", key.region()));
            }
            if keys.of(&region).is_some() {
                return Err(format!("{region} has two keys"));
            }
            keys.0.push(key);
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn a_key_for_each_region() {
        let keys = |text: &str| Keys::try_from(text.to_owned());
        let region = |text| Region::parse(text).unwrap();
        let both = format!("us-east-1={KEY}, eu-west-1={},", KEY.replace("us-east-1", "eu-west-1"));
        let both = keys(&both).unwrap();
        assert_eq!(both.of(&region("us-east-1")).unwrap().as_str(), KEY);
        assert!(both.of(&region("eu-west-1")).is_some() && both.of(&region("eu-west-2")).is_none());
        assert_eq!(keys("").unwrap(), Keys::default());
        for (bad, says) in [
            (format!("eu-west-1={KEY}"), "its own region alone"),
            (format!("us-east-1={KEY},us-east-1={KEY}"), "two keys"),
            (KEY.to_owned(), "is not like us-east-1=arn"),
            ("us-east-1=alias/phi".to_owned(), "is not the ARN of a KMS key"),
            (format!("everywhere={KEY}"), "is not a region code"),
        ] {
            let error = keys(&bad).unwrap_err();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }
}
