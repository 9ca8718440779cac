"""What the files of rules and playbooks look like: one description that reads them and also becomes JSON Schema.

What depends on several keys (a cooldown longer than a block, an action on a user nobody grouped by) is in checks.py.
"""

from __future__ import annotations

from itertools import combinations

from sentinel.core.finding import SEVERITIES
from sentinel.engine.fields import FIELDS
from sentinel.engine.kinds import Kind
from sentinel.engine.memory import LADDER
from sentinel.engine.playbook import IP_ACTIONS, MODES, USER_ACTIONS
from sentinel.engine.possible import TRUSTS
from sentinel.loader import words
from sentinel.loader.desk import Json
from sentinel.loader.detectors import DETECTORS, NAMES, SELECTOR, WINDOWED
from sentinel.loader.shapes import MOST_ITEMS, Apart, Either, Key, Listing, OneOrMore, Record, Table, Tagged, Worded
from sentinel.loader.words import BOOLEAN, CONDITION, EVENT_NAME, Anything, choice, duration, field_name, text, whole

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MOST_COPIES = 100_000
MOST_BESIDE = 10
MOST_SHARERS = 1000
VERDICTS = ("allow", "block", "redirect", "challenge")


def _fields(namespace: str) -> dict[str, Key]:
    """Return the keys of one namespace of fields, as an event carries them."""
    shapes = {Kind.TEXT: text(empty=True), Kind.NUMBER: words.NUMBER, Kind.BOOL: BOOLEAN}
    inside = {name.rpartition(".")[2]: spec for name, spec in FIELDS.items() if name.startswith(f"{namespace}.")}
    return {name: Key(shapes[spec.kind]) for name, spec in inside.items() if spec.kind in shapes}


TEXTS = Listing(text())
EVENT: dict[str, Key] = {
    "event": Key(EVENT_NAME, "The event's name.", required=True),
    "success": Key(BOOLEAN, "Whether the login succeeded; events named `auth` only."),
    "user": Key(
        Either(text(empty=True), Table("identifiers", text(), text(empty=True))),
        "Whom it is about: `u1` is short for `{id: u1}`; nobody, where it is empty.",
    ),
    "ip": Key(text(), "The address it came from."),
    "device": Key(text(), "The device's fingerprint."),
    "request": Key(Record("a request", _fields("request") | {"params": Key(Anything(only_objects=True))}, told=True)),
    "properties": Key(Anything(only_objects=True), "The event's own values. Quoted numbers are text."),
    "geo": Key(Record("a location", _fields("geo"), told=True)),
    "network": Key(Record("a network", _fields("network"), told=True)),
    "agent": Key(Record("an agent", _fields("agent"), told=True)),
    "user_labels": Key(TEXTS, "What `user.labels` reads."),
    "ip_labels": Key(TEXTS, "What `ip.labels` reads."),
    "trust": Key(choice("kind of trust", TRUSTS), "Who sent or made it."),
}  # fmt: skip
KNOWN = {"id": Key(text(), "The event's id; a second event of that id and day is the first one, sent again.")}
TIMED = {
    "timestamp": Key(words.TIME, "When it happened: `2026-01-05T08:00:00Z`, or seconds since 1970."),
} | KNOWN

RULE_TEST = Record(
    "a rule's test",
    {
        "event": Key(Record("an event", EVENT | TIMED, told=True), "The event the rule looks at.", required=True),
        "matches": Key(BOOLEAN, "Whether the rule must match it.", required=True),
    },
    told=True,
)
RULE = Record(
    "a rule",
    {
        "rule": Key(words.identifier("a rule's id"), "The rule's id; playbooks name it.", required=True),
        "title": Key(text(longest=200), "What it finds, in a few words."),
        "description": Key(text(empty=True), "What it is for.", default=""),
        "event": Key(OneOrMore(EVENT_NAME, "an event's name"), "A name, a list of names, or a glob: `payment.*`."),
        "where": Key(CONDITION, "A condition on the event."),
        "tests": Key(Listing(RULE_TEST), "Events, and whether the rule matches them.", default=()),
    },
    one_of=(("event", "where"),),
    synonyms={"id": "rule", "name": "title", "condition": "where", "filter": "where", "events": "event"},
)

_TERMS = OneOrMore(words.TERM, "a duration", distinct=False)
_FOR = Key(_TERMS, "For how long: a duration, a ladder of them, or `forever`.", required=True)
_TARGET = Key(field_name("name anybody", Kind.TEXT), "The field that names whom to act on, where `group_by` does not.")
_SHARED = Key(whole(1, MOST_SHARERS), "Spare an address from which so many users logged in on two earlier days.")
_TO = Key(words.URL, "Where to send them.", required=True)
_NAME = Key(text("a label", 64), "The label.", required=True)


def _action(keys: dict[str, Key]) -> Record:
    first = next(iter(keys))
    hint = "write `{for: 1h}`" if first == "for" else f"write `{{{first}: …}}`"
    return Record("an action", keys, hint=hint)


