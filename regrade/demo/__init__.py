"""`regrade demo`: a stream of messages and a few simulated people, played against the running service."""

from regrade.demo.command import EPILOG, demo

__all__ = ["EPILOG", "demo"]
