"""Files for a deployment: what a service may do, and what an image contains."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from jobs.state.rq_adapter import QUEUE_KEY, STUDY_QUEUE_KEY

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
EXPOSURE = 2.5
"""Maximum of `systemd-analyze security`: 0 is closed, 10 is open."""


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("unit", ["kneebox.service", "kneebox-worker@.service"])
def test_a_systemd_unit_exposes_little(unit: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(DEPLOY / unit)]
    answer = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if "--offline" in answer.stderr:
        pytest.skip("this systemd-analyze cannot judge a file")
    found = re.search(r"exposure level for \S+: ([\d.]+)", answer.stdout)
    assert found is not None, answer.stderr
    assert float(found[1]) <= EXPOSURE


def test_both_units_have_the_same_restrictions() -> None:
    service, worker = (
        (DEPLOY / name).read_text("utf-8").split("UMask=")[1].split("[Install]")[0]
        for name in ("kneebox.service", "kneebox-worker@.service")
    )
    assert service == worker


def test_pages_start_where_the_home_folder_is_closed() -> None:
    config = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))
    assert config["secrets"]["files"] == [], "Streamlit reads secrets in the home folder at the first page, or fails"


def test_an_image_and_the_repository_contain_no_settings_and_no_data() -> None:
    assert {".env", "data", ".git"} <= set((ROOT / ".dockerignore").read_text("utf-8").split())
    assert {"/.env", "/data/"} <= set((ROOT / ".gitignore").read_text("utf-8").split())


def test_the_autoscaler_counts_the_queues_that_workers_take_from() -> None:
    files = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "kneebox.yaml").read_text("utf-8")))
    (scaled,) = (item for item in files if item["kind"] == "ScaledObject")
    lists = {trigger["metadata"]["listName"] for trigger in scaled["spec"]["triggers"]}
    assert lists == {QUEUE_KEY, STUDY_QUEUE_KEY}
    deployments = {item["metadata"]["name"]: item for item in files if item["kind"] == "Deployment"}
    assert scaled["spec"]["scaleTargetRef"]["name"] in deployments
    for deployment in deployments.values():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        assert (ROOT / container["command"][-1]).is_file()


def test_the_script_of_burst_workers_can_be_read_by_bash() -> None:
    script = DEPLOY / "slurm" / "workers.sbatch"
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert "worker.py --idle" in script.read_text("utf-8")
