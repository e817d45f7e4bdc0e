"""The sweep's rules, one file for each thing that can get lost. Each does small transactions and is safe to run twice.

A new rule is a file with its function, and a line in `make_rules`.
"""

from worker.rules.deadlines import cancel_overdue_jobs
from worker.rules.expired_deliveries import release_expired_deliveries
from worker.rules.expired_leases import recover_expired_chunks
from worker.rules.expiry import expire_jobs, expire_singles, forget_idempotency_keys
from worker.rules.half_planned import recover_half_planned_jobs
from worker.rules.orphaned_blobs import OrphanedBlobs
from worker.rules.rule import Rule
from worker.rules.unclosed_jobs import close_finished_jobs
from worker.rules.unsent_hints import UnsentHints
from worker.rules.unsettled_jobs import settle_cancelled_jobs


def make_rules() -> tuple[Rule, ...]:
    """The rules of one sweep, in the order in which they apply; some remember what they found."""
    unsent_hints = UnsentHints()
    return (
        Rule("expired_leases", recover_expired_chunks),
        Rule("half_planned_jobs", recover_half_planned_jobs),
        Rule("unclosed_jobs", close_finished_jobs),
        Rule("overdue_jobs", cancel_overdue_jobs),
        Rule("unsettled_jobs", settle_cancelled_jobs),
        Rule("expired_deliveries", release_expired_deliveries),
        # Messages after rows: a Redis that hangs must not keep those from being put right.
        Rule("unsent_plans", unsent_hints.announce_plans),
        Rule("unsent_chunks", unsent_hints.announce_chunks),
        # What only makes room comes last, and each within a budget of time: nobody waits for it.
        Rule("outdated_idempotency_keys", forget_idempotency_keys),
        Rule("expired_jobs", expire_jobs),
        Rule("expired_singles", expire_singles),
        Rule("orphaned_blobs", OrphanedBlobs()),
    )
