"""A port of this host that leads to a port of the mesh: one `selvage connect` per connection.

python3 -m devtool.mesh_port LISTEN_PORT TARGET COMMAND...   for example 11080 10.144.1.2:1080 selvage -n home connect
"""
import asyncio
import sys

CHUNK = 64 * 1024


async def copy(reader, writer):
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def serve(reader, writer, command):
    child = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    upward = asyncio.create_task(copy(reader, child.stdin))
    await copy(child.stdout, writer)
    if child.returncode is None:
        child.terminate()
    await child.wait()
    upward.cancel()


async def main():
    port, target, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    server = await asyncio.start_server(
        lambda reader, writer: serve(reader, writer, [*command, target]), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
