"""The kernel's side of test_netstack_kernel.py: one scenario with our stack at the other end.

    kernel_caller.py SCENARIO DEVICE [BYTES]

Runs in the client's namespace (kernel_path.py) and calls the services of tests/netstack/netstack_peer.cc,
over IPv4 and IPv6 at once. The relay makes our stack dial: what is sent to it arrives at a listener
of this program. What is received is compared by hash with what was sent. Ends with 0, or with the
reason why not.
"""
import asyncio
import contextlib
import hashlib
import os
import random
import resource
import socket
import struct
import sys

from kernel_path import CLIENT, CLIENT6, OURS, OURS6
from raw_packets import PacketSocket, tcp_packet

ECHO, RELAY, FIGURES, DOOR, CLOSED = 7003, 7004, 7005, 7006, 7999
SYN, RST = 0x02, 0x04
PIECE = 64 * 1024
# docs/netstack.md, "Limits": of an idle connection, and of what it knows of its path until then.
STACK_BYTES_EACH = 1024
PATH_BYTES_EACH = 2 * 1024
# What netstack_peer keeps for a connection beside the stack: coroutines and a buffer.
PEER_BYTES_EACH = 8 * 1024


class Side:
    """One address family: where we are and where the stack is."""

    def __init__(self, ipv6, barrier):
        self.ipv6 = ipv6
        self.both = barrier  # both families are here
        self.own, self.stack = (CLIENT6, OURS6) if ipv6 else (CLIENT, OURS)
        # As in kernel_path.py: the addresses behind our first.
        self.owns = [f"{self.own[:-1]}{number}" for number in range(1, 7)]

    async def dial(self, port, own=None):
        return await asyncio.open_connection(self.stack, port, local_addr=(own, 0) if own else None)

    async def dial_through_stack(self, own, port):
        reader, writer = await self.dial(RELAY, own)
        writer.write(f"{own or self.own} {port}\n".encode())
        return reader, writer

    async def serve(self, service, own=None):
        """A listener of the kernel's; answers with it and its port."""
        server = await asyncio.start_server(service, own or self.own, 0, backlog=4096)
        return server, server.sockets[0].getsockname()[1]

    async def figures(self):
        reader, writer = await self.dial(FIGURES)
        writer.write_eof()
        text = (await reader.read()).decode()
        await close(writer)
        return {name: int(value) for name, value in (line.split() for line in text.splitlines())}

    async def figures_until(self, condition):
        while not condition(now := await self.figures()):
            await asyncio.sleep(0.05)
        return now


async def close(writer):
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def abort(writer):
    """Closes with a reset."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def send(writer, total, then_end=True):
    digest = hashlib.sha256()
    while total > 0:
        piece = os.urandom(min(total, PIECE))
        digest.update(piece)
        writer.write(piece)
        await writer.drain()
        total -= len(piece)
    if then_end:
        writer.write_eof()
    return digest.hexdigest()


async def receive(reader):
    digest = hashlib.sha256()
    while piece := await reader.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()


def same(sent, received, what):
    if sent != received:
        raise AssertionError(f"{what}: other bytes arrived than were sent")


async def ask(reader, writer, size):
    """One request of an echo service."""
    words = os.urandom(size)
    writer.write(words)
    same(words, await reader.readexactly(size), "an answer")


async def kernel_echo(reader, writer):
    with contextlib.suppress(OSError):
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
    await close(writer)


class Meeting:
    """A listener of the kernel's that our stack is made to dial, once for each call of meet()."""

    def __init__(self, side):
        self.side = side
        self.arrived = asyncio.Queue()

    async def __aenter__(self):
        async def take(reader, writer):
            await self.arrived.put((reader, writer))
        self.server, self.port = await self.side.serve(take)
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def meet(self):
        """Both ends of a stream through our stack."""
        near = await self.side.dial_through_stack(None, self.port)
        return near, await self.arrived.get()


