"""make mutate: how many small changes of the product are noticed by the tests of the changed module.

python -m bench.mutation [--seed N] [--number N] [--all] [--only PART ...] [--jobs N] [--fresh]

Works in a scratch copy of the tree; the tree itself is not changed. A run that was stopped is continued.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from bench.mutation.equivalent import Change, Equivalent, change, not_made, read_equivalent
from bench.mutation.modules import MUST_NOTICE_ALL, PARTS
from bench.mutation.mutants import Mutant, digest, mutants_of
from bench.mutation.results import NOTICED, Results

ROOT = Path(__file__).resolve().parents[2]

SHARE = 0.9
"""Fraction of the mutants to be noticed, except in MUST_NOTICE_ALL, where it is 1."""

LIMIT_FACTOR, LIMIT_EXTRA_S = 4.0, 20.0
"""A trial may take this many times the time of the unchanged tests, and these seconds more."""

stopping = threading.Event()
"""Set by Ctrl-C and SIGTERM: trials in progress end, then the results so far are reported."""


@dataclass
class Tally:
    """Counts of one part, and its missed mutants."""

    part: str
    counts: Counter[str] = field(default_factory=Counter)
    missed: list[Mutant] = field(default_factory=list)

    @property
    def tried(self) -> int:
        return sum(self.counts.values())

    @property
    def share(self) -> float:
        """Noticed fraction of those that are not equivalent."""
        counted = self.tried - self.counts["equivalent"]
        return sum(self.counts[outcome] for outcome in NOTICED) / counted if counted else 1.0


def sampled(mutants: list[Mutant], seed: int, number: int) -> list[Mutant]:
    """At most one mutant per place, in an order that depends on the seed and on the changed lines only."""
    by_place: dict[str, Mutant] = {}
    for mutant in sorted(mutants, key=lambda mutant: digest(str(seed), mutant.name)):
        by_place.setdefault(mutant.place, mutant)
    order = sorted(by_place, key=lambda place: digest(str(seed), place))
    return [by_place[place] for place in order[:number]]


def shares(parts: list[str], available: dict[str, int], number: int) -> dict[str, int]:
    """How many of each part: equal numbers, as far as a part has them."""
    chosen = dict.fromkeys(parts, 0)
    for _ in range(number):
        open_parts = [part for part in parts if chosen[part] < available[part]]
        if not open_parts:
            break
        chosen[min(open_parts, key=lambda part: chosen[part])] += 1
    return chosen


@contextmanager
def scratch_copy() -> Iterator[Path]:
    """A copy of the files that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        for name in filter(None, listed.split("\0")):
            source, target = ROOT / name, Path(folder) / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        yield Path(folder)


