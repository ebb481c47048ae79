"""What autodoc shows of signatures, bases and attributes: public names, as users write them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# autodoc's own stand-in for the name of an alias, where it is part of a union.
_ALIAS = re.compile(r"TypeAliasForwardRef\('([\w.]+)'\)")
# Keywords whose names and types are those of a private `TypedDict`.
_KEYWORDS = re.compile(r"(\*\*\w+): \S*Unpack\[\S*\]")
# Names of the package are shown without it, as `~` says.
_PACKAGE = re.compile(r"(?<![~.\w])agents_sandbox\.")
# Defaults that have no form in Python.
_DEFAULT = re.compile(r"<factory>|<function \S*<lambda>>")
_ATTRIBUTE = re.compile(r"\.\. attribute:: \w+")
_TYPE = re.compile(r"   :type: .+")


def _process_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, arguments: str | None, returned: Any
) -> tuple[str | None, Any]:
    if arguments is not None:
        arguments = _DEFAULT.sub("...", _KEYWORDS.sub(r"\1", _with_names(arguments)))
    return arguments, returned and _with_names(returned)


def _with_names(text: str) -> str:
    return _PACKAGE.sub("~agents_sandbox.", _ALIAS.sub(r"\1", text))


def _process_bases(app: Sphinx, name: str, obj: Any, options: Any, bases: list[Any]) -> None:
    """Show the bases of a private base in its place."""
    bases[:] = [
        public
        for base in bases
        for public in (base.__bases__ if base.__name__.startswith("_") else (base,))
    ]


def _process_docstring(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Move the types of attributes into their signatures; napoleon writes them below."""
    for place in range(len(lines) - 1, -1, -1):
        if _TYPE.fullmatch(lines[place]):
            line = lines.pop(place)
            start = max(at for at in range(place) if _ATTRIBUTE.fullmatch(lines[at]))
            lines.insert(start + 1, line)


class PrivateConstructors(SphinxTransform):
    """Removes the parameters of classes that are shown without any: only the package calls them."""

    default_priority = 700

    def apply(self, **kwargs: Any) -> None:
        """Remove them from a page."""
        for field in list(self.document.findall(nodes.field)):
            fields = field.parent
            entry = fields.parent.parent
            if isinstance(entry, addnodes.desc) and entry["objtype"] == "class":
                signature = next(entry.findall(addnodes.desc_signature))
                shown = any(signature.findall(addnodes.desc_parameter))
                if field.children[0].astext() == "Parameters" and not shown:
                    fields.remove(field)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_transform(PrivateConstructors)
    app.connect("autodoc-process-signature", _process_signature)
    app.connect("autodoc-process-bases", _process_bases)
    app.connect("autodoc-process-docstring", _process_docstring, priority=600)  # after napoleon
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
