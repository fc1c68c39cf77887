"""Measurements behind every performance claim; each script prints a table and writes JSON to `results/`."""
