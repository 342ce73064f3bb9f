//! The jail of the media child: what the process that opens untrusted films may still do. It says `landlock` and
//! `seccompiler`, and nobody else does.

/// Into the jail, and what of it this kernel has.
pub mod jail;
/// What a child may read and write.
pub mod places;

mod calls;
mod filters;
mod rights;
