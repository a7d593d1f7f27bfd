"""The documentation's site: `make docs` builds it into build/docs with warnings as errors."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.util.nodes import make_refnode

if TYPE_CHECKING:
    from docutils.nodes import Element
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

_HERE = Path(__file__).parent
# From the sources, not from the compiled modules: those keep no comments on attributes.
sys.path.insert(0, str(_HERE.parent / "src"))
sys.path.insert(0, str(_HERE / "_ext"))

import ropewalk  # noqa: E402
import ropewalk.http  # noqa: E402

# Exported under a name of its own, beside the server's Response: documented under that one.
ropewalk.http.ClientResponse.__name__ = "ClientResponse"

project = "Ropewalk"
author = "the Ropewalk authors"
version = release = ropewalk.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "command_help"]
exclude_patterns = ["_*"]
nitpicky = True
nitpick_ignore_regex = [
    # Other projects' names; their documentation would have to be fetched from the network.
    (r"py:.*", r"(anyio|collections|cryptography|datetime|mypy_extensions|os|pathlib|random)\b.*"),
    (r"py:.*", r"Abstract(Async)?ContextManager|dict\[str"),
    # Plumbing that signatures and docstrings name and no page documents.
    (r"py:.*", r"ropewalk\.(http3|quic\.connection|quic\.endpoint|runtime\.streams)\..*"),
    (r"py:.*", r"ropewalk\.sim\.(batching|element|fate|host|link|oracles|witness)\b.*"),
    # Parts of types that the signature of a dataclass writes out.
    (r"py:.*", r"typing\.(Annotated|Literal)\[.*|tuple\[str"),
    (r"py:.*", r"ropewalk\.lab\.limits\..*|seconds|rate|bytes|inf|-?[0-9.]+"),
    (r"py:.*", r"mmap\.mmap|array"),
    (r"py:.*", r"Message\.receive|Transfer|Endpoint|Coalescing|Received"),
]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 72
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"Ropewalk {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/knot.svg"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
html_theme_options = {
    "light_logo": "knot.svg",
    "dark_logo": "knot.svg",
    "light_css_variables": {
        "color-brand-primary": "#1f5f6b",
        "color-brand-content": "#1f5f6b",
        "color-brand-visited": "#5a4a7d",
    },
    "dark_css_variables": {
        "color-brand-primary": "#7cc4cf",
        "color-brand-content": "#7cc4cf",
        "color-brand-visited": "#b7a6dc",
    },
}

# Made by functions and context managers, or with fields that are listed one by one below: their
# constructors would only be in the way.
_WITHOUT_SIGNATURE = re.compile(
    r"ropewalk\.((Endpoint)?Configuration|Server|Connection|(Send|Receive)?Stream"
    r"|http\.(Client|ClientResponse|Request)"
    r"|sync\.(Client|Response|Connection|(Send|Receive)?Stream))"
)


_MANAGERS = {"AsyncIterator": "AbstractAsyncContextManager", "Iterator": "AbstractContextManager"}


def _signature(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: object,
    signature: str,
    returns: str | None,
) -> tuple[str, str] | None:
    if what == "class" and _WITHOUT_SIGNATURE.fullmatch(name):
        return "", ""
    generator, _, result = (returns or "").partition("[")
    manager = _MANAGERS.get(generator.rpartition(".")[2])
    if what == "function" and manager is not None:
        # contextlib's decorators keep the generator's annotation.
        return signature, f"{manager}[{result}"
    return None


def _find_exported(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contents: Element
) -> Element | None:
    """Docstrings name what the package exports without saying from which module."""
    objects = env.domains.python_domain.objects
    for package in ("ropewalk", "ropewalk.http"):
        found = objects.get(f"{package}.{node['reftarget']}")
        if found is not None and node.get("refdomain") == "py":
            place = found.docname, found.node_id
            return make_refnode(app.builder, node["refdoc"], *place, contents)
    return None


def setup(app: Sphinx) -> None:
    """Show signatures as the caller meets them, and find what docstrings refer to."""
    app.connect("missing-reference", _find_exported)
    app.connect("autodoc-process-signature", _signature)