_TOLD = _action({"channel": Key(words.CHANNEL, "Which channel to tell.", required=True)})
_EVERYBODY = Worded(choice("choice of users", ("all",)), _action({"for": _FOR}), {"for": ()})
_EMITTED = _action(
    {
        "event": Key(words.EVENT_NAME, "The name of the event that is made.", required=True),
        "properties": Key(Anything(only_objects=True), "Values of its own, beside those every such event has."),
    }
)

_TELLS = "`notify: {channel: …}` tells people; where a channel goes is said in the settings"
_NO_NETWORK = "no playbook acts on a whole network: `notify` tells a person, who can"

ACTIONS = Tagged(
    "action",
    {
        "block_user": Key(_action({"for": _FOR, "target": _TARGET}), "Refuse the user."),
        "block_ip": Key(_action({"for": _FOR, "target": _TARGET, "unless_shared_by": _SHARED}), "Refuse the address."),
        "redirect_user": Key(_action({"to": _TO, "for": _FOR, "target": _TARGET}), "Send the user elsewhere."),
        "redirect_ip": Key(
            _action({"to": _TO, "for": _FOR, "target": _TARGET, "unless_shared_by": _SHARED}),
            "Send the address elsewhere.",
        ),
        "challenge_user": Key(_action({"for": _FOR, "target": _TARGET}), "Ask the user for a second factor."),
        "label_user": Key(
            _action({"name": _NAME, "for": Key(_TERMS, default=()), "target": _TARGET}), "Mark the user."
        ),
        "label_ip": Key(
            _action({"name": _NAME, "for": Key(_TERMS, default=()), "target": _TARGET}), "Mark the address."
        ),
        "block_users": Key(_EVERYBODY, "Refuse every user seen in the window, for one cooldown or as `for` says."),
        "notify": Key(_TOLD, "Tell people."),
        "webhook": Key(_TOLD, "Tell a program."),
        "emit": Key(_EMITTED, "Make an event, for other playbooks."),
    },
    elsewhere=dict.fromkeys(("email", "mail", "slack", "log", "alert", "message"), _TELLS)
    | dict.fromkeys(("block_network", "block_range", "block_asn", "block_country"), _NO_NETWORK)
    | dict.fromkeys(("block", "ban", "deny"), "`block_user` refuses the user, `block_ip` the address")
    | dict.fromkeys(("challenge", "mfa", "captcha"), "`challenge_user` asks the user for a second factor"),
)

