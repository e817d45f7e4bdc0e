"""A bound on what one process may allocate, so that an image that wants everything is refused and takes nobody else down."""

import contextlib
import resource


def limit_memory(memory_bytes: int) -> None:
    """Let allocations past `memory_bytes` fail. What is only reserved or read from files does not count.

    A stricter limit that was there before is kept.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bounds = [memory_bytes, *(limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY)]
    with contextlib.suppress(ValueError, OSError):  # where the system has no such limit
        resource.setrlimit(resource.RLIMIT_DATA, (min(bounds), hard))