async def bulk(side, total):
    """In both directions at once, and in each alone, dialled by either side."""
    async def echoed():
        reader, writer = await side.dial(ECHO)
        sent, received = await asyncio.gather(send(writer, total), receive(reader))
        same(sent, received, "echo")
        await close(writer)

    async def passed_on(meeting, outward):
        near, far = await meeting.meet()
        source, target = (near, far) if outward else (far, near)
        sent, received = await asyncio.gather(send(source[1], total), receive(target[0]))
        same(sent, received, "outward" if outward else "inward")
        for _, writer in (near, far):
            await close(writer)

    async with Meeting(side) as out, Meeting(side) as back:
        await asyncio.gather(echoed(), passed_on(out, True), passed_on(back, False))


async def exchange(side, _):
    """Requests and answers of all sizes, on several connections, dialled by either side."""
    async def talk(dialled):
        reader, writer = await dialled
        for _ in range(30):
            await ask(reader, writer, random.choice((1, 10, 100, 1400, 20_000)))
        writer.write_eof()
        same(b"", await reader.read(), "end")
        await close(writer)

    server, port = await side.serve(kernel_echo)
    await asyncio.gather(*(talk(side.dial(ECHO)) for _ in range(4)),
                         *(talk(side.dial_through_stack(None, port)) for _ in range(4)))
    server.close()


async def half_close(side, total):
    """One direction ends long before the other, in every order."""
    reader, writer = await side.dial(ECHO)
    sent = await send(writer, total)  # our end is there before most of the answer
    same(sent, await receive(reader), "what came after our end")
    await close(writer)
    async with Meeting(side) as meeting:
        for quiet_first in (0, 1):
            ends = await meeting.meet()
            quiet, busy = ends[quiet_first], ends[1 - quiet_first]
            quiet[1].write_eof()
            same(b"", await busy[0].read(), "the early end")
            sent, received = await asyncio.gather(send(busy[1], total), receive(quiet[0]))
            same(sent, received, "what went against the early end")
            for _, writer in ends:
                await close(writer)


class Steady:
    """A stream that must not be disturbed by what happens to others."""

    def __init__(self, side, dialled):
        self.side, self.dialled = side, dialled
        self.rounds = 0
        self.stopped = False

    async def __aenter__(self):
        self.reader, self.writer = await self.dialled
        await ask(self.reader, self.writer, PIECE)
        self.task = asyncio.create_task(self.run())
        return self

    async def run(self):
        while not self.stopped:
            await ask(self.reader, self.writer, random.randrange(1, PIECE))
            self.rounds += 1

    async def goes_on(self):
        before = self.rounds
        while self.rounds < before + 3 and not self.task.done():
            await asyncio.sleep(0.01)

    async def __aexit__(self, kind, *_):
        if kind is None:
            await self.goes_on()
        self.stopped = True
        await self.task
        await close(self.writer)


async def expect_reset(what, reader):
    try:
        await reader.read()
    except ConnectionResetError:
        return
    raise AssertionError(f"{what}: no reset")


async def reset_storm(side, device):
    """Connections end by reset on either side while one goes on, and resets are forged for that one."""
    async def leave_rudely(start):
        _, writer = await start
        writer.write(os.urandom(50_000))
        await asyncio.sleep(random.random() / 10)
        abort(writer)

    async def be_refused():
        try:
            await side.dial(CLOSED)
        except ConnectionRefusedError:
            return
        raise AssertionError("a closed port was not refused")

    async def be_left(meeting):
        (reader, writer), (_, far) = await meeting.meet()
        writer.write(os.urandom(50_000))
        abort(far)
        await expect_reset("left by the kernel", reader)
        await close(writer)

    async def be_refused_by_kernel():
        reader, writer = await side.dial_through_stack(None, CLOSED)
        await expect_reset("refused by the kernel", reader)
        await close(writer)

    def forge(steady):
        own_port = steady.writer.get_extra_info("sockname")[1]
        with PacketSocket(device, side.ipv6) as raw:
            for _ in range(1000):
                raw.send(tcp_packet((side.own, own_port), (side.stack, ECHO), RST, random.getrandbits(32)))

    server, port = await side.serve(kernel_echo)
    async with Steady(side, side.dial(ECHO)) as steady, Meeting(side) as meeting, \
            Steady(side, side.dial_through_stack(None, port)) as dialled:
        before = (await side.figures())["connections"]
        for _ in range(3):
            await asyncio.gather(*(leave_rudely(side.dial(ECHO)) for _ in range(40)),
                                 *(leave_rudely(side.dial_through_stack(None, port)) for _ in range(20)),
                                 *(be_refused() for _ in range(40)), *(be_left(meeting) for _ in range(20)),
                                 *(be_refused_by_kernel() for _ in range(20)))
            forge(steady)
            await steady.goes_on()
            await dialled.goes_on()
        # Nothing of them stays: only what asked for the figures rests in TIME-WAIT.
        await side.figures_until(lambda now: now["connections"] < before + 50)
    server.close()


