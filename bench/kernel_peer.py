"""The kernel's end of ./dev bench netstack-kernel: the services of netstack_peer over the kernel's
TCP, and the client that measures either.

    kernel_peer.py serve ADDRESS SECONDS CONGESTION
    kernel_peer.py up|down ADDRESS SECONDS CONGESTION      prints bits a second

"up" sends to the sink, which counts for SECONDS from its accept on; "down" reads from the source.
"""
import socket
import sys
import threading
import time

PIECE = 256 * 1024


def set_congestion(connection, name):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())


def sink(connection, seconds):
    total, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        connection.settimeout(max(end - time.monotonic(), 0.001))
        try:
            got = connection.recv(PIECE)
        except TimeoutError:
            break
        if not got:
            break
        total += len(got)
    connection.settimeout(None)
    connection.sendall(b"%d\n" % total)
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(PIECE):
        pass


def source(connection, _):
    piece = bytes(PIECE)
    while True:
        connection.sendall(piece)


def guarded(service, connection, seconds):
    with connection:
        try:
            service(connection, seconds)
        except OSError:
            pass  # the caller has gone


def serve(address, seconds, congestion):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listeners = []
    for port, service in ((7001, sink), (7002, source)):
        listener = socket.create_server((address, port), family=family)
        set_congestion(listener, congestion)

        def accept(listener=listener, service=service):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=guarded, args=(service, connection, seconds), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        listeners.append(thread)
    print("ready", flush=True)
    for thread in listeners:
        thread.join()


def connect(address, port, congestion):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family)
    set_congestion(connection, congestion)
    connection.settimeout(20)
    connection.connect((address, port))
    return connection


def up(address, seconds, congestion):
    connection = connect(address, 7001, congestion)
    answer = []

    def read_answer():
        text = b""
        while not text.endswith(b"\n"):
            got = connection.recv(100)
            if not got:
                break
            text += got
        answer.append(int(text or b"0"))
        connection.close()

    reader = threading.Thread(target=read_answer, daemon=True)
    reader.start()
    piece = bytes(PIECE)
    try:
        while reader.is_alive():
            connection.sendall(piece)
    except OSError:
        pass  # the answer has come, or nothing comes any more
    reader.join(20)
    return answer[0] * 8 / seconds if answer else 0


def down(address, seconds, congestion):
    started = time.monotonic()
    connection = connect(address, 7002, congestion)
    total, end = 0, started + seconds
    while (left := end - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            got = connection.recv(PIECE)
        except TimeoutError:
            break
        if not got:
            break
        total += len(got)
    connection.close()
    return total * 8 / seconds


def main():
    what, address, seconds, congestion = sys.argv[1:5]
    if what == "serve":
        serve(address, float(seconds), congestion)
    else:
        print(round({"up": up, "down": down}[what](address, float(seconds), congestion)))


main()
