"""The configuration of Sphinx. `tox -e docs` builds the site from the installed package."""

from __future__ import annotations

import sys
from pathlib import Path

import agents_sandbox

DOCS = Path(__file__).resolve().parent
# The extensions, and `build_sync.py`, which translates the snippets.
sys.path[:0] = [str(DOCS), str(DOCS.parent)]

project = "agents_sandbox"
author = "the agents_sandbox contributors"
release = version = agents_sandbox.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_design",
    "_ext.flavours",
    "_ext.listings",
    "_ext.pictures",
    "_ext.references",
    "_ext.repository",
    "_ext.signatures",
    "_ext.twins",
]
exclude_patterns = ["_ext"]
nitpicky = True

# Docstrings write code in single backticks.
default_role = "literal"
smartquotes_action = "D"  # dashes alone
add_module_names = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
maximum_signature_line_length = 90
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Aliases that are shown by their names.
autodoc_type_aliases = {
    name: f"{package}.{name}"
    for package, names in (
        ("agents_sandbox", ("DurationLike", "ExecIdLike", "SandboxIdLike", "SandboxPathLike")),
        ("agents_sandbox.testing", ("EventMatch", "ExecHandler", "ExecMatch", "WireMessage")),
    )
    for name in names
}
napoleon_numpy_docstring = False
napoleon_attr_annotations = True

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"agents_sandbox {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
