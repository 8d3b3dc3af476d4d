"""The recipes of CONTRIBUTING.md as code: a copy of the tree in which the blocks of a recipe are applied."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RECIPE = re.compile(r"^### (?P<title>Add .+)\n(?P<text>(?:(?!^##).*\n?)*)", re.MULTILINE)
BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<kind>\w+) file=(?P<path>\S+)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL
)

RECIPES = {
    match["title"]: match["text"] for match in RECIPE.finditer((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
}

NAVIGATION = """
import json, sys
from streamlit.testing.v1 import AppTest
page = AppTest.from_file("app.py", default_timeout=60)
page.switch_page(sys.argv[1])
page.run()
print(json.dumps({
    "exceptions": [item.message for item in page.exception],
    "links": [item.proto.label for item in page.sidebar.get("page_link")],
    "text": "\\n".join(item.proto.body for kind in ("markdown", "html") for item in page.get(kind)),
}))
"""


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """A copy of the tree in which a recipe was followed."""

    root: Path
    recipe: str

    def python(self, *arguments: str, **environment: str) -> str:
        """Run Python at the top of the copy; -> standard output."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env={
                **{name: value for name, value in os.environ.items() if name != "KNEE_TEST_SHARED_DIR"},
                "REDIS_URL": "redis://127.0.0.1:1/0",
                "DATA_DIR": str(self.root / "data"),
                **environment,
            },
            capture_output=True,
            encoding="utf-8",  # a test in the same process may have changed the locale
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    def page(self, path: str) -> dict[str, Any]:
        """A page opened without a browser: exceptions, links of the navigation, text."""
        page: dict[str, Any] = json.loads(self.python("-c", NAVIGATION, path).splitlines()[-1])
        return page

    def run_tests(self, path: str) -> None:
        """The tests of a file that take seconds, in the copy."""
        self.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", path)

    def run_check(self) -> str:
        """The command that the recipe ends with; -> standard output."""
        (command,) = re.findall(r"^ *```sh\n *\.venv/bin/python (.*)\n", self.recipe, re.MULTILINE)
        return self.python(*command.split())


def follow(title: str, folder: Path) -> Checkout:
    """A copy of the tree with the blocks of a recipe applied; the copy passes the linter."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, encoding="utf-8", check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    blocks = list(BLOCK.finditer(RECIPES[title]))
    assert blocks, "the recipe has no block to apply"
    for block in blocks:
        apply(
            block["kind"], folder / block["path"], re.sub(f"^{block['indent']}", "", block["text"], flags=re.MULTILINE)
        )
    checkout = Checkout(root=folder, recipe=RECIPES[title])
    changed = [block["path"] for block in blocks if block["path"].endswith(".py")]
    checkout.python("-m", "ruff", "check", "--no-cache", *changed)
    checkout.python("-m", "ruff", "format", "--no-cache", "--check", *changed)
    return checkout


def apply(kind: str, path: Path, text: str) -> None:
    """Write a new file, or replace the lines that a diff shows, which must exist exactly once."""
    if kind != "diff":
        assert not path.exists(), f"{path.name} exists: the recipe must show its changes as a diff"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return
    lines = [line if line.strip() else " \n" for line in text.splitlines(keepends=True)]
    old = "".join(line[1:] for line in lines if line[0] in " -")
    new = "".join(line[1:] for line in lines if line[0] in " +")
    content = path.read_text(encoding="utf-8")
    assert content.count(old) == 1, f"{path.name} has {content.count(old)} places like this:\n{old}"
    path.write_text(content.replace(old, new), encoding="utf-8")
