"""The notices shown after a change, in one table, so that a URL cannot make the console say anything else."""

from __future__ import annotations

from collections.abc import Mapping

NOTICES: Mapping[str, str] = {
    "account-changed": "The account was changed.",
    "account-removed": "The account was removed and signed out everywhere.",
    "allow-added": "Nobody acts on them from now on.",
    "allow-removed": "The allowance was taken back.",
    "app-added": "The app was added.",
    "app-changed": "The app was changed.",
    "blocked": "The decision is in force.",
    "enforcement-off": "Enforcement is stopped: every request is let through.",
    "enforcement-on": "Decisions are enforced again.",
    "excepted": "Marked as a false positive; what it decided is lifted, and nobody acts on them from now on.",
    "extended": "Decided for longer.",
    "key-revoked": "The key was revoked; its streams end within five seconds.",
    "lifted": "The decision was lifted for good.",
    "all-lifted": "All of these were lifted for good.",
    "label-put": "The label is on; the next event sees it.",
    "label-taken": "The label was taken off.",
    "let-in": "What stopped them is lifted for good.",
    "link-parted": "The identifier is a person of its own from now on.",
    "marked": "The finding was marked.",
    "password-changed": "The password was changed; you were signed out everywhere else.",
    "person-deleted": "The person was deleted. Blocks in force last to their end; a hash stands for them elsewhere.",
    "playbook-saved": "The file was written; the engine goes by it within seconds.",
    "draft-kept": "The draft was kept.",
    "draft-dropped": "The draft was dropped.",
    "property-left": "The property keeps its column for as long as it is asked for.",
    "property-promoted": "The property has a column of its own, however seldom it is asked for.",
    "revived": "It is delivered again.",
    "all-revived": "All that was given up is delivered again.",
    "search-kept": "The search was saved.",
    "search-renamed": "The search was renamed.",
    "search-removed": "The search was removed.",
}
