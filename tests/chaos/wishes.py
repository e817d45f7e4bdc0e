"""What a run's client wants of a job: mostly its answers, but some are stopped, tried again, or to be forgotten soon."""

import random
from enum import StrEnum


class Wish(StrEnum):
    """What a client wants, each of a few jobs."""

    KEEP = "keep"  # the answers; nothing else
    CANCEL = "cancel"  # stop it, wherever it is
    RETRY = "retry"  # try again what failed, when it has ended
    EXPIRE = "expire"  # forget it `KEPT_SECONDS` after its end


KEPT_SECONDS = 15
CANCELLED_WITHIN_SECONDS = 1.0
_SHARES = {Wish.KEEP: 80, Wish.CANCEL: 7, Wish.RETRY: 8, Wish.EXPIRE: 5}


def draw(chance: random.Random) -> Wish:
    """The wish for one job."""
    return chance.choices(list(_SHARES), list(_SHARES.values()))[0]
