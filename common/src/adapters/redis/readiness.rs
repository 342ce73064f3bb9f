//! Whether a server may be used as it is set up, judged by `INFO` alone: `CONFIG` is often refused.

use std::collections::HashMap;
use std::fmt;

use crate::adapters::redis::settings::Durability;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Or what is wrong and what to do.
    pub ready: Result<(), String>,
    pub guarantee: Guarantee,
    pub warnings: Vec<String>,
    /// Its version, if it tells.
    pub server: Option<String>,
}

/// What stands behind a barrier, strongest first. Each with the number of replicas that must have it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// The server says that it is on disk, here and there.
    WaitAof { replicas: u8 },
    /// Every write is on disk here before it is answered.
    FsyncAlways { replicas: u8 },
    /// It was written, the server has synced its file since, and it is still there.
    FsyncWait { replicas: u8 },
    /// The same, with a server that does not tell whether it keeps anything on disk.
    Unknown { replicas: u8 },
    /// The server keeps nothing on disk.
    Nothing { replicas: u8 },
}

/// What `INFO` told. What it did not tell is unknown.
pub(super) struct Facts(HashMap<String, String>);

/// `XTRIM … MINID` and exclusive ranges of streams.
const VERSION_MIN: (u32, u32) = (6, 2);

/// Judges what is known; what is not known is a warning.
pub(super) fn judge(facts: &Facts, guarantee: Guarantee, durability: Durability) -> Readiness {
    let (mut wrong, mut warnings) = (Vec::new(), Vec::new());
    let forgetful = if durability == Durability::Waived { &mut warnings } else { &mut wrong };
    match facts.get("maxmemory_policy") {
        Some("noeviction") => {}
        Some(policy) => forgetful.push(format!(
            "the server drops keys when its memory is full (maxmemory-policy {policy}): set maxmemory-policy noeviction"
        )),
        None => {}
    }
    if facts.keeps_on_disk() == Some(false) {
        forgetful.push("the server keeps nothing on disk (appendonly no): set appendonly yes".into());
    }
    if let Some(status) = facts.get("aof_last_write_status").filter(|status| *status != "ok") {
        wrong.push(format!("the server cannot write its append-only file ({status}): make room on its disk"));
    }
    if facts.get("role") == Some("slave") {
        wrong.push("the server is a replica: give the address of the primary, or of the sentinels".into());
    }
    if let Some(version) = facts.version().filter(|version| *version < VERSION_MIN) {
        wrong.push(format!("the server is Redis {}.{}: use 6.2 or newer", version.0, version.1));
    }
    warnings.extend(unknown(facts));
    warnings.extend(weak(guarantee, facts));
    let ready = if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) };
    Readiness { ready, guarantee, warnings, server: facts.get("redis_version").map(str::to_owned) }
}

fn unknown(facts: &Facts) -> Option<String> {
    let wanted = ["maxmemory_policy", "aof_enabled", "role", "redis_version"];
    let missing: Vec<&str> = wanted.into_iter().filter(|name| facts.get(name).is_none()).collect();
    (!missing.is_empty()).then(|| format!("the server does not tell its {}: make sure of it", missing.join(", ")))
}

fn weak(guarantee: Guarantee, facts: &Facts) -> Vec<String> {
    let mut warnings = Vec::new();
    if !matches!(guarantee, Guarantee::WaitAof { .. } | Guarantee::FsyncAlways { .. }) {
        warnings.push(format!("barriers are weak: {guarantee}; use Redis 7.2 or newer, or appendfsync always"));
    }
    let connected = facts.get("connected_slaves").and_then(|count| count.parse::<u8>().ok());
    if let Some(connected) = connected.filter(|connected| *connected < guarantee.replicas()) {
        let wanted = guarantee.replicas();
        warnings.push(format!("{connected} of {wanted} replicas are connected: no barrier can be passed"));
    }
    warnings
}

impl Guarantee {
    fn replicas(self) -> u8 {
        match self {
            Self::WaitAof { replicas }
            | Self::FsyncAlways { replicas }
            | Self::FsyncWait { replicas }
            | Self::Unknown { replicas }
            | Self::Nothing { replicas } => replicas,
        }
    }
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WaitAof { .. } => "on disk as the server tells (WAITAOF)",
            Self::FsyncAlways { .. } => "on disk before every answer (appendfsync always)",
            Self::FsyncWait { .. } => "on disk after the next fsync (appendfsync everysec)",
            Self::Unknown { .. } => "unknown: the server does not tell how it keeps its data",
            Self::Nothing { .. } => "nothing is kept on disk",
        })?;
        match (self, self.replicas()) {
            (_, 0) => Ok(()),
            (Self::WaitAof { .. }, replicas) => write!(f, ", and on that of {replicas} replicas"),
            (_, replicas) => write!(f, ", and in the memory of {replicas} replicas"),
        }
    }
}

impl Facts {
    pub(super) fn of(info: &str) -> Self {
        let pairs = info.lines().filter_map(|line| line.trim_end().split_once(':'));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    pub(super) fn keeps_on_disk(&self) -> Option<bool> {
        self.get("aof_enabled").map(|enabled| enabled == "1")
    }

    /// Whether it is handing its append-only file over to the disk.
    pub(super) fn syncs(&self) -> bool {
        self.get("aof_pending_bio_fsync").is_some_and(|pending| pending != "0")
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn version(&self) -> Option<(u32, u32)> {
        let mut parts = self.get("redis_version")?.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# Server\r\nredis_version:7.2.4\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n\
                        aof_last_write_status:ok\r\nrole:master\r\nconnected_slaves:1\r\n";
    const STRONG: Guarantee = Guarantee::WaitAof { replicas: 1 };

    fn of(changed: (&str, &str), durability: Durability) -> Readiness {
        judge(&Facts::of(&GOOD.replace(changed.0, changed.1)), STRONG, durability)
    }

    #[test]
    fn a_server_that_forgets_is_refused_unless_that_is_wanted() {
        assert_eq!(
            of(("", ""), Durability::Required),
            Readiness { ready: Ok(()), guarantee: STRONG, warnings: Vec::new(), server: Some("7.2.4".to_owned()) }
        );
        for changed in [("noeviction", "allkeys-lru"), ("aof_enabled:1", "aof_enabled:0")] {
            let why = of(changed, Durability::Required).ready.unwrap_err();
            assert!(why.contains(": set "), "{why}");
            let waived = of(changed, Durability::Waived);
            assert!(waived.ready.is_ok() && waived.warnings[0].contains(": set "), "{waived:?}");
        }
    }

    #[test]
    fn what_no_setting_excuses_is_refused_always() {
        for changed in [("status:ok", "status:err"), ("role:master", "role:slave"), ("version:7.2", "version:6.0")] {
            assert!(of(changed, Durability::Waived).ready.is_err(), "{changed:?}");
        }
    }

    #[test]
    fn what_is_not_known_and_what_is_weak_is_a_warning() {
        let silent = judge(&Facts::of(""), Guarantee::Unknown { replicas: 0 }, Durability::Required);
        assert_eq!(silent.ready, Ok(()));
        assert_eq!(silent.warnings.len(), 2);
        assert_eq!(of(("slaves:1", "slaves:0"), Durability::Required).warnings.len(), 1);
    }
}
