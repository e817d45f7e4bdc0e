from worker.suspicion import Suspicion


def test_different_new_items_in_a_row_make_a_broken_worker() -> None:
    suspicion = Suspicion(3)
    for item in "abb":
        suspicion.crashed(item, is_first=True, finished=7)
    assert not suspicion.is_broken
    suspicion.crashed("c", is_first=True, finished=7)
    assert suspicion.is_broken
    assert not suspicion.is_cleared(8)  # what it still finishes says nothing any more


def test_an_item_finished_in_between_shows_that_the_worker_is_well() -> None:
    suspicion = Suspicion(2)
    for finished, item in enumerate("abcd"):
        suspicion.crashed(item, is_first=True, finished=finished)
    assert not suspicion.is_broken
    assert not suspicion.is_cleared(3)
    assert suspicion.is_cleared(4)


def test_items_that_were_suspected_before_say_nothing_about_the_worker() -> None:
    """Towards the end of a job only those are left, and crash one after the other."""
    suspicion = Suspicion(2)
    for item in "abcd":
        suspicion.crashed(item, is_first=False, finished=0)
    assert not suspicion.is_broken
