"""Counts the UDP payload of one port at one interface, each datagram once: datagrams.py INTERFACE PORT OUTPUT.

The truth for QUIC, which has no acknowledgement that could be read: a packet socket of its own counts what comes in to that port and
what leaves from it. Says {} when it has begun; told to end (SIGTERM), it reads what is waiting and writes one JSON line: by the peer's
port, [datagrams, payload bytes of the distinct ones] in and out, and how many frames the kernel did not hand over."""
import json
import signal
import socket
import struct
import sys

ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, 0x0800, 0x86DD
SOL_PACKET, PACKET_STATISTICS, PACKET_OUTGOING = 263, 6, 4
SO_RCVBUFFORCE = 33
RCVBUF = 256 << 20


def payload(frame, kind):
    """(source port, destination port, UDP payload), or None; the IPv6 of this lab has no extension headers, and nothing is fragmented."""
    if kind == ETH_P_IP and frame[9] == socket.IPPROTO_UDP:
        at = (frame[0] & 15) * 4
    elif kind == ETH_P_IPV6 and frame[6] == socket.IPPROTO_UDP:
        at = 40
    else:
        return None
    source, dest, length = struct.unpack_from(">HHH", frame, at)
    return source, dest, frame[at + 8:at + length]


class Count:
    def __init__(self, port):
        self.port = port
        self.seen = set()
        self.ways = {"in": {}, "out": {}}

    def add(self, frame, kind, outgoing):
        found = payload(frame, kind)
        if not found:
            return
        source, dest, data = found
        if (source if outgoing else dest) != self.port:
            return
        peer = dest if outgoing else source
        row = self.ways["out" if outgoing else "in"].setdefault(peer, [0, 0])
        row[0] += 1
        key = hash((outgoing, peer, data))
        if key not in self.seen:
            self.seen.add(key)
            row[1] += len(data)


def drain(sock, count):
    """Reads until the socket is empty."""
    while True:
        try:
            frame, (_, kind, way, *_) = sock.recvfrom(1 << 17)
        except TimeoutError:
            return
        count.add(frame, kind, way == PACKET_OUTGOING)


def main():
    iface, port, path = sys.argv[1:]
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RCVBUF)
    sock.bind((iface, ETH_P_ALL))
    sock.settimeout(0.05)
    count = Count(int(port))
    with open(path, "w") as out:
        print("{}", file=out, flush=True)
        while not stop:
            drain(sock, count)
        drain(sock, count)
        _, lost = struct.unpack("=II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        print(json.dumps({**count.ways, "lost": lost}), file=out, flush=True)


main()
