"""The command `kneebox`, as a process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def call(*arguments, folder=ROOT):
    command = [sys.executable, "-m", "kneebox", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=folder, env=environment
    )


def test_help_names_every_command():
    done = call("--help")
    assert done.returncode == 0
    assert {line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")} == {
        "run",
        "analyse",
        "compare",
        "models",
        "jobs",
    }


def test_without_a_command_it_says_which_there_are():
    done = call()
    assert (done.returncode, done.stdout) == (2, "")
    assert "analyse" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["analyse", "compare", "models", "jobs"])
def test_each_command_explains_itself_under_its_own_name(command, tmp_path):
    done = call(command, "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: kneebox {command} ")


@pytest.mark.slow
def test_a_scan_is_analysed_without_the_word(tmp_path):
    plain, named = call("no.nii.gz", tmp_path / "out"), call("analyse", "no.nii.gz", tmp_path / "out")
    assert plain.returncode == named.returncode == 1
    assert plain.stderr == named.stderr == "INPUT_ERROR: There is no file or folder named no.nii.gz.\n"


@pytest.mark.slow
def test_missing_analyses_cannot_be_compared(tmp_path):
    done = call("compare", tmp_path / "a", tmp_path / "b", tmp_path / "c")
    assert done.returncode == 1
    assert done.stderr.startswith("NOT_COMPARABLE: ")


@pytest.mark.slow
def test_the_product_is_not_started_by_a_wrong_call():
    done = call("run", "--port", "80")
    assert done.returncode == 2
    assert "run takes no arguments" in done.stderr
