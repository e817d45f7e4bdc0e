"""A TCP port in front of a service's unix socket, whose traffic can be swallowed, slowed down or cut.

A swallowed byte is not lost: as with packets that a network drops for a while, it arrives when the network is back.
"""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

_PIECE_BYTES = 64 * 1024


class Proxy:
    """Runs in a thread of its own from the start; `port` is on 127.0.0.1. Threads may share it."""

    def __init__(self, upstream: Path) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._delay_seconds = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, name=f"proxy of {upstream.name}", daemon=True)
        self._thread.start()

    def hold(self) -> None:
        """A black hole: connections stay, new ones are taken, and no byte moves."""
        self._call(self._flowing.clear)

    def release(self) -> None:
        """Everything moves again, what was held first."""
        self._call(self._flowing.set)

    def slow(self, seconds: float) -> None:
        """Delay every piece by so much; 0 ends that."""

        def set_delay() -> None:
            self._delay_seconds = seconds

        self._call(set_delay)

    def reset(self) -> None:
        """Cut every connection with a RST."""

        def cut() -> None:
            for writer in list(self._writers):
                _reset(writer)

        self._call(cut)

    def close(self) -> None:
        """Cut everything and take no more."""
        self._call(self._end_all)
        self._thread.join()

    def _end_all(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    def _call(self, function: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(function)

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._listen())
        if left := asyncio.all_tasks(self._loop):
            self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    async def _listen(self) -> None:
        async with await asyncio.start_server(self._serve, sock=self._listener) as server:
            await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        self._writers.update(writers)
        try:
            await self._flowing.wait()
            up_reader, up_writer = await asyncio.open_unix_connection(str(self._upstream))
            writers.append(up_writer)
            self._writers.add(up_writer)
            await asyncio.gather(self._pump(reader, up_writer), self._pump(up_reader, writer))
        except OSError:  # the service is down
            _reset(writer)
        except asyncio.CancelledError:  # the proxy is closed; asyncio would log it as an error of ours
            for each in writers:
                _reset(each)
        finally:
            for each in writers:
                each.close()
            self._writers.difference_update(writers)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_PIECE_BYTES):
                if self._delay_seconds:
                    await asyncio.sleep(self._delay_seconds)
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        if (connection := writer.get_extra_info("socket")) and connection.family == socket.AF_INET:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
