"""The child process that checks an upload: its restrictions and its cleanup."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import numpy as np
import psutil
import pytest

from jobs.errors import StorageFull
from jobs.intake import validation
from pipeline.decoding.sandbox import Limits
from pipeline.errors import AmbiguousSeries, NoImageSeries, UnreadableImage
from pipeline.image_io import disk
from tests.support.image_io_writers import make_phantom, write_dicom, write_nifti, zip_of
from tests.support.processes import ROOT, wait_until

pytestmark = pytest.mark.slow

SAMPLE = ROOT / "samples" / "sample_knee.nii.gz"


def confined(program: str, scratch: Path, **limits: int) -> subprocess.CompletedProcess[str]:
    """Run a program after `confine`; it may use `scratch`."""
    chosen = {"memory_mb": 300, "cpu_s": 5, "file_mb": 10} | limits
    start = f"""
        import os, socket, subprocess
        from pathlib import Path
        from pipeline.decoding.sandbox import Limits, confine
        scratch = Path({str(scratch)!r})
        confine(Limits(**{chosen!r}), scratch, [scratch.parent])
    """
    text = textwrap.dedent(start) + textwrap.dedent(program)
    return subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('127.0.0.1', PORT), timeout=2)",
        "socket.socket()",
        "socket.getaddrinfo('localhost', PORT)",
        "__import__('urllib.request').request.urlopen('http://127.0.0.1:PORT/', timeout=2)",
        "os.fork()",
        "os.system('true')",
        "subprocess.run(['true'])",
        "os.symlink('/etc/passwd', scratch / 'a')",
        "(scratch.parent / 'outside').write_text('x')",
        "os.remove(scratch.parent / 'kept')",
        "(scratch / '..' / 'kept').write_text('x')",
    ],
)
def test_operations_not_needed_for_decoding_are_blocked(attempt: str, tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "kept").write_text("here")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        done = confined(attempt.replace("PORT", str(server.getsockname()[1])), tmp_path / "scratch")
        with pytest.raises(TimeoutError):
            server.accept()
    assert done.returncode == 1
    assert "not permitted" in done.stderr or "only in the scratch folder" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"scratch", "kept"}
    assert (tmp_path / "kept").read_text() == "here"


@pytest.mark.parametrize(
    ("attempt", "reported"),
    [
        ("b'x' * (400 << 20)", "MemoryError"),
        ("(scratch / 'a').write_bytes(bytes(11 << 20))", "File too large"),
        ("[open(os.devnull) for _ in range(100)]", "Too many open files"),
        ("while True: pass", ""),
    ],
)
def test_excessive_resource_use_is_stopped(attempt: str, reported: str, tmp_path: Path) -> None:
    done = confined(attempt, tmp_path, cpu_s=1)
    assert done.returncode != 0
    assert reported in done.stderr


def test_files_can_be_created_and_removed_in_the_scratch_folder(tmp_path: Path) -> None:
    program = """
        import shutil, tempfile
        folder = tempfile.mkdtemp()
        Path(folder, "a").write_text("x")
        shutil.rmtree(folder)
    """
    done = confined(program, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(tmp_path.iterdir())


def test_a_file_that_hangs_the_check_is_rejected_and_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "WALL_CLOCK_S", 1)
    pipe = tmp_path / "upload.nii"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)  # opened for writing too: whoever reads waits
    start = time.monotonic()
    with pytest.raises(UnreadableImage):
        validation.check_upload(pipe)
    os.close(held)
    assert time.monotonic() - start < 10
    assert list(tmp_path.iterdir()) == [pipe]


def test_the_check_ends_with_its_server(tmp_path: Path) -> None:
    pipe = tmp_path / "upload.nii"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)
    program = f"""
        from pathlib import Path
        from jobs.intake.validation import check_upload
        check_upload(Path({str(pipe)!r}))
    """
    server = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT)
    wait_until(lambda: psutil.Process(server.pid).children(), what="the check")
    children = psutil.Process(server.pid).children()
    server.kill()
    server.wait()
    wait_until(lambda: not any(child.is_running() and child.status() != "zombie" for child in children), what="its end")
    os.close(held)


def test_a_crashed_check_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    path = zip_of(write_dicom(make_phantom(1), tmp_path / "s"), tmp_path / "in" / "a.zip")
    monkeypatch.setattr(validation, "LIMITS", Limits(memory_mb=20, cpu_s=60, file_mb=4096))
    with pytest.raises(UnreadableImage):
        validation.check_upload(path)
    assert list((tmp_path / "in").iterdir()) == [path]


def test_a_full_disk_is_a_server_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scan.nii", np.random.default_rng(1).bytes(3 << 20))
    monkeypatch.setattr(validation, "LIMITS", Limits(memory_mb=768, cpu_s=60, file_mb=1))
    with pytest.raises(StorageFull):
        validation.check_upload(path)
    assert list((tmp_path / "in").iterdir()) == [path]
    with pytest.raises(disk.OutOfDisk):
        disk.require_room(tmp_path, 1 << 60)


def test_the_series_chosen_is_the_one_that_is_checked(tmp_path: Path) -> None:
    write_dicom(make_phantom(1), tmp_path / "s" / "a")
    write_dicom(make_phantom(2), tmp_path / "s" / "b", change=lambda data, *_: setattr(data, "SeriesNumber", "9"))
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in (tmp_path / "s").rglob("IM*"):
            archive.write(file, file.relative_to(tmp_path))
    with pytest.raises(AmbiguousSeries, match=r"series 7.*series 9") as caught:
        validation.check_upload(path)
    assert [item["series"] for item in caught.value.facts["series"]] == ["7", "9"]
    validation.check_upload(path, "9")
    with pytest.raises(NoImageSeries, match="no series 8"):
        validation.check_upload(path, "8")


def test_the_sample_passes(tmp_path: Path) -> None:
    path = tmp_path / "upload.nii.gz"
    path.write_bytes(SAMPLE.read_bytes())
    validation.check_upload(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_a_large_scan_is_checked_in_little_memory(tmp_path: Path) -> None:
    voxels = np.zeros((1, 256, 640, 640), dtype=np.int16)
    voxels[..., ::7] = 5
    path = write_nifti(make_phantom(1), tmp_path / "upload.nii", voxels=voxels)  # 210 MB
    program = f"""
        from pipeline.image_io import check_scan
        check_scan(Path({str(path)!r}))
        status = Path("/proc/self/status").read_text()
        print(status.split("VmHWM:")[1].split()[0])
    """
    done = confined(program, tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 150_000  # kB; the voxels alone are 210 MB, as float32 420 MB
