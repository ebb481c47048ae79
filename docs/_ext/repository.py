"""Links to files outside of `docs/`, as they work in the repository.

Some of these files are pages of the site. The others can be downloaded, except folders: there is
nothing to link to.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = {"README.md": "index", "CONTRIBUTING.md": "contributing", "CHANGELOG.md": "changelog"}
"""Files at the root, and the pages that show them or stand for them."""


class RepositoryLinks(SphinxTransform):
    """Resolves them."""

    default_priority = 500

    def apply(self, **kwargs: Any) -> None:
        """Resolve the links of a page."""
        docname = self.env.docname
        page = Path(self.env.doc2path(docname))
        # A file of the root that a page includes has links relative to the root.
        base = ROOT if docname in PAGES.values() and docname != "index" else page.parent
        for node in [node for node in self.document.findall(nodes.Element) if _links_to_file(node)]:
            path, _, anchor = str(node["reftarget"]).partition("#")
            file = (base / path).resolve()
            if file.is_dir():
                node.replace_self(node.children)
            elif file.exists() and file.is_relative_to(ROOT):
                node.replace_self(_link(node, file, anchor, docname, page))


def _links_to_file(node: nodes.Element) -> bool:
    if isinstance(node, addnodes.download_reference):
        return True
    return isinstance(node, addnodes.pending_xref) and node.get("reftype") == "myst"


def _link(node: nodes.Element, file: Path, anchor: str, docname: str, page: Path) -> nodes.Element:
    name = PAGES.get(file.relative_to(ROOT).as_posix())
    if name is None and file.suffix == ".md" and file.is_relative_to(DOCS):
        name = file.relative_to(DOCS).with_suffix("").as_posix()
    if name is None:
        target = os.path.relpath(file, page.parent)
        return addnodes.download_reference("", "", *node.children, reftarget=target, refdoc=docname)
    return addnodes.pending_xref(
        "",
        *node.children,
        refdomain="doc",
        reftype="myst",
        refdoc=docname,
        reftarget=name,
        reftargetid=anchor or None,
        refexplicit=True,
        refwarn=True,
    )


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_transform(RepositoryLinks)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
