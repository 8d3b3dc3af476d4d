"""Numbers, times and names as text.

humanize 4.17 was tried instead and is less exact where it matters: 23.6 h until deletion becomes "a day", 1 min 20 s
"a minute", and 12 GB "12.0 GB". Sizes are also written by ui/assets/components/upload.js, in the same form.
"""

from __future__ import annotations

from datetime import UTC, datetime


def duration(seconds: float | None) -> str:
    """`8 s`, `1 min 20 s`, `2 h 5 min`; empty where it is not known."""
    if seconds is None:
        return ""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, rest = divmod(whole, 3600)
    return f"{hours} h {rest // 60} min" if rest >= 60 else f"{hours} h"


def step_seconds(seconds: float | None) -> str:
    """`0.4 s` below ten seconds, else as `duration`."""
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < 9.95 else duration(seconds)


def size(count: int | None) -> str:
    """Bytes as kB, MB or GB (powers of ten, as file managers show them)."""
    if count is None:
        return ""
    if count < 1_000_000:
        return f"{max(1, round(count / 1000))} kB"
    if count >= 10_000_000_000:
        return f"{count / 1e9:.0f} GB"
    return f"{count / 1e6:.1f} MB" if count < 1e8 else f"{count / 1e6:.0f} MB"


def moment(value: datetime | str | None) -> datetime | None:
    """A record's time with its offset; naive ones are UTC."""
    if value is None or value == "":
        return None
    parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def analysis_name(filename: str, version: int) -> str:
    """`knee.nii.gz`, and `knee.nii.gz, version 2` for a corrected one."""
    return filename if version == 1 else f"{filename}, version {version}"


def date(value: datetime | str | None) -> str:
    """`24 Nov 2026, 17:03 UTC`; empty where it is not known."""
    then = moment(value)
    return "" if then is None else f"{then.astimezone(UTC):%-d %b %Y, %H:%M} UTC"


def age(value: datetime | str | None, now: datetime) -> str:
    """`just now`, `5 min ago`, `3 h ago`, `2 days ago`."""
    then = moment(value)
    if then is None:
        return ""
    seconds = (now - then).total_seconds()
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{int(seconds // 60)} min ago"
    if seconds < 2 * 86400:
        return f"{int(seconds // 3600)} h ago"
    return f"{int(seconds // 86400)} days ago"


def time_left(value: datetime | str | None, now: datetime) -> str:
    """`in 23 h`, `in 40 min`; empty where there is no end or it has passed."""
    then = moment(value)
    if then is None or then <= now:
        return ""
    minutes = (then - now).total_seconds() / 60
    if minutes < 90:
        return f"in {max(1, round(minutes))} min"
    return f"in {round(minutes / 60)} h" if minutes < 60 * 48 else f"in {round(minutes / 1440)} days"


def name(key: str) -> str:
    """`medial_weight_bearing` -> `Medial weight bearing`."""
    return key.replace("_", " ").capitalize()
