"""Penpress tells handwriting from print, at archive scale: the command line, the client, and one machine's services."""

__version__ = "0.1.0"
