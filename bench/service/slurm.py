"""A study on a real Slurm of one node: an array of burst workers, a time limit, and a job that is queued again.

Needs root and Debian's slurmctld, slurmd, slurm-client and munge; a Slurm of the machine is not used. The first array
has a time limit of a minute, which ends it with rows left; the second drains the study, while one of its jobs is queued
again, and ends by itself.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import SimpleITK as sitk

from bench.service.figures import Figure
from bench.service.site import ROOT, Site, free_port, running_site, wait_for

TOOLS: Final = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue")
ROWS: Final = 40
JOBS: Final = 4
LIMIT_S: Final = 60
GRACE_S: Final = 90
"""Slurm looks at the limits about every minute, and a worker ends its present row."""
LONGEST_S: Final = 1200.0
IDLE_S: Final = 5
THINNED: Final = 3
"""Every third voxel of the reference knee: a row takes seconds."""

_CONFIGURATION: Final = """
ClusterName=kneebox
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmctldPort={port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
JobRequeue=1
KillWait=10
ReturnToService=2
MinJobAge=3600
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def figures(*, short: bool) -> list[Figure]:
    """An array of four burst workers and a study of 40 rows; `short`: of 8 rows, without the time limit."""
    if os.geteuid() != 0 or not all(map(shutil.which, TOOLS)):
        return [Figure(bar="Slurm", measured=f"not measured: needs root, {', '.join(TOOLS)}", met=True)]
    with running_site() as site, tempfile.TemporaryDirectory(prefix="knee-out-") as outside:
        scans = Path(outside) / "scans"
        scans.mkdir()
        site.environment["STUDY_DATA_DIRS"] = str(scans)
        site.start_queue()
        site.start_api()
        with httpx.Client(base_url=site.url, timeout=60) as client, _slurm(Path(outside), site) as slurm:
            checks = site.start_worker()
            study = _study(client, scans, 8 if short else ROWS)
            checks.terminate()
            checks.wait()
            client.post(f"/studies/{study}/start", json={"accepted": []}).raise_for_status()
            found = [] if short else [_time_limit(client, study, slurm)]
            return [*found, _drained(client, study, slurm)]


def _time_limit(client: httpx.Client, study: str, slurm: _Slurm) -> Figure:
    begun = time.monotonic()
    array = slurm.submit(LIMIT_S, "--signal=B:TERM@30")
    wait_for(lambda: not slurm.active(array), LONGEST_S, "the end of the array by its time limit")
    seconds = time.monotonic() - begun
    state = _state(client, study)
    done = state["complete"] + state["failed"]
    return Figure(
        bar=f"an array of {JOBS} with a limit of {LIMIT_S} s ends within it and {GRACE_S} s, rows left are not lost",
        measured=f"ended after {seconds:.0f} s with {done} of {state['rows']} rows, phase {state['phase']}",
        met=seconds <= LIMIT_S + GRACE_S and 0 < done < state["rows"] and state["failed"] == 0,
    )


def _drained(client: httpx.Client, study: str, slurm: _Slurm) -> Figure:
    array = slurm.submit(3600)
    wait_for(lambda: slurm.active(array) == JOBS, 120, "workers that run")
    before = _state(client, study)["complete"]
    wait_for(lambda: _state(client, study)["complete"] > before, LONGEST_S, "a row by this array")
    slurm.call("scontrol", "requeue", f"{array}_0")
    wait_for(lambda: _state(client, study)["phase"] == "complete", LONGEST_S, "the end of the study")
    wait_for(lambda: not slurm.active(array), LONGEST_S, "the end of the workers by themselves")
    state = _state(client, study)
    answer = client.get(f"/studies/{study}/tables/measurements.csv")
    keys = Counter(
        tuple(row[name] for name in ("subject", "visit", "structure", "region", "quantity", "statistic", "method"))
        for row in csv.DictReader(io.StringIO(answer.text))
    )
    doubled = sum(count > 1 for count in keys.values())
    subjects = len({key[0] for key in keys})
    rows = f"{state['complete']} of {state['rows']} rows complete, {state['failed']} failed, {doubled} lines doubled"
    restarts = slurm.restarts(array)
    return Figure(
        bar=f"{JOBS} burst workers drain the study and end by themselves; one queued again doubles nothing",
        measured=f"{rows}; {subjects} subjects in the table; restarts of that job: {restarts}",
        met=state["complete"] == state["rows"] == subjects and doubled == 0 and restarts == 1,
    )


def _study(client: httpx.Client, scans: Path, rows: int) -> str:
    """A study of label maps that differ in a few voxels of cartilage, checked; its id."""
    image = sitk.ReadImage(str(ROOT / "models" / "reference_knee" / "labels.nrrd"))[::THINNED, ::THINNED, ::THINNED]
    labels = sitk.GetArrayFromImage(image)
    plate = np.argwhere(labels == 2)
    lines = ["labels,subject,visit,numbering"]
    for row in range(rows):
        other = labels.copy()
        other[tuple(plate[row])] = 0
        changed = sitk.GetImageFromArray(other)
        changed.CopyInformation(image)
        sitk.WriteImage(changed, str(scans / f"k{row}.nrrd"), useCompression=True)
        lines.append(f"k{row}.nrrd,S{row:02d},V00,canonical")
    request = {"name": "slurm", "manifest": "\n".join(lines) + "\n", "folder": scans.name}
    answer = client.post("/studies", json=request | {"options": {"perform_nsm": False}})
    study = str(answer.raise_for_status().json()["id"])
    wait_for(lambda: _state(client, study)["phase"] == "checked", 120, "the check of the manifest")
    return study


def _state(client: httpx.Client, study: str) -> dict[str, Any]:
    return dict(client.get(f"/studies/{study}").raise_for_status().json())


class _Slurm:
    """A running Slurm. folder: of its configuration, state and logs."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment | {"SLURM_CONF": str(folder / "slurm.conf")}

    def call(self, *command: str) -> str:
        """Run a command of Slurm; its output. Raises CalledProcessError."""
        answer = subprocess.run(command, env=self.environment, capture_output=True, encoding="utf-8", check=True)
        return answer.stdout

    def submit(self, limit_s: int, *options: str) -> str:
        """Submit an array of burst workers with a time limit; its id."""
        words = [f"--array=0-{JOBS - 1}", f"--time={limit_s // 60}", "--mem=0", "--cpus-per-task=1", *options]
        words += [f"--output={self.folder}/worker-%a.log", str(ROOT / "deploy" / "slurm" / "workers.sbatch")]
        return self.call("sbatch", "--parsable", *words).strip()

    def active(self, array: str) -> int:
        """Jobs of an array that wait or run."""
        return len(self.call("squeue", "-h", "-r", "-j", array, "-t", "PENDING,RUNNING,COMPLETING").split("\n")) - 1

    def restarts(self, array: str) -> int:
        """How often the first job of an array was queued again."""
        words = self.call("scontrol", "show", "job", f"{array}_0").split()
        return int(next(word for word in words if word.startswith("Restarts=")).split("=")[1])


@contextlib.contextmanager
def _slurm(folder: Path, site: Site) -> Iterator[_Slurm]:
    """A controller and a node on loopback, with a separate munge."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    host = socket.gethostname().split(".")[0]
    text = _CONFIGURATION.format(folder=folder, host=host, port=free_port(), node_port=free_port())
    (folder / "slurm.conf").write_text(text, encoding="utf-8")
    settings = folder / "settings"
    values = {name: site.environment[name] for name in ("DATA_DIR", "STUDY_DATA_DIRS")} | {"REDIS_URL": site.queue_url}
    settings.write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")
    settings.chmod(0o600)
    slurm = _Slurm(
        folder,
        site.environment | {"KNEEBOX": str(ROOT), "KNEEBOX_ENV": str(settings), "KNEEBOX_IDLE": str(IDLE_S)},
    )
    files = {name: f"{folder}/munge.{name}" for name in ("socket", "pid", "log", "seed")}
    munge = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={files['socket']}"]
    munge += [f"--pid-file={files['pid']}", f"--log-file={files['log']}", f"--seed-file={files['seed']}"]
    site.start_command(munge, log="munge", environment=slurm.environment)
    wait_for(lambda: Path(files["socket"]).exists(), 30, "munge")
    for command in (["slurmctld", "-D"], ["slurmd", "-D", "-N", host]):
        site.start_command(command, log=command[0], environment=slurm.environment)
    wait_for(lambda: _idle(slurm), 60, "a node of Slurm")
    yield slurm
    with contextlib.suppress(subprocess.CalledProcessError):
        slurm.call("scancel", "--user=root")
        wait_for(lambda: not slurm.call("squeue", "-h").strip(), 60, "the end of all jobs")


def _idle(slurm: _Slurm) -> bool:
    with contextlib.suppress(subprocess.CalledProcessError):
        return "idle" in slurm.call("sinfo", "-h", "-o", "%T")
    return False
