"""One measured figure and its bar."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Figure:
    """bar: the requirement; measured: the result with its unit; met: whether it meets the bar.

    timed: it holds only if the machine has nothing else to do
    """

    bar: str
    measured: str
    met: bool
    timed: bool = False

    def line(self) -> str:
        """As `make bench-service` prints it."""
        return f"{'met   ' if self.met else 'MISSED'}  {self.bar}: {self.measured}"
