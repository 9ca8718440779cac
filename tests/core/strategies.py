"""Decisions, deltas and subjects for Hypothesis: few users and addresses, so that they meet."""

from hypothesis import strategies as st

from sentinel.core.decision import STRICTNESS, Decision, Delta, Subject, pair
from sentinel.core.wire import write_decision

USERS = ["id:1", "id:2", "email:a@example.com", 'user+ip\0["id:1","203.0.113.9"]']
IPS = ["203.0.113.9", "203.0.113.10", "198.51.100.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"]
NETWORKS = ["203.0.113.0/24", "203.0.113.8/30", "203.0.112.0/20", "203.0.113.9/32", "2001:db8::/64", "2001:db8::/32"]
DEVICES = ["phone", "laptop"]

VALUES = {
    "user": st.sampled_from(USERS),
    "ip": st.sampled_from([*IPS, "2001:db8::/64"]),
    "network": st.sampled_from(NETWORKS),
    "user+ip": st.builds(pair, st.sampled_from(USERS), st.sampled_from([*IPS, "2001:db8::/64"])),
    "user+device": st.builds(pair, st.sampled_from(USERS), st.sampled_from(DEVICES)),
}
IDS = st.one_of(
    st.sampled_from(["a", "b", "c", "d", "00000000-0000-0000-0000-000000000001", "0" * 31 + "1"]),
    st.uuids(version=4).map(str),
    st.integers(0, 9).map(lambda n: f"{n:032x}"),
)


@st.composite
def decisions(draw):
    scope = draw(st.sampled_from(sorted(VALUES)))
    kind = draw(st.sampled_from(sorted(STRICTNESS)))
    return Decision(
        draw(IDS),
        kind,
        scope,
        draw(VALUES[scope]),
        to="/help" if kind == "redirect" else None,
        until=draw(st.one_of(st.none(), st.integers(0, 20))),
        playbook=draw(st.sampled_from([None, "p", "q"])),
        logins_only=draw(st.booleans()),
    )


SUBJECTS = st.builds(
    Subject,
    users=st.lists(st.sampled_from(USERS), max_size=3, unique=True).map(tuple),
    ip=st.one_of(st.none(), st.sampled_from(IPS)),
    device=st.one_of(st.none(), st.sampled_from(DEVICES)),
    login=st.booleans(),
)
DELTAS = st.builds(
    Delta,
    revision=st.integers(0, 99),
    added=st.lists(decisions(), max_size=6).map(tuple),
    removed=st.lists(IDS, max_size=2).map(tuple),
    reset=st.sampled_from([False, False, False, True]),
)


def as_json(delta):
    """Return a delta as the JSON object that the server's feed sends."""
    return {
        "revision": delta.revision,
        "reset": delta.reset,
        "added": [write_decision(decision) for decision in delta.added],
        "removed": list(delta.removed),
    }
