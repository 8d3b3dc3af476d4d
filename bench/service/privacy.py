"""Plants patient data in every possible place of a file, runs the complete service, and searches all output bytes."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import SimpleITK

from bench.service import planted
from bench.service.dump import dump
from bench.service.figures import Figure
from bench.service.inside import Inside, small_knee
from bench.service.site import SAMPLE, Site, running_site, wait_for

LONGEST_S: Final = 300.0
FORGOTTEN_AFTER_S: Final = 30.0
"""The queue's log on disk contains an address until it is rewritten, soon after the job has ended."""

NAME_ALLOWED: Final = frozenset({planted.FILE_NAME[:9].lower()})
"""The record, its copy in job.json and the queue's log contain the file name, which is the name of the download."""


@dataclass
class Seen:
    """looked_at: bytes; hits: places with a planted value; controls: values that should have been found but were not;
    digests: of the uploads, which a copy for research must not contain.
    """

    looked_at: int = 0
    places: int = 0
    digests: list[bytes] = field(default_factory=list)
    hits: list[str] = field(default_factory=list)
    controls: list[str] = field(default_factory=list)

    def look(self, place: str, data: bytes, allowed: frozenset[str] = frozenset()) -> None:
        """Search bytes for planted values."""
        self.places += 1
        self.looked_at += len(data)
        self.hits += [f"{place}: {hit}" for hit in sorted(planted.found_in(data) - allowed)]

    def expect(self, what: str, holds: bool) -> None:
        """Check a control: if it fails, a search without hits proves nothing."""
        if not holds:
            self.controls.append(what)


def figures(*, short: bool) -> list[Figure]:
    """Run jobs to every final state; `short`: the complete job uses a coarse knee."""
    seen = Seen()
    with running_site(RESEARCH_COPIES="1", RESEARCH_PURPOSE="a test") as site:
        site.start_queue()
        site.start_api()
        site.start_worker()
        # one connection per request: the server closes an idle one while the next upload is generated
        once = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=site.url, timeout=120, limits=once) as client:
            jobs = _run(_Sender(client, seen), Inside(site), _knee(small=short))
            _look_at_waiting_scans(site, client, seen)
            _look_at_answers(client, seen, jobs)
        _look_at_redis(site, seen)
        _look_at_files(site, seen, jobs)
    named = "".join(f"\n    {line}" for line in seen.hits[:40])
    missing = "".join(f"\n    {line}" for line in seen.controls)
    return [
        Figure(
            bar="planted patient data: 0 hits in zip, logs, Redis, responses, folders",
            measured=f"{len(seen.hits)} in {seen.looked_at / 1e6:.0f} MB of {seen.places} places{named}",
            met=not seen.hits,
        ),
        Figure(
            bar="the search finds all planted values in the uploads, and permitted values in their permitted places",
            measured=f"{len(seen.controls)} controls failed{missing}",
            met=not seen.controls,
        ),
    ]


class _Sender:
    """Sends uploads with the planted name and searches each response."""

    def __init__(self, client: httpx.Client, seen: Seen) -> None:
        self.client, self.seen = client, seen

    def send(self, kind: str, content: bytes, *, plants: int, extension: str, status: int = 201) -> str:
        """Returns the job ID, empty if rejected. plants: minimum number of planted texts in the file."""
        found = planted.found_in(content)
        self.seen.expect(f"{kind}: only {sorted(found)} found in the upload itself", len(found) >= plants)
        self.seen.digests += digests_of(content)
        answer = self.client.post(
            "/upload",
            files={"file": (f"{planted.FILE_NAME}{extension}", content)},
            data={"email": planted.EMAIL, "retain_results": "true"},
        )
        self.seen.look(f"answer to {kind}", answer.content)
        self.seen.expect(f"{kind}: {answer.status_code} {answer.text}", answer.status_code == status)
        return str(answer.json().get("job_id", ""))

    def status(self, job_id: str) -> dict[str, Any]:
        """GET /status."""
        answer = self.client.get(f"/status/{job_id}")
        self.seen.look("/status", answer.content)
        return dict(answer.json())

    def wait(self, job_id: str, status: str) -> None:
        """Wait until the job has ended as expected."""
        wait_for(lambda: self.status(job_id)["status"] in ("complete", "error"), LONGEST_S, "the end of a job")
        ended = self.status(job_id)
        self.seen.expect(f"ended {ended['status']}, expected {status}: {ended}", ended["status"] == status)


