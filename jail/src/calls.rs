//! System calls of media work, of what is refused to it, and of nobody honest.

use libc::c_long;
#[allow(clippy::wildcard_imports, reason = "a table of their names")]
use libc::*;

/// What an argument must be, by its place; of numbers the lower 32 bits count, as for the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Is(u8, u64),
    IsNot(u8, u64),
    /// Of the bits of a mask, exactly these.
    Has(u8, u64, u64),
    IsNull(u8),
}

pub(crate) const ALLOWED: &[c_long] = &[
    // memory
    SYS_brk,
    SYS_mmap,
    SYS_mprotect,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    SYS_mlock,
    SYS_mlock2,
    SYS_munlock,
    SYS_mincore,
    SYS_msync,
    SYS_membarrier,
    SYS_pkey_alloc,
    SYS_pkey_free,
    SYS_pkey_mprotect,
    SYS_mbind,
    SYS_get_mempolicy,
    SYS_set_mempolicy,
    // threads, and waiting for one another
    SYS_futex,
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_rseq,
    SYS_set_tid_address,
    SYS_gettid,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_sched_getattr,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_sched_get_priority_max,
    SYS_sched_get_priority_min,
    SYS_getcpu,
    SYS_exit,
    SYS_exit_group,
    SYS_wait4,
    SYS_waitid,
    // who and where this is
    SYS_getpid,
    SYS_getppid,
    SYS_getpgid,
    SYS_getsid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getresuid,
    SYS_getresgid,
    SYS_getgroups,
    SYS_getpriority,
    SYS_getrusage,
    SYS_uname,
    SYS_sysinfo,
    SYS_times,
    SYS_capget,
    SYS_getrandom,
    // more filters may come upon these
    SYS_seccomp,
    // time
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_getitimer,
    SYS_setitimer,
    SYS_timer_create,
    SYS_timer_settime,
    SYS_timer_gettime,
    SYS_timer_getoverrun,
    SYS_timer_delete,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    // signals to oneself
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigpending,
    SYS_rt_sigsuspend,
    SYS_rt_sigtimedwait,
    SYS_sigaltstack,
    SYS_signalfd4,
    SYS_restart_syscall,
    // descriptors
    SYS_close,
    SYS_close_range,
    SYS_dup,
    SYS_dup3,
    SYS_flock,
    SYS_pipe2,
    SYS_eventfd2,
    SYS_ppoll,
    SYS_pselect6,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_read,
    SYS_readv,
    SYS_pread64,
    SYS_preadv,
    SYS_preadv2,
    SYS_write,
    SYS_writev,
    SYS_pwrite64,
    SYS_pwritev,
    SYS_pwritev2,
    SYS_lseek,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fadvise64,
    SYS_readahead,
    SYS_copy_file_range,
    SYS_sendfile,
    SYS_splice,
    SYS_tee,
    SYS_fsync,
    SYS_fdatasync,
    // the one socket that it has been given
    SYS_recvfrom,
    SYS_shutdown,
    SYS_getsockopt,
    SYS_getsockname,
    SYS_getpeername,
    // files by name; Landlock says which
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_statfs,
    SYS_fstatfs,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_getcwd,
    SYS_chdir,
    SYS_fchdir,
    SYS_mkdirat,
    SYS_unlinkat,
    SYS_renameat2,
    SYS_umask,
];

/// Those of x86 that newer machines have in another form only.
#[cfg(target_arch = "x86_64")]
pub(crate) const ALLOWED_OLDER: &[c_long] = &[
    SYS_arch_prctl,
    SYS_time,
    SYS_alarm,
    SYS_pause,
    SYS_getpgrp,
    SYS_dup2,
    SYS_pipe,
    SYS_eventfd,
    SYS_poll,
    SYS_select,
    SYS_epoll_create,
    SYS_epoll_wait,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_getdents,
    SYS_mkdir,
    SYS_rmdir,
    SYS_unlink,
    SYS_rename,
    SYS_creat,
    SYS_getrlimit,
    SYS_setrlimit,
    SYS_renameat,
    SYS_sync_file_range,
];
/// glibc's `rename` is `renameat` there, for which the crate has no name, no more than for `sync_file_range`.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const ALLOWED_OLDER: &[c_long] = &[38, 84];

