"""One measured figure and its bar."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Figure:
    """bar: the requirement; measured: the result with its unit; met: whether it meets the bar."""

    bar: str
    measured: str
    met: bool

    def line(self) -> str:
        """As `make bench-service` prints it."""
        return f"{'met   ' if self.met else 'MISSED'}  {self.bar}: {self.measured}"
