//! The coordinator: takes jobs, plans them, watches over their tasks, joins and proves and publishes the result.

/// The stages of a job, pure.
pub mod flow;
