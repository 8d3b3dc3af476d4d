"""Rules of the tree that a linter does not check: access to the environment and to Redis, module sizes, imports of web
processes.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("pipeline", "studies", "jobs", "rest", "ui", "pages")
EDGES = ("app.py", "api.py", "web.py", "worker.py", "serve.py", "kneebox.py")
MOST_LINES = 400
SPLIT_AT = 300
RUNTIMES = ("onnxruntime", "torch", "openvino", "nnunetv2")


def sources() -> list[Path]:
    """Every module of the product (not its tests, benchmarks and training)."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return files + [ROOT / name for name in EDGES if (ROOT / name).exists()]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imported(path: Path) -> set[str]:
    """Every module that a file imports, at its top or inside a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: imports are absolute"
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def module_file(name: str) -> str:
    return name.replace(".", "/") + ".py"


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def test_there_is_something_to_check() -> None:
    assert len(sources()) > 40


def test_only_the_settings_read_the_environment() -> None:
    readers = set()
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            attribute = isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv", "putenv")
            if attribute or (isinstance(node, ast.ImportFrom) and node.module == "pydantic_settings"):
                readers.add(name_of(path))
    assert readers == {"jobs/settings.py"}


def test_only_store_queue_and_worker_access_redis() -> None:
    speakers = {
        name_of(path)
        for path in sources()
        if tops(path) & {"redis", "rq", "valkey"} and not only_for_types(path, {"redis", "rq", "valkey"})
    }
    assert speakers == {
        "jobs/state/store.py",
        "jobs/state/queue.py",
        "jobs/state/study_queue.py",
        "jobs/state/rq_adapter.py",
        "jobs/worker/rq_worker.py",
    }


def only_for_types(path: Path, names: set[str]) -> bool:
    """Whether all imports of these packages are under `if TYPE_CHECKING:`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    return all(
        id(node) in guarded
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in names)
        or (isinstance(node, ast.Import) and {alias.name.split(".")[0] for alias in node.names} & names)
    )


def test_no_page_asks_streamlit_for_a_file() -> None:
    """The door of the pages refuses uploads to Streamlit: files go to the REST interface, or a script reads them."""
    widgets = {"file_uploader", "camera_input", "audio_input", "chat_input"}
    users = {
        name_of(path)
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in widgets
    }
    assert users == set()


def test_the_science_does_not_import_higher_layers() -> None:
    above = {
        "jobs",
        "ui",
        "rest",
        "pages",
        "app",
        "api",
        "worker",
        "serve",
        "streamlit",
        "fastapi",
        "starlette",
        "redis",
        "rq",
    }
    assert not {name_of(path) for path in sources() if name_of(path).startswith("pipeline/") and tops(path) & above}


def test_files_of_users_are_read_only_in_the_confined_process() -> None:
    readers = {"pipeline.image_io", "pipeline.image_io.reader", "pipeline.image_io.label_map", "pipeline.preflight"}
    names = {"read_scan", "check_scan", "read_label_map", "inspect"}
    callers = {
        name_of(path)
        for path in sources()
        if not name_of(path).startswith("pipeline/image_io/")
        and imported(path) & {f"{module}.{name}" for module in readers for name in names}
    }
    assert callers == {"pipeline/decoding/child.py", "pipeline/alignment.py"}, "the second reads the reference knee"


def test_edges_reach_jobs_through_the_service() -> None:
    """jobs.service, and modules without behaviour: errors, model, settings, logs, schemas and form."""
    allowed = {
        "jobs.service",
        "jobs.errors",
        "jobs.state.model",
        "jobs.settings",
        "jobs.intake.form",
        "jobs.intake.study_form",
        "jobs.intake.version_form",
        "jobs.intake.field_names",
        "jobs.intake.parts",
        "jobs.logs",
        "jobs.access.doors",  # who asks; what they may do is checked behind jobs.service
        "jobs.intake.access_form",
    }
    for path in sources():
        if not name_of(path).startswith(("ui/", "pages/", "rest/")) and name_of(path) not in (
            "app.py",
            "api.py",
            "web.py",
        ):
            continue
        own = {"jobs.processes"} if path.name in ("__main__.py", "web.py") else set()  # what makes it a process
        modules = {name for name in imported(path) if name.startswith("jobs.") and (ROOT / module_file(name)).exists()}
        assert modules <= allowed | own, name_of(path)


def test_no_module_is_too_large() -> None:
    sizes = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    assert not {name: size for name, size in sizes.items() if size > MOST_LINES}
    assert sum(size > SPLIT_AT for size in sizes.values()) <= len(sizes) // 20, "larger modules are the exception"
    assert sizes["worker.py"] <= 40
    assert all(size <= 80 for name, size in sizes.items() if name.startswith("pages/"))


def test_there_are_no_catch_all_modules() -> None:
    drawers = {"utils.py", "util.py", "common.py", "helpers.py", "misc.py", "manager.py"}
    assert not {name_of(path) for path in sources() if path.name in drawers}


@pytest.mark.slow
def test_a_web_process_loads_no_inference_runtime() -> None:
    """All in one process: importing takes seconds."""
    modules = (
        "api",
        "rest.__main__",
        "jobs.service",
        "worker",
        "ui.parts.frame",
        "ui.analysis.results",
        "ui.analysis.progress",
    )
    program = f"""
import importlib, sys
for name in {modules!r}:
    importlib.import_module(name)
    if found := sorted(set({RUNTIMES!r}) & set(sys.modules)):
        sys.exit(f"{{name}} loads {{found}}")
"""
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert answer.returncode == 0, answer.stderr


def test_the_worker_loads_nothing_heavy_before_it_forks() -> None:
    program = (
        "import sys, worker; print(sorted({'vtkmodules', 'scipy', 'SimpleITK', 'onnxruntime'} & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[-1] == "[]"
