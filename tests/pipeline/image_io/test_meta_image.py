"""MetaImage as ITK writes it, with the safety of the other readers: no foreign data file, no missing voxel."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from pipeline.errors import KneeError, UnreadableImage, UnsupportedImage
from pipeline.image_io import check_scan, read_label_map, read_scan
from tests.support.image_io_writers import itk_image, make_phantom

PHANTOM = make_phantom(1)


def written(folder: Path, name: str = "a.mha", *, compressed: bool = False) -> Path:
    SimpleITK.WriteImage(itk_image(PHANTOM), str(folder / name), useCompression=compressed)
    return folder / name


def changed(path: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))
    return path


@pytest.mark.parametrize("compressed", [False, True])
def test_an_oblique_image_lies_where_itk_wrote_it(compressed: bool, tmp_path: Path) -> None:
    path = written(tmp_path, compressed=compressed)
    facts, scan = check_scan(path), read_scan(path)
    assert np.array_equal(scan.echoes[0], PHANTOM.echoes[0])
    assert np.allclose(scan.grid.spacing_mm, PHANTOM.spacing_xyz[::-1])
    assert np.allclose(scan.grid.direction, PHANTOM.direction, atol=1e-9)
    assert np.allclose(scan.grid.origin_mm, PHANTOM.origin)
    assert facts.shape == scan.grid.shape


@pytest.mark.parametrize("packed", [False, True])
def test_header_and_voxels_of_one_upload_belong_together(packed: bool, tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    written(folder, "a.mhd")
    source = folder
    if packed:
        source = tmp_path / "scan.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, f"data/{file.name}")
    assert np.array_equal(read_scan(source).echoes[0], PHANTOM.echoes[0])


@pytest.mark.parametrize("name", ["/etc/passwd", "../b.raw", "LIST", "b.raw", "a%03d.raw 1 10 1"])
def test_voxels_outside_the_upload_are_never_opened(name: str, tmp_path: Path) -> None:
    (tmp_path / "up").mkdir()
    SimpleITK.WriteImage(itk_image(PHANTOM), str(tmp_path / "b.mhd"))
    path = written(tmp_path / "up")
    changed(path, b"ElementDataFile = LOCAL", b"ElementDataFile = " + name.encode())
    with pytest.raises(UnsupportedImage, match="two files"):
        read_scan(path)


@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        (b"DimSize = ", b"DimSize = 9", UnreadableImage, "cut off"),
        (b"DimSize = ", b"DimSize = x ", UnreadableImage, "not an integer"),
        (b"ElementSpacing = ", b"Elementspacing = ", UnreadableImage, "ElementSpacing"),
        (b"TransformMatrix = ", b"TransformMatrix = 1 ", UnreadableImage, "geometry"),
        (b"ElementType = MET_SHORT", b"ElementType = MET_STRING", UnsupportedImage, "plain number"),
        (b"BinaryData = True", b"BinaryData = False", UnsupportedImage, "text"),
        (b"NDims = 3", b"NDims = 2", UnreadableImage, "2 dimensions"),
        (b"ElementDataFile = LOCAL", b"HeaderSize = 99999999\nElementDataFile = LOCAL", UnreadableImage, "outside"),
    ],
)
def test_each_fault_of_a_header_has_its_error(
    old: bytes, new: bytes, error: type[KneeError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        read_scan(changed(written(tmp_path), old, new))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_file_that_was_cut_off_is_refused(compressed: bool, keep: float, tmp_path: Path) -> None:
    path = written(tmp_path, compressed=compressed)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    for read in (check_scan, read_scan):
        with pytest.raises(UnreadableImage, match=r"cut off|damaged"):
            read(path)


def test_big_endian_voxels_and_several_channels_are_read(tmp_path: Path) -> None:
    vector = SimpleITK.Compose([itk_image(PHANTOM), itk_image(PHANTOM) + 5])
    SimpleITK.WriteImage(vector, str(tmp_path / "v.mha"))
    scan = read_scan(tmp_path / "v.mha")
    assert np.array_equal(scan.echoes, np.stack([PHANTOM.echoes[0], PHANTOM.echoes[0] + 5]))
    path = written(tmp_path, "a.mha")
    data = path.read_bytes()
    start = data.index(b"LOCAL\n") + 6
    header = data[:start].replace(b"BinaryDataByteOrderMSB = False", b"BinaryDataByteOrderMSB = True")
    path.write_bytes(header + np.frombuffer(data[start:], "<i2").astype(">i2").tobytes())
    assert np.array_equal(read_scan(path).echoes[0], PHANTOM.echoes[0])


def test_a_label_map_may_be_a_meta_image(tmp_path: Path) -> None:
    labels = SimpleITK.GetImageFromArray((PHANTOM.echoes[0] % 5).astype(np.uint8))
    SimpleITK.WriteImage(labels, str(tmp_path / "labels.mha"), useCompression=True)
    found = read_label_map(tmp_path / "labels.mha").labels
    assert np.array_equal(found, PHANTOM.echoes[0] % 5)