/// Refused plainly: libraries try some of it, and do without.
pub(crate) const REFUSED: &[c_long] = &[
    // networks, and other processes' sockets
    SYS_socket,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    SYS_sendmsg,
    SYS_sendmmsg,
    SYS_recvmsg,
    SYS_recvmmsg,
    // other programs
    SYS_execve,
    SYS_execveat,
    // other processes
    SYS_tkill,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_pidfd_open,
    SYS_pidfd_send_signal,
    SYS_pidfd_getfd,
    SYS_process_madvise,
    SYS_kcmp,
    SYS_migrate_pages,
    SYS_move_pages,
    SYS_sched_setattr,
    SYS_sched_setparam,
    SYS_sched_setscheduler,
    SYS_ioprio_set,
    SYS_shmget,
    SYS_shmat,
    SYS_shmctl,
    SYS_msgget,
    SYS_semget,
    SYS_mq_open,
    // memory that no bound of the child's counts
    SYS_memfd_create,
    // out of the parent's reach
    SYS_setsid,
    SYS_setpgid,
    // what Landlock does not look at: rights, owners, times and attributes of files, names without a path
    SYS_fchmod,
    SYS_fchmodat,
    SYS_fchown,
    SYS_fchownat,
    SYS_utimensat,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_fsetxattr,
    SYS_removexattr,
    SYS_lremovexattr,
    SYS_fremovexattr,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    SYS_truncate,
    SYS_linkat,
    SYS_symlinkat,
    SYS_mknodat,
    // other file systems, namespaces, identities
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsmount,
    SYS_mount_setattr,
    SYS_unshare,
    SYS_setns,
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setgroups,
    SYS_setfsuid,
    SYS_setfsgid,
    SYS_capset,
    SYS_personality,
];

#[cfg(target_arch = "x86_64")]
pub(crate) const REFUSED_OLDER: &[c_long] = &[
    SYS_fork,
    SYS_vfork,
    SYS_chmod,
    SYS_chown,
    SYS_lchown,
    SYS_utime,
    SYS_utimes,
    SYS_futimesat,
    SYS_link,
    SYS_symlink,
    SYS_mknod,
];
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const REFUSED_OLDER: &[c_long] = &[];

/// Into other processes or into the kernel, and long behind most ways out of jails.
pub(crate) const DEADLY: &[c_long] = &[
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
];

#[cfg(target_arch = "x86_64")]
pub(crate) const DEADLY_OLDER: &[c_long] = &[SYS_kexec_file_load, SYS_iopl, SYS_ioperm];
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const DEADLY_OLDER: &[c_long] = &[];

/// What is asked of descriptors. Not whom their signals go to: that reaches other processes.
const FCNTLS: [c_int; 14] = [
    F_DUPFD,
    F_DUPFD_CLOEXEC,
    F_GETFD,
    F_SETFD,
    F_GETFL,
    F_SETFL,
    F_GETLK,
    F_SETLK,
    F_SETLKW,
    F_OFD_GETLK,
    F_OFD_SETLK,
    F_OFD_SETLKW,
    F_GETPIPE_SZ,
    F_SETPIPE_SZ,
];
/// Nothing of terminals, interfaces, file systems or devices.
const IOCTLS: [Ioctl; 6] = [TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX];
/// Programs for the kernel to run on what comes.
const FILTERS: [c_int; 4] = [SO_ATTACH_FILTER, SO_ATTACH_BPF, SO_ATTACH_REUSEPORT_CBPF, SO_ATTACH_REUSEPORT_EBPF];
const NAMESPACES: c_int =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

