"""Sign-in with a real OpenID Connect provider: people see what is theirs; others get the answer to an unknown id."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from jobs.state.clock import now
from tests.support.finished_jobs import failed_job, finished_job
from tests.support.pages import zero_image
from tests.support.processes import DATA_DIR, ROOT, running, wait_until
from tests.support.provider import OpenIdProvider, provider
from tests.support.rest_client import answers

KEY = "the-key-of-the-operator"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def signed(valkey: str) -> Iterator[OpenIdProvider]:
    """The pages and the interface of a server to which people sign in."""
    with provider(REDIS_URL=valkey, API_KEYS=KEY, SIGN_IN_DOMAINS="hospital.example") as found:
        for name in ("anna", "ben", "carla", "dora"):
            found.know(name, name=name.title(), email=f"{name}@hospital.example", email_verified=True)
        with running([sys.executable, "web.py"], DATA_DIR / "signed.log", **found.environment):
            wait_until(lambda: answers(f"{found.url}/_stcore/health"), seconds=90, what="the pages")
            yield found


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Anna owns a project, Carla reads in it, Ben is no member; job and study belong to it, private to Anna."""

    anna: httpx.Client
    ben: httpx.Client
    carla: httpx.Client
    project: str
    job: str
    other_job: str
    study: str
    scan: str


@pytest.fixture(scope="module")
def cast(signed: OpenIdProvider) -> Cast:
    anna, ben, carla = (signed.sign_in(name) for name in ("anna", "ben", "carla"))
    owner = anna.get("/me").json()["person"]
    private = finished_job(owner=owner)
    project = anna.post("/projects", json={"name": "Knees"}).json()["id"]
    join(anna, carla, project)
    job = finished_job(owner=owner)
    assert anna.put(f"/jobs/{job}/owner", json={"project": project}).status_code == 204
    scan = keep(anna)
    made = anna.post("/studies", json={"name": "Cohort", "scans": [{"scan_id": keep(anna), "subject": "S1"}]})
    assert made.status_code == 201, made.text
    study = made.json()["id"]
    assert anna.put(f"/studies/{study}/owner", json={"project": project}).status_code == 204
    return Cast(anna=anna, ben=ben, carla=carla, project=project, job=job, other_job=private, study=study, scan=scan)


def keep(client: httpx.Client) -> str:
    """Upload a scan that waits; -> its id."""
    sent = client.post("/scans", files={"file": ("knee.nii.gz", zero_image(), "application/octet-stream")})
    assert sent.status_code == 201, sent.text
    return str(sent.json()["scan_id"])


def token_of(address: str) -> str:
    """The secret of a link."""
    return address.split("#", 1)[1]


def join(owner: httpx.Client, guest: httpx.Client, project: str, role: str = "reader") -> str:
    made = owner.post(f"/projects/{project}/invitations", json={"role": role})
    assert made.status_code == 201, made.text
    token = token_of(made.json()["address"])
    assert guest.post("/links/open", json={"token": token}).status_code == 200
    return token


def refused(answer: httpx.Response, unknown: httpx.Response) -> bool:
    """Whether an answer is that to an unknown id."""
    return (answer.status_code, answer.content) == (unknown.status_code, unknown.content) and unknown.status_code == 404


