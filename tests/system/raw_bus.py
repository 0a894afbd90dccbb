"""A bare client of the bus, for messages that no program of ours would send."""
import json
import os
import socket


def escaped(name):
    return "".join(c if c.isalnum() and c == c.lower() or c in "_-"
                   else f"={ord(c):02x}" for c in name) or "="


class RawBus:
    def __init__(self, data):
        path = os.path.join(data, "bus", "client.json")
        with open(path, encoding="utf-8") as file:
            credentials = json.load(file)
        self.principal = escaped(credentials["principal"])
        self.prefix = f"reeve.{escaped(credentials['cell'])}."
        host, port = credentials["url"].rsplit("/", 1)[1].split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.lines = self.socket.makefile("rb")
        self.info = json.loads(self.line().split(b" ", 1)[1])
        hello = {"verbose": False, "pedantic": False, "protocol": 1,
                 "lang": "python", "version": "0",
                 "user": credentials["principal"],
                 "pass": credentials["password"]}
        self.socket.sendall(b"CONNECT %s\r\n" % json.dumps(hello).encode())
        self.errors = []
        self.flush()

    def line(self):
        return self.lines.readline().strip()

    def flush(self):
        """All that was sent has been taken; collects what was refused."""
        self.socket.sendall(b"PING\r\n")
        while True:
            line = self.line()
            if line == b"PONG":
                return
            if line == b"PING":
                self.socket.sendall(b"PONG\r\n")
            elif line.startswith(b"-ERR"):
                self.errors.append(line.decode())
            elif not line:
                raise ConnectionError(f"the server left; {self.errors}")

    def publish(self, subject, payload):
        """`subject` after reeve.<cell>."""
        head = f"PUB {self.prefix}{subject} {len(payload)}\r\n".encode()
        self.socket.sendall(head + payload + b"\r\n")

    def command(self, payload, kind="submit_session"):
        self.publish(f"cmd.{self.principal}.{kind}", payload)

    def query(self, payload):
        self.publish(f"qry.{self.principal}", payload)

    def close(self):
        self.lines.close()
        self.socket.close()
