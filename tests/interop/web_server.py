"""A web server for the tests: python3 web_server.py ADDRESS PORT.

GET /page      a short text            GET /peer      the caller's address as the kernel gives it
GET /bytes/N   N reproducible bytes    PUT /upload    answers with the SHA-256 of the body
"""
import hashlib
import http.server
import random
import socket
import sys

BLOCK = random.Random(1).randbytes(1 << 20)


def body_blocks(size):
    """The bytes of /bytes/N: every block is numbered, so that a repeated or lost one changes the hash."""
    sent = 0
    while sent < size:
        block = (sent.to_bytes(8, "big") + BLOCK)[:min(len(BLOCK), size - sent)]
        yield block
        sent += len(block)


def body_hash(size):
    digest = hashlib.sha256()
    for block in body_blocks(size):
        digest.update(block)
    return digest.hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, text):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/page":
            self.answer("a page beyond the mesh\n")
        elif self.path == "/peer":
            self.answer(self.client_address[0] + "\n")
        elif self.path.startswith("/bytes/"):
            size = int(self.path.rsplit("/", 1)[1])
            self.send_response(200)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            for block in body_blocks(size):
                self.wfile.write(block)
        else:
            self.send_error(404)

    def do_PUT(self):
        left = int(self.headers["Content-Length"])
        digest = hashlib.sha256()
        while left:
            block = self.rfile.read(min(left, 1 << 18))
            if not block:
                return
            digest.update(block)
            left -= len(block)
        self.answer(digest.hexdigest() + "\n")

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        print(self.client_address, format % args, flush=True)


class ServerOfIpv6(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


if __name__ == "__main__":
    server = ServerOfIpv6 if ":" in sys.argv[1] else http.server.ThreadingHTTPServer
    server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
