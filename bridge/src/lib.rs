//! From queues of Alibaba's MNS to the broker: what OSS tells there becomes notices that coordinators look into.

/// The queues of a bridge, each with its pump.
pub mod bridge;
mod mns;
mod observe;
mod pump;
