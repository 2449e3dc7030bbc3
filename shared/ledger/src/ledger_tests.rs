//! The ledger in memory: what its conditions keep apart.
