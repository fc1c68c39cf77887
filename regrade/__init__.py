"""The command line: the only room that may use all the others."""
