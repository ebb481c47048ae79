"""Links code in texts, such as `ExecResult` or `client.run`, to its entry in the reference.

Authors and docstrings write plain code, which reads well everywhere. Names of Python itself have
no entry here: they are no broken references.
"""

from __future__ import annotations

import builtins
import datetime as dt
import re
import sys
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

# What the pages call an object of each class.
OBJECTS = {
    "client": "agents_sandbox.AgentsSandboxClient",
    "daemon": "agents_sandbox.testing.FakeDaemon",
    "daemon.faults": "agents_sandbox.testing.Faults",
    "pool": "agents_sandbox.SandboxPool",
    "process": "agents_sandbox.ExecProcess",
    "sandbox": "agents_sandbox.Sandbox",
    "sandbox.files": "agents_sandbox.SandboxFiles",
    "scope": "agents_sandbox.SandboxScope",
}
LIBRARIES = ("google", "opentelemetry", "pytest", "typing_extensions")
PACKAGES = ("agents_sandbox", "agents_sandbox.telemetry", "agents_sandbox.testing")

# `name`, `name()` or `name(wait=True)`.
NAME = re.compile(r"(?P<path>[A-Za-z_][\w.]*)(?P<call>\(.*\))?")


def candidates(code: str) -> list[str]:
    """Return the full names that a piece of code may be the name of."""
    match = NAME.fullmatch(code)
    if match is None:
        return []
    prefix, _, name = match["path"].rpartition(".")
    if prefix in OBJECTS:
        return [f"{OBJECTS[prefix]}.{name}"]
    full = [f"{package}.{match['path']}" for package in PACKAGES]
    # A word such as `scope` may be anything; `delete_sandbox` and `run()` are methods.
    if not prefix and (match["call"] or "_" in name):
        full.append(f"{OBJECTS['client']}.{name}")
    return [*full, match["path"]]


class CodeLinks(SphinxPostTransform):
    """Adds the links."""

    default_priority = 5
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Add them to a page."""
        known = self.env.domains["py"].data["objects"]
        for code in list(self.document.findall(nodes.literal)):
            if _is_in(code, nodes.reference, addnodes.pending_xref, nodes.title):
                continue
            target = next(
                (known[name] for name in candidates(code.astext()) if name in known), None
            )
            if target is not None:
                link = make_refnode(
                    self.app.builder,
                    self.env.docname,
                    target.docname,
                    target.node_id,
                    code.deepcopy(),
                )
                code.parent.replace(code, link)


def _is_in(node: nodes.Node, *kinds: type[nodes.Node]) -> bool:
    while (node := node.parent) is not None:
        if isinstance(node, kinds):
            return True
    return False


def _is_of_python(
    app: Sphinx, env: BuildEnvironment, reference: addnodes.pending_xref, content: nodes.Element
) -> nodes.Element | None:
    """Leave a name of Python as it is."""
    head, _, rest = str(reference.get("reftarget", "")).partition(".")
    of_library = rest and head in {*sys.stdlib_module_names, *LIBRARIES}
    of_python = of_library or hasattr(builtins, head) or hasattr(dt, head)
    if reference.get("refdomain") == "py" and of_python:
        return content
    return None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_post_transform(CodeLinks)
    app.connect("missing-reference", _is_of_python)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
