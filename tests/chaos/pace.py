"""How fast the product and the chaos around it go: the settings of a run, and the promises that follow from them."""

from dataclasses import dataclass

_SLACK_SECONDS = 5.0
_GIVEN_UP_SECONDS = 10.0  # store/patience.py


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. `DEFAULT` has the product's own settings; the others are shorter, so that more faults fit into an hour."""

    name: str
    lease: float
    heartbeat: float
    sweep: float
    hint: float
    freeze: float
    """How long a frozen program, a black hole or a full disk lasts."""

    @property
    def takeover(self) -> float:
        """Within what a dead worker's chunk is in another's hands: 75 s with the product's own settings.

        A worker that froze in mid-transaction holds locks until Postgres gives it up.
        """
        return max(self.lease, _GIVEN_UP_SECONDS) + self.sweep + _SLACK_SECONDS

    @property
    def settings(self) -> dict[str, object]:
        """As the product calls them."""
        return {
            "lease_seconds": self.lease,
            "heartbeat_seconds": self.heartbeat,
            "sweep_seconds": self.sweep,
            "hint_seconds": self.hint,
        }


DEFAULT = Pace("default", lease=60, heartbeat=15, sweep=10, hint=20, freeze=90)
LONG = Pace("scaled", lease=6, heartbeat=1.5, sweep=1, hint=2, freeze=8)
SHORT = Pace("short", lease=2, heartbeat=0.5, sweep=0.5, hint=1, freeze=3)
