"""Selects the command: analyse (the default), compare, follow, models, validate or check-scans."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pipeline.command_line import analyse, check_scans, compare, follow, models, validate
from pipeline.errors import KneeError, OptionsError

DONE: Final = 0
FAILED: Final = 1
WRONG_USE: Final = 2


@dataclass(frozen=True, kw_only=True)
class Command:
    """One word of the command line. parser: for a program name; run: exit status and the text to print."""

    parser: Callable[[str], argparse.ArgumentParser]
    run: Callable[[argparse.ArgumentParser, list[str]], tuple[int, str]]


COMMANDS: Final = {
    "analyse": Command(parser=analyse.build_parser, run=analyse.run),
    "compare": Command(parser=compare.build_parser, run=compare.run),
    "follow": Command(parser=follow.build_parser, run=follow.run),
    "models": Command(parser=models.build_parser, run=models.run),
    "validate": Command(parser=validate.build_parser, run=validate.run),
    "check-scans": Command(parser=check_scans.build_parser, run=check_scans.run),
}
"""A scan with one of these names is given as ./NAME."""


def main(arguments: list[str] | None = None, program: str = "python -m pipeline") -> int:
    """Exit status 0: done; 1: it failed (message on stderr); 2: invalid arguments."""
    words = sys.argv[1:] if arguments is None else arguments
    name = words[0] if words[:1] and words[0] in COMMANDS else ""
    command = COMMANDS[name or "analyse"]
    parser = command.parser(f"{program} {name}".rstrip())
    try:
        status, text = command.run(parser, words[1:] if name else words)
    except KneeError as error:
        sys.stderr.write(f"{error.code}: {error}\n")
        return WRONG_USE if isinstance(error, OptionsError) else FAILED
    except KeyboardInterrupt:
        sys.stderr.write("INTERRUPTED: stopped; the same call continues from here\n")
        return FAILED
    sys.stdout.write(f"{text}\n")
    return status