async def crowd(side, _):
    """5,000 connections at the same time, of both families together, and what they cost; then as many,
    for each of which our stack dials one more."""
    count = 2500
    opening = asyncio.Semaphore(100)

    async def join(dial):
        async with opening:
            reader, writer = await dial
            await ask(reader, writer, random.randrange(1, 500))
            return reader, writer

    async def leave(reader, writer):
        async with opening:
            await ask(reader, writer, random.randrange(1, 500))
            await close(writer)

    before = await side.figures()
    await side.both.wait()
    members = await asyncio.gather(*(
        join(side.dial(ECHO, side.owns[i % len(side.owns)])) for i in range(count)))
    await side.both.wait()
    now = await side.figures_until(lambda now: now["buffer_bytes"] == 0)
    if now["connections"] < 2 * count:
        raise AssertionError(f"only {now['connections']} connections")
    grown = now["heap_bytes"] - now["kept_bytes"] - before["heap_bytes"]
    most = now["connections"] * (STACK_BYTES_EACH + PATH_BYTES_EACH + PEER_BYTES_EACH)
    if grown > most:
        raise AssertionError(f"{now['connections']} connections took {grown} bytes")
    await side.both.wait()
    await asyncio.gather(*(leave(*member) for member in random.sample(members, count)))

    servers = [await side.serve(kernel_echo, own) for own in side.owns]
    members = await asyncio.gather(*(
        join(side.dial_through_stack(side.owns[i % len(side.owns)], servers[i % len(side.owns)][1]))
        for i in range(count)))
    await asyncio.gather(*(leave(*member) for member in random.sample(members, count)))
    for server, _ in servers:
        server.close()
    await side.both.wait()
    await side.figures_until(lambda now: now["buffer_bytes"] == 0)


async def flood(side, device):
    """SYNs of callers that do not exist, at a listener with a few places and at one with thousands."""
    def caller():
        host = random.randrange(1, 255)
        address = f"fd77::{host:x}" if side.ipv6 else f"10.77.0.{host}"
        return address, random.randrange(1024, 65536)

    async def come_through():
        reader, writer = await side.dial(DOOR)
        for size in (1, 5000):
            await ask(reader, writer, size)
        await close(writer)

    before = await side.figures()
    async with Steady(side, side.dial(ECHO)) as steady:
        with PacketSocket(device, side.ipv6) as raw:
            def pour():
                for _ in range(100):
                    for port in (DOOR, ECHO):
                        raw.send(tcp_packet(caller(), (side.stack, port), SYN, random.getrandbits(32)))

            while (now := await side.figures())["cookies_out"] < 3000 or now["connections"] < 10_000:
                pour()
                await asyncio.gather(steady.goes_on(), come_through())
        now = await side.figures()
        grown = now["heap_bytes"] - now["kept_bytes"] - before["heap_bytes"]
        if now["connections"] > 16_384 or grown > 16_384 * STACK_BYTES_EACH:
            raise AssertionError(f"{now['connections']} connections took {grown} bytes")
        if now["buffer_bytes"] > 2 ** 23:  # the steady streams and the callers that came through
            raise AssertionError(f"{now['buffer_bytes']} bytes are buffered")


SCENARIOS = {function.__name__: function for function in (bulk, exchange, half_close, reset_storm, crowd, flood)}


async def main():
    name, argument = sys.argv[1:3]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    value = int(argument) if argument.isdigit() else argument
    async with asyncio.timeout(250):
        barrier = asyncio.Barrier(2)
        await asyncio.gather(*(SCENARIOS[name](Side(ipv6, barrier), value) for ipv6 in (False, True)))


asyncio.run(main())
