"""The web pages: rendered here, used with or without scripts. No meaning lives here: pages call what the API calls.

To add a page:

1. `pages/things.py` with `router = APIRouter()`. A handler names who may use it by the type of its first parameter
   (`Viewer`, `Analyst`, `Admin`, `ServerAdmin` of `visit`), takes query parameters as FastAPI does, and returns

       visit.page("things.html", things=visit.store.things.list(visit.app.id))      what it shows
       visit.done(visit.url("/things"), "saved")                                    after a change: back, with a notice

   A change is a POST that also takes `form: Filled`: `form.text("name")`, `form.choice("kind", KINDS)`, `form.flag(…)`
   raise SentinelError with the place, and whoever raises SentinelError need not answer it: the reader sees it beside
   the form. Whose data it is comes from `visit.app.id` and nowhere else.
2. A line in `PAGES` of `site`, which is the navigation too, and, for what `done` says, one in `NOTICES` of `notices`.
3. `templates/things.html` begins with `{% extends "page.html" %}` and `{% import "ui.html" as ui with context %}`, and
   fills the blocks `title`, `actions` and `main` with the macros of `ui.html`.

A step of a path that came from outside is a part of its own, `{{ url("/things", key) }}`, its route `{key:path}`.
Everything `{{ shown }}` is inert: escaped, control and direction characters spelt out, long texts cut (`|whole` keeps
all of a text, for text areas). Links are `{{ url("/things", kind=kind) }}`, which keeps the app. Forms are
`{% call ui.form(url("/things"), "Save") %}…{% endcall %}`, which carries the CSRF token; scripts send it as the header
`X-CSRF-Token` from `<meta name="csrf">`, htmx does by itself. Nothing inline: neither `style=` nor `on…=`; a script or
a style of a page is an entry of `frontend/build.mjs` and comes with `{{ asset("chart.js") }}`. Times are
`{{ ui.time(at) }}`. A region that refreshes itself: `data-hx-get`, `data-hx-trigger="every 10s"` and `data-poll`, which
does not keep the session alive.

Tests: `tests/console/` has `console` (a server, an account of each role, a browserless client that keeps cookies and
sends tokens) and `browser` (Chromium); `RIGHTS` of `test_walls.py` says who may use each route.
"""
