"""Our service beside what people would pick instead: the same model, texts and clients, in one run.

`python -m benchmarks.peers` measures everything in about 40 minutes, `--quick` the main figures in about 12. Each peer
has its own virtual environment, which is made at first. docs/performance.md says how, and holds the table.
"""
