"""python -m pipeline models, by its main function, with a local hub."""

import hashlib
import http.server
import json
import threading
from dataclasses import dataclass

import pytest

from pipeline.command_line.commands import main
from tests.support.shape_model import install

REVISION = "a1" * 20
FILES = {"femurs/model_config.json": b'{"latent_size": 2}', "femurs/model.pth": b"weights " * 40_000}
PLACES = {"femurs/model_config.json": "model_config.json", "femurs/model.pth": "model/7.pth"}


@dataclass(frozen=True)
class Done:
    """What a command leaves behind."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture
def call(capsys):
    """Run `models` with arguments."""

    def run(*arguments):
        capsys.readouterr()
        try:
            status = main(["models", *map(str, arguments)])
        except SystemExit as ended:  # of argparse
            status = ended.code
        return Done(status, *capsys.readouterr())

    return run


class Hub(http.server.BaseHTTPRequestHandler):
    """Serves FILES under one revision; sends large files to another port, as hubs redirect to their storage."""

    seen: list
    storage: str
    token = ""

    def do_GET(self):
        self.seen.append((self.server.server_port, self.path, self.headers.get("Authorization")))
        name = self.path.removeprefix(f"/lab/shapes/resolve/{REVISION}/").removeprefix("/storage/")
        if name not in FILES:
            self.send_error(404)
        elif (
            self.token and self.path.startswith("/lab") and self.headers.get("Authorization") != f"Bearer {self.token}"
        ):
            self.send_error(401)
        elif name.endswith(".pth") and self.path.startswith("/lab"):
            self.send_response(302)
            self.send_header("Location", f"{self.storage}/storage/{name}")
            self.end_headers()
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(FILES[name])))
            self.end_headers()
            self.wfile.write(FILES[name])

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    """(address, list of requests (port, path, token), handler class)."""
    handler = type("Handler", (Hub,), {"seen": []})
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2)]
    handler.storage = f"http://127.0.0.1:{servers[1].server_port}"
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{servers[0].server_port}", handler
    for server in servers:
        server.shutdown()
        server.server_close()


def write_source(folder, address, **changes):
    files = {
        PLACES[path]: {"path": path, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        for path, content in FILES.items()
    }
    entry = {"title": "Femurs", "hub": address, "repository": "lab/shapes", "revision": REVISION, "files": files}
    entry["access"] = "ask the lab for a token"
    (folder / "sources.json").write_text(json.dumps({"nsm/femurs": entry | changes}))


@pytest.mark.slow
def test_the_list_verifies_installed_and_names_missing_weights(call, tmp_path):
    install(tmp_path / "nsm" / "ellipsoids")
    done = call("--models-dir", tmp_path, "--json")
    assert done.status == 0, done.stderr
    entries = {entry["id"]: entry for entry in json.loads(done.stdout)}
    assert entries["nnunet_fullres"]["state"] == "ready"
    assert entries["nnunet_fullres"]["files"][0]["checked_against"] == "card.json"
    assert entries["nsm/femur_shape"]["state"] == "ready"
    assert entries["nsm/femur_shape"]["files"][0]["checked_against"] == "card.json"
    assert entries["nsm/ellipsoids"]["state"] == "ready"
    assert entries["nsm/ellipsoids"]["files"][0]["checked_against"] == ""
    assert entries["nsm/647_nsm_femur_v0.0.1"]["state"] == "missing"
    assert "not pinned" in entries["nsm/647_nsm_femur_v0.0.1"]["detail"]
    text = call("--models-dir", tmp_path).stdout
    assert "READY    nsm/ellipsoids  (installed)" in text
    assert "no digest to check against" in text
    assert str(tmp_path) not in text


def test_a_broken_installation_is_reported_with_status_1(call, tmp_path):
    folder = install(tmp_path / "nsm" / "ellipsoids")
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  model.pth\n")
    (tmp_path / "nnunet_fullres").mkdir()
    (tmp_path / "nnunet_fullres" / "plans.json").write_text("{}")
    done = call("--models-dir", tmp_path)
    assert done.status == 1
    assert "BROKEN   nsm/ellipsoids" in done.stdout
    assert "another SHA-256 than SHA256SUMS names (000000000000…)" in " ".join(done.stdout.split())
    assert "BROKEN   nnunet_fullres  (installed)" in done.stdout
    assert "dataset.json is missing" in done.stdout


def test_a_pinned_source_is_fetched_checked_and_not_fetched_twice(call, tmp_path, hub):
    address, handler = hub
    write_source(tmp_path, address)
    assert "models fetch nsm/femurs" in call("--models-dir", tmp_path).stdout
    done = call("fetch", "nsm/femurs", "--models-dir", tmp_path)
    assert done.status == 0, done.stderr
    for path, place in PLACES.items():
        assert (tmp_path / "nsm" / "femurs" / place).read_bytes() == FILES[path]
    assert "  model/7.pth\n" in (tmp_path / "nsm" / "femurs" / "SHA256SUMS").read_text()
    asked = len(handler.seen)
    assert call("fetch", "nsm/femurs", "--models-dir", tmp_path).status == 0
    assert len(handler.seen) == asked
    (tmp_path / "nsm" / "femurs" / "model" / "7.pth").write_bytes(b"else")
    again = call("fetch", "nsm/femurs", "--models-dir", tmp_path)
    assert again.status == 1
    assert "its model/7.pth differs from the pinned file" in again.stderr


def test_a_token_is_sent_only_to_the_hub(call, tmp_path, hub):
    address, handler = hub
    handler.token = "secret"  # noqa: S105  of the hub above
    write_source(tmp_path, address)
    refused = call("fetch", "nsm/femurs", "--models-dir", tmp_path)
    assert refused.status == 1
    assert "answers 401" in refused.stderr
    assert "ask the lab for a token" in refused.stderr
    (tmp_path / "token").write_text("secret\n")
    done = call("fetch", "nsm/femurs", "--models-dir", tmp_path, "--token-file", tmp_path / "token")
    assert done.status == 0, done.stderr
    hubs = {token for port, _, token in handler.seen if f":{port}" in address}
    storage = {token for port, _, token in handler.seen if f":{port}" not in address}
    assert hubs == {None, "Bearer secret"}
    assert storage == {None}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sha256": "0" * 64}, "pinned are 320000 bytes and 000000000000…. Nothing was kept."),
        ({"bytes": 1000}, "more than 1000 bytes"),
        ({"bytes": 10**9}, "320000 bytes"),
        ({"path": "femurs/other.pth"}, "answers 404"),
    ],
)
def test_bytes_that_differ_from_the_pinned_ones_leave_no_files(call, tmp_path, hub, change, said):
    write_source(tmp_path, hub[0])
    sources = json.loads((tmp_path / "sources.json").read_text())
    sources["nsm/femurs"]["files"]["model/7.pth"] |= change
    (tmp_path / "sources.json").write_text(json.dumps(sources))
    done = call("fetch", "nsm/femurs", "--models-dir", tmp_path)
    assert done.status == 1
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "nsm").iterdir()) == []


def test_an_unpinned_source_is_not_fetched(call, tmp_path, hub):
    address, handler = hub
    write_source(tmp_path, address, revision="main")
    done = call("fetch", "nsm/femurs", "--models-dir", tmp_path)
    assert done.status == 1
    assert "is not pinned: its revision is unknown" in done.stderr
    assert handler.seen == []


def test_an_unreachable_hub_gives_a_message_with_a_hint(call, tmp_path, hub):
    write_source(tmp_path, "http://127.0.0.1:9")
    done = call("fetch", "nsm/femurs", "--models-dir", tmp_path)
    assert done.status == 1
    assert "http://127.0.0.1:9 cannot be reached" in done.stderr
    assert "copy them into MODELS_DIR" in done.stderr


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("../escape", {}),
        ("nsm/femurs", {"hub": "http://example.org"}),
        ("nsm/femurs", {"files": {"../../model.pth": {}}}),
        ("nsm/femurs", {"files": {}}),
        ("nsm/femurs", {"repository": "lab/shapes/../else"}),
    ],
)
def test_a_list_of_sources_with_unsafe_paths_is_rejected(call, tmp_path, name, changes):
    write_source(tmp_path, "https://hub.example.org")
    entry = json.loads((tmp_path / "sources.json").read_text())["nsm/femurs"] | changes
    (tmp_path / "sources.json").write_text(json.dumps({name: entry}))
    done = call("--models-dir", tmp_path)
    assert done.status == 1
    assert "sources.json cannot be read: ValueError" in done.stderr


def test_invalid_arguments_give_a_clear_message(call, tmp_path):
    assert "./models" in call("--help").stdout
    assert call(tmp_path / "results").status == 2
    assert "fetch needs an id and --models-dir" in call("fetch", "nsm/femurs").stderr
    unknown = call("fetch", "nsm/nobody", "--models-dir", tmp_path)
    assert unknown.status == 2
    assert "expected one of nsm/551_nsm_femur_bone_v0.0.1" in unknown.stderr
    assert call("--models-dir", tmp_path / "nowhere").status == 2
