"""How fast the product and the chaos around it go: the settings of a run, and the promises that follow from them."""

from dataclasses import dataclass

_SLACK_SECONDS = 5.0
_GIVEN_UP_SECONDS = 10.0  # store/patience.py
_SPARE_DELIVERY_SECONDS = 15.0  # worker/deliver.py


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
    webhook_timeout: float = 3.0

    @property
    def takeover(self) -> float:
        """Within what a dead worker's chunk is in another's hands: 75 s with the product's own settings.

        A worker that froze in mid-transaction holds locks until Postgres gives it up.
        """
        return max(self.lease, _GIVEN_UP_SECONDS) + self.sweep + _SLACK_SECONDS

    @property
    def redelivery(self) -> float:
        """Within what a webhook that was in a dead deliverer's hands is sent again: 45 s with the product's own settings."""
        return self.webhook_timeout + _SPARE_DELIVERY_SECONDS + self.sweep + _SLACK_SECONDS

    @property
    def settings(self) -> dict[str, object]:
        """As the product calls them."""
        return {
            "lease_seconds": self.lease,
            "heartbeat_seconds": self.heartbeat,
            "sweep_seconds": self.sweep,
            "hint_seconds": self.hint,
            "webhook_timeout_seconds": self.webhook_timeout,
        }


DEFAULT = Pace("default", lease=60, heartbeat=15, sweep=10, hint=20, freeze=90, webhook_timeout=15)
LONG = Pace("scaled", lease=4, heartbeat=1, sweep=1, hint=2, freeze=5)
SHORT = Pace("short", lease=2, heartbeat=0.5, sweep=0.5, hint=1, freeze=3)
