"""Numbers of the system calls that seccomp.py judges, from asm/unistd_64.h and asm-generic/unistd.h of Linux."""

from __future__ import annotations

from typing import Final


def _table(text: str) -> dict[str, int]:
    return {name: int(number) for name, _, number in (word.partition("=") for word in text.split())}


LAST_KNOWN: Final = 467
"""open_tree_attr, of Linux 6.15. From 424 on, all processors have the same numbers."""

REFUSED: Final = frozenset(
    (
        # programs and processes; clone is judged by its arguments
        "execve",
        "execveat",
        "fork",
        "vfork",
        # sockets
        "socket",
        "socketpair",
        "connect",
        "bind",
        "listen",
        "accept",
        "accept4",
        "sendto",
        "sendmsg",
        "sendmmsg",
        "recvfrom",
        "recvmsg",
        "recvmmsg",
        # other processes
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "process_madvise",
        "process_mrelease",
        "kcmp",
        "kill",
        "tkill",
        "rt_sigqueueinfo",
        "rt_tgsigqueueinfo",
        "pidfd_open",
        "pidfd_getfd",
        "pidfd_send_signal",
        "sched_setaffinity",
        "sched_setscheduler",
        "sched_setparam",
        "sched_setattr",
        "setpriority",
        "ioprio_set",
        "migrate_pages",
        "move_pages",
        # shared memory and queues between processes
        "shmget",
        "shmat",
        "shmctl",
        "semget",
        "semop",
        "semtimedop",
        "semctl",
        "msgget",
        "msgsnd",
        "msgrcv",
        "msgctl",
        "mq_open",
        "mq_unlink",
        "memfd_create",
        "memfd_secret",
        # links, special files, names and attributes, which Landlock covers in part
        "mknod",
        "mknodat",
        "link",
        "linkat",
        "symlink",
        "symlinkat",
        "rename",
        "renameat",
        "renameat2",
        "chmod",
        "fchmod",
        "fchmodat",
        "fchmodat2",
        "chown",
        "fchown",
        "lchown",
        "fchownat",
        "utime",
        "utimes",
        "futimesat",
        "utimensat",
        "setxattr",
        "lsetxattr",
        "fsetxattr",
        "setxattrat",
        "removexattr",
        "lremovexattr",
        "fremovexattr",
        "removexattrat",
        "truncate",
        "name_to_handle_at",
        "open_by_handle_at",
        # file systems and namespaces
        "mount",
        "umount2",
        "move_mount",
        "open_tree",
        "open_tree_attr",
        "fsopen",
        "fsconfig",
        "fsmount",
        "fspick",
        "mount_setattr",
        "pivot_root",
        "chroot",
        "unshare",
        "setns",
        "swapon",
        "swapoff",
        "quotactl",
        "quotactl_fd",
        "fanotify_init",
        "acct",
        # parts of the kernel with a large surface
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        "io_setup",
        "io_submit",
        "keyctl",
        "add_key",
        "request_key",
        "personality",
        "modify_ldt",
        "uselib",
        "lookup_dcookie",
        "vmsplice",
        "remap_file_pages",
        # the machine
        "init_module",
        "finit_module",
        "delete_module",
        "kexec_load",
        "kexec_file_load",
        "reboot",
        "syslog",
        "iopl",
        "ioperm",
        "sethostname",
        "setdomainname",
        "settimeofday",
        "clock_settime",
        "adjtimex",
        "clock_adjtime",
        "vhangup",
    )
)
"""Calls that fail with EPERM."""

ABSENT: Final = frozenset(("clone3",))
"""Calls that fail with ENOSYS: the C library then uses clone, whose arguments can be judged."""

