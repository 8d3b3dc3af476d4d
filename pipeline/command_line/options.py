"""AnalysisOptions as flags: name, help, default and choices come from the fields only."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

from pipeline.errors import OptionsError
from pipeline.options import CHOICES, AnalysisOptions, read_times


def add_options(parser: argparse.ArgumentParser, notes: Mapping[str, str]) -> None:
    """Add the flags of all options that have one. notes: additional help text per option."""
    for item in fields(AnalysisOptions):
        if flag := item.metadata["flag"]:
            parser.add_argument(flag, dest=item.name, default=item.default, **_settings(item, notes.get(item.name, "")))


def options_of(given: argparse.Namespace) -> AnalysisOptions:
    """The options from parsed arguments. Raises OptionsError if a value is out of bounds."""
    chosen = {item.name: getattr(given, item.name) for item in fields(AnalysisOptions) if item.metadata["flag"]}
    return AnalysisOptions(**chosen)


def _settings(item: Field[Any], note: str) -> dict[str, Any]:
    """Keywords of add_argument. A flag of an option that is on by default switches it off."""
    text = f"{item.metadata['help']} {note}".strip().replace("%", "%%")
    if isinstance(item.default, bool):
        if item.default:
            return {"action": "store_false", "help": f"Switch off: {text}"}
        return {"action": "store_true", "help": text}
    if isinstance(item.default, tuple):
        return {"type": _times, "metavar": item.metadata["value"], "help": text}
    if item.default != "":
        text = f"{text} Default: {item.default}."
    if choices := CHOICES.get(item.name):
        return {"choices": choices, "help": text}
    return {"type": type(item.default), "metavar": item.metadata["value"], "help": text}


def _times(text: str) -> tuple[float, ...]:
    """For argparse, which prints the message of an ArgumentTypeError."""
    try:
        return read_times(text)
    except OptionsError as error:
        raise argparse.ArgumentTypeError(error.message) from None
