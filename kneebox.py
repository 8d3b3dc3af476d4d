"""The command `kneebox`: run the product; analyse, compare and list models without it; manage its jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

USAGE: Final = """usage: kneebox COMMAND ...

  run          start the product: queue, worker, REST interface and pages
  analyse      analyse one scan and write a folder of results (this word may be omitted)
  compare      show the differences between two complete analyses
  follow       show three and more complete analyses of one knee against time
  models       list the installed models, and how to install more
  validate     measure a model on scans with expert label maps
  check-scans  rank scans without label maps by what looks wrong
  study        many scans from one manifest: check it, analyse it, one set of tables
  jobs         manage the jobs of this server

Each command has --help, except run, whose settings are environment variables (docs/operating.md).
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status, 2 for invalid arguments."""
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


def _study(words: list[str]) -> int:
    from studies.command_line.commands import main as study_main

    return study_main(words[1:], program="kneebox study")


def _pipeline(words: list[str]) -> int:
    from pipeline.command_line.commands import main as pipeline_main

    return pipeline_main(words, program="kneebox")


COMMANDS: Final[dict[str, Callable[[list[str]], int]]] = {"run": _run, "jobs": _jobs, "study": _study}
"""All other commands are those of the pipeline. Modules are imported when called, so that `models` does not load the
web server.
"""

if __name__ == "__main__":
    sys.exit(main())
