"""The network between a master and its database: it can be slow, be cut without a word, or lose the answer to a COMMIT."""

import asyncio
import contextlib
import threading
import time

import telstar

# What the server says when a COMMIT has been carried out (CommandComplete of the PostgreSQL protocol).
COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"
# In how a master's writing connection introduces itself (StartupMessage).
WRITER = b" writer\x00"


class Proxy:
    """Passes connections to a port of 127.0.0.1 on; both ends know nothing of each other but through it."""

    def __init__(self, target):
        self.target = target
        self.port = telstar.free_port()
        # Seconds from one end to the other, in each direction.
        self.delay = 0
        # How many answers to COMMITs of writing connections are still to be lost, and how many were.
        self.losing = 0
        self.lost = 0
        self.loop = asyncio.new_event_loop()
        self.passes = asyncio.Event()
        self.passes.set()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self._call(asyncio.start_server(self._serve, "127.0.0.1", self.port))

    def cut(self):
        """From now on nothing passes, neither bytes nor the end of a connection; nobody is notified."""
        self.loop.call_soon_threadsafe(self.passes.clear)

    def heal(self):
        """What was on its way arrives, and all passes again."""
        self.loop.call_soon_threadsafe(self.passes.set)

    def lose_commits(self, count):
        """The next so many COMMITs that write are carried out, and instead of the answer comes the connection's end."""
        self.losing = count

    def stop(self):
        async def end():
            self.server.close()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._call(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def _call(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    async def _serve(self, reader, writer):
        kind = {"writes": False}
        with contextlib.suppress(OSError, asyncio.CancelledError), contextlib.closing(writer):
            await self.passes.wait()
            await asyncio.sleep(2 * self.delay)
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
            with contextlib.closing(up_writer):
                ways = [asyncio.ensure_future(way) for way in (
                    self._carry(reader, up_writer, lambda data: self._look(data, kind)),
                    self._carry(up_reader, writer, lambda data: self._loses(data, kind)))]
                try:
                    # The end of one way is the end of both, as for a connection that was reset.
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)

    async def _carry(self, reader, writer, ends):
        """One direction: what was read arrives after the delay, which costs time but no throughput, unless it `ends`."""
        under_way = asyncio.Queue(1000)

        async def read():
            while True:
                try:
                    data = await reader.read(65536)
                except OSError:
                    data = b""
                await under_way.put((time.monotonic() + self.delay, data))
                if not data:
                    return
        reading = asyncio.ensure_future(read())
        try:
            while True:
                due, data = await under_way.get()
                await asyncio.sleep(due - time.monotonic())
                await self.passes.wait()
                if not data or ends(data):
                    return
                writer.write(data)
                await writer.drain()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def _look(self, data, kind):
        kind["writes"] = kind["writes"] or WRITER in data
        return False

    def _loses(self, data, kind):
        if not self.losing or not kind["writes"] or COMMITTED not in data:
            return False
        self.losing -= 1
        self.lost += 1
        return True


@contextlib.contextmanager
def before(database):
    """A proxy before a PostgreSQL server of `postgresql.server`."""
    proxy = Proxy(database.port)
    # What a client is given instead of the server's own address.
    proxy.url = database.url.replace(f":{database.port}/", f":{proxy.port}/")
    try:
        yield proxy
    finally:
        proxy.stop()
