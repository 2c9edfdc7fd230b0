//! Which system calls a plugin's process may make: all but those listed here.
//!
//! A list of what is denied and not of what is allowed: a plugin brings libraries that nobody here
//! has seen, and a call too few shows as a fault that nobody can explain. What would lead out of the
//! process is on the list.
//!
//! Invariants:
//! - a call that is denied returns an error, and does nothing;
//! - on x86-64 the same holds for its x32 number, on a kernel that has those.

use libc as c;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};
use std::collections::BTreeMap;

/// What x32 adds to the numbers of x86-64.
const X32: i64 = 0x4000_0000;

/// Denied with EPERM.
const DENIED: &[i64] = &[
    // Other programs, other processes, and where processes belong.
    c::SYS_execve,
    c::SYS_execveat,
    c::SYS_ptrace,
    c::SYS_process_vm_readv,
    c::SYS_process_vm_writev,
    c::SYS_process_madvise,
    c::SYS_kcmp,
    c::SYS_pidfd_open,
    c::SYS_pidfd_getfd,
    c::SYS_pidfd_send_signal,
    c::SYS_tkill,
    c::SYS_setpgid,
    c::SYS_setsid,
    c::SYS_setns,
    c::SYS_unshare,
    c::SYS_chroot,
    c::SYS_pivot_root,
    c::SYS_personality,
    // How much it gets.
    c::SYS_setrlimit,
    c::SYS_setpriority,
    c::SYS_ioprio_set,
    c::SYS_sched_setscheduler,
    c::SYS_sched_setparam,
    c::SYS_sched_setattr,
    c::SYS_sched_setaffinity,
    c::SYS_migrate_pages,
    c::SYS_move_pages,
    // Mounts.
    c::SYS_mount,
    c::SYS_umount2,
    c::SYS_fsopen,
    c::SYS_fsconfig,
    c::SYS_fsmount,
    c::SYS_fspick,
    c::SYS_move_mount,
    c::SYS_open_tree,
    c::SYS_mount_setattr,
    // The kernel and the machine.
    c::SYS_bpf,
    c::SYS_kexec_load,
    c::SYS_kexec_file_load,
    c::SYS_init_module,
    c::SYS_finit_module,
    c::SYS_delete_module,
    c::SYS_perf_event_open,
    c::SYS_add_key,
    c::SYS_keyctl,
    c::SYS_request_key,
    c::SYS_userfaultfd,
    c::SYS_reboot,
    c::SYS_swapon,
    c::SYS_swapoff,
    c::SYS_syslog,
    c::SYS_acct,
    c::SYS_quotactl,
    c::SYS_settimeofday,
    c::SYS_clock_settime,
    c::SYS_clock_adjtime,
    c::SYS_adjtimex,
    c::SYS_sethostname,
    c::SYS_setdomainname,
    c::SYS_name_to_handle_at,
    c::SYS_open_by_handle_at,
    c::SYS_fanotify_init,
    c::SYS_vhangup,
    // Memory that outlives it, or that it shares with others.
    c::SYS_shmget,
    c::SYS_shmat,
    c::SYS_msgget,
    c::SYS_semget,
    c::SYS_mq_open,
    // Changes to files. Opening one for writing is below.
    c::SYS_unlinkat,
    c::SYS_renameat,
    c::SYS_renameat2,
    c::SYS_mkdirat,
    c::SYS_mknodat,
    c::SYS_linkat,
    c::SYS_symlinkat,
    c::SYS_truncate,
    c::SYS_fchmod,
    c::SYS_fchmodat,
    c::SYS_fchown,
    c::SYS_fchownat,
    c::SYS_setxattr,
    c::SYS_lsetxattr,
    c::SYS_fsetxattr,
    c::SYS_removexattr,
    c::SYS_lremovexattr,
    c::SYS_fremovexattr,
    c::SYS_utimensat,
];

/// The same, of calls that only x86-64 still has.
#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[i64] = &[
    c::SYS_fork,
    c::SYS_vfork,
    c::SYS_creat,
    c::SYS_unlink,
    c::SYS_rename,
    c::SYS_mkdir,
    c::SYS_rmdir,
    c::SYS_mknod,
    c::SYS_link,
    c::SYS_symlink,
    c::SYS_chmod,
    c::SYS_chown,
    c::SYS_lchown,
    c::SYS_utime,
    c::SYS_utimes,
    c::SYS_futimesat,
    c::SYS_iopl,
    c::SYS_ioperm,
    c::SYS_modify_ldt,
    c::SYS_uselib,
    c::SYS_fchmodat2,
    // x32's own numbers of calls that are denied: execve, ptrace, the signals and the vectors.
    X32 + 520,
    X32 + 521,
    X32 + 524,
    X32 + 528,
    X32 + 536,
    X32 + 539,
    X32 + 540,
    X32 + 545,
];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[i64] = &[];

