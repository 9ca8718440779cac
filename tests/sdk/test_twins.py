"""One request over ASGI and over WSGI: the same answer, and the same events told, whatever its headers are."""

from __future__ import annotations

import io
import random

import pytest

from sentinel import sdk
from sentinel.sdk import asgi, testing, wsgi

ADDRESSES = (
    "203.0.113.8",
    "203.0.113.9",
    "10.0.0.1",
    "2001:db8::1",
    "[2001:db8::1]:80",
    "203.0.113.8:99",
    "unknown",
    "",
)
ACCEPTS = ("*/*", "text/html", "application/json", "text/html;q=0.5, application/json;q=0.4", "text/html;q=x", "text/*")
HEADERS = {
    "host": ("h.example", "H.EXAMPLE:80", ""),
    "user-agent": ("Mozilla/5.0 é", "", "x" * 600),
    "accept": ACCEPTS,
    "accept-language": ("de", "en;q=0.1"),
    "referer": ("https://h.example/b?c=d#e", "\xff"),
    "content-type": ("application/json", "application/x-www-form-urlencoded; charset=utf-8", "text/plain"),
}
PATHS = ("/id/1", "/id/2", "/id/3", "/login/1", "/login/4", "/", "/verify", "/verify/../id/1", "/go/", "/id/é")
BODIES = (b"", b'{"a": 1, "password": 2}', b"a=1&token=2", b"\xff")
PROXIES = (None, ["10.0.0.0/8"], ["0.0.0.0/0"], 1, 2)


class Asked:
    """A random request."""

    def __init__(self, chance):
        names = [*HEADERS, "x-forwarded-for", "forwarded"]
        self.lines = [(name, self.value(chance, name)) for name in chance.choices(names, k=chance.randrange(9))]
        self.method, self.path = chance.choice(("GET", "HEAD", "POST", "PUT")), chance.choice(PATHS)
        self.query, self.body = chance.choice(("", "a=1&a=2", "password=x")), chance.choice(BODIES)
        self.peer = chance.choice((*ADDRESSES, None))

    @staticmethod
    def value(chance, name):
        some = chance.choices(ADDRESSES, k=chance.randrange(3))
        if name in HEADERS:
            return chance.choice(HEADERS[name])
        return ", ".join(some if name == "x-forwarded-for" else [f'for="{one}"' for one in some])

    def by_asgi(self):
        sent = []

        async def receive():
            return {"type": "http.request", "body": self.body}

        async def send(message):
            sent.append(message)

        async def app(scope, receive, send):
            await receive()
            use(scope["path"])
            await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
            await send({"type": "http.response.body", "body": b"fine"})

        lines = [(name.encode(), value.encode("latin-1")) for name, value in self.lines]
        scope = {"type": "http", "method": self.method, "path": self.path, "query_string": self.query.encode()}
        call = asgi.SentinelMiddleware(app)(scope | {"headers": lines, "client": (self.peer, 1)}, receive, send)
        with pytest.raises(StopIteration):
            call.send(None)
        headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], headers, sent[1]["body"]

    def by_wsgi(self):
        started = []

        def start_response(status, headers):
            started.append((int(status[:3]), {name.lower(): value for name, value in headers}))

        def app(environ, start_response):
            environ["wsgi.input"].read()
            use(self.path)
            start_response("200 OK", [("X-Own", "1")])
            return [b"fine"]

        environ = {"REQUEST_METHOD": self.method, "QUERY_STRING": self.query, "wsgi.input": io.BytesIO(self.body)}
        environ |= {"PATH_INFO": self.path.encode().decode("latin-1"), "REMOTE_ADDR": self.peer or ""}
        for name, value in self.lines:  # lines of one name come as one
            variable = name.upper().replace("-", "_")
            variable = variable if variable == "CONTENT_TYPE" else f"HTTP_{variable}"
            environ[variable] = f"{environ[variable]},{value}" if variable in environ else value
        body = b"".join(wsgi.SentinelMiddleware(app)(environ, start_response))
        return *started[0], body


def use(path):
    _, what, user = f"{path}/".split("/")[:3]
    if what == "id":
        sdk.identify(user)
    elif what == "login":
        sdk.auth_track(True, user)
    sdk.track("used", collect_body=True)


def told(way, settings):
    with testing.capture(exempt=["/verify"], **settings) as sentinel:
        sentinel.decide("block", user="1")
        sentinel.decide("redirect", user="2", to="https://h.example/go")
        sentinel.decide("challenge", user="3")
        sentinel.decide("block", user="4", logins_only=True)
        sentinel.decide("block", ip="203.0.113.8")
        sentinel.decide("challenge", ip="203.0.113.9")
        sentinel.decide("redirect", network="2001:db8::/64", to="/go")
        answer = way()
        events = [{name: event[name] for name in event.keys() - {"id", "timestamp"}} for event in sentinel.events]
    return answer, events


@pytest.mark.parametrize("seed", range(5))
def test_a_request_gets_the_same_answer_over_asgi_and_wsgi(seed):
    chance = random.Random(seed)
    for _ in range(60):
        asked = Asked(chance)
        settings = {
            "trusted_proxies": chance.choice(PROXIES),
            "forwarded_header": chance.choice((None, None, "forwarded", "x-forwarded-for")),
        }
        assert told(asked.by_asgi, settings) == told(asked.by_wsgi, settings), (vars(asked), settings)