X86_64: Final = _table(
    """
    accept=43 accept4=288 acct=163 add_key=248 adjtimex=159 bind=49 bpf=321 chmod=90 chown=92 chroot=161
    clock_adjtime=305 clock_settime=227 clone=56 clone3=435 connect=42 delete_module=176 execve=59 execveat=322
    fanotify_init=300 fchmod=91 fchmodat=268 fchmodat2=452 fchown=93 fchownat=260 finit_module=313 fork=57
    fremovexattr=199 fsconfig=431 fsetxattr=190 fsmount=432 fsopen=430 fspick=433 futimesat=261 init_module=175
    io_setup=206 io_submit=209 io_uring_enter=426 io_uring_register=427 io_uring_setup=425 ioperm=173 iopl=172
    ioprio_set=251 kcmp=312 kexec_file_load=320 kexec_load=246 keyctl=250 kill=62 lchown=94 link=86 linkat=265
    listen=50 lookup_dcookie=212 lremovexattr=198 lsetxattr=189 memfd_create=319 memfd_secret=447 migrate_pages=256
    mknod=133 mknodat=259 modify_ldt=154 mount=165 mount_setattr=442 move_mount=429 move_pages=279 mq_open=240
    mq_unlink=241 msgctl=71 msgget=68 msgrcv=70 msgsnd=69 name_to_handle_at=303 open_by_handle_at=304 open_tree=428
    open_tree_attr=467 perf_event_open=298 personality=135 pidfd_getfd=438 pidfd_open=434 pidfd_send_signal=424
    pivot_root=155 prlimit64=302 process_madvise=440 process_mrelease=448 process_vm_readv=310 process_vm_writev=311
    ptrace=101 quotactl=179 quotactl_fd=443 reboot=169 recvfrom=45 recvmmsg=299 recvmsg=47 remap_file_pages=216
    removexattr=197 removexattrat=466 rename=82 renameat=264 renameat2=316 request_key=249 rt_sigqueueinfo=129
    rt_tgsigqueueinfo=297 sched_setaffinity=203 sched_setattr=314 sched_setparam=142 sched_setscheduler=144
    seccomp=317 semctl=66 semget=64 semop=65 semtimedop=220 sendmmsg=307 sendmsg=46 sendto=44 setdomainname=171
    sethostname=170 setns=308 setpriority=141 settimeofday=164 setxattr=188 setxattrat=463 shmat=30 shmctl=31
    shmget=29 socket=41 socketpair=53 swapoff=168 swapon=167 symlink=88 symlinkat=266 syslog=103 tgkill=234
    tkill=200 truncate=76 umount2=166 unshare=272 uselib=134 userfaultfd=323 utime=132 utimensat=280 utimes=235
    vfork=58 vhangup=153 vmsplice=278
    """
)
AARCH64: Final = _table(
    """
    accept=202 accept4=242 acct=89 add_key=217 adjtimex=171 bind=200 bpf=280 chroot=51 clock_adjtime=266
    clock_settime=112 clone=220 clone3=435 connect=203 delete_module=106 execve=221 execveat=281 fanotify_init=262
    fchmod=52 fchmodat=53 fchmodat2=452 fchown=55 fchownat=54 finit_module=273 fremovexattr=16 fsconfig=431
    fsetxattr=7 fsmount=432 fsopen=430 fspick=433 init_module=105 io_setup=0 io_submit=2 io_uring_enter=426
    io_uring_register=427 io_uring_setup=425 ioprio_set=30 kcmp=272 kexec_file_load=294 kexec_load=104 keyctl=219
    kill=129 linkat=37 listen=201 lookup_dcookie=18 lremovexattr=15 lsetxattr=6 memfd_create=279 memfd_secret=447
    migrate_pages=238 mknodat=33 mount=40 mount_setattr=442 move_mount=429 move_pages=239 mq_open=180 mq_unlink=181
    msgctl=187 msgget=186 msgrcv=188 msgsnd=189 name_to_handle_at=264 open_by_handle_at=265 open_tree=428
    open_tree_attr=467 perf_event_open=241 personality=92 pidfd_getfd=438 pidfd_open=434 pidfd_send_signal=424
    pivot_root=41 prlimit64=261 process_madvise=440 process_mrelease=448 process_vm_readv=270 process_vm_writev=271
    ptrace=117 quotactl=60 quotactl_fd=443 reboot=142 recvfrom=207 recvmmsg=243 recvmsg=212 remap_file_pages=234
    removexattr=14 removexattrat=466 renameat=38 renameat2=276 request_key=218 rt_sigqueueinfo=138
    rt_tgsigqueueinfo=240 sched_setaffinity=122 sched_setattr=274 sched_setparam=118 sched_setscheduler=119
    seccomp=277 semctl=191 semget=190 semop=193 semtimedop=192 sendmmsg=269 sendmsg=211 sendto=206 setdomainname=162
    sethostname=161 setns=268 setpriority=140 settimeofday=170 setxattr=5 setxattrat=463 shmat=196 shmctl=195
    shmget=194 socket=198 socketpair=199 swapoff=225 swapon=224 symlinkat=36 syslog=116 tgkill=131 tkill=130
    truncate=45 umount2=39 unshare=97 userfaultfd=282 utimensat=88 vhangup=58 vmsplice=75
    """
)
