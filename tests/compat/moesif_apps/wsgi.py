"""A shop in plain WSGI behind moesifwsgi: who asks stands in X-User and X-Company."""

import os
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from moesifwsgi import MoesifMiddleware


def shop(environ, start_response):
    if environ["PATH_INFO"] == "/profile":
        site.update_user({"user_id": "alice", "company_id": "acme", "metadata": {"first.name": "Alice"}})
        site.update_users_batch([{"user_id": "carol"}])
        site.update_company({"company_id": "acme", "company_domain": "acme.test"})
    start_response("200 OK", [("Content-Type", "application/json")])
    return [b'{"ok": true}']


class Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


site = MoesifMiddleware(
    shop,
    {
        "APPLICATION_ID": os.environ["SENTINEL_KEY"],
        "BASE_URI": os.environ["SENTINEL_URL"],
        "EVENT_BATCH_TIMEOUT": 0.3,
        "IDENTIFY_USER": lambda app, environ, headers={}: environ.get("HTTP_X_USER"),
        "IDENTIFY_COMPANY": lambda app, environ, headers={}: environ.get("HTTP_X_COMPANY"),
        "GET_METADATA": lambda app, environ: {"so.me_str.ing": "I am a string"},
    },
)
server = make_server("127.0.0.1", 0, site, Threads, Quiet)
print(server.server_port, flush=True)
server.serve_forever()
