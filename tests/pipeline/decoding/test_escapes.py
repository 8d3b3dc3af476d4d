"""Native code in a process that reads an upload cannot leave the sandbox: neither in the check nor in the worker."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.decoding import process
from pipeline.decoding.protection import protection
from pipeline.errors import UnreadableImage
from tests.support import escape_probe
from tests.support.processes import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(protection().state != "full", reason="this kernel lacks Landlock or seccomp"),
]


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A data directory with another job, a queue with a port and two sockets, and a process of the service."""
    root = tmp_path_factory.mktemp("data")
    (root / "other").mkdir()
    for name in ("upload.zip", "renamed", "removed", "truncated", "kept"):
        (root / "other" / name).write_text("of another job")
    name = f"kneebox-test-{os.getpid()}"
    paths = [str(root / "queue.sock"), "\0" + name]
    with (
        socket.create_server(("127.0.0.1", 0)) as port,
        socket.socket(socket.AF_UNIX) as by_path,
        socket.socket(socket.AF_UNIX) as by_name,
        subprocess.Popen(["sleep", "100"]) as victim,
    ):
        for server, place in zip((by_path, by_name), paths, strict=True):
            server.bind(place)
            server.listen()
        found = {
            "folder": str(root / "other"),
            "zip": str(root / "other" / "upload.zip"),
            "victim": victim.pid,
            "address": int(Path(f"/proc/{victim.pid}/maps").read_text(encoding="utf-8").split("-")[0], 16),
            "port": port.getsockname()[1],
            "socket": paths[0],
            "name": name,
        }
        (root / "targets.json").write_text(json.dumps(found))
        yield found
        victim.kill()


@pytest.mark.parametrize("place", ["check", "worker"])
def test_no_native_call_leaves_the_sandbox(
    place: str, targets: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = Path(targets["folder"]).parent / place
    scratch.mkdir()
    upload = tmp_path / "scan.nii"
    upload.write_bytes(b"upload")
    monkeypatch.setattr(process, "CHILD", escape_probe.__name__)
    options: dict[str, Any] = {"side": None, "series": "", "echo_times_ms": (), "beside_labels": False}
    read = {
        "check": lambda: process.inspect_upload(upload, None, scratch_dir=scratch),
        "worker": lambda: process.decode_scan(upload, scratch_dir=scratch, **options),
    }
    with pytest.raises(UnreadableImage):  # the probe gives no image
        read[place]()
    outcomes = json.loads((scratch / "outcomes.json").read_text())
    assert len(outcomes) == len(escape_probe.NAMES) > 20
    assert not {name for name, succeeded in outcomes.items() if succeeded}
    assert {path.name for path in Path(targets["folder"]).iterdir()} == {
        *("upload.zip", "renamed", "removed", "truncated", "kept")
    }


@pytest.mark.parametrize("version", [1, 3, 5])
def test_older_versions_of_landlock_protect_the_same_files(version: int, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "other").write_text("x")
    program = f"""
from pathlib import Path
from pipeline.decoding import landlock
from pipeline.decoding.sandbox import Limits, confine
landlock.version = lambda: {version}
folder = Path({str(tmp_path)!r})
confine(Limits(memory_mb=300, cpu_s=5, file_mb=1), folder / "scratch")
(folder / "scratch" / "mine").write_text("x")
(folder / "scratch" / "mine").unlink()
import colorsys
(folder / "other").read_text()
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.stderr.splitlines()[-1].startswith("PermissionError"), done.stderr
    assert "read_text" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="without a sandbox, some tries need the rights of root")
def test_each_of_these_calls_succeeds_without_the_sandbox(targets: dict[str, Any]) -> None:
    scratch = Path(targets["folder"]).parent / "control"
    scratch.mkdir()
    command = [sys.executable, "-m", escape_probe.__name__, json.dumps({"scratch": str(scratch)})]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert {name for name, succeeded in json.loads(done.stdout).items() if not succeeded} == set()
