"""What answers: the BentoML service, its runners, batching, and live model versions."""
