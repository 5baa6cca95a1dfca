"""A TLS receiver that tells, for every connection, what its own kernel received: receiver.py CERTIFICATE KEY OUTPUT.

One JSON line a connection: the client's port; tcpi_bytes_received less the FIN; the same counted from what was read; how many
bytes were sent, and whether all of them were acknowledged. TLS runs on memory buffers, so that every byte of the socket is seen
here and reading goes on until the client's FIN."""
import json
import socket
import ssl
import struct
import sys
import threading

TCPI_UNACKED, TCPI_NOTSENT, TCPI_BYTES_RECEIVED = 24, 156, 128  # offsets in struct tcp_info
CHUNK = 1 << 18
REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


def kernel_counts(sock):
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    (received,) = struct.unpack_from("=Q", info, TCPI_BYTES_RECEIVED)
    (unacked,) = struct.unpack_from("=I", info, TCPI_UNACKED)
    (unsent,) = struct.unpack_from("=I", info, TCPI_NOTSENT)
    return received, unacked, unsent


class Connection:
    def __init__(self, sock, context):
        self.sock, self.read, self.sent = sock, 0, 0
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.fin = self.reset = False

    def flush(self):
        data = self.outgoing.read()
        if data:
            self.sock.sendall(data)
            self.sent += len(data)

    def fill(self):
        try:
            data = self.sock.recv(CHUNK)
        except ConnectionResetError:
            self.reset = True
            data = b""
        self.read += len(data)
        if data:
            self.incoming.write(data)
        else:
            self.fin = not self.reset
        return bool(data)

    def call(self, method, *args):
        """A TLS call, fed until it is done; None at the end of the connection."""
        while True:
            try:
                value = method(*args)
                self.flush()
                return value if value is not None else True
            except ssl.SSLWantReadError:
                self.flush()
                if not self.fill():
                    return None
            except ssl.SSLError:
                self.flush()
                return None

    def body(self, head, rest):
        """The request's body is read and dropped."""
        fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
        left = int(fields.get(b"content-length", b"0")) - len(rest)
        if b"100-continue" in fields.get(b"expect", b""):
            self.call(self.tls.write, b"HTTP/1.1 100 Continue\r\n\r\n")
        while left > 0:
            data = self.call(self.tls.read, CHUNK)
            if not data:
                return False
            left -= len(data)
        return True

    def serve(self):
        if not self.call(self.tls.do_handshake):
            return
        head = b""
        while b"\r\n\r\n" not in head:
            data = self.call(self.tls.read, CHUNK)
            if not data:
                return
            head += data
        head, rest = head.split(b"\r\n\r\n", 1)
        if self.body(head, rest):
            self.call(self.tls.write, REPLY)

    def account(self, port):
        while not self.fin and not self.reset and self.fill():
            pass
        received, unacked, unsent = kernel_counts(self.sock)
        return {"port": port, "bytes": received - self.fin, "read": self.read, "sent": self.sent,
                "sent_acked": not unacked and not unsent, "reset": self.reset}


def handle(sock, port, context, out, lock):
    with sock:
        c = Connection(sock, context)
        c.serve()
        row = c.account(port)
    with lock:
        print(json.dumps(row), file=out, flush=True)


def main():
    crt, key, path = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)
    listener = socket.create_server(("", 443), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
    lock = threading.Lock()
    with open(path, "w") as out:
        print("{}", file=out, flush=True)
        while True:
            sock, peer = listener.accept()
            threading.Thread(target=handle, args=(sock, peer[1], context, out, lock), daemon=True).start()


main()
