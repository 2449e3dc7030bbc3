//! Public websites, which a control closes only when it is told to, and buckets that hold health data, which it always
//! closes. The settings are one template parameter each for all controls that have them.

use crate::{BucketName, found, is_tagged};
use aws_sdk_s3::Client;
use remediation::{Fault, Kind, Place, Setting};
use serde::{Deserialize, Serialize};

/// The setting `phi_tag` of a control.
pub const PHI_TAG: Setting = Setting {
    field: "phi_tag",
    parameter: "PhiTag",
    description: "The tag (key=value) that marks a bucket as holding health data. No setting exempts such a bucket.",
    // What a tag may hold, which leaves out quotes and backslashes: the value goes into JSON.
    // https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
    kind: Kind::Text("^[A-Za-z0-9 _.:/+@-]{1,128}=[A-Za-z0-9 _.:/+@=-]{0,256}$"),
    default: "data-classification=phi",
};

/// The setting `public_websites` of a control.
pub const PUBLIC_WEBSITES: Setting = Setting {
    field: "public_websites",
    parameter: "PublicWebsites",
    description: "A bucket that serves a website. refuse: leave it open and report it. close: close it like any other.",
    kind: Kind::Choice(&["refuse", "close"]),
    default: "refuse",
};

/// What to do about a bucket that serves a public website.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PublicWebsites {
    /// Refuse to close it, and say so.
    Refuse,
    /// Close it like any other bucket.
    Close,
}

/// Parameters of a control whose only choices are these two.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebsiteParameters {
    /// The tag, as `key=value`, of buckets that hold protected health information. No guard stands before closing them.
    pub phi_tag: String,
    /// What to do about a bucket that serves a public website.
    pub public_websites: PublicWebsites,
}

impl Default for WebsiteParameters {
    fn default() -> Self {
        Self { phi_tag: PHI_TAG.default.to_owned(), public_websites: PublicWebsites::Refuse }
    }
}

/// What there is to know of a bucket before a website in it is darkened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Website {
    /// The bucket is tagged as holding protected health information.
    pub phi: bool,
    /// The operator's choice about public websites.
    pub public_websites: PublicWebsites,
}

impl Website {
    /// Whether it must stay up unless somebody says otherwise.
    pub fn is_guarded(&self) -> bool {
        self.public_websites == PublicWebsites::Refuse && !self.phi
    }
}

/// The website that a bucket is set up as; none if it is none. Two calls one after the other for a website, otherwise one.
/// Needs `s3:GetBucketWebsite` and `s3:GetBucketTagging`.
pub async fn website(
    client: &Client,
    place: &Place<BucketName>,
    parameters: &WebsiteParameters,
) -> Result<Option<Website>, Fault> {
    let call = client.get_bucket_website().bucket(place.target.as_str()).expected_bucket_owner(place.account.as_str());
    if found(call.send().await, "s3:GetBucketWebsite", place)?.is_none() {
        return Ok(None);
    }
    let phi = is_tagged(client, place, &parameters.phi_tag).await?;
    Ok(Some(Website { phi, public_websites: parameters.public_websites }))
}
