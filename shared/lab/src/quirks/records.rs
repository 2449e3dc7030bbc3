//! What is told to AWS Config and Security Hub.

use super::{Act, Quirk};

pub(super) const EVALUATIONS: Quirk = Quirk {
    id: "put-evaluations",
    aws: "PutEvaluations takes up to 100 evaluations for a result token and keeps them, unless TestMode is on.",
    moto: "Has TestMode alone, and keeps nothing.",
    source: "https://docs.aws.amazon.com/config/latest/APIReference/API_PutEvaluations.html",
    act: Act::Inside("config"),
};

pub(super) const FINDINGS: Quirk = Quirk {
    id: "batch-update-findings",
    aws: "BatchUpdateFindings and BatchUpdateFindingsV2 update up to 100 findings and say which they could not.",
    moto: "Has neither.",
    source: "https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchUpdateFindings.html",
    act: Act::Inside("securityhub"),
};

pub(super) const IMPORTED: Quirk = Quirk {
    id: "batch-import-findings",
    aws: "BatchImportFindings takes up to 100 findings of the account's own product, and refuses each that lacks an \
          attribute that the format requires; what an analyst set stays.",
    moto: "Requires resources alone, of any product, and writes over what an analyst set.",
    source: "https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchImportFindings.html",
    act: Act::Inside("securityhub"),
};
