"""Sphinx configuration of ironic-ilo's documentation."""

from importlib import metadata

project = "ironic-ilo"
copyright = "The ironic-ilo contributors"  # noqa: A001 - Sphinx's name
author = "The ironic-ilo contributors"
release = version = metadata.version("ironic-ilo")

extensions = ["openstackdocstheme", "oslo_config.sphinxext"]

html_theme = "openstackdocs"
html_show_sourcelink = False
# The version is the installed package's. reno's extension is not used: it fails in the shallow
# clones that CI makes. "reno report" makes the same page.
openstackdocs_auto_version = False
openstackdocs_auto_name = False
openstackdocs_pdf_link = False
openstackdocs_use_storyboard = False

nitpicky = True
