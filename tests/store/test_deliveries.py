from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from store import deliveries, endpoints, webhooks
from store.database import Database
from store.deliveries import SCHEDULE_SECONDS, Delivery, Outcome, Shares
from store.models import Key, WebhookEndpoint, WebhookEvent, WebhookHost
from store.states import EventState
from tests.store.rows import claim_events, make_event, make_job

OK = Outcome(milliseconds=5, status=204)
FAILED = Outcome(milliseconds=5, status=500, error="It answered 500.")
DAYS = 5.0


def fail(session: Session, delivery: Delivery, outcome: Outcome = FAILED) -> bool:
    return deliveries.mark_failed(session, delivery, outcome, failing_days=DAYS)


def waits(session: Session, event: WebhookEvent) -> float:
    """Seconds until the event is due."""
    seconds = session.scalar(
        select(func.extract("epoch", WebhookEvent.next_at - func.now())).where(WebhookEvent.id == event.id)
    )
    assert seconds is not None
    return float(seconds)


def make_due(session: Session) -> None:
    session.execute(update(WebhookEvent).values(next_at=func.now()))


def lose(session: Session) -> None:
    """Let every deliverer fall silent."""
    past = func.now() - timedelta(seconds=1)
    session.execute(update(WebhookEvent).where(WebhookEvent.lease_token.is_not(None)).values(lease_until=past))


def state(session: Session, event: WebhookEvent) -> EventState:
    session.refresh(event)
    return event.state


def test_one_deliverer_gets_an_event_and_marks_it(session: Session) -> None:
    event = make_event(session)
    (delivery,) = claim_events(session)
    assert (delivery.event_id, delivery.attempt, delivery.url, delivery.secrets) == (event.id, 1, "https://a.example/", ())
    assert claim_events(session) == []
    assert deliveries.mark_delivered(session, delivery, OK)
    assert state(session, event) == EventState.DELIVERED
    assert [attempt.status for attempt in webhooks.list_attempts(session, [event.id])] == [204]
    assert claim_events(session) == []


def test_what_a_silent_deliverer_had_is_given_to_another_and_its_mark_ignored(session: Session) -> None:
    event = make_event(session)
    (slept,) = claim_events(session)
    assert deliveries.release_expired(session, limit=10) == 0
    lose(session)
    assert deliveries.release_expired(session, limit=10) == 1
    (second,) = claim_events(session)
    assert second.event_id == slept.event_id
    assert not deliveries.mark_delivered(session, slept, OK)
    assert not fail(session, slept)
    assert (state(session, event), webhooks.list_attempts(session, [event.id])) == (EventState.PENDING, [])
    assert deliveries.mark_delivered(session, second, OK)


def test_failures_follow_the_published_schedule_and_then_it_is_given_up(session: Session) -> None:
    event = make_event(session)
    for following in SCHEDULE_SECONDS[1:]:
        (delivery,) = claim_events(session)
        assert fail(session, delivery)
        assert following - 0.001 <= waits(session, event) <= following * 1.2 + 0.001
        make_due(session)
    (last,) = claim_events(session)
    assert fail(session, last)
    assert (state(session, event), last.attempt) == (EventState.GIVEN_UP, 10)
    assert len(webhooks.list_attempts(session, [event.id])) == 10


@pytest.mark.parametrize(
    ("retry_after", "low", "high"), [(None, 5, 6), (1.0, 5, 6), (600.0, 600, 720), (1e9, 24 * 3600, 24 * 3600 * 1.2)]
)
def test_retry_after_may_ask_for_patience_within_bounds(
    session: Session, retry_after: float | None, low: float, high: float
) -> None:
    event = make_event(session)
    (delivery,) = claim_events(session)
    fail(session, delivery, Outcome(milliseconds=1, status=503, retry_after_seconds=retry_after))
    assert low - 0.001 <= waits(session, event) <= high + 0.001


