"""The mail server of the tests: aiosmtpd, with the misbehaviour that mail servers are known for.

It takes mails on a port of its own and keeps each in the folder as NUMBER.eml (the bytes as they came, dots unstuffed) and
NUMBER.json (the envelope, and what Python's own mail parser makes of the bytes). Every byte that clients send unencrypted
stands in `clear`. A second port takes one word a line and answers `ok`:

    accept        takes mails
    refuse        550 to every recipient: refused for good
    defer         451 to every recipient: to be tried again
    stall         takes connections and says nothing, not even a greeting
    stall_at_end  takes a whole mail and never says whether it has it
    down          the port refuses connections; those that are open are cut
"""

import argparse
import asyncio
import json
import pathlib
import socket
import ssl
from email import message_from_bytes, policy

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

HOST = "127.0.0.1"


class Server:
    """What all connections share."""

    def __init__(self, options):
        self.options = options
        self.folder = pathlib.Path(options.folder)
        self.behaviour = "accept"
        self.changed = asyncio.Condition()
        self.connections = set()
        self.listener = None
        self.count = 0
        self.clear = open(self.folder / "clear", "ab", buffering=0)
        # Bound and never listening: keeps the port ours while the server is down.
        self.holder = bound(0)
        self.port = self.holder.getsockname()[1]
        self.tls = None
        if options.certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(options.certificate, options.key)

    async def behave(self, behaviour):
        assert behaviour in ("accept", "refuse", "defer", "stall", "stall_at_end", "down"), behaviour
        async with self.changed:
            self.behaviour = behaviour
            self.changed.notify_all()
        if behaviour == "down":
            self.close()
        elif self.listener is None:
            await self.listen()

    async def listen(self):
        implicit = self.tls if self.options.security == "tls" else None
        loop = asyncio.get_running_loop()
        self.listener = await loop.create_server(lambda: Connection(self), sock=bound(self.port), ssl=implicit)

    def close(self):
        if self.listener is not None:
            self.listener.close()
            self.listener = None
        for connection in list(self.connections):
            connection.cut()

    async def unless(self, *behaviours):
        """Waits until the server behaves otherwise."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.behaviour not in behaviours)

    def authenticate(self, server, session, envelope, mechanism, data):
        given = isinstance(data, LoginPassword) and b":".join((data.login, data.password))
        return AuthResult(success=given == self.options.auth.encode(), handled=False)

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = {"refuse": "550 5.1.1 No such mailbox", "defer": "451 4.3.0 Try again later"}.get(self.behaviour)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server, session, envelope):
        await self.unless("stall_at_end")
        self.count += 1
        raw = envelope.original_content
        facts = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "encrypted": server.is_encrypted(),
            "authenticated": bool(session.authenticated),
        }
        try:
            facts |= parsed(raw)
        except Exception as error:  # A mail that the parser chokes on is for the test to judge.
            facts |= {"headers": [], "addressees": [], "defects": [repr(error)], "text": "", "html": ""}
        self.keep(f"{self.count:04}.eml", raw)
        # Last: its being there says that the mail is.
        self.keep(f"{self.count:04}.json", json.dumps(facts).encode())
        return "250 OK"

    def keep(self, name, content):
        fresh = self.folder / f".{name}"
        fresh.write_bytes(content)
        fresh.rename(self.folder / name)


class Connection(SMTP):
    """One client."""

    def __init__(self, server):
        options = server.options
        super().__init__(
            server,
            hostname="mail.test",
            tls_context=server.tls if options.security == "starttls" else None,
            auth_required=bool(options.auth),
            # With implicit TLS every command is encrypted, which aiosmtpd does not see.
            auth_require_tls=options.security == "starttls",
            authenticator=server.authenticate,
            loop=asyncio.get_running_loop(),
        )
        self.server = server

    def is_encrypted(self):
        return self.session.ssl is not None or self.transport.get_extra_info("ssl_object") is not None

    def connection_made(self, transport):
        super().connection_made(transport)
        self.server.connections.add(self)

    def connection_lost(self, error):
        self.server.connections.discard(self)
        super().connection_lost(error)

    def data_received(self, data):
        if not self.is_encrypted():
            self.server.clear.write(data)
        super().data_received(data)

    async def push(self, status):
        await self.server.unless("stall")
        await super().push(status)

    def cut(self):
        if self.transport is not None:
            self.transport.abort()


def parsed(raw):
    mail = message_from_bytes(raw, policy=policy.default)
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    return {
        "headers": [[name, str(value)] for name, value in mail.items()],
        "addressees": [address.addr_spec for address in mail["To"].addresses] if mail["To"] else [],
        "defects": [repr(defect) for part in mail.walk() for defect in part.defects],
        "text": text.get_content() if text else None,
        "html": html.get_content() if html else None,
    }


def bound(port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((HOST, port))
    return sock


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--security", choices=["none", "starttls", "tls"], default="none")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--auth", help="LOGIN:PASSWORD, which is then required")
    server = Server(parser.parse_args())
    await server.listen()

    async def control(reader, writer):
        while line := await reader.readline():
            await server.behave(line.decode().strip())
            writer.write(b"ok\n")
            await writer.drain()

    controller = await asyncio.start_server(control, HOST, 0)
    control_port = controller.sockets[0].getsockname()[1]
    print(f"listening {server.port} {control_port}", flush=True)
    await controller.serve_forever()


asyncio.run(main())