def _run(sender: _Sender, inside: Inside, knee: SimpleITK.Image) -> dict[str, str]:
    """Returns the existing jobs: expected final state -> job ID."""
    noise, zeros = _block(900), _block(1)
    complete = sender.send("DICOM", planted.dicom_zip(planted.dicom_slices(knee)), plants=46, extension=".zip")
    cancelled = sender.send("NRRD", planted.nrrd(noise), plants=5, extension=".nrrd")
    deleted = sender.send("NIfTI", planted.nifti(noise), plants=6, extension=".nii.gz")
    waiting = str(inside.client.hget("jobs", cancelled)).lower()
    sender.seen.expect("the address is in the record of a waiting job", planted.EMAIL in waiting)
    sender.seen.look("cancel", sender.client.post(f"/jobs/{cancelled}/cancel").content)
    sender.seen.look("delete", sender.client.delete(f"/jobs/{deleted}").content)
    failed = [
        sender.send("enhanced DICOM", planted.enhanced_dicom(zeros), plants=41, extension=".dcm"),
        sender.send("empty NIfTI", planted.nifti(zeros), plants=6, extension=".NII.GZ"),
    ]
    _refuse(sender, noise)
    for job_id, status in ((complete, "complete"), (cancelled, "error"), *((job_id, "error") for job_id in failed)):
        sender.wait(job_id, status)
    return {"complete": complete, "cancelled": cancelled, "failed": failed[0], "failed too": failed[1]}


