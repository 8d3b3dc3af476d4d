"""People, keys, projects, links and the audit log in a backup. Sessions are not: everybody signs in again."""

from __future__ import annotations

import contextlib
from pathlib import Path

from jobs.access.audit import AUDIT, copy_of_log
from jobs.access.files import ACCESS, BACKED_UP
from jobs.backup.containers import BackupWriter


def copy_access(writer: BackupWriter, data_dir: Path, made_s: float) -> None:
    """Nothing on a server to which people never signed in. Raises OSError."""
    for kind in BACKED_UP:
        for path in sorted((data_dir / ACCESS / kind).glob("[!.]*.json")):
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                writer.add_file(f"{ACCESS}/{kind}/{path.name}", path)
    if log := copy_of_log(data_dir / AUDIT):
        writer.add_text(AUDIT, log, made_s)


def restore_access(unpacked: Path, data_dir: Path) -> None:
    """What is there already stays. Raises OSError."""
    for source in (*(unpacked / ACCESS).glob("*/*.json"), unpacked / AUDIT):
        target = data_dir / source.relative_to(unpacked)
        if source.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            source.rename(target)
            target.chmod(0o600)
