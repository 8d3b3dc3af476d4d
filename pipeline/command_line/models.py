"""models: the inventory of weights as a table or JSON; models fetch ID."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from pathlib import Path
from typing import Final

from tqdm import tqdm

from pipeline.errors import OptionsError
from pipeline.types import Resources
from pipeline.weights.fetch import fetch, read_token
from pipeline.weights.inventory import Entry, State, take_inventory
from pipeline.weights.sources import source

WIDTH: Final = 100


def build_parser(program: str) -> argparse.ArgumentParser:
    """Arguments to list weights, or to fetch a source."""
    parser = argparse.ArgumentParser(
        prog=program,
        description="List installed weights, verify their SHA-256, list missing weights, and download them.",
        epilog="A scan with the name `models` is given as ./models.",
    )
    parser.add_argument("action", nargs="?", choices=("list", "fetch"), default="list")
    parser.add_argument("id", nargs="?", help="fetch: id of the source, as listed")
    parser.add_argument("--models-dir", type=Path, help="folder with extra weights (MODELS_DIR of the service)")
    parser.add_argument("--token-file", type=Path, help="fetch: a file with the hub's access token")
    parser.add_argument("--json", action="store_true", help="list: as JSON instead of a table")
    return parser


def run(parser: argparse.ArgumentParser, words: list[str]) -> tuple[int, str]:
    """Exit status and output: 0, or 1 if installed weights are broken.

    Raises KneeError; OptionsError for invalid arguments.
    """
    given = parser.parse_args(words)
    if given.models_dir is not None and not given.models_dir.is_dir():
        raise OptionsError(f"--models-dir {given.models_dir.name} is not a folder.")
    if given.action == "fetch":
        return 0, _fetch(given)
    if given.id is not None:
        raise OptionsError(f"list takes no id, found {given.id!r}.")
    entries = take_inventory(Resources(models_dir=given.models_dir))
    status = int(any(entry.state is State.BROKEN for entry in entries))
    if given.json:
        return status, json.dumps([entry.to_dict() for entry in entries], indent=1, ensure_ascii=False)
    return status, _as_text(entries, given.models_dir)


def _fetch(given: argparse.Namespace) -> str:
    if given.id is None or given.models_dir is None:
        raise OptionsError("fetch needs an id and --models-dir, the destination folder.")
    wanted = source(given.id, given.models_dir)
    token = read_token(given.token_file)
    total = sum(file.size for file in wanted.files)
    with tqdm(total=total, file=sys.stderr, unit="B", unit_scale=True, desc=wanted.id) as bar:
        fetch(wanted, given.models_dir, token, lambda done, _: bar.update(done - bar.n))
    return f"{wanted.id} is in the models folder; all files match their pinned digests."


def _as_text(entries: tuple[Entry, ...], models_dir: Path | None) -> str:
    lines = []
    for entry in entries:
        lines.append(f"{entry.state.upper():8} {entry.id}  ({entry.origin})")
        lines += textwrap.wrap(
            f"{entry.title}. {entry.detail}", WIDTH, initial_indent=" " * 9, subsequent_indent=" " * 9
        )
        for file in entry.files:
            checked = (
                f"checked against {file.checked_against}" if file.checked_against else "no digest to check against"
            )
            lines.append(f"{'':9}{file.name}  sha256 {file.sha256[:16]}…  {checked}")
    if models_dir is None:
        lines.append("Extra weights were not listed: no --models-dir was given.")
    return "\n".join(lines)
