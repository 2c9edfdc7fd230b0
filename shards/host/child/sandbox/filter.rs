//! Which system calls a plugin's process may make: all but those listed here.
//!
//! A list of what is denied and not of what is allowed: a plugin brings libraries that nobody here
//! has seen, and a call too few shows as a fault that nobody can explain. What would lead out of the
//! process is on the list.
//!
//! That list ends where it was written: calls with higher numbers, which later kernels have, are none
//! that it knows. So there are none of them here, and neither the other numbers of calls (x32's) that
//! an x86-64 kernel may take.
//!
//! Invariants:
//! - a call that is denied returns an error, and does nothing;
//! - no call runs that this list's writer could not have known.

use libc as c;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter, sock_filter,
};
use std::collections::BTreeMap;

/// The last call that this list knows: `mseal`, of Linux 6.10. Since 424 all machines count alike.
/// Neither glibc nor musl needs one of those above; whoever raises it reads what it lets in.
const LAST_KNOWN: u32 = 462;

/// Denied with EPERM.
const DENIED: &[i64] = &[
    // Other programs, other processes, and where processes belong.
    c::SYS_execve,
    c::SYS_execveat,
    c::SYS_ptrace,
    c::SYS_process_vm_readv,
    c::SYS_process_vm_writev,
    c::SYS_process_madvise,
    PROCESS_MRELEASE,
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
    QUOTACTL_FD,
    LSM_SET_SELF_ATTR,
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
    // What outlives it, or is shared with others, whoever has made it.
    c::SYS_shmget,
    c::SYS_shmat,
    c::SYS_shmctl,
    c::SYS_msgget,
    c::SYS_msgctl,
    c::SYS_msgsnd,
    c::SYS_msgrcv,
    c::SYS_semget,
    c::SYS_semctl,
    c::SYS_semop,
    c::SYS_semtimedop,
    c::SYS_mq_open,
    c::SYS_mq_unlink,
    // One end of a pair of Unix sockets sends to any other of the machine.
    c::SYS_socketpair,
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
    FCHMODAT2,
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
];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[i64] = &[];

/// Calls that `libc` does not name on every machine.
const QUOTACTL_FD: i64 = 443;
const PROCESS_MRELEASE: i64 = 448;
const FCHMODAT2: i64 = 452;
const LSM_SET_SELF_ATTR: i64 = 460;

/// Denied as well where the manifest does not allow the network: nothing here is connected to
/// anybody but the node, which is written to and read from.
const NETWORK: &[i64] = &[
    c::SYS_socket,
    c::SYS_bind,
    c::SYS_connect,
    c::SYS_listen,
    c::SYS_accept,
    c::SYS_accept4,
    c::SYS_sendto,
    c::SYS_sendmsg,
    c::SYS_sendmmsg,
];

/// `fcntl` that has the kernel signal whom the caller names, or hold up whoever opens a file.
const FCNTL: &[i32] = &[c::F_SETOWN, F_SETOWN_EX, F_SETSIG, c::F_SETLEASE, c::F_NOTIFY];
const F_SETSIG: i32 = 10;
const F_SETOWN_EX: i32 = 15;

/// `ioctl` that does the same, or types into a terminal.
const IOCTL: &[u32] = &[FIOSETOWN, SIOCSPGRP, TIOCSTI, TIOCLINUX];
const FIOSETOWN: u32 = 0x8901;
const SIOCSPGRP: u32 = 0x8902;
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;

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
    let more = if network { &[] } else { NETWORK };
    for &call in DENIED.iter().chain(DENIED_HERE).chain(more) {
        denied.insert(call, Vec::new());
    }
    deny_some(&mut denied, own, network).map_err(|error| error.to_string())?;
    let unknown = UNKNOWN.iter().map(|&call| (call, Vec::new())).collect();
    let programs = [compile(denied, c::EPERM)?, compile(unknown, c::ENOSYS)?, beyond_last_known()];
    for program in programs {
        apply_filter(&program).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Answers ENOSYS to every number above the last known one: calls of later kernels, x32's (0x40000000
/// and more), and numbers that are none.
fn beyond_last_known() -> BpfProgram {
    let statement = |code: u32, jt, jf, k| {
        let code = u16::try_from(code).expect("the codes of BPF have 16 bits");
        sock_filter { code, jt, jf, k }
    };
    let number = std::mem::offset_of!(c::seccomp_data, nr);
    let number = u32::try_from(number).expect("it is a small struct");
    let unknown = c::SECCOMP_RET_ERRNO | c::ENOSYS.cast_unsigned();
    vec![
        statement(c::BPF_LD | c::BPF_W | c::BPF_ABS, 0, 0, number),
        statement(c::BPF_JMP | c::BPF_JGT | c::BPF_K, 0, 1, LAST_KNOWN),
        statement(c::BPF_RET | c::BPF_K, 0, 0, unknown),
        statement(c::BPF_RET | c::BPF_K, 0, 0, c::SECCOMP_RET_ALLOW),
    ]
}

fn compile(rules: Rules, number: i32) -> Result<BpfProgram, String> {
    let target: TargetArch = std::env::consts::ARCH
        .try_into()
        .map_err(|error| format!("this machine is not known to the filter: {error}"))?;
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
    // It ends with its node, whatever it thinks of that.
    let death = when(0, SeccompCmpOp::Eq, bits(c::PR_SET_PDEATHSIG))?;
    denied.insert(c::SYS_prctl, vec![SeccompRule::new(vec![death])?]);
    let any_of = |requests: Vec<u64>| -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        let rule = |request| SeccompRule::new(vec![when(1, SeccompCmpOp::Eq, request)?]);
        requests.into_iter().map(rule).collect()
    };
    denied.insert(c::SYS_fcntl, any_of(FCNTL.iter().map(|&command| bits(command)).collect())?);
    denied.insert(c::SYS_ioctl, any_of(IOCTL.iter().map(|&request| request.into()).collect())?);
    // Memory that no limit counts: shared, or growing by itself.
    let shared = c::MAP_SHARED | c::MAP_ANONYMOUS;
    denied.insert(c::SYS_mmap, vec![set(3, shared)?, set(3, c::MAP_GROWSDOWN)?]);
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
    if network {
        // Netlink tells which addresses the machine has: the resolver asks it.
        let others = [c::AF_INET, c::AF_INET6, c::AF_NETLINK];
        let others = others.map(|family| when(0, SeccompCmpOp::Ne, bits(family)));
        let others = others.into_iter().collect::<Result<_, _>>()?;
        denied.insert(c::SYS_socket, vec![SeccompRule::new(others)?]);
    }
    Ok(())
}
