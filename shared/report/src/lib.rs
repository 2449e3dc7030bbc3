//! What happened to an estate in a period, from ledger and evidence: the report that an auditor is handed.

pub mod model;
