"""Malicious and unusual uploads to a real server: expected response, time and memory limits, no files left."""

from __future__ import annotations

import os
import socket
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import psutil

from bench.service import reading
from bench.service.corpus import all_cases, reading_cases
from bench.service.corpus.case import ESCAPED, PATIENT_ID, Case, Place, form_of
from bench.service.corpus.volumes import nifti, voxels
from bench.service.figures import Figure
from bench.service.site import ROOT, Site, running_site

MOST_SECONDS: Final = 10.0
MOST_MEMORY_MB: Final = 1000.0
SHORT_FORM_EVERY: Final = 20
_SAMPLE_S: Final = 0.1


@dataclass
class Seen:
    """Observations over all cases."""

    cases: int = 0
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    slowest: str = ""
    server_errors: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)
    telling: list[str] = field(default_factory=list)


class Memory(threading.Thread):
    """Samples the resident memory of a process and its children; `peak_mb` is the largest sum."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak_mb = 0.0
        self._process = psutil.Process(pid)
        self._stop_asked = threading.Event()

    def run(self) -> None:
        while not self._stop_asked.wait(_SAMPLE_S):
            total = 0
            for process in (self._process, *self._process.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak_mb = max(self.peak_mb, total / 1e6)

    def stop(self) -> None:
        self._stop_asked.set()
        self.join()


class Listener(threading.Thread):
    """A port on 127.0.0.1 that counts connections."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.calls = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])

    def run(self) -> None:
        while True:
            try:
                caller, _ = self._socket.accept()
            except OSError:
                return
            self.calls += 1
            caller.close()

    def close(self) -> None:
        self._socket.close()


def figures(*, short: bool) -> list[Figure]:
    """Run all cases of the corpus; `short`: every twentieth of the uploads, and all files that are only read."""
    cases = all_cases()[:: SHORT_FORM_EVERY if short else 1]
    with running_site() as product:
        temporary, forbidden = product.folder / "tmp", product.folder / "forbidden"
        for folder in (temporary, forbidden):
            folder.mkdir()
        product.environment["TMPDIR"] = str(temporary)
        product.start_queue()
        memory = Memory(product.start_api().pid)
        listener = Listener()
        memory.start()
        listener.start()
        place = Place(_make_canaries(forbidden, product.folder), listener.port)
        seen = Seen()
        # one connection per case: the server may close an idle one while the next case is generated
        with httpx.Client(base_url=product.url, timeout=60, limits=httpx.Limits(max_keepalive_connections=0)) as client:
            _begin(client)
            for case in cases:
                _try(case, place, client, product, seen)
        memory.stop()
        files = product.folder / "files"
        files.mkdir()
        read = reading.figures(reading_cases(), place, files)
        if _accessed(place.canary, product.folder) > 0:
            seen.followed.append("one of the files that were only read")
        listener.close()
    if listener.calls:
        seen.followed.append(f"{listener.calls} network connections")
    return [*_figures(seen, memory.peak_mb), *read]


def _begin(client: httpx.Client) -> None:
    """Submit and delete a valid upload with an e-mail address, so that the server creates its permanent folders."""
    content_type, body = form_of("a.nii", nifti(), {"email": "a@b.org"})
    answer = client.post("/upload", content=body, headers={"content-type": content_type})
    client.delete(f"/jobs/{answer.raise_for_status().json()['job_id']}").raise_for_status()


