"""The command `kneebox`: run the product, analyse and compare without it, list weights, look after its jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

USAGE: Final = """usage: kneebox COMMAND ...

  run       start the product: queue, worker, REST interface and pages
  analyse   one scan in, a folder of results out (the word may be left out)
  compare   what differs between two finished analyses
  models    which weights are installed, and how to get more
  jobs      the jobs of this server

Each command has --help, except run, whose settings are environment variables (docs/operating.md).
"""


def main(arguments: list[str] | None = None) -> int:
    """Exit status of the command; 2 for a wrong call."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ("-h", "--help"):
        (sys.stdout if words else sys.stderr).write(USAGE)
        return 0 if words else 2
    return COMMANDS.get(words[0], _pipeline)(words)


def _run(words: list[str]) -> int:
    import serve

    if words[1:]:
        sys.stderr.write(f"run takes no arguments, found {' '.join(words[1:])}\n")
        return 2
    return serve.main()


def _jobs(words: list[str]) -> int:
    from jobs.command_line.commands import main as jobs_main

    return jobs_main(words[1:], program="kneebox jobs")


def _pipeline(words: list[str]) -> int:
    from pipeline.command_line.commands import main as pipeline_main

    return pipeline_main(words, program="kneebox")


COMMANDS: Final[dict[str, Callable[[list[str]], int]]] = {"run": _run, "jobs": _jobs}
"""All others belong to the pipeline. Each is imported when it is called: models need not load the web server."""

if __name__ == "__main__":
    sys.exit(main())