TRIES = (
    *(("GET", path) for path in ("/status/{job}", "/download/{job}", "/jobs/{job}/measurements")),
    *(("GET", path) for path in ("/jobs/{job}/artifacts/report.html", "/jobs/{job}/artifacts/results.csv")),
    *(("GET", path) for path in ("/jobs/{job}/view/scene.bin", "/jobs/{job}/versions", "/jobs/{job}/for-editing.zip")),
    *(("GET", path) for path in ("/jobs/{job}/links", "/compare/{job}/{own}", "/compare/{own}/{job}")),
    *(("GET", path) for path in ("/compare/{own}/{job}/changes.csv", "/compare/{job}/{own}/view/scene.bin")),
    ("GET", "/series?job={own}&time=0&job={third}&time=1&job={job}&time=2"),
    ("GET", "/series/trends.csv?job={job}&time=0&job={own}&time=1&job={third}&time=2"),
    ("GET", "/series/view/scene.bin?job={own}&time=0&job={job}&time=1&job={third}&time=2"),
    *(
        ("POST", path)
        for path in ("/jobs/{job}/cancel", "/jobs/{job}/retry", "/jobs/{job}/copy", "/jobs/{job}/prolong")
    ),
    *(("POST", path) for path in ("/jobs/{job}/restore", "/jobs/{job}/links")),
    ("POST", "/jobs/{job}/versions"),
    *(("PUT", path) for path in ("/jobs/{job}/review", "/jobs/{job}/owner")),
    *(("DELETE", path) for path in ("/jobs/{job}", "/jobs/{job}?versions=all")),
    *(("GET", path) for path in ("/studies/{study}", "/studies/{study}/rows", "/studies/{study}/gallery")),
    *(("GET", path) for path in ("/studies/{study}/tables/measurements.csv", "/studies/{study}/tables.zip")),
    *(("GET", path) for path in ("/studies/{study}/rows/1/thumbnail", "/studies/{study}/findings.csv")),
    *(("GET", path) for path in ("/studies/{study}/rows/1/artifacts/report.html", "/studies/{study}/links")),
    *(("POST", path) for path in ("/studies/{study}/start", "/studies/{study}/pause", "/studies/{study}/cancel")),
    *(("POST", path) for path in ("/studies/{study}/retry", "/studies/{study}/rows", "/studies/{study}/links")),
    *(("PUT", path) for path in ("/studies/{study}/rows/1/review", "/studies/{study}/owner")),
    *(
        ("GET", path)
        for path in ("/studies/{study}/readers", "/studies/{study}/maps/1", "/studies/{study}/maps/1/x.png")
    ),
    *(("POST", path) for path in ("/studies/{study}/maps", "/studies/{study}/rows/1/edit")),
    ("PUT", "/studies/{study}/expiry"),
    ("DELETE", "/studies/{study}"),
    *(("GET", "/scans/{scan}"), ("POST", "/scans/{scan}/start"), ("DELETE", "/scans/{scan}")),
    *(("GET", "/projects/{project}/members"), ("POST", "/projects/{project}/invitations")),
    *(("DELETE", "/projects/{project}"), ("PUT", "/projects/{project}/members/{person}")),
    ("DELETE", "/projects/{project}/members/{person}"),
)
"""Every route that names something of others; `own` and `third` are of the one who tries."""

BODIES = {
    "versions": {"runs": "AAAA"},
    "review": {"state": "accepted"},
    "members/{person}": {"role": "owner"},
    "/expiry": {"days": 1},
    "/maps": {"figure": "thickness_mm"},
    "studies/{study}/rows": {"manifest": "path,subject\na.nii,S\n"},
}


ELSEWHERE = {("POST", "/jobs/{job_id}/labels"), ("DELETE", "/links/{link_id}")}
"""In other tests: they need a form, and the id of a link."""


def test_every_route_that_names_something_is_tried(signed: OpenIdProvider) -> None:
    known = {"job": r"\{(job|own|third)\}", "study": r"\{study\}", "scan": r"\{scan\}", "project": r"\{project\}"}
    for path, methods in httpx.get(f"{signed.url}/api/openapi.json").json()["paths"].items():
        names = re.findall(r"\{(\w+?)(?:_id)?\}", path)
        pattern = re.compile(
            re.sub(r"\\\{(\w+?)(_id)?\\\}", lambda m: known.get(m[1], ".+"), re.escape(path)) + r"(\?.*)?"
        )
        for method in map(str.upper, methods):
            if names and (method, path) not in ELSEWHERE:
                assert any(tried == method and pattern.fullmatch(to) for tried, to in TRIES), (method, path)


def test_no_try_reaches_what_belongs_to_others(signed: OpenIdProvider, cast: Cast) -> None:
    """Each answers, byte for byte, as for an id that never existed; and nothing has changed afterwards."""
    ben, me = cast.ben, cast.ben.get("/me").json()["person"]
    own, third = finished_job(owner=me), finished_job(side="left", owner=me)
    assert len(TRIES) >= 30
    through = []
    for method, path in TRIES:
        body = next((value for end, value in BODIES.items() if path.endswith(end)), {})
        sent = {} if method in ("GET", "DELETE") else {"json": body}
        known = {"own": own, "third": third, "person": me}
        theirs = {"study": cast.study, "scan": cast.scan, "project": cast.project}
        unknown = {name: str(uuid.uuid4()) for name in ("study", "scan")} | {"project": uuid.uuid4().hex}
        for job in (cast.job, cast.other_job):
            answer = ben.request(method, path.format(job=job, **theirs, **known), **sent)
            expected = ben.request(method, path.format(job=uuid.uuid4(), **unknown, **known), **sent)
            if not refused(answer, expected):
                through.append((method, path, answer.status_code, answer.text[:80], expected.text[:80]))
    assert through == []
    scans = [{"scan_id": cast.scan, "subject": "S"}]
    assert ben.post("/studies", json={"name": "Stolen", "scans": scans}).status_code == 404
    form = {"labels": ("labels.nii.gz", zero_image(), "application/octet-stream")}
    assert ben.post(f"/jobs/{cast.job}/labels", files=form).status_code == 404
    assert ben.put(f"/jobs/{own}/owner", json={"project": cast.project}).status_code == 404, "nor give it to others"
    assert cast.anna.get(f"/status/{cast.job}").json()["status"] == "complete"
    assert cast.anna.get(f"/studies/{cast.study}").json()["phase"] in ("checking", "checked")
    assert cast.anna.get(f"/scans/{cast.scan}").status_code == 200
    assert {item["name"] for item in cast.anna.get(f"/projects/{cast.project}/members").json()} == {"Anna", "Carla"}


