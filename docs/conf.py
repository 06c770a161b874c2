"""Sphinx: `nox -s docs` builds the pages into docs/_build."""

from importlib.metadata import version as version_of

project = "supertokens-events"
author = "the supertokens-events developers"
release = version = version_of("supertokens-events")
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "supertokens-events"
exclude_patterns = ["_build"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
