"""The results tree as a whole."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.anatomy import Structure
from pipeline.quantities import Method
from pipeline.relaxation import T1RHO
from pipeline.results_tree import (
    ARTIFACTS,
    EDITS,
    EXTRUSION_PICTURE,
    T1RHO_MAP,
    T1RHO_MEASUREMENTS,
    T1RHO_R2_MAP,
    artifact_of,
)
from pipeline.types import Measurement, RelaxationMap, ShapeFit
from tests.support.report_phantom import FOLDER, phantom, write_tree

ALWAYS = {
    "README.txt",
    "results.csv",
    "results.json",
    "oai_variables.csv",
    "report.html",
    "provenance.json",
    "segmentation/labels.nii.gz",
    "segmentation/labels.nrrd",
    "segmentation/subregions.nii.gz",
    "segmentation/subregions_fine.nii.gz",
    "segmentation/labels.itksnap.txt",
    "segmentation/labels.slicer.ctbl",
    *(f"surfaces/{bone}.{kind}" for bone in ("femur", "tibia", "patella") for kind in ("vtp", "ply")),
    "maps/femur_map.npz",  # the bone by which the phantom is aligned; the other spheres do not fit the reference
    "maps/femur_map.csv",
    "maps/flat_maps.png",
    "qc/overlay.png",
    "qc/surfaces.png",
    "openmsk/thickness_results.json",
}


T1RHO_FILES = (T1RHO_MAP, T1RHO_R2_MAP, T1RHO_MEASUREMENTS)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names(folder)}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results") / "files"
    write_tree(phantom(), folder)
    return folder


@pytest.mark.slow
def test_the_tree_has_exactly_the_files_of_the_contract(tree: Path) -> None:
    assert names(tree) == ALWAYS


def test_every_file_is_an_entry_of_the_table_and_every_unconditional_entry_a_file(tree: Path) -> None:
    assert not [name for name in names(tree) if artifact_of(name) is None]
    assert not [item.path for item in ARTIFACTS if not item.condition and not item.found(tree)]
    assert all(item.condition for item in ARTIFACTS if "{" in item.path)


def test_the_same_result_gives_the_same_bytes(tree: Path, tmp_path: Path) -> None:
    write_tree(phantom(), tmp_path / "again")
    assert digests(tmp_path / "again") == digests(tree)


def test_no_text_file_contains_the_inputs_name_folder_or_an_absolute_path(tree: Path) -> None:
    texts = [path for path in tree.rglob("*") if path.suffix in {".txt", ".csv", ".json", ".html", ".ctbl"}]
    assert len(texts) >= 7
    for path in texts:
        content = re.sub(r"base64,[A-Za-z0-9+/=]+", "", path.read_text(encoding="utf-8"))
        assert FOLDER not in content, path.name
        assert "Doe Jane" not in content, path.name
        for root in ("/srv/", "/home/", "/tmp/", "/work/", str(tree), "C:\\"):  # noqa: S108 -- searched for, not used
            assert root not in content, (path.name, root)


def test_the_readme_names_every_file_and_the_research_notice(tree: Path) -> None:
    text = (tree / "README.txt").read_text(encoding="utf-8")
    assert "Research use only. Not for clinical diagnosis." in text
    assert "LPS" in text
    assert "Knee U-Net weights" in text
    for name in ALWAYS - {"README.txt"}:
        artifact = artifact_of(name)
        assert artifact is not None, name
        assert artifact.path in text


def test_t2_and_shape_add_their_files(tmp_path: Path) -> None:
    result = phantom()
    grid = result.segmentation.grid
    values = np.full(grid.shape, np.nan, dtype=np.float32)
    values[10, 50, 40] = 41.5
    reconstruction = result.thickness[0].surface
    full = replace(
        result,
        t2=RelaxationMap(time_ms=values, r2=values / 50, method=Method.MULTI_ECHO, grid=grid),
        shapes=(
            ShapeFit(
                model="femurs",
                kind="bone_only",
                sha256="0" * 64,
                latent=np.array([0.5, -1.25]),
                icp_transform=np.eye(4),
                center=np.zeros(3),
                scale=50.0,
                reconstructions=(reconstruction,),
                assd_mm=(0.4,),
                bscore=None,
            ),
        ),
    )
    write_tree(full, tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Shape model of the femur" in page
    assert "bone alone</th><td>0.40</td>" in page
    extra = {"t2/t2map.nii.gz", "t2/r2map.nii.gz", "t2/results.csv"}
    prefix = f"shape/NSM_bone_only_recon_{reconstruction.structure.key}"
    extra |= {"shape/NSM_bone_only_recon_params.json", f"{prefix}.vtp", f"{prefix}.ply"}
    assert names(tmp_path) == ALWAYS | extra
    absent = {item.path for item in ARTIFACTS if not item.found(tmp_path)}
    missing = {EXTRUSION_PICTURE.path, EDITS.path, *(item.path for item in T1RHO_FILES)}
    assert absent == missing, "no menisci; outlines of a model; T2, not T1rho"
    lines = (tmp_path / "t2" / "results.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3
    assert all(line.startswith("T2,") for line in lines[1:])


def test_t1rho_has_its_own_table(tmp_path: Path) -> None:
    result = phantom()
    times = np.full(result.segmentation.grid.shape, 41.5, dtype=np.float32)
    found = RelaxationMap(time_ms=times, r2=times / 50, method=Method.SPIN_LOCK, grid=result.segmentation.grid)
    row = Measurement.of(
        T1RHO,
        method=Method.SPIN_LOCK,
        structure="femoral_cartilage",
        region="all",
        statistic=T1RHO.main,
        value=41.5,
        n=9,
    )
    write_tree(replace(result, t2=found, measurements=(*result.measurements, row)), tmp_path)
    assert all(item.found(tmp_path) for item in T1RHO_FILES)
    assert not (tmp_path / "t2").exists()
    _, *lines = T1RHO_MEASUREMENTS.at(tmp_path).read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == ["T1rho"]
    assert "T1rho" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_label_map_without_a_scan_and_without_a_patella_is_reported_too(tmp_path: Path) -> None:
    result = phantom()
    labels = result.segmentation.labels.copy()
    labels[np.isin(labels, [Structure.PATELLA, Structure.PATELLAR_CARTILAGE])] = 0
    part = replace(
        result,
        scan=None,
        segmentation=replace(result.segmentation, labels=labels, model_id="labels"),
        thickness=tuple(item for item in result.thickness if item.surface.structure is not Structure.PATELLA),
        measurements=tuple(row for row in result.measurements if row.structure != "patellar_cartilage"),
        provenance=replace(result.provenance, model={}),
    )
    write_tree(part, tmp_path)
    assert names(tmp_path) == ALWAYS - {"surfaces/patella.vtp", "surfaces/patella.ply"}
    assert "Label map without a scan" in (tmp_path / "report.html").read_text(encoding="utf-8")
