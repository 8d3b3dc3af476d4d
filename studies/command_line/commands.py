"""Selects the command of `kneebox study`: manifest, check or run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Final

from pipeline.errors import KneeError, OptionsError
from studies.command_line import check, manifest, run

DONE: Final = 0
FAILED: Final = 1
WRONG_USE: Final = 2

COMMANDS: Final[dict[str, tuple[Callable[[argparse.ArgumentParser], None], Callable[..., int]]]] = {
    "manifest": (manifest.add_arguments, manifest.run),
    "check": (check.add_arguments, check.run),
    "run": (run.add_arguments, run.run),
}
"""Name -> what adds its arguments to a parser, and what runs it with the parsed ones and returns the exit status."""

HELP: Final = {
    "manifest": "make a manifest from the names in a folder of scans",
    "check": "judge every row of a manifest before anything is computed",
    "run": "analyse every row of a manifest; the same call continues a stopped run",
}


def main(arguments: list[str] | None = None, program: str = "python -m studies") -> int:
    """Exit status 0: done; 1: rows were left out or have failed, or an error; 2: invalid arguments."""
    chosen = parser(program).parse_args(arguments)
    try:
        return COMMANDS[chosen.command][1](chosen)
    except KneeError as error:
        sys.stderr.write(f"{error.code}: {error}\n")
        return WRONG_USE if isinstance(error, OptionsError) else FAILED
    except KeyboardInterrupt:
        sys.stderr.write("INTERRUPTED: stopped; the same call continues from here\n")
        return FAILED


def parser(program: str) -> argparse.ArgumentParser:
    """The commands and their arguments."""
    whole = argparse.ArgumentParser(
        prog=program, description="Many scans from one manifest. Research use only. Not for clinical diagnosis."
    )
    commands = whole.add_subparsers(dest="command", required=True)
    for name, (add_arguments, _) in COMMANDS.items():
        add_arguments(commands.add_parser(name, help=HELP[name], description=HELP[name]))
    return whole
