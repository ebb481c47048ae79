"""Shows the blocking signature below the async one in the reference of both clients.

autodoc documents the async class. Its docstrings are neutral, and those of the twin are equal, so
each entry gets a second signature instead of a second copy. Links to either name find it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import build_sync
from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

import agents_sandbox

if TYPE_CHECKING:
    from sphinx.application import Sphinx

TWINS = {
    name: twin
    for name in agents_sandbox.__all__
    if (twin := f"Sync{name.removeprefix('Async')}") in agents_sandbox.__all__
}


def translated(text: str) -> str:
    """Translate the names in a text."""
    names = {**build_sync.RENAMES, **TWINS}
    return re.sub(r"\w+", lambda word: names.get(word[0], word[0]), text)


class Twins(SphinxTransform):
    """Adds the signatures."""

    default_priority = 700

    def apply(self, **kwargs: Any) -> None:
        """Add them to a page."""
        for signature in list(self.document.findall(addnodes.desc_signature)):
            kind, _, member = str(signature.get("fullname", "")).partition(".")
            if signature.get("module") == "agents_sandbox" and kind in TWINS:
                self._add_twin(signature, translated(f"{kind}.{member}".rstrip(".")))

    def _add_twin(self, signature: addnodes.desc_signature, name: str) -> None:
        description = signature.parent
        (entry_id,) = signature["ids"]
        twin_id = f"agents_sandbox.{name}"
        twin = _twin_of(signature)
        if twin.astext() == signature.astext():
            signature["ids"].append(twin_id)
        else:
            twin["ids"] = [twin_id]
            twin["fullname"] = name
            twin["_toc_name"] = ""
            _shorten(twin)
            description.insert(description.index(signature) + 1, twin)
            _add_to_index(description, entry_id, twin_id)
        domain = self.env.domains["py"]
        domain.note_object(twin_id, description["objtype"], twin_id, location=signature)


def _twin_of(signature: addnodes.desc_signature) -> addnodes.desc_signature:
    twin = signature.deepcopy()
    for annotation in list(twin.findall(addnodes.desc_annotation)):
        if annotation.astext().split() == ["async"]:
            annotation.parent.remove(annotation)
    for text in list(twin.findall(nodes.Text)):
        text.parent.replace(text, nodes.Text(translated(text.astext())))
    for reference in twin.findall(addnodes.pending_xref):
        reference["reftarget"] = translated(reference["reftarget"])
    return twin


def _add_to_index(description: nodes.Element, entry_id: str, twin_id: str) -> None:
    siblings = description.parent
    index = siblings[siblings.index(description) - 1]
    assert isinstance(index, addnodes.index)  # noqa: S101 - as Sphinx writes it
    index["entries"] += [
        (kind, translated(text), twin_id, main, key)
        for kind, text, target, main, key in index["entries"]
        if target == entry_id
    ]


def _shorten(twin: addnodes.desc_signature) -> None:
    """Replace the parameters, which are those of the other signature."""
    for parameters in twin.findall(addnodes.desc_parameterlist):
        if parameters.children:
            parameters.clear()
            parameters["multi_line_parameter_list"] = False
            parameters.append(addnodes.desc_parameter("", "…"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_transform(Twins)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
