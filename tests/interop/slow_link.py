"""A link with a delay, for kernels without netem: forwards tcp and udp from a port to another host, late.

    slow_link.py PORT HOST PORT DELAY_MS
"""
import asyncio
import sys


async def copy_late(reader, writer, delay):
    """Every piece leaves `delay` seconds after it came; order is kept."""
    loop = asyncio.get_running_loop()
    pieces = asyncio.Queue()

    async def send():
        while True:
            when, data = await pieces.get()
            await asyncio.sleep(max(0.0, when - loop.time()))
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()

    sender = asyncio.create_task(send())
    try:
        while data := await reader.read(65536):
            pieces.put_nowait((loop.time() + delay, data))
    except OSError:
        pass
    pieces.put_nowait((loop.time(), b""))
    await asyncio.gather(sender, return_exceptions=True)


class LateDatagrams(asyncio.DatagramProtocol):
    """One socket of ours towards the other host for each caller."""

    def __init__(self, target, delay):
        self.target, self.delay = target, delay
        self.transport = None
        self.callers = {}

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        asyncio.get_running_loop().call_later(self.delay, lambda: asyncio.ensure_future(self.forward(data, addr)))

    async def forward(self, data, caller):
        if caller not in self.callers:
            back = _Back(self, caller)
            self.callers[caller] = back
            await asyncio.get_running_loop().create_datagram_endpoint(lambda: back, remote_addr=self.target)
        await self.callers[caller].ready.wait()
        self.callers[caller].transport.sendto(data)


class _Back(asyncio.DatagramProtocol):
    def __init__(self, owner, caller):
        self.owner, self.caller = owner, caller
        self.transport = None
        self.ready = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport
        self.ready.set()

    def datagram_received(self, data, addr):
        asyncio.get_running_loop().call_later(
            self.owner.delay, lambda: self.owner.transport.sendto(data, self.caller))


async def main(port, host, target_port, delay):
    async def serve(reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(host, target_port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy_late(reader, far_writer, delay), copy_late(far_reader, writer, delay))

    server = await asyncio.start_server(serve, "0.0.0.0", port)
    await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: LateDatagrams((host, target_port), delay), local_addr=("0.0.0.0", port))
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]) / 1000))