/// Allowed where all that is asked of the arguments holds; a call that stands twice, where either does.
pub(crate) fn allowed_if() -> Vec<(c_long, Vec<Asked>)> {
    let own = u64::from(std::process::id());
    let bits = |flags: c_int| u64::from(flags.unsigned_abs());
    let mut calls = vec![
        // A thread; a process of its own is none. `clone3` hides what it asks for: without it, libraries take this one.
        (SYS_clone, vec![Asked::Has(0, bits(CLONE_THREAD | NAMESPACES), bits(CLONE_THREAD))]),
        (SYS_kill, vec![Asked::Is(0, own)]),
        (SYS_tgkill, vec![Asked::Is(0, own)]),
        (SYS_prlimit64, vec![Asked::Is(0, 0)]),
        (SYS_setpriority, vec![Asked::Is(0, u64::from(PRIO_PROCESS)), Asked::Is(1, 0)]),
        (SYS_sched_setaffinity, vec![Asked::Is(0, 0)]),
        (SYS_sched_setaffinity, vec![Asked::Is(0, own)]),
        // A pair of streams knows nobody else; datagrams could be sent to any socket that has a name.
        (SYS_socketpair, vec![Asked::Is(0, bits(AF_UNIX)), Asked::Has(1, 0xf, bits(SOCK_STREAM))]),
        (SYS_sendto, vec![Asked::IsNull(4)]),
        (SYS_setsockopt, FILTERS.map(|filter| Asked::IsNot(2, bits(filter))).to_vec()),
        // all but living on when the parent is gone
        (SYS_prctl, vec![Asked::IsNot(0, bits(PR_SET_PDEATHSIG))]),
    ];
    calls.extend(FCNTLS.map(|command| (SYS_fcntl, vec![Asked::Is(1, bits(command))])));
    calls.extend(IOCTLS.map(|request| (SYS_ioctl, vec![Asked::Is(1, request)])));
    let mut opens = vec![(SYS_openat, 2)];
    #[cfg(target_arch = "x86_64")]
    opens.push((SYS_open, 1));
    for (call, flags) in opens {
        // Landlocks below the third let a file be emptied by whoever may read it. With the fourth access mode, to ask of
        // a file and neither to read nor to write, none of them looks at it.
        calls.push((call, vec![Asked::Has(flags, bits(O_ACCMODE | O_TRUNC), bits(O_RDONLY))]));
        calls.push((call, vec![Asked::Has(flags, bits(O_ACCMODE), bits(O_WRONLY))]));
        calls.push((call, vec![Asked::Has(flags, bits(O_ACCMODE), bits(O_RDWR))]));
    }
    calls
}

/// What [`allowed_if`] leaves over of them is refused in the same words.
pub(crate) fn refused_if() -> Vec<(c_long, Vec<Asked>)> {
    let own = u64::from(std::process::id());
    let bits = |flags: c_int| u64::from(flags.unsigned_abs());
    vec![
        (SYS_clone, vec![Asked::Has(0, bits(CLONE_THREAD), 0)]),
        (SYS_fcntl, FCNTLS.map(|command| Asked::IsNot(1, bits(command))).to_vec()),
        (SYS_ioctl, IOCTLS.map(|request| Asked::IsNot(1, request)).to_vec()),
        (SYS_kill, vec![Asked::IsNot(0, own)]),
        (SYS_tgkill, vec![Asked::IsNot(0, own)]),
        (SYS_prlimit64, vec![Asked::IsNot(0, 0)]),
        (SYS_setpriority, vec![Asked::IsNot(1, 0)]),
        (SYS_sched_setaffinity, vec![Asked::IsNot(0, 0), Asked::IsNot(0, own)]),
        (SYS_prctl, vec![Asked::Is(0, bits(PR_SET_PDEATHSIG))]),
    ]
}
