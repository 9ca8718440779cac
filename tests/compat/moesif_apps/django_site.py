"""A shop in Django behind moesifdjango: who asks stands in X-User and X-Company."""

import os
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

settings.configure(
    SECRET_KEY="of a test",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["moesifdjango.middleware.moesif_middleware"],
    MOESIF_MIDDLEWARE={
        "BATCH_SIZE": 1000,  # of the queue every two seconds: tests ask often
        "APPLICATION_ID": os.environ["SENTINEL_KEY"],
        "BASE_URI": os.environ["SENTINEL_URL"],
        "IDENTIFY_USER": lambda request, response: request.headers.get("X-User"),
        "IDENTIFY_COMPANY": lambda request, response: request.headers.get("X-Company"),
        "GET_METADATA": lambda request, response: {"so.me_str.ing": "I am a string"},
    },
)
django.setup()


def orders(request):
    return JsonResponse({"ok": True})


def profile(request):
    from moesifdjango.middleware import moesif_middleware

    middleware = moesif_middleware(orders)
    middleware.update_user({"user_id": "alice", "company_id": "acme", "metadata": {"first.name": "Alice"}})
    middleware.update_users_batch([{"user_id": "carol"}])
    middleware.update_company({"company_id": "acme", "company_domain": "acme.test"})
    return JsonResponse({"ok": True})


urlpatterns = [path("orders", orders), path("profile", profile)]


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet)
print(server.server_port, flush=True)
server.serve_forever()