def _make_canaries(folder: Path, data_dir: Path) -> Path:
    """Write raw voxels that fit the headers, where absolute, relative and numbered references would find them."""
    raw = voxels().tobytes()
    canary = folder / "voxels.raw"
    names = [canary, data_dir / canary.name, *(folder / f"slice{k:02d}.raw" for k in range(1, 13))]
    for name in names:
        name.write_bytes(raw if "voxels" in name.name else raw[: len(raw) // 12])
        os.utime(name, (0, name.stat().st_mtime))  # a read would update the access time
    return canary


def _accessed(canary: Path, data_dir: Path) -> float:
    names = [*canary.parent.iterdir(), data_dir / canary.name]
    return max(name.stat().st_atime for name in names)


def _tree(product: Site) -> dict[str, tuple[int, int]]:
    """Files and folders of the data directory and TMPDIR, except those of the queue and the logs."""
    return {
        str(path.relative_to(product.folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in product.folder.rglob("*")
        if "valkey" not in path.relative_to(product.folder).parts and path.suffix != ".log" and not path.is_dir()
    } | {
        str(path.relative_to(product.folder)): (0, 0)
        for path in product.folder.rglob("*")
        if path.is_dir() and "valkey" not in path.relative_to(product.folder).parts
    }


def _outside(product: Site) -> list[str]:
    """Paths to which an escaping entry or file name would lead; no such file may exist."""
    parents = {product.folder, *product.folder.parents, ROOT, *ROOT.parents, Path("/etc"), Path.home(), Path("/tmp")}  # noqa: S108  only inspected
    return [str(parent) for parent in parents if any(parent.glob(f"{ESCAPED}*"))]


def _try(case: Case, place: Place, client: httpx.Client, product: Site, seen: Seen) -> None:
    name = f"{case.kind}: {case.name}"
    content_type, body = case.request(place)
    before = _tree(product)
    start = time.monotonic()
    try:
        answer = client.post("/upload", content=body, headers={"content-type": content_type} if content_type else {})
    except httpx.TransportError as error:
        seen.wrong.append(f"{name}: no response ({type(error).__name__})")
        return
    seconds = time.monotonic() - start
    seen.cases += 1
    if seconds > seen.slowest_s:
        seen.slowest_s, seen.slowest = seconds, name
    found = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else {}
    code = str(found.get("error_code", ""))
    if answer.status_code != case.expected_status or (case.codes and code not in case.codes):
        seen.wrong.append(f"{name}: {answer.status_code} {code}, expected {case.expected_status} {case.codes}")
    if answer.status_code >= 500:
        seen.server_errors.append(name)
    if answer.status_code == 201:
        gone = client.delete(f"/jobs/{found['job_id']}")
        if gone.status_code != 204:
            seen.wrong.append(f"{name}: deleting it gave {gone.status_code}")
    messages = answer.text if answer.status_code != 201 else ""
    # a 201 response contains the file name of the sender
    secrets = (str(product.folder), str(ROOT), "site-packages", "/tmp/", "Traceback", "Doe", PATIENT_ID)  # noqa: S108  searched for
    seen.telling += [f"{name}: {secret}" for secret in secrets if secret in messages]
    after = _tree(product)
    seen.left += [f"{name}: {path}" for path in sorted(after.keys() - before.keys())]
    seen.outside += [f"{name}: {path} changed" for path in before if path in after and before[path] != after[path]]
    seen.outside += [f"{name}: {path}" for path in _outside(product)]
    if _accessed(place.canary, product.folder) > 0:
        seen.followed.append(name)
        _make_canaries(place.canary.parent, product.folder)


def _figures(seen: Seen, peak_mb: float) -> list[Figure]:
    def none_of(bar: str, found: list[str]) -> Figure:
        return Figure(bar=bar, measured=f"{len(found)}" + "".join(f"\n    {line}" for line in found), met=not found)

    right = seen.cases - len(seen.wrong)
    return [
        Figure(
            bar="malicious and unusual inputs with the expected response",
            measured=f"{right} of {seen.cases}" + "".join(f"\n    {line}" for line in seen.wrong),
            met=not seen.wrong and seen.cases > 0,
        ),
        Figure(
            bar=f"longest response time <= {MOST_SECONDS:.0f} s",
            measured=f"{seen.slowest_s:.1f} s ({seen.slowest})",
            met=seen.slowest_s <= MOST_SECONDS,
        ),
        Figure(
            bar="memory of the server and its checks <= 1 GB",
            measured=f"{peak_mb:.0f} MB",
            met=peak_mb <= MOST_MEMORY_MB,
        ),
        none_of("responses with status 500 or above: 0", seen.server_errors),
        none_of("files left behind: 0", seen.left),
        none_of("files written outside: 0", seen.outside),
        none_of("external references followed: 0", seen.followed),
        none_of("server paths and patients in messages: 0", seen.telling),
    ]
