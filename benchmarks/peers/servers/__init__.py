"""The peers: a small server each, run in an environment of its own; what answers is `benchmarks.peers.model`."""
