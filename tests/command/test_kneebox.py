"""The command `kneebox`: as a process where the process matters, else its main function."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kneebox import main

ROOT = Path(__file__).resolve().parents[2]


def call(*arguments):
    command = [sys.executable, "-m", "kneebox", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=120, check=False, cwd=ROOT, env=environment
    )


def test_help_names_every_command():
    done = call("--help")
    assert done.returncode == 0
    assert {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")} == {
        "run",
        "analyse",
        "compare",
        "follow",
        "models",
        "validate",
        "check-scans",
        "study",
        "jobs",
    }


def test_without_a_command_it_says_which_there_are():
    done = call()
    assert (done.returncode, done.stdout) == (2, "")
    assert "analyse" in done.stderr


@pytest.mark.parametrize("command", ["analyse", "compare", "models", "validate", "study", "jobs"])
def test_each_command_explains_itself_under_its_own_name(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: kneebox {command} ")


@pytest.mark.slow
def test_a_scan_is_analysed_without_the_word(tmp_path, capsys):
    done = call("no.nii.gz", tmp_path / "out")
    assert main(["analyse", "no.nii.gz", str(tmp_path / "out")]) == done.returncode == 1
    assert capsys.readouterr().err == done.stderr == "INPUT_ERROR: There is no file or folder named no.nii.gz.\n"


def test_missing_analyses_cannot_be_compared(tmp_path, capsys):
    assert main(["compare", *(str(tmp_path / name) for name in "abc")]) == 1
    assert capsys.readouterr().err.startswith("NOT_COMPARABLE: ")


def test_the_product_is_not_started_by_a_wrong_call(capsys):
    assert main(["run", "--port", "80"]) == 2
    assert "run takes no arguments" in capsys.readouterr().err
