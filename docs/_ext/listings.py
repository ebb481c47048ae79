"""Tables and texts from the code: options, fixtures, the marker and the errors' tree.

The directive `listing` shows one of them, by its name.
"""

from __future__ import annotations

import argparse
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import pytest_agents_sandbox
from agents_sandbox import errors
from agents_sandbox.testing._arguments import make_parser

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def table(*rows: tuple[str, ...]) -> str:
    """Return a table in Markdown; the first row is its head."""
    first, *rest = (
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows
    )
    return "\n".join([first, "|" + "---|" * len(rows[0]), *rest])


def program_options() -> str:
    """The options of the fake daemon's program, one table for each group."""
    parts = []
    for group in make_parser()._action_groups:
        actions = [action for action in group._group_actions if action.dest != "help"]
        if actions:
            rows = [(f"`{_usage(action)}`", _help(action)) for action in actions]
            parts += [f"**{str(group.title).capitalize()}**", table(("Option", "Meaning"), *rows)]
    return "\n\n".join(parts)


def _usage(action: argparse.Action) -> str:
    values = action.metavar or "|".join(map(str, action.choices or ())) or "TEXT"
    words = (values,) if isinstance(values, str) else values
    return " ".join([action.option_strings[-1], *words, *["..."] * (action.nargs == "+")])


def _help(action: argparse.Action) -> str:
    return _with_code(str(action.help) % {"default": action.default})


def _with_code(text: str) -> str:
    """Mark what is an option, a setting or a call as code."""
    return re.sub(r"(?<!`)(--[a-z][\w-]+|\b[a-z]+_[\w]+\b(?:\(\))?)(?!`)", r"`\1`", text)


def program_notes() -> str:
    """What `--help` says below the options."""
    return f"```text\n{make_parser().epilog}```"


def plugin_options() -> str:
    """The options of the plugin on the command line."""
    rows = [
        (f"`{call.args[0]}={call.kwargs['metavar']}`", _with_code(call.kwargs["help"]))
        for call in _registered().getgroup().addoption.call_args_list
    ]
    return table(("Option", "Meaning"), *rows)


def plugin_settings() -> str:
    """The options of the plugin in pytest's configuration."""
    rows = [
        (f"`{call.args[0]}`", _with_code(call.args[1]), f"`{call.kwargs['default']}`")
        for call in _registered().addini.call_args_list
    ]
    return table(("Option", "Meaning", "Default"), *rows)


def _registered() -> Any:
    parser = Mock()
    pytest_agents_sandbox.pytest_addoption(parser)
    return parser


def fixtures() -> str:
    """The fixtures of the plugin, with their docstrings."""
    return "\n\n".join(_fixtures())


def _fixtures() -> Iterator[str]:
    for name in pytest_agents_sandbox.__all__:
        fixture = getattr(pytest_agents_sandbox, name)
        if hasattr(fixture, "_fixture_function_marker"):
            scope = fixture._fixture_function_marker.scope
            yield f"### `{name}`\n\n*Scope: {scope}.* {inspect.getdoc(fixture)}"


def error_tree() -> str:
    """The tree of the errors, as their module draws it."""
    (tree,) = [part for part in str(errors.__doc__).split("\n\n") if "├──" in part]
    return f"```text\n{textwrap.dedent(tree)}\n```"


LISTINGS: dict[str, Callable[[], str]] = {
    "error-tree": error_tree,
    "fixtures": fixtures,
    "plugin-options": plugin_options,
    "plugin-settings": plugin_settings,
    "program-notes": program_notes,
    "program-options": program_options,
}


class Listing(SphinxDirective):
    """Shows a listing, by its name."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the nodes."""
        name = self.arguments[0]
        if name not in LISTINGS:
            raise self.error(f"there is no listing {name!r}; there are {', '.join(LISTINGS)}")
        return self.parse_text_to_nodes(LISTINGS[name](), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_directive("listing", Listing)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
