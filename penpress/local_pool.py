"""Items over several processes, results in the order of the items. A process that dies takes one item with it, not the run."""

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from itertools import islice
from multiprocessing import get_context

from penpress.local_worker import LocalItem, LocalWorker
from penpress.processes import usable_cores
from penpress.results import Result

MakeWorker = Callable[[], LocalWorker]
Lost = Callable[[LocalItem], Result]

_WAITING_PER_PROCESS = 4
# Starting a process costs as long as classifying about twenty images.
_ITEMS_WORTH_A_PROCESS = 20
_worker: LocalWorker | None = None


def classify_items(items: list[LocalItem], make_worker: MakeWorker, lost: Lost) -> Iterator[list[Result]]:
    """The results of each item; `lost` makes the result of one that killed its process. `make_worker` must be picklable."""
    worker = make_worker()  # here in any case: a model that cannot run says so once, not once for each process
    processes = min(usable_cores(), len(items) // _ITEMS_WORTH_A_PROCESS)
    if processes <= 1:
        with closing(worker):
            yield from (worker.classify(item) for item in items)
        return
    waiting = deque(items)
    while waiting:
        yield from _until_a_process_dies(waiting, processes, make_worker)
        suspects = [waiting.popleft() for _ in range(min(len(waiting), processes * _WAITING_PER_PROCESS))]
        yield from _one_by_one(suspects, make_worker, lost)


def _until_a_process_dies(waiting: deque[LocalItem], processes: int, make_worker: MakeWorker) -> Iterator[list[Result]]:
    """Take items from the left of `waiting` as their results are given; what is left there was not answered."""
    with _pool(processes, make_worker) as pool:
        try:
            futures = deque(_submit(pool, islice(waiting, processes * _WAITING_PER_PROCESS)))
            while futures:
                results = futures.popleft().result()
                waiting.popleft()
                futures.extend(_submit(pool, islice(waiting, len(futures), len(futures) + 1)))
                yield results
        except BrokenProcessPool:
            return


def _one_by_one(suspects: Iterable[LocalItem], make_worker: MakeWorker, lost: Lost) -> Iterator[list[Result]]:
    """Each item alone in its process: so the one that kills it is known."""
    for item in suspects:
        with _pool(1, make_worker) as pool:
            try:
                results = _submit(pool, [item])[0].result()
            except BrokenProcessPool:
                results = [lost(item)]
        yield results


@contextmanager
def _pool(processes: int, make_worker: MakeWorker) -> Iterator[ProcessPoolExecutor]:
    # Spawned, since neither threads nor onnxruntime survive a fork.
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(make_worker,))
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, items: Iterable[LocalItem]) -> list[Future[list[Result]]]:
    """Submit with Ctrl-C ignored for that moment: the first call starts the processes, which inherit that, and only the
    parent should answer to it.
    """
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return [pool.submit(_classify, item) for item in items]
    finally:
        signal.signal(signal.SIGINT, previous)


def _start_worker(make_worker: MakeWorker) -> None:
    global _worker
    _worker = make_worker()


def _classify(item: LocalItem) -> list[Result]:
    assert _worker is not None
    return _worker.classify(item)