def test_lists_have_only_what_the_viewer_may_see(cast: Cast) -> None:
    assert [item["id"] for item in cast.carla.get("/studies").json()["studies"]] == [cast.study]
    assert cast.ben.get("/studies").json()["studies"] == []
    for path in ("/stats", "/metrics", "/models", "/health"):
        text = cast.ben.get(path).text
        assert not any(secret in text for secret in (cast.job, cast.study, cast.scan, "Anna", "Cohort")), path


def test_readers_see_and_download_and_owners_change(cast: Cast) -> None:
    carla, job, study = cast.carla, cast.job, cast.study
    assert carla.get(f"/status/{job}").json()["status"] == "complete"
    assert carla.get(f"/jobs/{job}/artifacts/results.csv").status_code == 200
    assert carla.get(f"/studies/{study}").status_code == 200
    for method, path in (
        *(("POST", f"/jobs/{job}/copy"), ("DELETE", f"/jobs/{job}"), ("POST", f"/jobs/{job}/links")),
        *(("PUT", f"/jobs/{job}/owner"), ("DELETE", f"/studies/{study}"), ("POST", f"/studies/{study}/cancel")),
        *(("DELETE", f"/projects/{cast.project}"), ("POST", f"/projects/{cast.project}/invitations")),
        ("PUT", f"/jobs/{job}/review"),
    ):
        sent = {} if method == "DELETE" else {"json": {"state": "accepted"} if path.endswith("review") else {}}
        answer = carla.request(method, path, **sent)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "NOT_ALLOWED"), path
    assert cast.anna.put(f"/jobs/{job}/review", json={"state": "accepted"}).status_code == 200
    assert carla.get(f"/status/{cast.other_job}").status_code == 404, "what is Anna's alone is not the project's"


def test_members_come_and_go(signed: OpenIdProvider, cast: Cast) -> None:
    dora = signed.sign_in("dora")
    who = dora.get("/me").json()["person"]
    token = join(cast.anna, dora, cast.project, role="owner")
    assert dora.get("/me").json()["projects"] == [{"id": cast.project, "name": "Knees", "role": "owner"}]
    assert cast.ben.post("/links/open", json={"token": token}).status_code == 404, "an invitation is for one person"
    assert dora.delete(f"/projects/{cast.project}/members/{who}").status_code == 204
    assert dora.get(f"/status/{cast.job}").status_code == 404
    me = cast.anna.get("/me").json()["person"]
    assert cast.anna.delete(f"/projects/{cast.project}/members/{me}").status_code == 409, "the last owner stays"
    assert cast.anna.delete(f"/projects/{cast.project}").status_code == 409, "a job belongs to it"


def test_a_link_shows_one_analysis_until_it_is_revoked(signed: OpenIdProvider, cast: Cast) -> None:
    made = cast.anna.post(f"/jobs/{cast.job}/links", json={"days": 1}).json()
    address = urlsplit(made["address"])
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{signed.url}/link"
    assert "secret" not in json.dumps(cast.anna.get(f"/jobs/{cast.job}/links").json())
    guest = httpx.Client(base_url=f"{signed.url}/api", timeout=30)
    assert guest.get(f"/status/{cast.job}").status_code == 401
    opened = guest.post("/links/open", json={"token": address.fragment})
    assert opened.json()["address"] == f"/analysis?job={cast.job}"
    assert guest.get(f"/status/{cast.job}").status_code == 200
    assert guest.get(f"/download/{cast.job}").status_code in (200, 404)
    assert guest.get(f"/status/{cast.other_job}").status_code == 404
    assert guest.get(f"/studies/{cast.study}").status_code == 404
    assert guest.delete(f"/jobs/{cast.job}").status_code == 403
    assert guest.post("/scans", files={"file": ("a.nii", b"1")}).status_code == 403
    wrong = address.fragment[:-1] + ("A" if address.fragment[-1] != "A" else "B")
    assert guest.post("/links/open", json={"token": wrong}).status_code == 404
    assert cast.ben.delete(f"/links/{made['link']['id']}").status_code == 404
    assert cast.anna.delete(f"/links/{made['link']['id']}").status_code == 204
    assert guest.get(f"/status/{cast.job}").status_code in (401, 404)


