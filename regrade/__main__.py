"""Lets `python -m regrade` do what `regrade` does."""

from regrade.cli import main

main()
