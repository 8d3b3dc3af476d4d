"""Patient data planted wherever a file can hold it, the whole product run on it, then every byte it left looked at."""

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
from bench.service.site import SAMPLE, Site, site, wait_for

LONGEST_S: Final = 300.0
FORGOTTEN_AFTER_S: Final = 30.0
"""The queue's log on disk holds an address until it is written anew, soon after the job has ended."""

NAME_ALLOWED: Final = frozenset({planted.FILE_NAME[:9].lower()})
"""The record, its copy in job.json and the queue's own log hold the file name: the download is named after it."""


@dataclass
class Seen:
    """looked_at: bytes; hits: where something planted was found; controls: what should have been found, and was not;
    digests: of the uploads, which a copy for research must not hold.
    """

    looked_at: int = 0
    places: int = 0
    digests: list[bytes] = field(default_factory=list)
    hits: list[str] = field(default_factory=list)
    controls: list[str] = field(default_factory=list)

    def look(self, place: str, data: bytes, allowed: frozenset[str] = frozenset()) -> None:
        """Search some bytes."""
        self.places += 1
        self.looked_at += len(data)
        self.hits += [f"{place}: {hit}" for hit in sorted(planted.found_in(data) - allowed)]

    def expect(self, what: str, holds: bool) -> None:
        """A control: where it fails, a search that finds nothing proves nothing."""
        if not holds:
            self.controls.append(what)


def figures(*, short: bool) -> list[Figure]:
    """Jobs that end in every way; in the short form the complete one is of a coarse knee."""
    seen = Seen()
    with site() as here:
        here.start_queue()
        here.start_api()
        here.start_worker()
        # a connection for each question: the server closes one that is idle while the next upload is made
        once = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=here.url, timeout=120, limits=once) as client:
            jobs = _run(_Sender(client, seen), Inside(here), _knee(small=short))
            _look_at_waiting_scans(here, client, seen)
            _look_at_answers(client, seen, jobs)
        _look_at_redis(here, seen)
        _look_at_files(here, seen, jobs)
    told = "".join(f"\n    {line}" for line in seen.hits[:40])
    missing = "".join(f"\n    {line}" for line in seen.controls)
    return [
        Figure(
            bar="planted patient data: 0 hits in zip, logs, Redis, responses, folders",
            measured=f"{len(seen.hits)} in {seen.looked_at / 1e6:.0f} MB of {seen.places} places{told}",
            met=not seen.hits,
        ),
        Figure(
            bar="the same search finds all that was planted in the uploads, and what may be kept where it is kept",
            measured=f"{len(seen.controls)} controls failed{missing}",
            met=not seen.controls,
        ),
    ]


class _Sender:
    """Sends uploads under the planted name, and looks at each answer."""

    def __init__(self, client: httpx.Client, seen: Seen) -> None:
        self.client, self.seen = client, seen

    def send(self, kind: str, content: bytes, *, plants: int, extension: str, status: int = 201) -> str:
        """-> the job's id; empty where it was refused. plants: so many planted texts the file holds at least."""
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
        """Until the job has ended, as expected."""
        wait_for(lambda: self.status(job_id)["status"] in ("complete", "error"), LONGEST_S, "the end of a job")
        ended = self.status(job_id)
        self.seen.expect(f"ended {ended['status']}, expected {status}: {ended}", ended["status"] == status)


def _run(sender: _Sender, inside: Inside, knee: SimpleITK.Image) -> dict[str, str]:
    """-> the jobs that are still there: how each was to end -> its id."""
    noise, zeros = _block(900), _block(1)
    complete = sender.send("DICOM", planted.dicom_zip(planted.dicom_slices(knee)), plants=46, extension=".zip")
    cancelled = sender.send("NRRD", planted.nrrd(noise), plants=5, extension=".nrrd")
    deleted = sender.send("NIfTI", planted.nifti(noise), plants=6, extension=".nii.gz")
    waiting = str(inside.client.hget("jobs", cancelled)).lower()
    sender.seen.expect("the address is in the record of a job that waits", planted.EMAIL in waiting)
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
    """Files that are refused, each for a reason that a message could explain with the header's own words."""
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
        sender.seen.look(f"refusal of {kind}", answer.content)
        sender.seen.expect(f"{kind} was not refused: {answer.status_code}", answer.status_code == 400)


