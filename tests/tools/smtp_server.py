"""A real mail server (aiosmtpd) that requires STARTTLS and a login, and keeps what it gets as files.

smtp_server.py CERTIFICATE KEY USER PASSWORD FOLDER [PORT]

Prints its port once it listens, and stops when its standard input is closed.
"""

import pathlib
import ssl
import sys

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

certificate, key, user, password, folder = sys.argv[1:6]
port = int(sys.argv[6]) if len(sys.argv) > 6 else 0
folder = pathlib.Path(folder)


class Keep:
    count = len(list(folder.glob("*.eml")))

    async def handle_DATA(self, server, session, envelope):
        Keep.count += 1
        path = folder / f"{Keep.count}.eml"
        part = path.with_suffix(".part")
        part.write_bytes(envelope.original_content)
        part.rename(path)
        return "250 2.0.0 kept"


def authenticate(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (user.encode(), password.encode())
    # Not handled: the server gives the answer.
    return AuthResult(success=right, handled=False)


class Server(Controller):
    def _trigger_server(self):
        # The base class connects to the configured port, which is not known before the start when it is 0.
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
tls.load_cert_chain(certificate, key)
server = Server(
    Keep(),
    hostname="127.0.0.1",
    port=port,
    tls_context=tls,
    require_starttls=True,
    auth_required=True,
    authenticator=authenticate,
    data_size_limit=64 * 1024 * 1024,
)
server.start()
print(server.port, flush=True)
sys.stdin.read()
server.stop()