def test_a_link_stays_open_after_a_sign_in_and_a_sign_out_closes_it(signed: OpenIdProvider, cast: Cast) -> None:
    made = cast.anna.post(f"/jobs/{cast.job}/links").json()
    guest = httpx.Client(base_url=f"{signed.url}/api", timeout=30)
    guest.post("/links/open", json={"token": token_of(made["address"])})
    guest.get(signed.answer(guest, "dora"))
    assert guest.get(f"/status/{cast.job}").status_code == 200
    session = dict(guest.cookies)
    guest.post("/sign-out")
    assert httpx.get(f"{signed.url}/api/status/{cast.job}", cookies=session).status_code == 401
    assert cast.anna.delete(f"/links/{made['link']['id']}").status_code == 204


def test_a_forgotten_person_is_signed_out_at_once(signed: OpenIdProvider) -> None:
    signed.know("emil", name="Emil", email="emil@hospital.example", email_verified=True)
    emil = signed.sign_in("emil")
    person = emil.get("/me").json()["person"]
    (DATA_DIR / "access" / "people" / f"{person}.json").unlink()  # the session itself is still there
    assert emil.get("/me").status_code == 401


def test_what_expires_is_noted_in_the_audit_log(signed: OpenIdProvider, cast: Cast) -> None:
    job = finished_job(owner=cast.anna.get("/me").json()["person"], expires_at=now() - timedelta(hours=1))
    command = [sys.executable, "-m", "jobs", "purge"]
    subprocess.run(command, cwd=ROOT, env=os.environ | signed.environment, check=True, timeout=60)
    lines = (DATA_DIR / "audit" / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    (noted,) = [entry for entry in map(json.loads, lines) if entry["what"] == f"job:{job}"]
    assert (noted["who"], noted["act"], noted["how"]) == ("server", "deleted", "expired")


def test_nobody_and_the_operator(signed: OpenIdProvider, cast: Cast) -> None:
    nobody = httpx.Client(base_url=f"{signed.url}/api", timeout=30)
    for path in ("/me", "/studies", "/stats", f"/status/{cast.job}", f"/studies/{cast.study}/tables.zip"):
        assert nobody.get(path).status_code == 401, path
    assert httpx.get(f"{signed.url}/media/x.png").status_code == 401
    operator = httpx.Client(base_url=f"{signed.url}/api", headers={"x-api-key": KEY})
    assert operator.get(f"/status/{cast.job}").status_code == 200
    unowned = finished_job()
    assert operator.get(f"/status/{unowned}").status_code == 200
    assert cast.anna.get(f"/status/{unowned}").status_code == 404, "made without sign-in: the operator's"


def test_an_answer_of_the_provider_counts_once_and_in_the_browser_that_asked(signed: OpenIdProvider) -> None:
    asked, other = httpx.Client(timeout=30), httpx.Client(timeout=30)
    back = signed.answer(asked, "ben")
    assert other.get(back).status_code == 403, "a browser that did not ask: a forged sign-in"
    assert not other.cookies
    values = parse_qs(urlsplit(back).query)
    for change in ({"state": "x"}, {"state": ""}, {"code": "x"}, {"iss": "https://elsewhere.example"}):
        fresh = httpx.Client(timeout=30)
        address = signed.answer(fresh, "ben")
        query = {name: value[0] for name, value in parse_qs(urlsplit(address).query).items()} | change
        answer = fresh.get(f"{signed.url}/api/sign-in/callback?{urlencode(query)}")
        assert answer.status_code == 403, change
        assert values["code"][0] not in answer.text
    begun = dict(asked.cookies)
    assert asked.get(back).status_code == 303
    again = httpx.Client(cookies=begun, timeout=30).get(back)
    assert again.status_code == 403, "the code is used up"


@pytest.mark.parametrize(
    "place", ["//elsewhere.example", "https://elsewhere.example", "/\\elsewhere.example", "/a/../b", "/x#y"]
)
def test_a_sign_in_ends_on_a_page_of_this_server(signed: OpenIdProvider, place: str) -> None:
    client = httpx.Client(timeout=30)
    assert client.get(signed.answer(client, "ben", next=place)).headers["location"] == "/"
    assert client.get(signed.answer(client, "ben", next="/analysis?job=1")).headers["location"] == "/analysis?job=1"


def test_a_session_is_new_hidden_from_scripts_and_ends(signed: OpenIdProvider) -> None:
    client = signed.sign_in("ben")
    first = client.cookies["kneebox_session"]
    answer = client.get(signed.answer(client, "ben"))
    flags = next(item for item in answer.headers.get_list("set-cookie") if item.startswith("kneebox_session=")).lower()
    assert all(flag in flags for flag in ("httponly", "samesite=lax", "path=/", "max-age="))
    second = client.cookies["kneebox_session"]
    assert first != second
    old = httpx.Client(base_url=client.base_url, cookies={"kneebox_session": first})
    assert old.get("/me").status_code == 401, "the session before it has ended"
    assert client.post("/sign-out", headers={"origin": "https://elsewhere.example"}).status_code == 403
    assert client.get("/me").status_code == 200
    left = client.post("/sign-out").json()["address"]
    assert left.startswith(f"{signed.issuer}/oauth2/end_session?client_id=")
    copied = httpx.Client(base_url=client.base_url, cookies={"kneebox_session": second})
    assert copied.get("/me").status_code == 401, "a copied cookie ends too"
    kept = "".join(path.read_text() for path in (DATA_DIR / "access").rglob("*.json"))
    assert not any(token in kept for token in (first, second)), "only digests are kept"


def test_people_of_other_domains_and_unverified_addresses_are_not_admitted(signed: OpenIdProvider) -> None:
    signed.know("eve", name="Eve", email="eve@elsewhere.example", email_verified=True)
    signed.know("fake", name="Fake", email="anna@hospital.example", email_verified=False)
    for name in ("eve", "fake"):
        client = httpx.Client(timeout=30)
        assert client.get(signed.answer(client, name)).status_code == 403


def test_a_session_does_not_open_the_port_of_the_interface_alone(signed: OpenIdProvider, valkey: str) -> None:
    from tests.support.rest_client import own_server

    environment = {name: value for name, value in signed.environment.items() if name != "APP_PORT"}
    cookie = dict(signed.sign_in("ben").cookies)
    with own_server(**environment) as url:
        assert httpx.get(f"{url}/me", cookies=cookie).status_code == 401
        assert httpx.get(f"{url}/sign-in").status_code == 404
        assert httpx.get(f"{url}/me", headers={"x-api-key": KEY}).json()["operator"]


def test_no_secret_is_in_a_log(signed: OpenIdProvider, cast: Cast) -> None:
    log = (DATA_DIR / "signed.log").read_text()
    assert signed.environment["SIGN_IN_CLIENT_SECRET"] not in log
    assert cast.anna.cookies["kneebox_session"] not in log
    assert not re.search(r"code=|state=|anna@", log)


def test_the_audit_log_notes_ids_alone_and_a_subject_is_forgotten(signed: OpenIdProvider, cast: Cast) -> None:
    owner = cast.anna.get("/me").json()["person"]
    job = failed_job(owner, "S9_V00.nii.gz")
    assert cast.anna.get(f"/status/{job}").status_code == 200
    assert cast.ben.get(f"/status/{job}").status_code == 404
    environment = os.environ | signed.environment
    for command in (["forget-subject", "S9"], ["audit", "verify"]):
        done = subprocess.run(
            [sys.executable, "-m", "jobs", *command], cwd=ROOT, env=environment, check=False, timeout=60
        )
        assert done.returncode == 0, command
    assert cast.anna.get(f"/status/{job}").status_code == 404
    text = (DATA_DIR / "audit" / "audit.jsonl").read_text(encoding="utf-8")
    noted = [json.loads(line) for line in text.splitlines()]
    about = {(entry["who"], entry["act"]) for entry in noted if entry["what"] == f"job:{job}"}
    ben = cast.ben.get("/me").json()["person"]
    assert about == {(f"person:{owner}", "saw"), (f"person:{ben}", "refused"), ("server", "deleted")}
    assert ("operator", "deleted", "forget_subject") in {(item["who"], item["act"], item["how"]) for item in noted}
    assert not any(name in text for name in ("S9", "Anna", "hospital.example", "Cohort", "knee.nii"))
