"""What is remembered: for now, which model version is live for each task, since when and why."""
