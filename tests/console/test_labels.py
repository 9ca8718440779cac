"""Mistakes in forms are told by what people see beside a field, in every form of every page."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest

from sentinel.console import labels
from tests.console.visiting import text

PAGES = (
    "/explorer", "/playbooks/new", "/findings", "/decisions", "/decisions/new", "/decisions/allowed/list", "/people",
    "/people/id:7", "/addresses", "/addresses/203.0.113.9", "/reports", "/reports/series", "/reports/names",
    "/reports/funnel", "/reports/retention", "/settings", "/settings/keys", "/settings/accounts", "/settings/apps",
    "/settings/audit", "/account",
)  # fmt: skip
COUNTED = ("step", "since", "apps")  # several labels of one name, one that is not seen, and one above all boxes


class Fields(HTMLParser):
    """Collects of every form its path, the names of its fields, and what stands beside them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action, self.of, self.ids, self.found = "", "", {}, {}
        self.feed(page)

    def handle_starttag(self, tag, pairs):
        given = dict(pairs)
        if tag == "form":
            self.action = urlsplit(given["action"]).path
        elif tag == "label":
            self.of = given["for"]
            self.found[self.of] = ""
        elif given.get("name") and "id" in given and tag in ("input", "select", "textarea"):
            self.ids[given["id"]] = (self.action, given["name"], given.get("type"))

    def handle_data(self, data):
        if self.of:
            self.found[self.of] += data

    def handle_endtag(self, tag):
        self.of = "" if tag == "label" else self.of

    def beside(self) -> list[tuple[str, str, str]]:
        """Return the path, the name and the label of each field that messages can name."""
        return [
            (*self.ids[one][:2], label) for one, label in self.found.items()
            if one in self.ids and self.ids[one][2] != "checkbox"
        ]  # fmt: skip


def test_every_label_is_what_messages_call_the_field(console):
    console.whole.fail("203.0.113.9", user="7")
    finding = console.store.findings.list("one", user="id:7").items[0].finding.id
    decision = console.store.decisions.list("one").items[0].decision.id
    mine, nobody = console.reader(), console.anybody()
    pages = [mine.page(path) for path in (*PAGES, f"/findings/{finding}", f"/decisions/{decision}")]
    pages += [nobody.page(path) for path in ("/sign-in", "/welcome")]
    found = {one for page in pages for one in Fields(page).beside() if one[1] not in COUNTED}
    assert len(found) > 60
    assert [one for one in sorted(found) if labels.label(one[1], one[0]) != one[2]] == []


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/reports/series?group_by=nothing", "`A line for each`: `nothing`"),
        ("/reports/funnel?step=a&step=b&group_by=nothing", "`Each value of`: `nothing`"),
        ("/reports/funnel?step=a&step=b&window=3", "`Within`: `3` is not a duration"),
        ("/reports/retention?interval=hour", "`By`: `hour` is not known"),
        ("/explorer?range=between&from=2026-11-21&to=2026-11-20", "`From (UTC)`: it does not lie before the end"),
        ("/addresses/find?ip=nowhere", "`Address or network`: `nowhere` is not an address"),
    ],
)
def test_a_mistake_in_an_address_is_told_by_the_label(console, path, words):
    assert words in text(console.reader().get(path))


def test_a_mistake_in_a_form_and_what_was_written_are_told_by_the_labels(console):
    answer = console.reader().post(
        "/decisions/new", {"kind": "block", "scope": "user", "value": "7", "reason": "spam", "for": "10y"}
    )
    said = text(answer)
    assert "`For`: `10y` is none of" in said
    assert "Whom 7 Why spam For 10y" in said and not re.search(r"\bvalue 7\b", said)


@pytest.mark.parametrize("message", ["the form cannot be read", "`a b`: no name", "`for` is a word", ""])
def test_a_message_that_names_no_field_stays(message):
    assert labels.labelled(message, "/decisions/new") == message
