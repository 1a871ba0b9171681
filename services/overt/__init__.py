"""Overt: live facial recognition that answers for itself."""

from importlib.metadata import version

__version__ = version("overt")
