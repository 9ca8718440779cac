"""What an author is told: the place, what is wrong in plain words, what to write instead. All of it at once."""

from __future__ import annotations

import pytest

from sentinel.core.errors import SentinelError
from sentinel.engine.expression import ExpressionError, compile_expression, parse_list

LISTS = {"office": parse_list("10.0.0.0/8")}
SPELLED = "`number(…)` is the number that a text spells"


def refused(source: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source, lists=LISTS)
    return caught.value


def shown(source: str) -> list[tuple[str, str, str | None]]:
    """Return (the text pointed at, message, hint) of every problem."""
    return [
        (source[problem.offset : problem.offset + problem.length], problem.message, problem.hint)
        for problem in refused(source).problems
    ]


@pytest.mark.parametrize(
    ("source", "at", "message", "hint"),
    [
        ('event = "auth"', "=", "`=` does not compare", "write `==`"),
        ('event === "auth"', "===", "`===` is not an operator", "write `==`"),
        ('event <> "auth"', "<>", "`<>` is not an operator", "write `!=`"),
        ('success && user == "a"', "&&", "`&&` is not an operator", "write `and`"),
        ("success || agent.bot", "||", "`||` is not an operator", "write `or`"),
        ("!success", "!", "`!` is not an operator", "write `not`"),
        ("success AND agent.bot", "AND", "`AND` is not an operator", "write `and`"),
        ("success & agent.bot", "success & agent.bot", "`&` is not an operator", "write `and`"),
        ("success | agent.bot", "success | agent.bot", "`|` is not an operator", "write `or`"),
        ('user =~ "a"', "=~", "`=~` is not an operator", 'write `matches(field, "pattern")`'),
        ("success == true", "true", "`true` is not a word of the language", "write `True`"),
        ("user == null", "null", "`null` is not a word of the language", "write `None`, as in `user == None`"),
        ("user is None", "user is None", "`is` is not an operator", "write `==`, or `== None` for a missing field"),
        ('ip.startswith("10.")', 'ip.startswith("10.")', "values have no methods", 'write `startswith(ip, "10.")`'),
        ("properties.pop()", "properties.pop()", "values have no methods", "`sentinel functions` lists functions"),
        ('properties["a"] == 1', 'properties["a"]', "fields have no brackets", "write `properties.a`"),
        (
            "properties.a[0] == 1",
            "properties.a[0]",
            "values have no index",
            "ask with `in`, or name a nested field with dots",
        ),
        ("geo.country in ('FR', 'DE')", "('FR', 'DE')", "a list in round brackets", "write a list in `[ ]`"),
        ("geo.country in {'FR', 'DE'}", "{'FR', 'DE'}", "a list in braces", "write a list in `[ ]`"),
        ("f'x' == user", "f'x'", "texts with the prefix `f` are not part of the language", "leave it out"),
        ("properties.a ** 2 > 1", "properties.a ** 2", "`**` is not an operator", "multiply instead"),
        ("properties.a // 2 > 1", "properties.a // 2", "`//` is not an operator", "write `floor(a / b)`"),
        ("(a := 5) == 5", "a := 5", "`:=` is not part of the language", "write `==` to compare"),
        (
            "len([x for x in ip]) > 1",
            "[x for x in ip]",
            "loops are not part of the language",
            "ask with `in`, or with `contains`",
        ),
        ("lambda: success", "lambda: success", "`lambda` is not part of the language", None),
        ("~success", "~success", "`~` is not an operator", "write `not`"),
        ("+request.status > 1", "+request.status", "`+` before a value changes nothing", "leave it out"),
        ("None == user", "None == user", "`None` stands only in `field == None` and `field != None`", None),
        (
            "lower(user) == None",
            "lower(user) == None",
            "`None` stands only in `field == None` and `field != None`",
            None,
        ),
        ("len([1, None]) > 1", "None", "`None` stands only in `field == None` and `field != None`", None),
        ("... == user", "...", "this is not part of the language", None),
        ("ip == 10.0.0.1", "10.0.0.1", "`10.0.0.1` is not a number", 'an address is a text: "10.0.0.1"'),
        ("properties.a > 10m", "10m", "`10m` is not a number", "write `10` or `0.5`; a text needs quotes"),
        ("properties.a > 007", "007", "`007` is not a number", "write `10` or `0.5`; a text needs quotes"),
        ("properties.a == 5j", "5j", "`5j` is not a number", "write `10` or `0.5`; a text needs quotes"),
        ("success ? 1 : 2", "?", "`?` is not part of the language", "a choice is written `a if condition else b`"),
        ("user == “a”", "“", "`“` is not part of the language", 'write the straight quote `"`'),
        ("(success", "(", "`(` is never closed", "a `)` is missing"),
        ("success)", ")", "`)` closes nothing", None),
        ("user in ['a')", ")", "`)` closes nothing", None),
        ('user == "a', '"a', "this text is never closed", 'a `"` is missing'),
        ("properties.a if success", "i", "`if` without `else`", "a choice is written `a if condition else b`"),
        ("success and", "d", "the expression ends too early", "a value is missing at its end"),
        ("user like 'a'", "like", "`like` is not expected here", 'write `contains(a, "b")` or `matches(a, "pattern")`'),
        (
            "request.path contains '/a'",
            "contains",
            "`contains` is not expected here",
            'functions are called: `contains(request.path, "/admin")`',
        ),
        ("  ", "  ", "the expression is empty", "such as `not success`"),
        ("lower(user).x == 'a'", "lower(user).x", "`.x` does not follow a field", "only fields have dots"),
    ],
)
def test_what_does_not_belong_to_the_language_is_named_with_what_to_write(source, at, message, hint):
    if "if success" in source:  # Python tells the end of what it read, by version
        assert [problem[1:] for problem in shown(source)] == [(message, hint)]
    else:
        assert shown(source) == [(at, message, hint)]


