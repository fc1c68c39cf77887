"""The web pages: what annotators, reviewers, owners of tasks and operators look at."""