def test_what_a_receiver_says_is_kept_short_and_without_nul(session: Session) -> None:
    event = make_event(session)
    (delivery,) = claim_events(session)
    assert fail(session, delivery, Outcome(milliseconds=1, error="a\0b" * 1000))
    (attempt,) = webhooks.list_attempts(session, [event.id])
    assert attempt.error
    assert (len(attempt.error) <= 500, "\0" in attempt.error) == (True, False)


def test_410_switches_the_endpoint_off_at_once(session: Session) -> None:
    first, second = make_event(session), make_event(session)
    other = make_event(session, url="https://b.example/")
    (delivery,) = claim_events(session, limit=1, per_host=1)
    assert fail(session, delivery, Outcome(milliseconds=1, status=410))
    assert [state(session, event) for event in (first, second, other)] == ["given_up", "given_up", "pending"]
    assert [delivery.event_id for delivery in claim_events(session)] == [other.id]


def test_days_of_failure_switch_the_endpoint_off_and_a_success_forgets_them(session: Session) -> None:
    event = make_event(session)
    endpoint = session.get_one(WebhookEndpoint, event.endpoint_id)
    (delivery,) = claim_events(session)
    fail(session, delivery)
    session.refresh(endpoint)
    assert endpoint.failing_since
    assert endpoint.disabled_at is None
    session.execute(update(WebhookHost).values(failing_since=func.now() - timedelta(days=DAYS, seconds=1)))
    make_due(session)
    (delivery,) = claim_events(session)
    fail(session, delivery)
    session.refresh(endpoint)
    assert endpoint.disabled_reason == "Every attempt of 5 days has failed."


def test_a_success_forgets_failures(session: Session) -> None:
    event = make_event(session)
    endpoint = session.get_one(WebhookEndpoint, event.endpoint_id)
    (delivery,) = claim_events(session)
    fail(session, delivery)
    make_due(session)
    (delivery,) = claim_events(session)
    deliveries.mark_delivered(session, delivery, OK)
    session.refresh(endpoint)
    assert endpoint.failing_since is None


def test_a_host_has_so_many_in_hand_and_no_more(session: Session) -> None:
    for _ in range(5):
        make_event(session, url="https://busy.example/")
    make_event(session, url="https://quiet.example/")
    first = claim_events(session, per_host=2)
    assert sorted(delivery.url for delivery in first) == ["https://busy.example/"] * 2 + ["https://quiet.example/"]
    assert claim_events(session, per_host=2) == []
    deliveries.mark_delivered(session, next(d for d in first if "busy" in d.url), OK)
    assert len(claim_events(session, per_host=2)) == 1


def test_a_host_that_failed_gets_one_event_at_a_time_and_is_asked_for_apart(session: Session) -> None:
    for _ in range(3):
        make_event(session, url="https://bad.example/")
    session.execute(update(WebhookHost).values(failing_since=func.now()))
    make_event(session, url="https://good.example/")
    claimed = claim_events(session)
    assert [(d.url, d.is_suspect) for d in claimed] == [("https://good.example/", False), ("https://bad.example/", True)]
    assert claim_events(session) == []


def test_a_host_with_an_address_for_each_job_is_one_host(session: Session) -> None:
    for number in range(5):
        make_event(session, url=f"https://busy.example/{number}")
    first = claim_events(session, per_host=2)
    assert len(first) == 2
    fail(session, first[0])
    (endpoint, *others) = endpoints.list_endpoints(session, owner_id=None, limit=9)
    assert all(other.failing_since == endpoint.failing_since != None for other in others)  # noqa: E711
    deliveries.mark_delivered(session, first[1], OK)
    session.expire_all()
    assert others[-1].failing_since is None


