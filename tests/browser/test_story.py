"""A user's complete workflow: from a fresh start to a comparison, in a real browser."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.service.inside import small_knee
from tests.support.browser import ANALYSIS_LIMIT_MS, Product, opened
from tests.support.image_io_writers import make_phantom, write_dicom
from tests.support.label_maps import coarse_knee
from tests.support.pages import drop, ready, zero_image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

JOB = re.compile(r"/analysis\?job=[0-9a-f-]{36}")


def start(page: Page) -> str:
    """Press Start; returns the address of the job."""
    page.get_by_role("button", name="Start analysis").click()
    page.wait_for_url(JOB)
    return page.url


def finish(page: Page) -> None:
    """Wait until the analysis on this page is complete."""
    from playwright.sync_api import expect

    done = page.get_by_role("link", name=re.compile("Download results")).first
    failed = page.get_by_text(re.compile(r"[A-Z_]{4,} · job "))
    expect(done.or_(failed)).to_be_visible(timeout=ANALYSIS_LIMIT_MS)
    assert not failed.is_visible(), page.get_by_role("alert").first.inner_text()


def test_from_a_fresh_start_to_a_comparison(
    browser: Browser, product: Product, sample_job: str, tmp_path: Path
) -> None:
    """Sample, queue, progress, cancel, drop, pre-flight, retry, reload, 3D, slices, table, download, deep link after a
    restart, comparison. The sample knee is analysed to its end by the long form of bench/pages/idle.py.
    """
    from playwright.sync_api import expect

    with opened(browser, product.url) as page:
        page.goto(product.url)
        expect(page.get_by_role("heading", name="Measure a knee MRI")).to_be_visible()
        page.get_by_role("button", name="Try the sample knee").click()
        page.wait_for_url(JOB)
        expect(page.get_by_role("heading", name="sample_knee.nii.gz")).to_be_visible()
        expect(page.get_by_role("progressbar")).to_be_visible()
        expect(page.get_by_text(re.compile(r"step \d+ of \d+|Next in the queue"))).to_be_visible()
        cancel(page, while_outlining=False)

        first = drop_and_retry(page, product)
        figures = read_figures(page)
        use_the_3d_view(page)
        use_the_slices(page)
        read_the_table(page, figures)
        take_the_zip_home(page, tmp_path, figures)
        page.goto(f"{product.url}/jobs")
        expect(page.get_by_text("sample_knee.nii.gz")).to_be_visible()
        expect(page.get_by_text("small_knee.nii.gz")).to_be_visible()

        product.stop()
        product.start()
        page.goto(first)
        finish(page)
        assert read_figures(page) == figures
        page.goto(f"{product.url}/jobs")
        expect(page.get_by_text("sample_knee.nii.gz")).to_be_visible()
        compare(page, product, first.rsplit("=", 1)[-1], sample_job)


def cancel(page: Page, *, while_outlining: bool = True) -> None:
    """Cancel the analysis, at once or while it outlines."""
    from playwright.sync_api import expect

    if while_outlining:
        expect(page.locator(".ok-steps li.running", has_text="Outline")).to_be_visible(timeout=ANALYSIS_LIMIT_MS)
    page.get_by_role("button", name="Cancel analysis").click()
    expect(page.get_by_text("This analysis was cancelled.")).to_be_visible()


def read_figures(page: Page) -> list[str]:
    """The four headline figures of the page."""
    from playwright.sync_api import expect

    figures = page.get_by_test_id("stMetricValue")
    expect(figures).to_have_count(4)
    texts = [text.strip() for text in figures.all_inner_texts()]
    for text in texts:
        millimetres = re.fullmatch(r"(\d\.\d\d) mm", text)
        assert millimetres, text
        assert 0.5 < float(millimetres[1]) < 5.0
    return texts


def use_the_3d_view(page: Page) -> None:
    """The bones are drawn, and the value under the pointer is shown in time."""
    scene = ready(page, page.locator("[data-ok3d]"))
    scene.locator("canvas.canvas").evaluate("canvas => canvas.scrollIntoView({ block: 'center', behavior: 'instant' })")
    box = scene.locator("canvas.canvas").bounding_box()
    assert box is not None
    seen = set()
    for across in (0.35, 0.5, 0.62):
        for down in (0.3, 0.5, 0.75):
            page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
            page.wait_for_timeout(120)
            seen.add(scene.get_attribute("data-hover-value") or "")
    assert any(re.search(r"\d", value) for value in seen), seen
    assert scene.get_attribute("data-loads") == "1"


def use_the_slices(page: Page) -> None:
    from playwright.sync_api import expect

    page.get_by_role("tab", name="Slices").click()
    viewer = ready(page, page.locator("[data-loads][data-position]"))
    before = viewer.get_attribute("data-position")
    viewer.locator("canvas").first.click(position={"x": 90, "y": 90})
    expect(viewer).not_to_have_attribute("data-position", before or "")


def read_the_table(page: Page, figures: list[str]) -> None:
    from playwright.sync_api import expect

    page.get_by_role("tab", name="Measurements").click()
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    expect(table.locator("td", has_text="Femur, medial weight bearing")).to_be_attached(timeout=30_000)
    expect(table.locator("td").nth(2)).to_have_text(re.compile(r"^\d"), timeout=30_000)  # columns come one by one
    title, use, mean, *_ = table.locator("td").all_text_contents()
    assert title == "Femur, whole plate"
    assert "Bone area" in use, "the image cuts the femoral cartilage"
    assert float(mean) == pytest.approx(float(figures[0].split()[0]), abs=0.006)
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    page.get_by_role("tab", name="Quality").click()
    overlay = page.get_by_role("img", name=re.compile("outlines"))
    overlay.scroll_into_view_if_needed()
    page.wait_for_function(
        "image => image.complete && image.naturalWidth > 300", arg=overlay.element_handle(), timeout=20_000
    )
    page.get_by_role("tab", name="3D").click()
    assert page.locator("[data-ok3d]").get_attribute("data-loads") == "1", "the scene was loaded again"


def take_the_zip_home(page: Page, tmp_path: Path, figures: list[str]) -> None:
    with page.expect_download() as waiting:
        page.get_by_role("link", name=re.compile("Download results")).first.click()
    assert waiting.value.suggested_filename == "small_knee_results.zip"
    target = tmp_path / "results.zip"
    waiting.value.save_as(target)
    with zipfile.ZipFile(target) as archive:
        name = next(entry for entry in archive.namelist() if entry.split("/")[-1] == "results.csv")
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open(name), encoding="utf-8")))
    primary = {
        (row["structure"], row["region"]): float(row["value"])
        for row in rows
        if (row["quantity"], row["method"], row["statistic"]) == ("ThC", "union", "mean") and row["value"]
    }
    assert f"{primary['femoral_cartilage', 'all']:.2f} mm" == figures[0]


def drop_and_retry(page: Page, product: Product) -> str:
    """A part of the sample knee: dropped, checked, cancelled, started again and reloaded. Returns its address."""
    from playwright.sync_api import expect

    page.goto(product.url)
    drop(page, "small_knee.nii.gz", small_knee(1.0))
    card = page.locator(".st-key-preflight")
    expect(card).to_contain_text("87 × 87 × 87")
    expect(card).to_contain_text("1 × 1 × 1 mm")
    expect(card).to_contain_text("T2 cannot")
    expect(page.get_by_text("No copies are kept for research")).to_be_attached()
    expect(page.get_by_role("checkbox", name="research")).to_have_count(0)
    start(page)
    cancel(page)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.reload()
    finish(page)
    return page.url


def compare(page: Page, product: Product, first: str, second: str) -> None:
    """The same knee in small and in large voxels: the bones fit, and the page says that the voxels differ."""
    from playwright.sync_api import expect

    page.goto(f"{product.url}/compare?a={first}&b={second}")
    expect(page.locator("[data-ok3d]")).to_have_attribute("data-state", "ready", timeout=120_000)
    expect(page.get_by_role("link", name=re.compile("CSV"))).to_be_visible()
    with page.expect_download() as waiting:
        page.get_by_role("link", name=re.compile("CSV")).click()
    rows = list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text(encoding="utf-8"))))
    changes = [float(row["change"]) for row in rows if row["quantity"] == "ThC" and row["change"]]
    assert len(changes) > 5
    assert max(map(abs, changes)) < 1.5, "no more than half a voxel"
    expect(page.get_by_text(re.compile("The voxel sizes differ"))).to_be_visible()


def test_scan_and_label_map_dropped_together_are_measured_once_the_numbering_is_confirmed(page: Page) -> None:
    from playwright.sync_api import expect

    dropped = [{"name": f"{name}.nii", "mimeType": "", "buffer": coarse_knee()[name]} for name in ("scan", "labels")]
    page.locator("input[data-part=files]").set_input_files(dropped)  # type: ignore[arg-type] # dictionaries as typed
    card = page.locator(".st-key-preflight")
    expect(card).to_contain_text("labels.nii")
    expect(card.get_by_role("combobox")).to_have_value(re.compile("^oai:"))
    expect(card.get_by_role("img", name=re.compile("Sagittal|Coronal"))).to_have_count(2)
    expect(card.locator(".ok-legend li")).to_contain_text(
        ["Femur", "Femoral", "Tibia", "medial and lateral", "Pat", "Pat"]
    )
    begin = page.get_by_role("button", name="Start analysis")
    expect(begin).to_be_disabled()
    page.get_by_text("Each colour is on the structure").click()
    expect(begin).to_be_enabled()
    start(page)
    finish(page)
    expect(page.get_by_text("Numbering 'oai'").first).to_be_visible()
    assert all(re.fullmatch(r"\d\.\d\d mm", figure) for figure in read_figures(page))
    page.get_by_role("tab", name="Provenance").click()
    expect(page.locator(".ok-steps li.skipped", has_text="Outline bones")).to_contain_text("label map that was given")


def test_the_user_chooses_one_of_several_series(page: Page, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    write_dicom(make_phantom(1), tmp_path / "knee" / "a")
    write_dicom(make_phantom(2), tmp_path / "knee" / "b", change=lambda data, *_: setattr(data, "SeriesNumber", "9"))
    page.locator("input[data-part=folder]").set_input_files(str(tmp_path / "knee"))
    expect(page.get_by_text("2 usable series")).to_be_visible()
    expect(page.get_by_role("button", name="Start analysis")).to_have_count(0)
    page.get_by_text(re.compile("Series 9:")).click()
    expect(page.locator(".st-key-preflight")).to_contain_text("Matrix")
    expect(page.get_by_role("button", name="Start analysis")).to_be_visible()
    page.reload()
    expect(page.locator(".st-key-preflight")).to_contain_text("Choose one.")
    page.get_by_role("button", name="Choose another scan").click()
    expect(page.get_by_role("button", name="Choose files")).to_be_visible()


def test_an_empty_image_gives_a_clear_message(page: Page) -> None:
    from playwright.sync_api import expect

    drop(page, "test.nii.gz", zero_image())
    start(page)
    expect(page.get_by_text(re.compile("EMPTY_IMAGE"))).to_be_visible(timeout=ANALYSIS_LIMIT_MS)
    message = page.get_by_role("alert").first.inner_text()
    assert "expected" in message
    assert "/" not in message.replace("and/or", "")
    expect(page.get_by_text("To try again, upload it again")).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def test_a_file_that_is_not_a_scan_is_rejected_at_the_upload(page: Page) -> None:
    from playwright.sync_api import expect

    drop(page, "scan.nii.gz", b"this is no image")
    expect(page.locator("[data-part=problem]")).to_contain_text("not")
    expect(page.get_by_role("button", name="Choose files")).to_be_visible()


def test_an_unknown_address_is_explained(page: Page, product: Product) -> None:
    from playwright.sync_api import expect

    page.goto(f"{product.url}/analysis?job=00000000-0000-4000-8000-000000000000")
    expect(page.get_by_role("heading", name="No such analysis")).to_be_visible()


def test_a_deleted_analysis_leaves_the_list(page: Page, product: Product) -> None:
    from playwright.sync_api import expect

    drop(page, "nothing.nii.gz", zero_image())
    start(page)
    expect(page.get_by_text(re.compile("EMPTY_IMAGE"))).to_be_visible(timeout=ANALYSIS_LIMIT_MS)
    page.goto(f"{product.url}/jobs")
    expect(page.get_by_text("nothing.nii.gz")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("nothing.nii.gz")).to_have_count(0)
    page.reload()
    expect(page.get_by_text("No analysis was started or opened in this browser yet.")).to_be_visible()
