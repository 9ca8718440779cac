"""Small files that would be large work: each is answered soon, and in one clear text."""

from __future__ import annotations

import time

import pytest

from sentinel.loader.assembly import assemble
from sentinel.loader.mistakes import MOST_PER_FILE, PlaybookErrors

N = 100_000
PATIENCE = 8.0  # seconds of this thread's own time, twenty times what the slowest takes
BOMBS = {
    "nested lists": b"[" * N,
    "nested objects": b"{a: " * N,
    "nested dashes": b"- " * N,
    "nested questions": b"? " * N,
    "merge keys": b"<<: " * N,
    "aliases of aliases": b"".join(b"a%d: &a%d [%s]\n" % (n, n, b"*a%d, " % (n - 1) * 9) for n in range(1, 300)),
    "a long text before a bracket": b"a: {" + b"b" * N + b" {]",
    "a long text before braces": b"a: {" + b"b" * N + b"{n} u: x]",
    "a long text before a tab": b"a: {" + b"b" * N + b"\t{]",
    "colons": b"a: {" + b":" * N + b" {]",
    "a quote that never closes": b'a: "' + b"\\x41" * N,
    "many documents": b"---\n" * N,
    "many keys": b"".join(b"k%d: 1\n" % number for number in range(60_000)),
    "many equal keys": b"k: 1\n" * N,
    "a long list": b"a: [" + b"x," * N,
    "brackets in a condition": b"rule: r\nevent: x\nwhere: " + b"(" * N,
    "a long condition": b"rule: r\nevent: x\nwhere: " + b"a == 1 and " * 50_000 + b"a",
    "a long number": b"playbook: p\nevent: x\ngroup_by: ip\nwindow: 1m\nwhen: {count: " + b"9" * N + b"}",
    "a long duration": b"playbook: p\nevent: x\ngroup_by: ip\nwindow: " + b"9" * N + b"m\nwhen: {count: 1}",
    "a pattern with large counts": b"rule: r\nevent: x\nwhere: matches(user, '((a{999}){999}){999}')",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_soon_and_in_few_words(name):
    started = time.thread_time()
    try:
        assemble({"f.yaml": BOMBS[name]})
    except PlaybookErrors as errors:
        assert len(errors.mistakes) <= MOST_PER_FILE + 1
        assert max(len(mistake.message) + len(mistake.hint or "") for mistake in errors.mistakes) < 1000
    else:
        assert name == "many documents"  # which are all empty
    assert time.thread_time() - started < PATIENCE


@pytest.mark.parametrize(
    "tag",
    ["!!python/object/apply:os.system", "!!python/name:os.system", "!!python/module:os", "!!binary", "!x", "!!set"],
)
def test_a_tag_makes_no_object(tag):
    with pytest.raises(PlaybookErrors) as errors:
        assemble({"f.yaml": f"rule: r\nevent: {tag} ['echo hi']\n".encode()})
    assert errors.value.mistakes[0].place.line == 2
