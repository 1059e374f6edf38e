"""Sphinx builds the documentation: `sphinx-build -n -W --keep-going docs build/html`."""

from pathlib import Path

import numpydoc.xref

import bayespassk

project = "bayespassk"
version = release = bayespassk.__version__
html_title = f"bayespassk {version}"

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_click",
    "sphinx_copybutton",
]
templates_path = ["_templates"]
default_role = "literal"  # in docstrings `k` is a name
highlight_language = "text"
smartquotes = False  # --help is no dash
myst_heading_anchors = 3
nb_execution_mode = "off"  # notebooks are committed with their output, and tests run them

autodoc_typehints = "none"  # the docstrings name types, with dims
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"  # what is not among the aliases is no link, and the only aliases
numpydoc.xref.DEFAULT_LINKS.clear()  # are our own names: the build knows no pages of others
numpydoc_xref_aliases = {name: f"bayespassk.{name}" for name in bayespassk.__all__}

html_theme = "furo"
pygments_dark_style = "monokai"
html_theme_options = {
    "light_css_variables": {"code-font-size": "76%", "sidebar-item-spacing-vertical": "0.25rem"},
}
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "versions.html",  # where docs/versions.py built several
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sourcelink = False
html_show_copyright = False


def copy_notebooks() -> None:
    """Make docs/tutorials of notebooks/, as Sphinx reads nothing outside its folder."""
    docs = Path(__file__).parent
    tutorials = docs / "tutorials"
    tutorials.mkdir(exist_ok=True)
    for old in tutorials.glob("*.ipynb"):
        old.unlink()
    for path in (docs.parent / "notebooks").glob("*.ipynb"):
        text = path.read_text(encoding="utf-8").replace("](../docs/", "](../")
        (tutorials / path.name).write_text(text, encoding="utf-8")


copy_notebooks()
