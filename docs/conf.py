"""How the site is made: ``make site`` writes it to ``docs/_build``; a warning is an error."""

from hashdist.version import __version__

project = "hashdist"
author = "the hashdist authors"
copyright = "the hashdist authors"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "man"]
html_theme = "furo"
html_title = "hashdist"
# docstrings name code in single backticks
default_role = "code"
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autoclass_content = "class"
autodoc_class_signature = "separated"
myst_heading_anchors = 4
# pages are read beside the sources too, where these are
myst_url_schemes = ("http", "https", "mailto")
# spec ids and console blocks with '...' are not of any language
suppress_warnings = ["misc.highlighting_failure"]
