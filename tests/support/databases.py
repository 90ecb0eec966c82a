"""Stand-ins for PostgreSQL, MySQL and MongoDB: real sockets, just enough of each protocol for the real clients.

A statement or command with `broken` in it fails as the real server's would, with a value of the user's in its message.
"""

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

SECRET = "4111-1111"


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def _read(self, count: int) -> bytes:
        data = self.rfile.read(count)
        if len(data) < count:
            raise ConnectionResetError
        return data

    def handle(self) -> None:
        with suppress(ConnectionError):
            self._talk()

    def _talk(self) -> None:
        raise NotImplementedError


class Postgres(_Connection):
    """PostgreSQL's protocol 3.0: start-up without a password, simple and extended queries without rows."""

    def _talk(self) -> None:
        (size, code) = struct.unpack("!ii", self._read(8))
        while code in {80877103, 80877104}:  # TLS, GSS: no
            self.wfile.write(b"N")
            (size, code) = struct.unpack("!ii", self._read(8))
        self._read(size - 8)
        self._say(b"R", struct.pack("!i", 0))
        for name, value in (("client_encoding", "UTF8"), ("server_version", "17.0"), ("TimeZone", "UTC")):
            self._say(b"S", f"{name}\0{value}\0".encode())
        self._say(b"K", struct.pack("!ii", 1, 1))
        self._say(b"Z", b"I")
        self._status, self._statement, self._failed = b"I", "", False
        while (kind := self._read(1)) != b"X":
            body = self._read(struct.unpack("!i", self._read(4))[0] - 4)
            if kind == b"Q":
                self._statement = body[:-1].decode()
                self._execute()
            elif not self._failed:
                self._extended(kind, body)
            if kind in {b"Q", b"S"}:
                self._failed = False
                self._say(b"Z", self._status)

    def _extended(self, kind: bytes, body: bytes) -> None:
        if kind == b"P":
            self._statement = body.split(b"\0")[1].decode()
        if kind in {b"P", b"B"}:
            self._say(b"1" if kind == b"P" else b"2")
        elif kind == b"D":
            if body[:1] == b"S":
                self._say(b"t", struct.pack("!h", 0))
            self._say(b"n")
        elif kind == b"E":
            self._execute()

    def _execute(self) -> None:
        if "broken" in self._statement:
            fields = {"S": "ERROR", "V": "ERROR", "C": "23505", "M": f"Key (card)=({SECRET}) already exists."}
            self._say(b"E", b"".join(f"{key}{value}\0".encode() for key, value in fields.items()) + b"\0")
            self._status, self._failed = b"E", True
        else:
            self._status = {"BEGIN": b"T", "COMMIT": b"I", "ROLLBACK": b"I"}.get(self._statement, self._status)
            self._say(b"C", self._statement.split()[0].encode() + b" 0\0")

    def _say(self, kind: bytes, body: bytes = b"") -> None:
        self.wfile.write(kind + struct.pack("!i", len(body) + 4) + body)


class MySql(_Connection):
    """MySQL's protocol 10: any password is right, and every statement is done without rows."""

    def _talk(self) -> None:
        greeting = b"\x0a8.0.36\0" + struct.pack("<i", 1) + b"12345678\0" + b"\xff\xf7" + b"\x2d" + b"\x02\x00"
        greeting += b"\xff\x81" + b"\x15" + b"\0" * 10 + b"123456789012\0" + b"mysql_native_password\0"
        self._say(0, greeting)
        self._packet()
        self._say(2, _OK)
        while (command := self._packet())[:1] != b"\x01":
            error = struct.pack("<BH", 0xFF, 1062) + f"#23000Duplicate entry '{SECRET}' for key".encode()
            self._say(1, error if b"broken" in command else _OK)

    def _packet(self) -> bytes:
        header = self._read(4)
        return self._read(int.from_bytes(header[:3], "little"))

    def _say(self, number: int, body: bytes) -> None:
        self.wfile.write(len(body).to_bytes(3, "little") + bytes([number]) + body)


_OK = b"\x00\x00\x00\x02\x00\x00\x00"


class Mongo(_Connection):
    """MongoDB's wire protocol: OP_QUERY for the first hello, OP_MSG for all else."""

    def _talk(self) -> None:
        from bson import decode, encode

        while True:
            size, request, _, code = struct.unpack("<iiii", self._read(16))
            body = self._read(size - 16)
            if code == 2004:
                command = decode(body[body.index(b"\0", 4) + 9 :])
                answer = struct.pack("<iqii", 8, 0, 0, 1) + encode(self._answer(command))
            else:
                length = struct.unpack("<i", body[5:9])[0]
                answer = struct.pack("<iB", 0, 0) + encode(self._answer(decode(body[5 : 5 + length])))
            opcode = 1 if code == 2004 else 2013
            self.wfile.write(struct.pack("<iiii", len(answer) + 16, 1, request, opcode) + answer)

    def _answer(self, command: dict[str, Any]) -> dict[str, Any]:
        name = next(iter(command))
        if name in {"hello", "ismaster", "isMaster"}:
            return {"ismaster": True, "isWritablePrimary": True, "helloOk": True, "maxWireVersion": 21, "ok": 1.0}
        if name == "broken":
            return {"ok": 0.0, "code": 11000, "codeName": "DuplicateKey", "errmsg": f"dup key: {SECRET}"}
        empty = {"cursor": {"id": 0, "ns": f"shop.{command[name]}", "firstBatch": []}, "ok": 1.0}
        return empty if name in {"find", "aggregate"} else {"n": 1, "ok": 1.0}


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def serve(protocol: type[_Connection]) -> Iterator[int]:
    """Serve a protocol, and yield the port."""
    with _Server(("127.0.0.1", 0), protocol) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()
