"""Measurements as CSV, with the decimal mark and the separator that a spreadsheet expects."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from jobs.errors import InvalidForm

Format = Literal["", "json", "csv"]
Separator = Literal["comma", "semicolon", "tab"]
Decimal = Literal["point", "comma"]

SEPARATORS: Final[Mapping[Separator, str]] = {"comma": ",", "semicolon": ";", "tab": "\t"}


@dataclass(frozen=True, kw_only=True)
class CsvStyle:
    """separator: one character; decimal_comma: whether numbers have one instead of a point."""

    separator: str
    decimal_comma: bool


def csv_style(separator: Separator | None, decimal: Decimal) -> CsvStyle:
    """Without a separator: a comma, or a semicolon with decimal commas. Raises InvalidForm if both are commas."""
    comma = decimal == "comma"
    if comma and separator == "comma":
        text = "Decimal commas need another separator: semicolon or tab"
        raise InvalidForm([{"type": "value_error", "loc": ["query", "separator"], "msg": text, "input": separator}])
    return CsvStyle(separator=SEPARATORS[separator or ("semicolon" if comma else "comma")], decimal_comma=comma)


def csv_text(rows: Sequence[Mapping[str, object]], style: CsvStyle) -> str:
    """A header line, then one line per row; an empty field for None."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=style.separator, lineterminator="\n")
    names = list(rows[0]) if rows else []
    writer.writerow(names)
    writer.writerows([_field(row[name], style) for name in names] for row in rows)
    return text.getvalue()


def _field(value: object, style: CsvStyle) -> object:
    return str(value).replace(".", ",") if style.decimal_comma and isinstance(value, float) else value
