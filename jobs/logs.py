"""Logs of all processes: lines of text or JSON, each with its time in UTC; log.txt of a job; rotation of log files."""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import os
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Literal

LogFormat = Literal["text", "json"]

ACCESS: Final = "access"
"""Name of the logger of requests."""

FIELDS: Final = "fields"
"""Attribute of a log record: values that become fields of a JSON line."""

MOST_BYTES: Final = 10 * 1024 * 1024
KEPT: Final = 3
"""A log file is rotated above MOST_BYTES; this many older ones are kept."""


class _UtcLines(logging.Formatter):
    """Times are in UTC."""

    def time_of(self, record: logging.LogRecord) -> str:
        """ISO 8601, with milliseconds."""
        moment = datetime.fromtimestamp(record.created, UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


class TextLines(_UtcLines):
    """`time level logger: message`, also before each further line of a message or traceback."""

    def format(self, record: logging.LogRecord) -> str:
        head = f"{self.time_of(record)} {record.levelname:7} {record.name}: "
        return "\n".join(head + line for line in super().format(record).splitlines() or [""])


class JsonLines(_UtcLines):
    """One JSON object per message: time, level, logger, message, traceback, and the fields of a request."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": self.time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, FIELDS, {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(log_format: LogFormat, access_log: Path | None = None) -> None:
    """Log INFO and above to standard error, also warnings and uncaught exceptions; replaces existing handlers.

    access_log: a file for the lines about requests, which is opened again when it has been renamed
    """
    formatter = JsonLines() if log_format == "json" else TextLines()
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    if access_log is not None:
        access_log.parent.mkdir(parents=True, exist_ok=True)
        file = logging.handlers.WatchedFileHandler(access_log, encoding="utf-8")
        file.setFormatter(formatter)
        logger = logging.getLogger(ACCESS)
        logger.handlers, logger.propagate = [file], False


def access_log_in(arguments: list[str]) -> Path | None:
    """The file for the lines about requests that a command line names; None: standard error."""
    return Path(arguments[0]) if arguments else None


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
    else:
        logging.getLogger().critical("uncaught exception", exc_info=(kind, error, traceback))


@contextlib.contextmanager
def job_log(path: Path) -> Iterator[None]:
    """Also write the log of this process to a job's log.txt. Raises OSError if it cannot be opened."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(TextLines())
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


def rotate(path: Path, most_bytes: int = MOST_BYTES) -> bool:
    """Copy a large log file to `NAME.1` and empty it; returns whether it was. Older ones become `NAME.2` and so on.

    It is emptied in place because other processes have it open, for appending. Lines that are written between the copy
    and that moment are lost. On a full disk it is left as it is.
    """
    older = [path.with_name(f"{path.name}.{number}") for number in range(1, KEPT + 1)]
    try:
        if path.stat().st_size <= most_bytes:
            return False
        for newer, target in zip(older[-2::-1], older[:0:-1], strict=True):
            with contextlib.suppress(FileNotFoundError):
                newer.replace(target)
        shutil.copyfile(path, older[0])
        os.truncate(path, 0)
    except OSError:
        return False
    return True
