"""CSV as events: what columns fill, how cells are typed, and what is told of rows and headers that cannot be."""

import csv
import io
from contextlib import closing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.errors import InputError
from sentinel.service.eventfiles.reading import Account, Options, events
from sentinel.service.eventfiles.streams import Stream
from sentinel.service.eventfiles.tables import boolean, is_table, number, scalar

AT = "2026-11-20T21:30:00Z"
HEADER = "id,event,timestamp"


@pytest.fixture
def reading(tmp_path):
    """Write a CSV file, read it, and return its events and the account."""

    def run(content, name="events.csv", event_name=None, **options):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        account = Account()
        with closing(Stream(str(file))) as stream:
            batches = events([stream], account, Options(name=event_name, **options))
            return [one for batch in batches for one in batch.events], account

    return run


def test_columns_fill_fields_and_dots_nest(reading):
    (event,), account = reading(
        "id,event,timestamp,success,user.id,user.email,ip,device,request.path,request.status,properties.cart.total,"
        "properties.cart.new,geo.country,network.private\n"
        f"7,auth,{AT},true,42,Jane@Example.com,203.0.113.9,laptop,/login,401,99.5,yes,FR,false\n"
    )
    assert (event.id, event.name, event.success, event.user, event.ip) == ("7", "auth", True, "id:42", "203.0.113.9")
    assert event.identifiers == {"id": "42", "email": "jane@example.com"}
    assert event.request == {"path": "/login", "status": 401}
    assert event.properties == {"cart": {"total": 99.5, "new": "yes"}}
    assert (event.device, event.geo, event.network) == ("laptop", {"country": "FR"}, {"private": False})
    assert account.bad.total() == 0


def test_a_user_column_is_an_id(reading):
    (event,), _ = reading(f"{HEADER},user\n1,auth,{AT},0042\n")
    assert event.user == "id:0042"


def test_an_empty_cell_is_no_value(reading):
    (event,), account = reading(f"{HEADER},success,user.id,properties.a\n1,auth,{AT},,,\n")
    assert (event.success, event.user, event.properties, account.bad.total()) == (None, None, {}, 0)


@pytest.mark.parametrize("timestamp", [AT, "1795210200", "1795210200.0", "2026-11-20 22:30:00+01:00"])
def test_a_timestamp_is_a_text_or_seconds(reading, timestamp):
    (event,), _ = reading(f"{HEADER}\n1,auth,{timestamp}\n")
    assert event.at == 1_795_210_200_000_000


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_told_from_the_header(reading, separator):
    (event,), _ = reading(f"{HEADER},properties.a\n1,auth,{AT},x\n".replace(",", separator))
    assert (event.id, event.properties) == ("1", {"a": "x"})


def test_quoted_cells_hold_separators_quotes_and_line_ends(reading):
    found, account = reading(f'{HEADER},properties.a\n1,auth,{AT},"a, ""b""\nc"\n2,auth,{AT},x\n3,auth,{AT},too,many\n')
    assert [one.properties["a"] for one in found] == ['a, "b"\nc', "x"]
    assert [line.rpartition("csv:")[2] for line in account.shown] == ["5: 5 cells, the header has 4"]


@pytest.mark.parametrize("name", ["events.csv", "EVENTS.CSV", "events.tsv", "events.csv.gz", "log", "-"])
def test_a_table_is_known_by_its_name_or_its_header(name):
    assert is_table(b"id,event,timestamp\n", name)
    assert is_table(b'"event";"when"\n', name)
    assert is_table(b"a,b\n", name) == name.lower().startswith("events.")


@pytest.mark.parametrize("start", [b'{"event": "auth", "timestamp": 1}\n', b"", b"event_log\n", b"hello\n"])
def test_other_first_lines_are_no_header(start):
    assert not is_table(start, "log")


def test_a_mapping_names_the_field_a_column_fills_or_leaves_it_out(reading):
    (event,), _ = reading(
        f"when,what,mail,secret\n{AT},auth,a@example.com,x\n",
        name="export",
        columns={"when": "timestamp", "what": "event", "mail": "user.email", "secret": ""},
    )
    assert (event.name, event.user, event.properties) == ("auth", "email:a@example.com", {})


def test_a_table_without_names_of_events_can_be_given_one(reading):
    (event,), _ = reading(f"timestamp,user\n{AT},42\n", event_name="auth")
    assert (event.name, event.user) == ("auth", "id:42")


def test_a_row_without_an_id_gets_the_same_one_each_time(reading):
    content = f"event,timestamp\nauth,{AT}\nauth,{AT}\n"
    first, again = reading(content)[0], reading(content)[0]
    assert [one.id for one in first] == [one.id for one in again]
    assert first[0].id != first[1].id


