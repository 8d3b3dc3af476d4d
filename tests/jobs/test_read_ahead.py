"""The files of the next row are in the memory of the system before they are read."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import redis

from jobs.state.study_queue import StudyQueue
from jobs.studies.read_ahead import into_memory, read_ahead
from tests.support.processes import free_port, wait_until

SIZE = 2_000_000


def bytes_in_memory(path: Path) -> int:
    answer = subprocess.run(["fincore", "-nb", "-o", "RES", str(path)], capture_output=True, check=True)
    return int(answer.stdout)


@pytest.mark.skipif(shutil.which("fincore") is None, reason="fincore of util-linux is not installed")
def test_files_and_the_files_in_folders_are_read_into_memory(tmp_path: Path) -> None:
    scan, slice_ = tmp_path / "scan.nii.gz", tmp_path / "series" / "1.dcm"
    slice_.parent.mkdir()
    for path in (scan, slice_):
        path.write_bytes(os.urandom(SIZE))
        opened = os.open(path, os.O_RDONLY)
        os.fsync(opened)
        os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(opened)
    if bytes_in_memory(scan):
        pytest.skip("this file system keeps its files in memory")
    into_memory([scan, slice_.parent])
    wait_until(lambda: bytes_in_memory(scan) >= SIZE and bytes_in_memory(slice_) >= SIZE)
    with pytest.raises(FileNotFoundError):
        into_memory([tmp_path / "gone.nii"])


def test_a_queue_that_is_gone_does_not_fail_the_row_in_work() -> None:
    client = redis.Redis(port=free_port())

    class GoneQueue:
        studies = StudyQueue(client, client)

    read_ahead(GoneQueue())  # type: ignore[arg-type] # the part of it that is asked
