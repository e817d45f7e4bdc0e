"""Slots for work that takes a processor, given back from the thread that had one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from anyio import CapacityLimiter


@asynccontextmanager
async def held_slot(slots: CapacityLimiter) -> AsyncIterator[Callable[[], object]]:
    """Wait for a slot, without a thread. What is yielded gives it back early, from any thread; else the block's end does."""
    loop, borrower = asyncio.get_running_loop(), object()
    await slots.acquire_on_behalf_of(borrower)
    is_held = True

    def give_back() -> None:
        nonlocal is_held
        if is_held:
            is_held = False
            slots.release_on_behalf_of(borrower)

    try:
        yield lambda: loop.call_soon_threadsafe(give_back)
    finally:
        give_back()
