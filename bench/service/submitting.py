"""`python -m bench.service.submitting FILE COUNT`: submit a scan COUNT times, as a page does.

COUNT `forked`: for every input line, start a child that submits until it is killed; its process ID is written, then
`ended`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from jobs import service
from pipeline.options import AnalysisOptions


def submit(path: Path) -> None:
    """One job."""
    service.submit_stream([path.read_bytes()], "knee.nii.gz", AnalysisOptions(), None)


def _until_killed(path: Path) -> None:
    while True:
        submit(path)


def main() -> None:
    """See above."""
    path, count = Path(sys.argv[1]), sys.argv[2]
    if count != "forked":
        for _ in range(int(count)):
            submit(path)
        return
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            _until_killed(path)
        print(child, flush=True)
        os.waitpid(child, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main()
