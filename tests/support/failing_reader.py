"""`python -m tests.support.failing_reader REQUEST`: fails, instead of reading, in the way that the series names."""

import errno
import json
import os
import signal
import sys
from pathlib import Path

from pipeline.decoding import child


def read(way):
    if way == "no memory":
        raise MemoryError
    if way == "disk":
        raise OSError(errno.EIO, "broken")
    raise ValueError("Doe^Jane")


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    way = request["given"]["series"]
    if way == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if way == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if way == "full":
        sys.exit(child.NOT_WRITTEN + errno.ENOSPC)
    if way == "open":
        sys.exit(child.NOT_CONFINED)
    if way == "claims":
        answer = {"ok": False, "code": "DEVICE_MISSING", "message": "x" * 9000, "hint": "", "facts": {}}
        Path(request["scratch"], "verdict.json").write_text(json.dumps(answer), encoding="utf-8")
        sys.exit(0)
    child._TASKS = {"scan": lambda *_, **given: read(given["series"])}
    sys.exit(child.main(sys.argv[1]))