DELIVERY = Record(
    "an event of a test",
    {
        "at": Key(duration(0), "When, from the test's start on.", required=True),
        "received": Key(duration(0), "When it arrives, where that is later; counted as `at` is."),
        "repeat": Key(whole(1, MOST_COPIES), "So many copies, `{n}` in texts being 0, 1, 2 …", default=1),
        "every": Key(duration(0), "The time between copies.", default=0),
    }
    | EVENT
    | KNOWN,
    synonyms={"timestamp": "at", "time": "at", "count": "repeat"},
    told=True,
)
GROUP = Key(
    Table("a group", field_name("be grouped by"), text(empty=True), fewest=0, hint="such as `{ip: 203.0.113.9}`"),
    "Of which group.",
    default={},
)
EXPECTATION = Record(
    "an expected finding",
    {
        "at": Key(duration(0), "When its anchor is, from the test's start on.", required=True),
        "playbook": Key(words.identifier("a playbook's id"), "Whose it is, of those in `with`; else the test's own."),
        "group": GROUP,
    }
    | {kind: Key(OneOrMore(text(), "a target"), "Whom it acts on.") for kind in USER_ACTIONS + IP_ACTIONS}
    | {kind: Key(OneOrMore(text(), "a channel"), "Which channels it tells.") for kind in ("notify", "webhook")}
    | {"emit": Key(OneOrMore(text(), "an event's name"), "Which events it makes.")},
    told=True,
)
REQUEST = Record(
    "a request",
    {
        "at": Key(duration(0), "When, from the test's start on.", required=True),
        "user": Key(text(), "Whose it is: `u1` is short for `id:u1`."),
        "ip": Key(text(), "Its address."),
        "device": Key(text(), "Its device."),
        "login": Key(BOOLEAN, "Whether it is an attempt to log in.", default=False),
        "verdict": Key(choice("verdict", VERDICTS), "What it must be told.", required=True),
    },
    one_of=(("user", "ip", "device"),),
    told=True,
)
PLAYBOOK_TEST = Record(
    "a test",
    {
        "name": Key(text("a name", 200), "What it shows.", required=True),
        "with": Key(
            OneOrMore(words.identifier("a playbook's id"), "a playbook's id", most=MOST_BESIDE),
            "Other playbooks it runs with.",
            default=(),
        ),
        "events": Key(Listing(DELIVERY, "a list of events"), "What happens.", required=True),
        "expect": Key(Listing(EXPECTATION, "a list of findings"), "All findings, in order.", required=True),
        "requests": Key(Listing(REQUEST, "a list of requests"), "Requests, and what they are told.", default=()),
    },
    hint="such as `{name: nobody is found, events: [], expect: []}`",
    told=True,
)
GUARD = Record(
    "a guard",
    {
        "max": Key(whole(1), "At most so many users and addresses …", required=True),
        "per": Key(duration(most=LADDER), "… in this time; past it the playbook only monitors.", required=True),
    },
    hint="write `{max: 50, per: 1h}`",
)
EXEMPTION = Record(
    "an exception",
    {
        "where": Key(CONDITION, "Which events are left out.", required=True),
        "reason": Key(text("a reason", 500), "Why; whoever reads the file next wants to know.", required=True),
        "until": Key(words.DATE, "The day from whose 00:00 UTC on it ends."),
    },
)
EXEMPTIONS = Listing(EXEMPTION, "a list of exceptions", most=1000)
_ONE = "a playbook has one of them: make two playbooks"
APART = (
    Apart("until", tuple(name for name in NAMES if name != "sequence"), "it ends a `sequence` and nothing else"),
    *(Apart(name, ("sequence",), "each step says itself which events it takes") for name in SELECTOR),
    *(Apart(later, (earlier,), _ONE) for earlier, later in combinations(NAMES, 2)),
    Apart("window", ("first_seen",), "`history` says how far back it looks"),
    Apart("window", ("travel",), "it compares neighbours, however far apart in time"),
    Apart("window", ("absent",), "`within` says how long is waited"),
)
PLAYBOOK = Record(
    "a playbook",
    {
        "playbook": Key(words.identifier("a playbook's id"), "The playbook's id.", required=True),
        "title": Key(text(longest=200), "What it finds, in a few words."),
        "description": Key(
            text(empty=True), "Why it matters, what a false positive looks like, what to do.", default=""
        ),
        "mode": Key(
            choice("mode", MODES), "`monitor` records what would be done, and does it to nobody.", default="monitor"
        ),
        "rollout": Key(words.PERCENT, "Enforce for this share of groups, and monitor the others; else for all."),
        "severity": Key(choice("severity", SEVERITIES), "How bad it is.", default="medium"),
        "rule": Key(words.text("a rule's id"), "The rule whose events count."),
        "event": Key(OneOrMore(EVENT_NAME, "an event's name"), "A name, a list of names, or a glob: `payment.*`."),
        "where": Key(CONDITION, "A condition on the event, beside the rule's."),
        "group_by": Key(
            OneOrMore(field_name("be grouped by"), "a field, or a list of fields", fewest=0),
            "A field or a list of fields; `[]` is the whole app.",
            required=True,
        ),
        "window": Key(duration(), "Within which time, by the events' own times."),
    }
    | DETECTORS
    | {
        "cooldown": Key(duration(), "The least time between two findings of a group; by default the window."),
        "actions": Key(Listing(ACTIONS, "a list of actions", most=MOST_ITEMS), "What to do about it.", default=()),
        "guard": Key(
            GUARD,
            "How many may be acted on before it only monitors; without one a server's `guard` holds, 1000 per 1h.",
        ),
        "exceptions": Key(EXEMPTIONS, "Events that do not count.", default=()),
        "trust": Key(
            choice("kind of trust", ("server", "any")), "`any` counts events of browsers too.", default="server"
        ),
        "accept_lockout": Key(BOOLEAN, "Act in full on users who are only claimed.", default=False),
        "claimed": Key(BOOLEAN, "Whoever sends these events may name somebody else's account.", default=False),
        "tests": Key(Listing(PLAYBOOK_TEST, most=1000), "Events, and what must come of them.", default=()),
    },
    one_of=(("rule", "event", "where", "sequence"), NAMES),
    needs=dict.fromkeys(WINDOWED, ("window",)),
    apart=APART,
    synonyms={
        "id": "playbook", "name": "title", "timeframe": "window", "timespan": "window",
        "maxspan": "window", "by": "group_by", "condition": "where",
        "threshold": "when", "level": "severity", "exemptions": "exceptions", "events": "event", "do": "actions",
        "steps": "sequence", "new": "first_seen", "filter": "where", "query": "where", "suppress": "cooldown",
        "blackhole": "cooldown", "leakspeed": "window", "capacity": "when", "enabled": "mode", "risk": "severity",
    },
    elsewhere=dict.fromkeys(
        ("tags", "author", "references", "reference", "falsepositives", "false_positives", "runbook", "note"),
        "people read the `description`; what is for you alone is a comment: `# …`",
    ),
)  # fmt: skip
KINDS: dict[str, Record] = {"rule": RULE, "playbook": PLAYBOOK}


def json_schema(kind: str | None = None) -> Json:
    """Return the JSON Schema (draft 2020-12) of one kind of document, or of a file that may hold either."""
    if kind is not None:
        return {"$schema": DIALECT, "title": f"Sentinel {kind}"} | KINDS[kind].schema()
    return {
        "$schema": DIALECT,
        "title": "Sentinel rule or playbook",
        "if": {"required": ["playbook"]},
        "then": {"$ref": "#/$defs/playbook"},
        "else": {"$ref": "#/$defs/rule"},
        "$defs": {name: record.schema() for name, record in KINDS.items()},
    }
