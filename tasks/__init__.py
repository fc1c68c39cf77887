"""What is classified: one folder a task (`task.toml`, `guideline.md`, data), and the loader of those declarations."""