def _look_at_waiting_scans(here: Site, client: httpx.Client, seen: Seen) -> None:
    """Uploads that are described before they are started: the answers, and what is noted beside them."""
    image = _block(900)
    slices = planted.dicom_slices(image)
    for content, extension in (
        (planted.dicom_zip(slices), ".zip"),
        (planted.dicom_zip(slices, planted.dicom_slices(image, series=6)), ".zip"),
        (planted.nifti(image), ".nii.gz"),
    ):
        answer = client.post("/scans", files={"file": (f"{planted.FILE_NAME}{extension}", content)})
        seen.look("answer to a scan that waits", answer.content, NAME_ALLOWED)
        seen.expect(f"a scan waits: {answer.status_code}", answer.status_code == 201)
        scan_id = str(answer.json().get("scan_id", ""))
        noted = here.folder / "scans" / scan_id / "scan.json"
        seen.look("note on a scan that waits", noted.read_bytes(), NAME_ALLOWED)
        seen.expect("the note holds the upload's name", planted.FILE_NAME.encode() in noted.read_bytes())
        seen.expect("it is discarded", client.delete(f"/scans/{scan_id}").status_code == 204)


def _look_at_answers(client: httpx.Client, seen: Seen, jobs: dict[str, str]) -> None:
    """All that can be asked about the jobs, and every file of the results."""
    results = client.get(f"/download/{jobs['complete']}")
    named = results.headers.get("content-disposition", "")
    seen.expect("the download bears the name of the upload", planted.FILE_NAME in named)
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


def _look_at_redis(here: Site, seen: Seen) -> None:
    """Every key, RQ's too."""
    stored = dump(here.folder.joinpath("valkey", "url").read_text(encoding="utf-8").strip())
    for key, value in stored.items():
        seen.look(f"Redis key {key}", key.encode())
        seen.look(f"Redis {key}", value, NAME_ALLOWED if key == "jobs" else frozenset())
    seen.expect("the record holds the upload's name", planted.FILE_NAME.encode() in stored["jobs"])
    seen.expect("RQ's packed values were read", any(b"jobs.worker.tasks.run_job" in value for value in stored.values()))


def _look_at_files(here: Site, seen: Seen, jobs: dict[str, str]) -> None:
    """Everything below the data directory: folders of jobs, copies for research, logs, the queue's own log."""
    log = here.folder / "valkey"
    address = planted.EMAIL.encode()

    def forgotten() -> bool:
        with contextlib.suppress(FileNotFoundError):  # written anew just now
            return not any(address in path.read_bytes() for path in log.rglob("*.aof"))
        return False

    try:
        wait_for(forgotten, FORGOTTEN_AFTER_S, "a queue's log without addresses")
    except TimeoutError:
        seen.hits.append(f"the queue's log holds an address {FORGOTTEN_AFTER_S:.0f} s after its job has ended")
    here.stop()  # the queue may be writing its log anew: files come and go while it runs
    names, told = set(), 0
    for path in sorted(here.folder.rglob("*")):
        name = path.relative_to(here.folder).as_posix()
        names.add(name)
        seen.look(f"name of {name}", name.encode())
        if path.is_file():
            kept = path.name == "job.json" or log in path.parents
            content = path.read_bytes()
            seen.look(name, content, NAME_ALLOWED if kept else frozenset())
            if name.startswith("research/") and any(digest in content for digest in seen.digests):
                seen.hits.append(f"{name}: the digest of an upload")
            told += name.endswith("results/files/provenance.json") and any(d in content for d in seen.digests)
    seen.expect("a log of the worker, the REST server and a job", {"worker.log", "api.log"} <= names)
    seen.expect("provenance holds the digest of the upload", told == 1)
    seen.expect("a copy for research", any(name.startswith("research/") for name in names))
    seen.hits += [f"{name} was left" for name in names if "/input/" in name or name.startswith("incoming/")]
    seen.expect("job.json of the complete job", f"jobs/{jobs['complete']}/job.json" in names)


def digests_of(content: bytes) -> list[bytes]:
    """sha256 as text, of the bytes and as the analysis makes it."""
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
    """A small image of random values below a number; 1 leaves zeros."""
    voxels = np.random.default_rng(1).integers(0, values, (12, 16, 18)).astype(np.int16)
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing((5.0, 5.0, 3.0))
    return image