@pytest.mark.parametrize(
    ("header", "columns", "message"),
    [
        ("event,colour,amount", {}, "has columns that are no fields of an event: `colour`, `amount` (map them, `--map"),
        ("event,user.", {}, "has columns that are no fields of an event: `user.`"),
        ("event,event", {}, "fills `event` twice (a field has one column)"),
        ("event,user,user.id", {}, "fills `user` twice"),
        ("event,properties.a,properties.a.b.c", {}, "fills `properties.a` twice"),
        ("event,a,b", {"a": "user", "b": "user"}, "fills `user` twice"),
        ("event,a", {"a": "colour"}, "has columns that are no fields of an event: `a`"),
        ("event,user_mail", {"user-mail": "user.email"}, "has no column `user-mail` (did you mean `user_mail`?)"),
        ("event,x", {"mail": "user.email"}, "has no column `mail` (it has `event`, `x`)"),
    ],
)
def test_a_header_that_cannot_be_is_told_at_once(reading, tmp_path, header, columns, message):
    with pytest.raises(InputError) as caught:
        reading(f"{header}\n", columns=columns)
    assert str(caught.value).startswith(f"`{tmp_path / 'events.csv'}` {message}")


def test_a_header_that_is_no_utf_8_is_told(reading):
    with pytest.raises(InputError, match=r"the header of .* is not UTF-8 .save it as UTF-8."):
        reading(b"event,timestamp,\xff\n")


def test_bad_rows_are_told_with_the_line_they_end_in_and_counted(reading):
    content = (
        f"{HEADER},ip,success\n1,auth,{AT},,\n2,auth,{AT},nowhere,\n3,auth\n4,auth,{AT},,maybe\n\n".encode()
        + f"5,auth,{AT},,\xff\n".encode("latin-1")
        + f"6,auth,{AT},,\n".encode()
    )
    found, account = reading(content)
    assert [one.id for one in found] == ["1", "6"]
    assert [line.rpartition("csv:")[2].partition(":")[0] for line in account.shown] == ["3", "4", "5", "7"]
    assert account.bad == {
        "`ip`: `…` is not an address": 1,
        "not as many cells as the header": 1,
        "`success`: neither true nor false": 1,
        "not UTF-8": 1,
    }


def test_a_quote_that_is_never_closed_costs_what_it_swallows_and_no_more(reading):
    rows = "".join(f"{n},auth,{AT}\n" for n in range(20_000))
    found, account = reading(f'{HEADER}\n{rows}x,auth,"{AT}\n{rows}')
    assert account.bad["not CSV"] >= 1
    assert len(found) > 20_000


def test_a_table_of_nothing_but_bad_rows_is_refused(reading):
    with pytest.raises(InputError, match=r"holds no events; line 2: `timestamp`: missing"):
        reading("event\nauth\nauth\n")


def test_a_header_alone_is_an_empty_file(reading):
    assert reading(f"{HEADER}\n")[0] == []


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("12", 12), ("-5", -5), ("0", 0), ("0.5", 0.5), ("-0.25", -0.25), ("1e3", 1000.0), ("1.5E-2", 0.015),
        ("true", True), ("True", True), ("FALSE", False), ("null", None), ("~", None), ("NULL", None),
        ("0123", "0123"), ("+49", "+49"), ("1_000", "1_000"), ("0x1F", "0x1F"), (".5", ".5"), ("5.", "5."),
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("tRUE", "tRUE"), ("inf", "inf"), (".inf", ".inf"), ("nan", "nan"),
        ("1e999", "1e999"), ("1:30", "1:30"), ("2026-11-20", "2026-11-20"), ("٣", "٣"), ("x", "x"), (" a ", " a "),
        ("9" * 18, int("9" * 18)), ("9" * 19, "9" * 19),
    ],
)  # fmt: skip
def test_a_property_is_what_json_would_read_and_text_otherwise(cell, value):
    found = scalar(cell)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("true", True),
        ("T", True),
        ("1", True),
        ("Yes", True),
        ("f", False),
        ("0", False),
        ("NO", False),
        ("", ""),
        ("2", "2"),
    ],
)
def test_a_boolean_field_takes_the_usual_words(cell, value):
    assert boolean(cell) is value or boolean(cell) == value


@given(st.one_of(st.integers(-(10**17), 10**17), st.floats(allow_nan=False, allow_infinity=False), st.booleans()))
def test_a_value_written_as_json_is_read_as_itself(value):
    found = scalar(msgspec.json.encode(value).decode())
    assert (type(found), found) == (type(value), value)


@given(st.text(max_size=20))
def test_no_cell_becomes_anything_but_a_finite_value(cell):
    assert scalar(cell) is None or isinstance(scalar(cell), str | bool | int | float)
    assert number(cell) == number(cell), "no NaN"


@given(st.lists(st.text(alphabet='ab,;"\n\r 1\t', min_size=1, max_size=8), min_size=1, max_size=5))
def test_what_a_csv_writer_wrote_is_read_back(cells):
    """Texts in columns of users' properties, whatever quoting they need."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["event", "timestamp", *(f"user.n{n}" for n in range(len(cells)))])
    writer.writerow(["auth", AT, *cells])
    stream = Stream.__new__(Stream)
    stream.name = "x.csv"
    stream.blocks = lambda: iter([out.getvalue().encode()])  # type: ignore[method-assign]
    (batch,) = events([stream], Account())
    assert batch.raws[0]["user"] == {f"n{n}": cell for n, cell in enumerate(cells)}
