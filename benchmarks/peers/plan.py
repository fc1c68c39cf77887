"""What is measured, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.peers.traffic import LONG, REAL, SHORT


@dataclass(frozen=True)
class Case:
    """A closed loop: `clients` that each send `texts` of a kind, wait for the answer, and send again."""

    kind: str
    texts: int
    clients: int

    @property
    def is_ordinary(self) -> bool:
        """Whether it asks one text a request, as it is: what a peer's peak is taken from."""
        return self.kind == REAL and self.texts == 1


@dataclass(frozen=True)
class Plan:
    """What each peer goes through in each round."""

    rounds: int
    seconds: int
    """Of each closed loop, and of the raw loop; wrk knows whole ones."""
    open_seconds: float
    overload_seconds: float
    """At three times the peak; 0: none."""
    shares: tuple[float, ...]
    """Of its own peak, for the open loops."""
    cases: tuple[Case, ...]


FULL = Plan(
    rounds=3,
    seconds=2,
    open_seconds=3.0,
    overload_seconds=3.0,
    shares=(0.25, 0.5, 0.75, 0.9),
    cases=(
        *(Case(REAL, 1, clients) for clients in (1, 4, 16, 64, 256)),
        *(Case(REAL, texts, clients) for texts in (8, 64) for clients in (4, 16)),
        *(Case(kind, texts, clients) for kind in (SHORT, LONG) for texts, clients in ((1, 16), (64, 4))),
    ),
)

QUICK = Plan(
    rounds=2,
    seconds=1,
    open_seconds=2,
    overload_seconds=2.0,
    shares=(0.5, 0.9),
    cases=(*(Case(REAL, 1, clients) for clients in (1, 16, 64)), Case(REAL, 64, 4)),
)