class Trials:
    """The process that tries the mutants of one part (trial.py)."""

    def __init__(self, part: str, copy: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": ""}
        command = [sys.executable, "-m", "bench.mutation.trial", part]
        self._process = subprocess.Popen(
            command,
            cwd=copy,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C does not reach it
        )
        unchanged = self._answer()
        if unchanged["outcome"] != "missed":
            log = (copy / "build" / "trial.log").read_text(encoding="utf-8", errors="replace")
            raise SystemExit(f"{part}: its tests fail on the unchanged tree ({unchanged['test']}).\n{log[-3000:]}")
        self._limit_s = LIMIT_EXTRA_S + LIMIT_FACTOR * float(unchanged["seconds"])

    def run(self, mutant: Mutant) -> dict[str, Any]:
        """{outcome, test, seconds}."""
        request = {"module": mutant.module, "source": mutant.source, "limit_s": self._limit_s}
        self._stream(self._process.stdin).write(json.dumps(request) + "\n")
        self._stream(self._process.stdin).flush()
        return self._answer()

    def end(self) -> None:
        self._stream(self._process.stdin).close()
        self._process.wait()

    def _answer(self) -> dict[str, Any]:
        line = self._stream(self._process.stdout).readline()
        if not line:
            raise SystemExit("the process of the trials has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    @staticmethod
    def _stream(stream: IO[str] | None) -> IO[str]:
        assert stream is not None
        return stream


def try_part(part: str, mutants: list[Mutant], equivalent: set[Change], results: Results) -> Tally:
    """Try the mutants of one part, except those named as equivalent and those with a result that holds."""
    tally = Tally(part)
    waiting = []
    for mutant in mutants:
        known = results.known(part, mutant)
        if change(mutant.module, mutant.before, mutant.after) in equivalent:
            tally.counts["equivalent"] += 1
        elif known is None:
            waiting.append(mutant)
        else:
            _count(tally, mutant, known.outcome)
    if waiting and not stopping.is_set():
        with scratch_copy() as copy:
            trials = Trials(part, copy)
            for number, mutant in enumerate(waiting, start=1):
                if stopping.is_set():
                    break
                result = results.add(part, mutant, **trials.run(mutant))
                _count(tally, mutant, result.outcome)
                print(
                    f"{part} {number}/{len(waiting)} {result.outcome} {result.seconds} s  "
                    f"{mutant.module}:{mutant.line} {mutant.before!r} -> {mutant.after!r}  [{result.test}]",
                    flush=True,
                )
            trials.end()
    return tally


def _count(tally: Tally, mutant: Mutant, outcome: str) -> None:
    tally.counts[outcome] += 1
    if outcome not in NOTICED:
        tally.missed.append(mutant)


def report(tallies: list[Tally], stale: list[Equivalent]) -> bool:
    """Print the table and the missed mutants; whether all shares are reached."""
    for tally in tallies:
        for mutant in tally.missed:
            print(f"\nmissed  {mutant.module}:{mutant.line}")
            print("\n".join(f"- {line}" for line in mutant.before.splitlines()))
            print("\n".join(f"+ {line}" for line in mutant.after.splitlines()))
    for entry in stale:
        print(f"\nequivalent.toml names a change that is no longer made: {entry.module}: {entry.before}")
    print("\npart         tried  noticed  timeout  equivalent  missed   share")
    every = Tally("all")
    for tally in tallies:
        every.counts += tally.counts
    for tally in [*tallies, every]:
        counts, missed = tally.counts, tally.counts["missed"] + tally.counts["error"]
        print(
            f"{tally.part:12} {tally.tried:5} {counts['noticed']:8} {counts['timeout']:8} {counts['equivalent']:11} "
            f"{missed:7} {tally.share:7.1%}"
        )
    enough = every.share >= SHARE and all(tally.share == 1 for tally in tallies if tally.part in MUST_NOTICE_ALL)
    print(f"expected: {SHARE:.0%}, and 100% in {', '.join(MUST_NOTICE_ALL)}")
    return enough and not stale


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.mutation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--number", type=int, default=300, help="mutants in all, equally many of each part")
    parser.add_argument("--all", action="store_true", help="every mutant instead of a sample")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--jobs", type=int, default=1, help="parts tried at the same time")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    given = parser.parse_args()
    made = {
        part: [
            mutant
            for module in PARTS[part].modules
            for mutant in mutants_of(module, (ROOT / module).read_text(encoding="utf-8"))
        ]
        for part in given.only
    }
    chosen = made
    if not given.all:
        places = {part: len({mutant.place for mutant in mutants}) for part, mutants in made.items()}
        numbers = shares(given.only, places, given.number)
        chosen = {part: sampled(mutants, given.seed, numbers[part]) for part, mutants in made.items()}
    entries = read_equivalent()
    equivalent = set().union(*(entry.changes for entry in entries))
    results = Results(ROOT, fresh=given.fresh)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with ThreadPoolExecutor(given.jobs) as side_by_side:
        tallies = list(side_by_side.map(lambda part: try_part(part, chosen[part], equivalent, results), given.only))
    changes = {change(mutant.module, mutant.before, mutant.after) for mutants in made.values() for mutant in mutants}
    sys.exit(not report(tallies, not_made(entries, changes)))


if __name__ == "__main__":
    main()
