"""What every room needs: settings, errors, ids, text and redaction. Imports nothing of the other rooms."""

VERSION = "0.1.0"
"""This release, in semantic versioning."""
