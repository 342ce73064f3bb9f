//! Three filters over one another; of their answers the strictest counts.
//!
//! ```text
//!  a call ─▶ ALLOWED?   no ─▶ ENOSYS   as an older kernel would answer: libraries know what to do then
//!         ─▶ REFUSED?  yes ─▶ EPERM    libraries may try it and go on without
//!         ─▶ DEADLY?   yes ─▶ SIGSYS   no media work has a use for it, whoever calls it has taken over
//! ```

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::calls::{
    ALLOWED, ALLOWED_OLDER, Asked, DEADLY, DEADLY_OLDER, REFUSED, REFUSED_OLDER, allowed_if, refused_if,
};

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// For this thread and those that it begins.
pub(crate) fn apply() -> Result<(), String> {
    let programs = programs().map_err(|e| format!("the filter is wrong: {e}"))?;
    programs.iter().try_for_each(|program| seccompiler::apply_filter(program).map_err(|e| e.to_string()))
}

/// In the order in which they are put on: of two errors the newest filter's is answered.
fn programs() -> Result<[BpfProgram; 3], seccompiler::BackendError> {
    let errno = |errno: i32| SeccompAction::Errno(errno.unsigned_abs());
    let allowed = rules(&[ALLOWED, ALLOWED_OLDER], allowed_if())?;
    let refused = rules(&[REFUSED, REFUSED_OLDER], refused_if())?;
    let deadly = rules(&[DEADLY, DEADLY_OLDER], Vec::new())?;
    Ok([
        program(allowed, (SeccompAction::Allow, errno(libc::ENOSYS)))?,
        program(refused, (errno(libc::EPERM), SeccompAction::Allow))?,
        program(deadly, (SeccompAction::KillProcess, SeccompAction::Allow))?,
    ])
}

fn program(
    rules: Rules,
    (listed, others): (SeccompAction, SeccompAction),
) -> Result<BpfProgram, seccompiler::BackendError> {
    SeccompFilter::new(rules, others, listed, std::env::consts::ARCH.try_into()?)?.try_into()
}

fn rules(always: &[&[c_long]], sometimes: Vec<(c_long, Vec<Asked>)>) -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = always.iter().flat_map(|calls| calls.iter()).map(|call| (*call, Vec::new())).collect();
    for (call, asked) in sometimes {
        let conditions = asked.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
        rules.entry(call).or_default().push(SeccompRule::new(conditions)?);
    }
    Ok(rules)
}

fn condition(asked: &Asked) -> Result<SeccompCondition, seccompiler::BackendError> {
    use SeccompCmpArgLen::{Dword, Qword};
    match *asked {
        Asked::Is(argument, value) => SeccompCondition::new(argument, Dword, SeccompCmpOp::Eq, value),
        Asked::IsNot(argument, value) => SeccompCondition::new(argument, Dword, SeccompCmpOp::Ne, value),
        Asked::Has(argument, mask, value) => {
            SeccompCondition::new(argument, Dword, SeccompCmpOp::MaskedEq(mask), value)
        }
        Asked::IsNull(argument) => SeccompCondition::new(argument, Qword, SeccompCmpOp::Eq, 0),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_filters_are_well_formed_and_no_call_is_in_two_of_them() {
        assert!(programs().unwrap().iter().all(|program| program.len() < 4096), "the kernel's bound");
        let set = |lists: [&[c_long]; 2]| lists.concat().into_iter().collect::<BTreeSet<c_long>>();
        let (allowed, refused) = (set([ALLOWED, ALLOWED_OLDER]), set([REFUSED, REFUSED_OLDER]));
        let deadly = set([DEADLY, DEADLY_OLDER]);
        assert!(allowed.is_disjoint(&refused) && allowed.is_disjoint(&deadly) && refused.is_disjoint(&deadly));
        // An empty list of rules means always: a condition beside it would not count.
        assert!(allowed_if().iter().all(|(call, _)| !allowed.contains(call)));
        assert!(refused_if().iter().all(|(call, _)| !refused.contains(call) && !deadly.contains(call)));
        // Whom a descriptor's signals go to, and which: so a process could be killed past every other rule.
        let (set_owner, set_signal, set_owner_ex) = (8, 10, 15);
        let asked = allowed_if().into_iter().filter(|(call, _)| *call == libc::SYS_fcntl);
        let asked: Vec<Asked> = asked.flat_map(|(_, asked)| asked).collect();
        assert!(
            !asked.is_empty()
                && [set_owner, set_signal, set_owner_ex].iter().all(|command| !asked.contains(&Asked::Is(1, *command))),
            "{asked:?}"
        );
    }
}
