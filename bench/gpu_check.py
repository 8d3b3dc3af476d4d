"""make gpu-check: compare an NVIDIA card with the processor: labels and seconds; then train and adapt for a minute.

    python -m bench.gpu_check [--map FILE] [--environment .venv-gpu]

FILE is an expert label map in the numbering `oai` that was not used in training; it is rendered as DESS at full
resolution. The sample knee is measured too. onnxruntime-gpu is installed into a separate environment. Exit status 0 if
all requirements are met, 1 if one is missed, NO_CARD if the machine has no NVIDIA card: then nothing is installed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.nnunet import ROOT, environment_python

REQUIREMENTS: Final = (ROOT / "requirements-gpu.txt",)
NO_CARD: Final = 3
DICE_BAR: Final = 0.999
QUERY: Final = ("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")


def cards(query: tuple[str, ...] = QUERY) -> list[str]:
    """Name and memory of each NVIDIA card that the driver lists; none without a driver."""
    try:
        answer = subprocess.run(query, capture_output=True, encoding="utf-8", timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]


def missed_bars(found: Mapping[str, Any]) -> list[str]:  # Any: the content of a JSON file
    """What is not as required, as sentences."""
    missed = []
    for scan in found["scans"]:
        missed += [
            f"{scan['name']}, {part}: Dice of processor and card {dice:.5f}; expected at least {DICE_BAR}"
            for part, dice in scan["dice"].items()
            if dice < DICE_BAR
        ]
        slow, fast = (scan["seconds"][device] for device in found["devices"])
        if fast >= slow:
            missed.append(
                f"{scan['name']}: {fast:.1f} s on {found['devices'][1]}, {slow:.1f} s on {found['devices'][0]}"
            )
    missed += [f"{name}: no step of training in its time" for name, steps in found["steps"].items() if steps < 1]
    return missed


def report(found: Mapping[str, Any]) -> list[str]:  # Any: as above
    """The figures as lines of text."""
    lines = []
    for scan in found["scans"]:
        seconds = ", ".join(f"{device} {seconds:.1f} s" for device, seconds in scan["seconds"].items())
        lines.append(f"{scan['name']}: {seconds}, lowest Dice of both {min(scan['dice'].values()):.5f}")
    return lines + [f"{name}: {steps} steps" for name, steps in found["steps"].items()]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--map", type=Path)
    parser.add_argument("--environment", type=Path, default=Path(".venv-gpu"))
    given = parser.parse_args()
    listed = cards()
    if not listed:
        print(
            "No NVIDIA card was found: nvidia-smi is missing, fails or lists none. Nothing was installed or measured.\n"
            "Kneebox does not need one. With a card, install its driver first: nvidia-smi must list it.",
            file=sys.stderr,
        )
        return NO_CARD
    print(f"Found: {'; '.join(listed)}", flush=True)
    python = environment_python(given.environment, REQUIREMENTS)
    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch) / "answer.json"
        asked = [str(python), "-m", "bench.gpu_run", str(answer), *(["--map", str(given.map)] if given.map else [])]
        if subprocess.run(asked, cwd=ROOT, check=False).returncode:
            print("The measurement failed; the message is above.", file=sys.stderr)
            return 1
        found = json.loads(answer.read_text(encoding="utf-8"))
    missed = missed_bars(found)
    print("", *report(found), *(f"MISSED: {text}" for text in missed), sep="\n")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
