"""A bare client of the bus, for messages that no program of ours would send."""
import base64
import itertools
import json
import os
import socket
import ssl
import subprocess
import tempfile

# What stands before the 32 bytes of a private Ed25519 key in DER.
KEY_HEAD = bytes.fromhex("302e020100300506032b657004220420")


def escaped(name):
    return "".join(c if c.isalnum() and c == c.lower() or c in "_-"
                   else f"={ord(c):02x}" for c in name) or "="


def bytes_of(text):
    """What a key in the text form of nkeys holds, without its checksum."""
    return base64.b32decode(text + "=" * (-len(text) % 8))[:-2]


def text_of(head, key):
    """An nkey: head, key and checksum (CRC-16/XMODEM) in base32."""
    data, crc = head + key, 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    data += crc.to_bytes(2, "little")
    return base64.b32encode(data).decode().rstrip("=")


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, check=True,
                          stdout=subprocess.PIPE).stdout


class Key:
    """The bus key of a seed: signs what the server asks to have signed."""
    def __init__(self, seed):
        self.private = KEY_HEAD + bytes_of(seed)[2:]
        public = openssl("pkey", "-inform", "DER", "-pubout", "-outform",
                         "DER", data=self.private)[-32:]
        self.public = text_of(bytes([20 << 3]), public)

    def sign(self, nonce):
        with tempfile.TemporaryDirectory() as folder:
            key, said = (os.path.join(folder, name) for name in ("k", "n"))
            for name, data in ((key, self.private), (said, nonce.encode())):
                with open(name, "wb") as file:
                    file.write(data)
            signature = openssl("pkeyutl", "-sign", "-rawin", "-inkey", key,
                                "-keyform", "DER", "-in", said)
        return base64.urlsafe_b64encode(signature).decode().rstrip("=")


class RawBus:
    """`unconnected`: a socket to connect with."""

    def __init__(self, data, credentials="client.json", unconnected=None):
        path = os.path.join(data, "bus", credentials)
        with open(path, encoding="utf-8") as file:
            credentials = json.load(file)
        self.principal = escaped(credentials["principal"])
        self.prefix = f"reeve.{escaped(credentials['cell'])}."
        scheme, address = credentials["urls"][0].split("//")
        host, port = address.split(":")
        self.socket = unconnected or socket.socket()
        self.socket.settimeout(60)
        self.socket.connect((host, int(port)))
        self.lines = self.socket.makefile("rb")
        self.info = json.loads(self.line().split(b" ", 1)[1])
        if scheme == "tls:":
            how = ssl.create_default_context(cadata=credentials["ca"])
            self.socket = how.wrap_socket(self.socket, server_hostname=host)
            self.lines = self.socket.makefile("rb")
        key = Key(credentials["seed"])
        hello = {"verbose": False, "pedantic": False, "protocol": 1,
                 "lang": "python", "version": "0",
                 "nkey": key.public, "sig": key.sign(self.info["nonce"])}
        self.socket.sendall(b"CONNECT %s\r\n" % json.dumps(hello).encode())
        self.errors = []
        self.numbers = itertools.count(2)
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

    def whole(self, subject):
        """It is not the cell's own where the bus has it."""
        own = not subject.startswith(("_INBOX.", "$JS."))
        return self.prefix + subject if own else subject

    def publish(self, subject, payload):
        """`subject` after reeve.<cell>."""
        head = f"PUB {self.whole(subject)} {len(payload)}\r\n".encode()
        self.socket.sendall(head + payload + b"\r\n")

    def command(self, payload, kind="submit_session"):
        self.publish(f"cmd.{self.principal}.{kind}", payload)

    def query(self, payload):
        self.publish(f"qry.{self.principal}", payload)

    def subscribe(self, pattern, number=1):
        """`pattern` after reeve.<cell>., or an inbox."""
        self.socket.sendall(f"SUB {self.whole(pattern)} {number}\r\n".encode())
        self.flush()

    def messages(self):
        """What comes in from then on: subject, after reeve.<cell>., and
        payload; to the end of the connection."""
        while True:
            line = self.line()
            if line == b"PING":
                self.socket.sendall(b"PONG\r\n")
            elif line.startswith(b"MSG "):
                words = line.decode().split(" ")
                payload = self.lines.read(int(words[-1]) + 2)[:-2]
                yield words[1].removeprefix(self.prefix), payload
            elif line.startswith(b"-ERR"):
                self.errors.append(line.decode())
            elif not line:
                return

    def request(self, subject, payload):
        """The answer to what is asked on `subject`, after reeve.<cell>."""
        inbox = f"_INBOX.{self.principal}.raw{next(self.numbers)}"
        self.subscribe(inbox, next(self.numbers))
        self.socket.sendall(
            f"PUB {self.whole(subject)} {inbox} {len(payload)}\r\n".encode()
            + payload + b"\r\n")
        return next(self.messages())[1]

    def close(self):
        self.lines.close()
        self.socket.close()
