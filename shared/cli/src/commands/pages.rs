//! The controls' pages, as their own code has them. Here and not with the catalogue, which the undo function carries too.

macro_rules! pages {
    ($($id:literal),* $(,)?) => {
        &[$(($id, include_str!(concat!("../../../../docs/controls/", $id, ".md")))),*]
    };
}

const PAGES: &[(&str, &str)] = pages![
    "ebs-unencrypted-default",
    "ec2-default-security-group",
    "ec2-open-security-group",
    "ec2-quarantine-security-group",
    "iam-exposed-access-key",
    "iam-stale-access-key",
    "s3-public-account",
    "s3-public-acl",
    "s3-public-bucket",
    "s3-public-policy",
    "s3-weak-encryption",
    "suture-tampering",
];

/// A control's page, in Markdown; none if there is no such control.
pub fn page(id: &str) -> Option<&'static str> {
    PAGES.iter().find(|(known, _)| *known == id).map(|(_, page)| *page)
}
