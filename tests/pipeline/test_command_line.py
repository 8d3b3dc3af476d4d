"""python -m pipeline, as a process."""

import json
import subprocess
import sys

import pytest
import SimpleITK as sitk

from tests.support.knees import turned_knee
from tests.support.label_maps import write_nrrd
from tests.support.two_knees import two_knees

pytestmark = pytest.mark.slow


def call(*arguments, **more):
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **more)


@pytest.mark.slow
def test_a_label_map_becomes_a_table_and_a_results_folder(tmp_path):
    write_nrrd(turned_knee(), tmp_path / "my knee.nrrd")
    done = call("--labels", tmp_path / "my knee.nrrd", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "Femur, medial weight bearing" in done.stdout
    assert (tmp_path / "out" / "results.csv").exists()
    assert (tmp_path / "out" / "my knee_results.zip").exists()
    assert not (tmp_path / "out" / ".analysis").exists()
    again = call("--labels", tmp_path / "my knee.nrrd", tmp_path / "out", "--json")
    assert json.loads(again.stdout)["side"] == "right"


def test_an_empty_image_is_rejected_with_a_code_and_no_traceback(tmp_path):
    sitk.WriteImage(sitk.Image([16, 16, 16], sitk.sitkInt16), str(tmp_path / "zero.nii.gz"))
    done = call(tmp_path / "zero.nii.gz", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("EMPTY_IMAGE: ")
    assert "Traceback" not in done.stderr


def test_the_message_for_a_missing_file_has_no_folder(tmp_path):
    done = call(tmp_path / "nowhere" / "scan.nii.gz", tmp_path / "out")
    assert done.returncode == 1
    assert "no file or folder named scan.nii.gz" in done.stderr
    assert "nowhere" not in done.stderr.splitlines()[-1]


def test_invalid_arguments_give_a_clear_message(tmp_path):
    assert call("only-one-path").returncode == 2
    assert "expected INPUT OUTPUT_DIR" in call("only-one-path").stderr


def test_options_out_of_bounds_are_rejected(tmp_path):
    sitk.WriteImage(sitk.Image([16, 16, 16], sitk.sitkInt16), str(tmp_path / "zero.nii.gz"))
    done = call(tmp_path / "zero.nii.gz", tmp_path / "out", "--cartilage-smoothing", "9")
    assert done.returncode == 2
    assert "expected 0.0 to 4.0" in done.stderr


def test_an_image_of_two_knees_gives_a_folder_for_each_with_the_values_of_the_knee_alone(tmp_path):
    for name, knee in zip(("both", "knee_1", "knee_2"), two_knees(), strict=True):
        write_nrrd(knee, tmp_path / f"{name}.nrrd")
    done = call("--labels", tmp_path / "both.nrrd", tmp_path / "out", "--no-nsm", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["knee_1", "knee_2"]
    for name, side in (("knee_1", "right"), ("knee_2", "left")):
        alone = call("--labels", tmp_path / f"{name}.nrrd", tmp_path / name, "--no-nsm", "--json")
        assert printed[name]["side"] == json.loads(alone.stdout)["side"] == side
        assert (tmp_path / "out" / name / "results.csv").read_text() == (tmp_path / name / "results.csv").read_text()
