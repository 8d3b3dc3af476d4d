"""python -m pipeline: as a process where the process matters, else its main function."""

import json
import subprocess
import sys

import pytest
import SimpleITK as sitk

from pipeline.command_line.commands import main
from pipeline.comparison.folders import COMPARED
from tests.support.knees import coarse_knee
from tests.support.label_maps import write_nrrd
from tests.support.two_knees import two_knees

pytestmark = pytest.mark.slow


def call(*arguments):
    command = [sys.executable, "-m", "pipeline", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300, check=False)


def test_a_label_map_becomes_a_table_and_a_results_folder_in_place_of_earlier_results(tmp_path):
    earlier = tmp_path / "out" / "surfaces" / "earlier.vtp"
    earlier.parent.mkdir(parents=True)
    earlier.touch()
    (tmp_path / "out" / "results.csv").touch()
    write_nrrd(coarse_knee(), tmp_path / "my knee.nrrd")
    done = call("--labels", tmp_path / "my knee.nrrd", tmp_path / "out", "--no-nsm")
    assert done.returncode == 0, done.stderr
    assert "Femur, medial weight bearing" in done.stdout
    assert (tmp_path / "out" / "results.csv").stat().st_size > 0
    assert (tmp_path / "out" / "my knee_results.zip").exists()
    assert (tmp_path / "out" / "surfaces" / "femur.vtp").exists()
    assert not earlier.exists()
    kept = {path.name.split(".")[0] for path in (tmp_path / "out" / ".analysis" / "work").iterdir()}
    assert kept == {product.name for product in COMPARED}, "what a comparison reads"


def test_an_empty_image_is_rejected_with_a_code_and_no_traceback(tmp_path):
    sitk.WriteImage(sitk.Image([16, 16, 16], sitk.sitkInt16), str(tmp_path / "zero.nii.gz"))
    done = call(tmp_path / "zero.nii.gz", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("EMPTY_IMAGE: ")
    assert "Traceback" not in done.stderr


def test_the_message_for_a_missing_file_has_no_folder(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere" / "scan.nii.gz"), str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "no file or folder named scan.nii.gz" in said
    assert "nowhere" not in said.splitlines()[-1]


def test_invalid_arguments_give_a_clear_message(tmp_path):
    done = call("only-one-path")
    assert done.returncode == 2
    assert "expected INPUT OUTPUT_DIR" in done.stderr


def test_options_out_of_bounds_are_rejected(tmp_path, capsys):
    sitk.WriteImage(sitk.Image([16, 16, 16], sitk.sitkInt16), str(tmp_path / "zero.nii.gz"))
    assert main([str(tmp_path / "zero.nii.gz"), str(tmp_path / "out"), "--cartilage-smoothing", "9"]) == 2
    assert "expected 0.0 to 4.0" in capsys.readouterr().err


def test_an_image_of_two_knees_gives_a_folder_for_each_with_the_values_of_the_knee_alone(tmp_path, capsys):
    def analysed(name, folder):
        assert main(["--labels", str(tmp_path / f"{name}.nrrd"), str(tmp_path / folder), "--no-nsm", "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    both, _, left = two_knees(knee=coarse_knee())
    write_nrrd(both, tmp_path / "both.nrrd")
    write_nrrd(left, tmp_path / "left.nrrd")
    printed = analysed("both", "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["knee_1", "knee_2"]
    assert [printed[name]["side"] for name in ("knee_1", "knee_2")] == ["right", "left"]
    assert analysed("left", "alone")["side"] == "left"
    first, second, alone = (
        (tmp_path / folder / "results.csv").read_text() for folder in ("out/knee_1", "out/knee_2", "alone")
    )
    assert second == alone != first
    assert main(["compare", *(str(tmp_path / "out" / name) for name in printed), str(tmp_path / "change")]) == 0
    change = json.loads((tmp_path / "change" / "comparison.json").read_text())
    assert max(abs(row["change"]) for row in change["changes"] if row["quantity"] == "ThC") < 0.02
