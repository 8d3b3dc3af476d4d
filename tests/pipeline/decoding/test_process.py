"""How a failure of the confined process reaches its caller."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest

from pipeline.decoding import process
from pipeline.decoding.protection import Protection
from pipeline.decoding.system_calls import AARCH64, ABSENT, LAST_KNOWN, REFUSED, X86_64
from pipeline.errors import UnreadableImage
from tests.support import failing_reader


def fail(way: str, folder: Path) -> None:
    process.decode_scan(
        folder / "a.nii", side=None, series=way, echo_times_ms=(), beside_labels=False, scratch_dir=folder
    )


@pytest.mark.slow
def test_each_failure_is_distinguished_from_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of the machine must not end a job as a damaged file, and a hostile file must not claim such a fault."""
    monkeypatch.setattr(process, "CHILD", failing_reader.__name__)
    caplog.set_level(logging.WARNING)
    for way in ("no memory", "killed"):
        with pytest.raises(MemoryError):
            fail(way, tmp_path)
    for way, number in (("disk", errno.EIO), ("full", errno.ENOSPC)):
        with pytest.raises(OSError, match=os.strerror(number)) as broken:
            fail(way, tmp_path)
        assert broken.value.errno == number
    with pytest.raises(RuntimeError, match="sandbox"):
        fail("open", tmp_path)
    with pytest.raises(UnreadableImage, match="damaged"):
        fail("bug", tmp_path)
    assert "ValueError" in caplog.text
    assert "failing_reader.py" in caplog.text
    assert "Doe" not in caplog.text, "messages may quote the header"
    (tmp_path / "verdict.json").unlink()
    with pytest.raises(UnreadableImage, match="damaged"):
        fail("crash", tmp_path)
    with pytest.raises(UnreadableImage) as claimed:
        fail("claims", tmp_path)
    assert len(claimed.value.message) < 5000


def test_what_is_missing_is_stated() -> None:
    assert (Protection.of(landlock=7, seccomp=True).state, Protection.of(landlock=7, seccomp=True).missing) == (
        "full",
        (),
    )
    partial = Protection.of(landlock=0, seccomp=True)
    assert partial.state == "partial"
    assert "Landlock is missing" in " ".join(partial.missing)
    assert Protection.of(landlock=0, seccomp=False).state == "none"


def test_every_refused_call_has_a_number() -> None:
    for numbers in (X86_64, AARCH64):
        assert len(set(numbers.values())) == len(numbers)
        assert max(numbers.values()) <= LAST_KNOWN
    assert X86_64.keys() >= REFUSED | ABSENT
    old = {
        *("chmod", "chown", "fork", "futimesat", "ioperm", "iopl", "lchown", "link", "mknod", "modify_ldt", "rename")
    }
    assert REFUSED - AARCH64.keys() == old | {"symlink", "uselib", "utime", "utimes", "vfork"}, "not on this processor"