@pytest.mark.parametrize(
    ("source", "at", "message", "hint"),
    [
        ("usr == 'a'", "usr", "`usr` is not a field", "did you mean `user`?"),
        ("country == 'FR'", "country", "`country` is not a field", "did you mean `geo.country`?"),
        ("ip_address == 'a'", "ip_address", "`ip_address` is not a field", "did you mean `ip`?"),
        ("User_ID == 'a'", "User_ID", "`User_ID` is not a field", "did you mean `user`?"),
        ("geo.contry == 'FR'", "geo.contry", "`geo.contry` is not a field", "did you mean `geo.country`?"),
        ("request.staus == 1", "request.staus", "`request.staus` is not a field", "did you mean `request.status`?"),
        (
            "amount > 5",
            "amount",
            "`amount` is not a field",
            "a text needs quotes, a property of your own is `properties.amount`",
        ),
        (
            "agent.x == 1",
            "agent.x",
            "`agent.x` is not a field",
            "known are `agent.bot`, `agent.browser`, `agent.device`, `agent.os`",
        ),
        (
            "properties == 1",
            "properties",
            "`properties` is an object",
            "name one of its values, such as `properties.amount`",
        ),
        (
            "network == 1",
            "network",
            "`network` is a group of fields",
            "one of `network.anonymous`, `network.hosting`, `network.kind`, `network.private`",
        ),
        (
            "user.a.b == 'x'",
            "user.a.b",
            "`user.a.b` is not a field",
            "identifiers of a user have one name, such as `user.email`",
        ),
        ("lowr(user) == 'a'", "lowr", "there is no function `lowr`", "did you mean `lower`?"),
        ("exec(user)", "exec", "there is no function `exec`", "`sentinel functions` lists them"),
        ("lower == 'a'", "lower", "`lower` is a function", 'call it: `endswith(lower(user.email), "@example.com")`'),
        ("in_list(ip, 'ofice')", "'ofice'", "there is no list `ofice`", "did you mean `office`?"),
        (
            "in_list(ip, 'zzz')",
            "'zzz'",
            "there is no list `zzz`",
            "lists are the files of `rules/lists`, without `.txt`: a folder `rules` of your own hides the shipped ones",
        ),
        (
            "startswith(user)",
            "startswith(user)",
            "`startswith` takes 2 arguments, not 1",
            "`startswith(text: text, prefix: text) -> true or false`",
        ),
        (
            "hour() == 1",
            "hour()",
            "`hour` takes 1 to 2 arguments, not 0",
            "`hour(timestamp: a number, zone?: text) -> a number`",
        ),
        (
            "coalesce(user) == 'a'",
            "coalesce(user)",
            "`coalesce` takes 2 or more, not 1",
            "`coalesce(a: anything, b: anything, …) -> one of them`",
        ),
        ("matches(user, '(')", "'('", "not an RE2 pattern: `missing ): (`", None),
        (
            "matches(user, '(?=a)')",
            "'(?=a)'",
            "not an RE2 pattern: `invalid perl operator: (?=`",
            "RE2 looks neither ahead nor behind: combine two `matches` with `and`, `not`",
        ),
        (
            r"matches(user, r'(a)\1')",
            r"r'(a)\1'",
            r"not an RE2 pattern: `invalid escape sequence: \1`",
            "RE2 has no backreferences",
        ),
        (
            "matches(user, device)",
            "device",
            "a pattern must be a text written out here",
            'in quotes, such as "^/wp-(admin|login)"',
        ),
        (
            "cidr(ip, '10.0.0.1/8')",
            "'10.0.0.1/8'",
            "`10.0.0.1/8` has bits set behind its prefix",
            'did you mean "10.0.0.0/8"?',
        ),
        (
            "cidr(ip, '10.0.0/8')",
            "'10.0.0/8'",
            "`10.0.0/8` is not a network",
            'write "198.51.100.0/24" or "2001:db8::/32"',
        ),
        ("cidr(ip, ['::/0', 'x'])", "'x'", "`x` is not a network", 'write "198.51.100.0/24" or "2001:db8::/32"'),
        ("cidr(ip, [])", "[]", "an empty list of networks holds no address", None),
        (
            "hour(timestamp, 'Mars') == 1",
            "'Mars'",
            "there is no time zone `Mars`",
            'such as "Europe/Paris", "UTC" or "+02:00"',
        ),
        (
            "hour(timestamp, Europe/Paris) == 1",
            "Europe/Paris",
            "`Europe/Paris` is not a field",
            'a text needs quotes: "Europe/Paris"',
        ),
        (
            "hour(timestamp, America/Argentina/Salta) == 1",
            "America/Argentina/Salta",
            "`America/Argentina/Salta` is not a field",
            'a text needs quotes: "America/Argentina/Salta"',
        ),
        (
            "hour(timestamp, Mars) == 1",
            "Mars",
            "`Mars` is not a field",
            "a text needs quotes, a property of your own is `properties.Mars`",
        ),
    ],
)
def test_unknown_names_and_bad_literals_come_with_a_suggestion(source, at, message, hint):
    assert shown(source) == [(at, message, hint)]


