"""No module of the product imports itself, directly or through others. Imports inside functions and under
TYPE_CHECKING count: they hide a cycle, they do not remove it.
"""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.repository.test_architecture import ROOT, sources


def import_graph(root: Path, paths: list[Path]) -> dict[str, set[str]]:
    """Module -> the modules among `paths` that it imports."""
    files = {module_name(root, path): path for path in paths}
    return {name: imports_of(path, set(files)) - {name} for name, path in files.items()}


def module_name(root: Path, path: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path, modules: set[str]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & modules or {node.module}
    return found & modules


def test_the_product_has_no_import_cycle() -> None:
    graph = import_graph(ROOT, sources())
    assert sum(map(len, graph.values())) > 400, "the graph is not empty"
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_a_deferred_import_closes_a_cycle(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import b\n")
    (tmp_path / "b.py").write_text("def late():\n    from a import b\n")
    with pytest.raises(CycleError):
        TopologicalSorter(import_graph(tmp_path, sorted(tmp_path.glob("*.py")))).prepare()