def _refuse(sender: _Sender, image: SimpleITK.Image) -> None:
    """Submit files that are rejected, each for a reason whose message might quote the header."""
    slices = planted.dicom_slices(image)
    gaps = dict(list(slices.items())[:4] + list(slices.items())[7:])
    strange = planted.dicom_slices(image, modality=planted.mark(48))
    nrrd, enhanced = planted.nrrd(image), planted.enhanced_dicom(image)
    refused = (
        ("two series", planted.dicom_zip(slices, planted.dicom_slices(image, series=6)), ".zip", 46),
        ("slices missing", planted.dicom_zip(gaps), ".zip", 46),
        ("an unknown modality", planted.dicom_zip(strange), ".zip", 47),
        ("a damaged archive", planted.dicom_zip(slices)[:-40], ".zip", 0),
        ("a truncated NRRD", nrrd[: len(nrrd) // 2], ".nrrd", 0),
        ("an NRRD without its space", nrrd.replace(b"space:", planted.mark(65).encode() + b":"), ".nrrd", 5),
        ("a truncated NIfTI", planted.nifti(image)[:-400], ".nii.gz", 0),
        ("a truncated enhanced DICOM", enhanced[: len(enhanced) - 2000], ".dcm", 20),
        ("a foreign extension", enhanced, ".docx", 41),
    )
    for kind, content, extension, plants in refused:
        found = planted.found_in(content) if plants else set()
        sender.seen.expect(f"{kind}: only {len(found)} planted texts", len(found) >= plants)
        answer = sender.client.post(
            "/upload",
            files={"file": (f"{planted.FILE_NAME}{extension}", content)},
            data={"email": planted.EMAIL},
        )
        sender.seen.look(f"rejection of {kind}", answer.content)
        sender.seen.expect(f"{kind} was not rejected: {answer.status_code}", answer.status_code == 400)


def _look_at_waiting_scans(site: Site, client: httpx.Client, seen: Seen) -> None:
    """Search responses and notes of uploads that are inspected before they are started."""
    image = _block(900)
    slices = planted.dicom_slices(image)
    for content, extension in (
        (planted.dicom_zip(slices), ".zip"),
        (planted.dicom_zip(slices, planted.dicom_slices(image, series=6)), ".zip"),
        (planted.nifti(image), ".nii.gz"),
    ):
        answer = client.post("/scans", files={"file": (f"{planted.FILE_NAME}{extension}", content)})
        seen.look("response for a waiting scan", answer.content, NAME_ALLOWED)
        seen.expect(f"waiting scan: {answer.status_code}", answer.status_code == 201)
        scan_id = str(answer.json().get("scan_id", ""))
        noted = site.folder / "scans" / scan_id / "scan.json"
        seen.look("note of a waiting scan", noted.read_bytes(), NAME_ALLOWED)
        seen.expect("the note contains the upload's name", planted.FILE_NAME.encode() in noted.read_bytes())
        seen.expect("it is discarded", client.delete(f"/scans/{scan_id}").status_code == 204)


def _look_at_answers(client: httpx.Client, seen: Seen, jobs: dict[str, str]) -> None:
    """Search all responses about the jobs, and every result file."""
    results = client.get(f"/download/{jobs['complete']}")
    named = results.headers.get("content-disposition", "")
    seen.expect("the download has the name of the upload", planted.FILE_NAME in named)
    seen.expect("the results are a zip", results.content[:4] == b"PK\3\4")
    seen.look("results zip", results.content)
    for job_id in jobs.values():
        for path in ("measurements", "artifacts/results.json", "artifacts/provenance.json", "artifacts/report.html"):
            seen.look(path, client.get(f"/jobs/{job_id}/{path}").content)
        table = client.get(f"/jobs/{job_id}/measurements", headers={"accept": "text/csv"})
        seen.look("measurements as CSV", table.content)
        for path in (f"/status/{job_id}", f"/download/{job_id}"):
            seen.look(path, client.get(path).content)
        seen.look("cancelled again", client.post(f"/jobs/{job_id}/cancel").content)
    for path in ("/stats", "/health", "/models", "/openapi.json"):
        seen.look(path, client.get(path).content)


def _look_at_redis(site: Site, seen: Seen) -> None:
    """Search every key, including those of RQ."""
    stored = dump(site.folder.joinpath("valkey", "url").read_text(encoding="utf-8").strip())
    for key, value in stored.items():
        seen.look(f"Redis key {key}", key.encode())
        seen.look(f"Redis {key}", value, NAME_ALLOWED if key == "jobs" else frozenset())
    seen.expect("the record contains the upload's name", planted.FILE_NAME.encode() in stored["jobs"])
    seen.expect("RQ values were decompressed", any(b"jobs.worker.tasks.run_job" in value for value in stored.values()))


def _look_at_files(site: Site, seen: Seen, jobs: dict[str, str]) -> None:
    """Search the data directory: job folders, copies for research, logs, the queue's log."""
    log = site.folder / "valkey"
    address = planted.EMAIL.encode()

    def forgotten() -> bool:
        with contextlib.suppress(FileNotFoundError):  # recently rewritten
            return not any(address in path.read_bytes() for path in log.rglob("*.aof"))
        return False

    try:
        wait_for(forgotten, FORGOTTEN_AFTER_S, "a queue's log without addresses")
    except TimeoutError:
        seen.hits.append(f"the queue's log contains an address {FORGOTTEN_AFTER_S:.0f} s after its job has ended")
    site.stop()  # while the queue runs it may rewrite its log, so files appear and disappear
    names, named = set(), 0
    for path in sorted(site.folder.rglob("*")):
        name = path.relative_to(site.folder).as_posix()
        names.add(name)
        seen.look(f"name of {name}", name.encode())
        if path.is_file():
            kept = path.name == "job.json" or log in path.parents
            content = path.read_bytes()
            seen.look(name, content, NAME_ALLOWED if kept else frozenset())
            if name.startswith("research/") and any(digest in content for digest in seen.digests):
                seen.hits.append(f"{name}: the digest of an upload")
            named += name.endswith("results/files/provenance.json") and any(d in content for d in seen.digests)
    seen.expect("a log of the worker, the REST server and a job", {"worker.log", "api.log"} <= names)
    seen.expect("provenance holds the digest of the upload", named == 1)
    seen.expect("a copy for research", any(name.startswith("research/") for name in names))
    seen.hits += [f"{name} was left" for name in names if "/input/" in name or name.startswith("incoming/")]
    seen.expect("job.json of the complete job", f"jobs/{jobs['complete']}/job.json" in names)


def digests_of(content: bytes) -> list[bytes]:
    """SHA-256 as text: of the bytes, and as computed by the analysis."""
    once = hashlib.sha256(content)
    return [digest.hexdigest().encode() for digest in (once, hashlib.sha256(once.digest()))]


def _knee(*, small: bool) -> SimpleITK.Image:
    if not small:
        return SimpleITK.ReadImage(str(SAMPLE))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "knee.nii.gz"
        path.write_bytes(small_knee())
        return SimpleITK.ReadImage(str(path))


def _block(values: int) -> SimpleITK.Image:
    """A small image of random values below a number; 1 gives zeros."""
    voxels = np.random.default_rng(1).integers(0, values, (12, 16, 18)).astype(np.int16)
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing((5.0, 5.0, 3.0))
    return image