@pytest.mark.parametrize(
    ("source", "at", "message", "hint"),
    [
        ("user != 42", "42", "this can never hold: `user` is text, `42` is a number", 'write `"42"`'),
        ("42 == user", "42", "this can never hold: `42` is a number, `user` is text", 'write `"42"`'),
        (
            "success == 'yes'",
            "'yes'",
            "this can never hold: `success` is true or false, `'yes'` is text",
            "write `True` or `False`",
        ),
        ("geo.asn == '12'", "'12'", "this can never hold: `geo.asn` is a number, `'12'` is text", "write `12`"),
        ("user in ['a', 5]", "5", "this can never hold: `user` is text, `5` is a number", 'write `"5"`'),
        ("user.labels == 'vip'", "'vip'", "this can never hold: `user.labels` is a list, `'vip'` is text", None),
        ("geo.country in []", "[]", "an empty list holds nothing", None),
        ("5 in geo.country", "5", "a text holds texts only: `5` is a number", 'write `"5"`'),
        ("'a' in geo.asn", "geo.asn", "a value is looked for in a list or a text: `geo.asn` is a number", None),
        ("contains(request.path, 5)", "5", "a text holds texts only: `5` is a number", 'write `"5"`'),
        (
            "geo.country < 5",
            "5",
            "`<` compares two numbers or two texts: `geo.country` is text, `5` is a number",
            'write `"5"`',
        ),
        (
            "success > True",
            "True",
            "`>` compares two numbers or two texts: `success` is true or false, `True` is true or false",
            None,
        ),
        ("user + 'a' == 'b'", "user", "only numbers are calculated with: `user` is text", SPELLED),
        ("-user == 1", "user", "only numbers are calculated with: `user` is text", SPELLED),
        ("geo.lat / 0 == 1", "0", "division by zero has no result", None),
        (
            "user",
            "user",
            "`user` is text, not a condition",
            "compare it with something; `!= None` asks whether it is there",
        ),
        (
            "success and ip",
            "ip",
            "`ip` is text, not a condition",
            "compare it with something; `!= None` asks whether it is there",
        ),
        (
            "not len(user.labels)",
            "len(user.labels)",
            "`len(user.labels)` is a number, not a condition",
            "compare it with something; `!= None` asks whether it is there",
        ),
        ("lower(5) == 'a'", "5", "`text` of `lower` is text: `5` is a number", "`lower(text: text) -> text`"),
        (
            "len(geo.asn) == 1",
            "geo.asn",
            "`value` of `len` is text or a list: `geo.asn` is a number",
            "`len(value: text or a list) -> a number`",
        ),
    ],
)
def test_a_comparison_that_can_never_hold_is_refused(source, at, message, hint):
    assert shown(source)[0] == (at, message, hint)


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_text():
    source = 'evnt = "auth" && user != 42\n  and matches(ip, "(") and lowr(geo.contry) == "x"'
    found = [
        (problem.line, problem.column, source[problem.offset : problem.offset + problem.length])
        for problem in refused(source).problems
    ]
    assert found == [
        (0, 0, "evnt"),
        (0, 5, "="),
        (0, 14, "&&"),
        (0, 25, "42"),
        (1, 18, '"("'),
        (1, 27, "lowr"),
        (1, 32, "geo.contry"),
    ]


def test_the_text_of_the_error_has_the_place_first_and_the_hint_last():
    with pytest.raises(SentinelError) as caught:
        compile_expression('event == "a" and\nusr == "b"')
    assert str(caught.value) == "line 2, column 1: `usr` is not a field (did you mean `user`?)"


def test_an_authors_text_cannot_drive_the_terminal():
    (problem,) = refused('in_list(ip, "\u202e[2J")').problems
    assert problem.message.isprintable()


def test_places_count_characters_not_bytes():
    source = 'properties.städte == "é😀" and usr == "x"'
    assert shown(source) == [("usr", "`usr` is not a field", "did you mean `user`?")]
