"""Results of trials, kept in a file, so that a run can be continued."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bench.mutation.modules import PARTS
from bench.mutation.mutants import Mutant, digest

PATH: Final = Path("build") / "mutation" / "results.jsonl"

NOTICED: Final = ("noticed", "timeout")


@dataclass(frozen=True, kw_only=True)
class Result:
    """Outcome of one trial. test: the first one that failed; code, tests: digests of what was tried."""

    mutant: str
    outcome: str
    test: str
    seconds: float
    code: str
    tests: str


class Results:
    """A noticed mutant counts as long as its module is the same; a missed one is tried again after its tests change."""

    def __init__(self, root: Path, *, fresh: bool) -> None:
        self._root = root
        self._path = root / PATH
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if fresh:
            self._path.unlink(missing_ok=True)
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        self._known = {result.mutant: result for result in (Result(**json.loads(line)) for line in lines)}

    def known(self, part: str, mutant: Mutant) -> Result | None:
        """An earlier result that still holds."""
        result = self._known.get(mutant.name)
        if result is None or result.code != self._code(mutant):
            return None
        return result if result.outcome in NOTICED or result.tests == self._tests(part) else None

    def add(self, part: str, mutant: Mutant, *, outcome: str, test: str, seconds: float) -> Result:
        """Keep a result."""
        result = Result(
            mutant=mutant.name,
            outcome=outcome,
            test=test,
            seconds=seconds,
            code=self._code(mutant),
            tests=self._tests(part),
        )
        self._known[mutant.name] = result
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")
        return result

    def _code(self, mutant: Mutant) -> str:
        return digest((self._root / mutant.module).read_text(encoding="utf-8"))

    def _tests(self, part: str) -> str:
        files = [name.split("::")[0] for name in PARTS[part].tests]
        return digest(PARTS[part].marker, *((self._root / file).read_text(encoding="utf-8") for file in files))
