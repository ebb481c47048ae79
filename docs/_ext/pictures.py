"""The directive `picture`: draws its text, shown below with the title as caption."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from .drawing import draw

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class Picture(SphinxDirective):
    """Draws a picture from text; the option `alt` says what it shows."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar[Any] = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Return the figure."""
        if "alt" not in self.options:
            raise self.error("a picture needs the option alt")
        try:
            svg = draw("\n".join(self.content), self.options["alt"])
        except ValueError as error:
            raise self.error(str(error)) from error
        caption = nodes.caption("", self.arguments[0])
        return [nodes.figure("", nodes.raw("", svg, format="html"), caption, classes=["drawing"])]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_directive("picture", Picture)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
