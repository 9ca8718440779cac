"""Whose keys are, in memory: bounded, the ones looked at longest ago go first, and a full memory costs no more."""

import time

from sentinel.core.batch import Sighting
from sentinel.store.linking import Known, Linking


def test_past_the_bound_the_oldest_of_the_app_with_most_go():
    known = Known(bound=3)
    known.learn("shop", {"id:a": "id:a", "id:b": None})
    known.learn("other", {"id:a": "id:a"})
    known.learn("shop", {"id:a": "id:a", "id:c": "id:c"})
    assert (dict(known.of("shop")), dict(known.of("other"))) == ({"id:a": "id:a", "id:c": "id:c"}, {"id:a": "id:a"})


def test_a_full_memory_learns_as_fast_as_an_empty_one():
    known, size = Known(bound=100_000), 1_000

    def learn(start):
        began = time.thread_time()
        for at in range(start, start + 100_000, size):
            known.learn("shop", {f"id:{n}": None for n in range(at, at + size)})
        return time.thread_time() - began

    filling = learn(0)
    assert learn(100_000) < 10 * filling
    assert len(known.of("shop")) == 100_000


class Nobody:
    """A database without any key."""

    def look(self, query, app, keys):
        return []


def test_looking_keys_up_does_not_walk_over_all_that_is_known():
    few, many = Known(), Known()
    few.learn("shop", {f"id:{n}": f"id:{n}" for n in range(1_000)})
    many.learn("shop", {f"id:{n}": f"id:{n}" for n in range(300_000)})

    def resolve(known):
        began = time.thread_time()
        for n in range(1_000):
            Linking(Nobody(), known, "shop").resolve([Sighting((f"id:{n}",), proven=False, at=1)])
        return time.thread_time() - began

    assert resolve(many) < 10 * resolve(few)
