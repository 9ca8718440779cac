"""What opens does not depend on how events were cut into batches, whatever silences lie within one."""

from hypothesis import example, given
from hypothesis import strategies as st

from sentinel.engine.engine import Engine
from tests.service.stories import events, failed, playbook, playbooks, windows

PLAYBOOKS = (
    playbook("count", when="{count: 3}", window="10m"),
    playbook("distinct", when="{distinct: {user: 3}}", window="10m", cooldown="5m"),
    playbook("sum", rule="login-attempted", when="{count: 2, ratio: {where: not success, gte: 0.5}}", window="1m"),
)
DAY = 86_400
STREAM = st.lists(
    st.tuples(st.sampled_from([0, 1, 7, 300, 700, 1300, DAY]), st.integers(0, 2), st.integers(0, 3)),
    min_size=1, max_size=40,
)  # fmt: skip


def opened(stream, cuts):
    """Return what opens of steps in time, groups and users, cut into batches of these sizes."""
    engine = Engine(playbooks(*PLAYBOOKS))
    kept, newest, at, found = windows(engine.watches()), 0, 0, []
    raws = []
    for n, (step, group, user) in enumerate(stream):
        at += step
        raws.append(failed(f"e{n}", at, user=f"u{user}", ip=f"203.0.113.{group}"))
    while raws:
        size = cuts[len(raws) % len(cuts)]
        batch, raws = raws[:size], raws[size:]
        matched = engine.match(events(batch), newest)
        newest = matched.newest
        found += [(one.hit.watch, one.hit.key, one.at, one.id) for one in kept.hit(matched.hits, newest)]
    return found


@given(STREAM, st.lists(st.integers(1, 40), min_size=1, max_size=5))
@example([(0, 0, 0), (1, 0, 1), (1, 0, 2), (DAY, 1, 0)], [1, 3, 3, 3])
def test_how_events_are_cut_into_batches_changes_nothing(stream, cuts):
    """The example: two hits of a group, and in the batch of its third an event of the next day."""
    assert opened(stream, cuts) == opened(stream, [1])