def test_a_host_that_failed_for_days_is_known_to_each_of_its_addresses(session: Session) -> None:
    make_event(session, url="https://dead.example/1")
    session.execute(update(WebhookHost).values(failing_since=func.now() - timedelta(days=DAYS, seconds=1)))
    make_event(session, url="https://DEAD.example:443/2")
    make_event(session, url="https://dead.example:8443/3")
    other, first = claim_events(session)
    assert (other.url, other.is_suspect, first.is_suspect) == ("https://dead.example:8443/3", False, True)
    fail(session, first)
    (second,) = claim_events(session)
    fail(session, second)
    for delivery in (first, second):
        assert session.get_one(WebhookEndpoint, delivery.endpoint_id, populate_existing=True).disabled_at


def test_a_key_has_its_share_whatever_hosts_it_names(session: Session) -> None:
    key = Key(name="a", scopes=[], secret_sha256="x", webhook_secret="whsec_new")
    session.add(key)
    session.flush()
    for number in range(6):
        make_event(session, url=f"https://{number}.example/")
    for table in (WebhookHost, WebhookEndpoint):
        session.execute(update(table).values(owner_id=key.id))
    make_event(session, url="https://nobodys.example/")
    session.execute(update(WebhookHost).where(WebhookHost.name == "5.example:443").values(failing_since=func.now()))
    first = claim_events(session, per_key=4)
    assert len(first) == 5
    assert claim_events(session, per_key=4) == []
    deliveries.mark_delivered(session, next(d for d in first if "nobodys" not in d.url), OK)
    assert len(claim_events(session, per_key=4)) == 1
    assert [d.is_suspect for d in claim_events(session, per_key=12)] == [True]


def test_events_are_signed_with_the_owners_secrets_while_the_key_is_valid(session: Session) -> None:
    key = Key(name="a", scopes=[], secret_sha256="x", webhook_secret="whsec_new", previous_webhook_secret="whsec_old")
    key.previous_webhook_until = func.now() + timedelta(hours=1)
    session.add(key)
    session.flush()
    event = make_event(session)
    session.execute(update(WebhookHost).values(owner_id=key.id))
    session.execute(update(WebhookEndpoint).values(owner_id=key.id))
    (delivery,) = claim_events(session)
    assert delivery.secrets == ("whsec_new", "whsec_old")
    fail(session, delivery)
    session.execute(update(Key).values(previous_webhook_until=func.now() - timedelta(seconds=1)))
    make_due(session)
    (delivery,) = claim_events(session)
    assert delivery.secrets == ("whsec_new",)
    fail(session, delivery)
    session.execute(update(Key).values(revoked_at=func.now()))
    make_due(session)
    assert claim_events(session) == []
    assert state(session, event) == EventState.PENDING


def test_two_deliverers_at_once_never_get_the_same_event(database: Database) -> None:
    with database.transaction() as session:
        for _ in range(4):
            make_event(session)
    with database.transaction() as first, database.transaction() as second:
        mine, theirs = claim_events(first, limit=2), claim_events(second, limit=4)
        assert len(mine) == 2
        assert {d.event_id for d in mine}.isdisjoint(d.event_id for d in theirs)


def test_finding_what_is_due_reads_an_index(session: Session) -> None:
    job = make_job(session)
    event = make_event(session)
    many = text(
        "INSERT INTO webhook_events (id, job_id, endpoint_id, host_id, type, sequence, payload, state, attempt) "
        "SELECT gen_random_uuid(), :job, :endpoint, :host, 'job.progress', n, '{}', 'delivered', 1 "
        "FROM generate_series(1, 20000) n"
    )
    session.execute(many, {"job": job.id, "endpoint": event.endpoint_id, "host": event.host_id})
    session.execute(text("ANALYZE webhook_events"))
    query = deliveries._due_ids(suspects=False, limit=10, shares=Shares(per_host=2, per_key=2))
    statement = str(query.compile(session.connection(), compile_kwargs={"literal_binds": True}))
    plan = "\n".join(session.scalars(text(f"EXPLAIN {statement}")))
    assert "Seq Scan on webhook_events" not in plan
