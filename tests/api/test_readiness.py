import asyncio
import threading
import time

import pytest

from api.readiness import Need, Needs


def needs(probe, **options: float) -> Needs:
    return Needs({"thing": Need(probe, "is away"), "other": Need(lambda: None, "is away")}, **options)


def test_all_who_ask_share_one_look_and_a_second_is_not_too_old() -> None:
    calls: list[None] = []

    async def ask() -> None:
        asked = needs(lambda: calls.append(None))
        for _ in range(2):
            found = await asyncio.gather(*(asked.check() for _ in range(200)))
            assert found == [{"thing": "ok", "other": "ok"}] * 200
        await asked.close()

    asyncio.run(ask())
    assert len(calls) == 1


def test_a_probe_that_hangs_is_missing_in_time_and_is_not_joined_by_another() -> None:
    release, calls = threading.Event(), []

    def hang() -> None:
        calls.append(None)
        release.wait(10)

    async def ask() -> None:
        asked = needs(hang, patience_seconds=0.1, fresh_seconds=0)
        started = time.monotonic()
        for _ in range(3):
            assert await asked.check() == {"thing": "is away", "other": "ok"}
        assert 0.3 <= time.monotonic() - started < 5
        assert len(calls) == 1
        release.set()
        while (await asked.check())["thing"] != "ok":
            pass
        await asked.close()

    asyncio.run(ask())


def test_what_is_wrong_is_logged_once_and_said_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise OSError("postgres.inside:5432, user archive")

    async def ask() -> list[dict[str, str]]:
        asked = needs(fail, fresh_seconds=0)
        return [dict(await asked.check()) for _ in range(3)]

    assert asyncio.run(ask()) == [{"thing": "is away", "other": "ok"}] * 3
    assert [record.message for record in caplog.records] == ["thing: OSError: postgres.inside:5432, user archive"]
