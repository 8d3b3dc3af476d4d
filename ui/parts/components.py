"""Components of the pages: each is a script in ui/assets/components, which the browser loads by address and caches.

Streamlit sends a component's script as text with every page, so that text only imports the real script.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import streamlit as st

from ui.parts.addresses import address

ASSETS: Final = Path(__file__).parents[1] / "assets"


# Any: the result of a component is whatever its script sends
def mount(
    name: str,
    *,
    html: str = "",
    key: str | None = None,
    data: Mapping[str, object] | None = None,
    default: Mapping[str, object] | None = None,
    **callbacks: Callable[[], None],
) -> Any:
    """Show ui/assets/components/{name}.js with its {name}.css, where there is one.

    html     trusted content shown until the script has loaded
    data     plain values for the script; it is called again whenever they change
    default  state before the script has set any
    callbacks  on_{state}_change functions
    """
    return _component(name, html)(key=key, data=data, default=default, **callbacks)


@functools.cache
def _component(name: str, html: str) -> Callable[..., Any]:
    style = ASSETS / "components" / f"{name}.css"
    return st.components.v2.component(
        f"kneebox.{name}",
        html=html,
        css=style.read_text(encoding="utf-8") if style.exists() else None,
        js=_loader(name),
    )


def _loader(name: str) -> str:
    """A script that imports the real one, under an address that changes with its content.

    Streamlit runs it from a blob, in which a relative address means nothing.
    """
    path = ASSETS / "components" / f"{name}.js"
    version = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    script = address(f"/assets/components/{name}.js?v={version}")
    return (
        f"const part = import(window.location.origin + {json.dumps(script)});\n"
        "export default function (component) {\n"
        "  let gone = false, end = null;\n"
        "  part.then((module) => { if (!gone) end = module.default(component); });\n"
        "  return () => { gone = true; if (end) end(); };\n"
        "}\n"
    )