/// As if the kernel were too old for them: libraries go on with the calls before, whose arguments
/// can be looked at, or without. `io_uring` would carry out what is denied here.
const UNKNOWN: &[i64] = &[
    c::SYS_clone3,
    c::SYS_openat2,
    c::SYS_io_uring_setup,
    c::SYS_io_uring_enter,
    c::SYS_io_uring_register,
    c::SYS_memfd_secret,
];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Denies this thread, and those that it will start, all of it. `own`: this process.
pub(super) fn install(own: u32, network: bool) -> Result<(), String> {
    let mut denied = Rules::new();
    for &call in DENIED.iter().chain(DENIED_HERE) {
        denied.insert(call, Vec::new());
    }
    deny_some(&mut denied, own, network).map_err(|error| error.to_string())?;
    let unknown = UNKNOWN.iter().map(|&call| (call, Vec::new())).collect();
    for (rules, number) in [(denied, c::EPERM), (unknown, c::ENOSYS)] {
        let program = compile(rules, number)?;
        apply_filter(&program).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn compile(mut rules: Rules, number: i32) -> Result<BpfProgram, String> {
    let target: TargetArch = std::env::consts::ARCH
        .try_into()
        .map_err(|error| format!("this machine is not known to the filter: {error}"))?;
    if cfg!(target_arch = "x86_64") {
        let twins: Vec<_> = rules.iter().map(|(call, rule)| (call | X32, rule.clone())).collect();
        rules.extend(twins);
    }
    let number = SeccompAction::Errno(number.cast_unsigned());
    SeccompFilter::new(rules, SeccompAction::Allow, number, target)
        .and_then(TryInto::try_into)
        .map_err(|error| error.to_string())
}

/// Calls of which only some are denied, by their arguments.
fn deny_some(denied: &mut Rules, own: u32, network: bool) -> Result<(), seccompiler::BackendError> {
    let when = |index: u8, operator: SeccompCmpOp, value: u64| {
        SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value)
    };
    let bits = |number: i32| u64::from(number.cast_unsigned());
    let set = |index: u8, bit: i32| {
        when(index, SeccompCmpOp::MaskedEq(bits(bit)), bits(bit))
            .and_then(|condition| SeccompRule::new(vec![condition]))
    };
    // A thread is all that may be made.
    let flag = bits(c::CLONE_THREAD);
    let no_thread = when(0, SeccompCmpOp::MaskedEq(flag), 0)?;
    denied.insert(c::SYS_clone, vec![SeccompRule::new(vec![no_thread])?]);
    // Signals to itself, as `abort` sends one.
    for call in [c::SYS_kill, c::SYS_tgkill, c::SYS_rt_sigqueueinfo, c::SYS_rt_tgsigqueueinfo] {
        let others = when(0, SeccompCmpOp::Ne, u64::from(own))?;
        denied.insert(call, vec![SeccompRule::new(vec![others])?]);
    }
    // Limits may be asked for: the new ones are none.
    let new = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)?;
    denied.insert(c::SYS_prlimit64, vec![SeccompRule::new(vec![new])?]);
    // It ends with its node, whatever it thinks of that; and types nothing into a terminal.
    let death = when(0, SeccompCmpOp::Eq, bits(c::PR_SET_PDEATHSIG))?;
    denied.insert(c::SYS_prctl, vec![SeccompRule::new(vec![death])?]);
    let mut terminal = Vec::new();
    for request in [c::TIOCSTI, c::TIOCLINUX] {
        let request = u32::try_from(request).map_or(0, u64::from);
        terminal.push(SeccompRule::new(vec![when(1, SeccompCmpOp::Eq, request)?])?);
    }
    denied.insert(c::SYS_ioctl, terminal);
    // Files may be opened to read them.
    let writing = |index| -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        [c::O_WRONLY, c::O_RDWR, c::O_CREAT, c::O_TRUNC]
            .map(|bit| set(index, bit))
            .into_iter()
            .collect()
    };
    denied.insert(c::SYS_openat, writing(2)?);
    #[cfg(target_arch = "x86_64")]
    denied.insert(c::SYS_open, writing(1)?);
    let mut families = Vec::new();
    if network {
        // Netlink tells which addresses the machine has: the resolver asks it.
        for family in [c::AF_INET, c::AF_INET6, c::AF_NETLINK] {
            families.push(when(0, SeccompCmpOp::Ne, bits(family))?);
        }
        denied.insert(c::SYS_socket, vec![SeccompRule::new(families)?]);
    } else {
        denied.insert(c::SYS_socket, Vec::new());
    }
    Ok(())
}
