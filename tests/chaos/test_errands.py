import httpx

from tests.chaos.errands import Errands


def test_an_errand_is_sent_again_until_it_is_answered() -> None:
    answers = iter([httpx.ConnectError("away"), httpx.Response(503), httpx.Response(200)])

    def answer(_request: httpx.Request) -> httpx.Response:
        found = next(answers)
        if isinstance(found, httpx.Response):
            return found
        raise found

    errands = Errands()
    errands.add(lambda client: client.get("http://service/").is_success)
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        left = []
        for _ in range(4):
            errands.run(client)
            left.append(bool(errands))
    assert left == [True, True, False, False]


def test_an_errand_waits_until_it_is_due() -> None:
    errands = Errands()
    errands.add(lambda _: True, in_seconds=60)
    with httpx.Client() as client:
        errands.run(client)
    assert errands
