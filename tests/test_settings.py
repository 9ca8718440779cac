"""Settings: four sources, one frozen value, and every mistake named where it was made."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel import settings
from sentinel.app import doors
from sentinel.core.duration import HOUR, MINUTE, format_duration
from sentinel.core.proxies import client_address
from sentinel.loader.schema import json_schema
from sentinel.settings import TABLE, Settings, SettingsError, read


def problems(flags=None, environ=None):
    with pytest.raises(SettingsError) as caught:
        read(flags, environ or {})
    return caught.value.problems


@pytest.fixture
def toml(tmp_path):
    def write(text):
        file = tmp_path / "sentinel.toml"
        file.write_text(text)
        return {"config": str(file)}

    return write


def test_without_any_source_everything_has_its_default(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert read({}, {}) == Settings()


def test_every_setting_is_in_the_table_with_the_default_it_says():
    assert list(TABLE) == [field.name for field in dataclasses.fields(Settings)]
    for name, setting in TABLE.items():
        default = getattr(Settings(), name)
        if setting.default not in {"none", "the shipped ones", "those beside the playbooks"}:
            assert setting.read(setting.default) == default, name
        else:
            assert not default, name


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default(toml):
    file = toml('port = 1\nhost = "file"\nlateness = "1m"')
    found = read({**file, "port": "3"}, {"SENTINEL_PORT": "2", "SENTINEL_HOST": "variable"})
    assert (found.port, found.host, found.lateness, found.rate) == (3, "variable", MINUTE, Settings().rate)


def test_the_file_in_the_working_folder_is_read_if_there_is_one(toml, monkeypatch, tmp_path):
    toml("port = 99")
    monkeypatch.chdir(tmp_path)
    assert read({}, {}).port == 99


def test_a_file_that_was_named_must_exist():
    assert "`/nowhere/x.toml`: cannot be read" in problems({"config": "/nowhere/x.toml"})[0]


def test_a_file_that_is_not_toml_is_named(toml):
    assert "not TOML" in problems(toml("port = = 1"))[0]


@pytest.mark.parametrize("name", ["/dev/zero", "large.toml"])
def test_a_file_without_an_end_is_refused_at_once(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "large.toml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(settings.SettingsError) as caught:
        settings.read({"config": name}, {})
    assert caught.value.problems == [f"`{name}`: larger than 1 MiB, which no file of settings is"]


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("data", "~/x", Path.home() / "x"),
        ("port", "0", 0),
        ("channels", '{"ops": {"kind": "log"}}', {"ops": {"kind": "log"}}),
        ("allow_private_webhooks", "on", True),
        ("guard", "50/1h", (50, HOUR)),
        ("guard", "none", None),
        ("playbooks", "a, b/c.yaml", (Path("a"), Path("b/c.yaml"))),
        ("playbooks", "", ()),
        ("retention", "30d", 720 * HOUR),
        ("retention", "none", None),
        (
            "network_lists",
            '{"tor": "t.txt", "vpn": ["a", "https://b"]}',
            {"tor": ("t.txt",), "vpn": ("a", "https://b")},
        ),
        ("public_url", "https://sentinel.example/", "https://sentinel.example"),
        ("forwarded_header", "X-Forwarded-For", "x-forwarded-for"),
        ("forwarded_header", "none", None),
    ],
)
def test_texts_are_read_for_what_they_mean(name, value, meant):
    assert getattr(read({}, {f"SENTINEL_{name.upper()}": value}), name) == meant


def test_networks_are_read_from_a_text_and_from_a_list(toml):
    texts = [str(one) for one in read({"trusted_proxies": "10.0.0.0/8,::1"}, {}).trusted_proxies]
    assert texts == ["10.0.0.0/8", "::1/128"]
    assert len(read(toml('trusted_proxies = ["10.0.0.0/8"]'), {}).trusted_proxies) == 1


@pytest.mark.parametrize(("header", "ip"), [("none", "192.0.2.66"), ("forwarded", "203.0.113.9")])
def test_the_header_that_is_set_says_whose_address_it_is(header, ip):
    """Of a proxy that writes `Forwarded` and passes on what a browser wrote."""
    proxies = doors._proxies(read({"trusted_proxies": "10.0.0.0/8", "forwarded_header": header}, {}))
    assert client_address("10.0.0.1", ["for=203.0.113.9"], ["192.0.2.66"], proxies) == ip


def test_channels_in_a_file_are_tables(toml):
    found = read(toml('[channels.security]\nkind = "webhook"\nurl = "https://hooks.example/x"'), {})
    assert found.channels == {"security": {"kind": "webhook", "url": "https://hooks.example/x"}}


def test_lists_of_networks_in_a_file_are_one_place_or_several_a_kind(toml):
    found = read(toml('[network_lists]\ntor = "https://lists.example/tor"\nvpn = ["/a", "b"]'), {}).network_lists
    assert found == {"tor": ("https://lists.example/tor",), "vpn": ("/a", "b")}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"flags": {"prot": "1"}}, "`--prot`: not a setting (did you mean `--port`?)"),
        ({"environ": {"SENTINEL_PROT": "1"}}, "`SENTINEL_PROT`: not a setting (did you mean `SENTINEL_PORT`?)"),
        ({"environ": {"SENTINEL_LOG_LEVLE": "1"}}, "(did you mean `SENTINEL_LOG_LEVEL`?)"),
        ({"environ": {"SENTINEL_ZZZ": "1"}}, "not a setting (there are `SENTINEL_DATA`, `SENTINEL_HOST`, "),
        ({"environ": {"SENTINEL_PORT": "http"}}, "`SENTINEL_PORT`: `http` is not a whole number from 0 to 65535"),
        ({"flags": {"port": "70000"}}, "`--port`: `70000` is not a whole number from 0 to 65535"),
        ({"flags": {"port": "١"}}, "`--port`: `١` is not a whole number from 0 to 65535"),
        ({"flags": {"lateness": "10"}}, "`--lateness`: `10` is not a duration (a unit is missing: `10s`, `10m`"),
        ({"flags": {"lateness": "2d"}}, "`--lateness`: `2d` is out of bounds (from 1s to 1d)"),
        ({"flags": {"hits_per_group": "999"}}, "`--hits-per-group`: `999` is not a whole number from 1000 to 100000"),
        ({"flags": {"log_format": "xml"}}, "`--log-format`: `xml` is none of `auto`, `json`, `console`"),
        ({"flags": {"allow_private_webhooks": "maybe"}}, "is neither `yes` nor `no`"),
        (
            {"environ": {"SENTINEL_TRUSTED_PROXIES": "2"}},
            "`2` is not a network (an SDK takes how many proxies there are, a server their networks: write ",
        ),
        ({"flags": {"trusted_proxies": "2x"}}, "`--trusted-proxies`: `2x` is not a network (write `10.0.0.0/8`)"),
        ({"flags": {"forwarded_header": "x-real-ip"}}, "`x-real-ip` is none of `x-forwarded-for`, `forwarded`"),
        ({"flags": {"guard": "50"}}, "`--guard`: `50` is not a guard (write `1000/1h`, or `none`)"),
        ({"flags": {"guard": "50/31d"}}, "`--guard`: `31d` is out of bounds (from 1s to 30d)"),
        ({"flags": {"guard": "x/1h"}}, "`--guard`: `x` is not a whole number"),
        ({"flags": {"channels": "{"}}, "`--channels`: not JSON"),
        ({"flags": {"channels": '{"a": 1}'}}, "`--channels`: not a table of tables"),
        ({"flags": {"network_lists": "[]"}}, "`--network-lists`: not a table"),
        ({"flags": {"network_lists": '{"tor": 1}'}}, "`--network-lists`: not a list of files and URLs"),
        ({"flags": {"network_lists": '{"tor": "ftp://x/y"}'}}, "`--network-lists`: `ftp://…` is not a web address"),
        ({"flags": {"network_lists": '{"tor": "https://a:b@x/"}'}}, "`--network-lists`: `https://…` is not a web"),
        ({"flags": {"public_url": "sentinel.example"}}, "is not a web address"),
        ({"flags": {"host": "a\x1b[2J"}}, "`--host`: not a text of printable characters"),
        ({"flags": {"windows": "disk"}}, "`windows`: neither `memory` nor a Redis or Valkey URL"),
        ({"flags": {"database": "mysql://x"}}, "`database`: not a PostgreSQL URL"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place_and_a_way_on(source, text):
    found = problems(source.get("flags"), source.get("environ"))
    assert len(found) == 1
    assert text in found[0]


def test_a_slip_in_the_file_is_answered_with_the_files_own_word(toml):
    assert problems(toml("log_levle = 1"))[0].endswith(": log_levle`: not a setting (did you mean `log_level`?)")


def test_all_mistakes_of_all_sources_are_named_at_once(toml):
    found = problems({**toml('prot = 1\nport = "x"'), "rate": "0"}, {"SENTINEL_GUARD": "?"})
    assert [line.partition("`: ")[0].rpartition("/")[2].lstrip("`") for line in found] == [
        "sentinel.toml: prot",
        "sentinel.toml: port",
        "SENTINEL_GUARD",
        "--rate",
    ]


def test_several_workers_on_windows_in_memory_are_told_what_to_set():
    found = problems({"workers": "4"})
    assert any("set `windows` to a Redis or Valkey URL, or `workers` to 1" in line for line in found)
    assert any("set `database` to a PostgreSQL URL, or `workers` to 1" in line for line in found)


def test_several_workers_on_shared_machines_are_told_to_be_servers():
    shared = {"workers": "4", "windows": "redis://127.0.0.1:6379/0", "database": "postgresql://127.0.0.1/x"}
    assert problems(shared) == [
        "`workers`: one `sentinel serve` is one process (start 4 of them, each with a `port` and a `data` of its own)"
    ]


def test_where_windows_are_kept_may_be_called_state_in_every_source(toml):
    url = "redis://127.0.0.1:6379/0"
    for flags, environ in (({"state": url}, {}), ({}, {"SENTINEL_STATE": url}), (toml(f'state = "{url}"'), {})):
        assert read(flags, environ) == Settings(windows=url)


def test_another_name_of_a_setting_has_its_sources_rank(toml):
    found = read({**toml('windows = "redis://file/0"'), "windows": "redis://flag/0"}, {"SENTINEL_STATE": "memory"})
    assert found.windows == "redis://flag/0"
    assert read(toml('windows = "redis://file/0"'), {"SENTINEL_STATE": "memory"}).windows == "memory"


@pytest.mark.parametrize("first", ["state", "windows"])
def test_two_names_of_one_setting_may_be_given_where_they_agree(first, toml):
    both = {first: "redis://a/0", "windows" if first == "state" else "state": "redis://a/0"}
    assert read(both, {}).windows == "redis://a/0"
    both |= {"state": "redis://:hunter2@b/0"}
    variables = {f"SENTINEL_{name.upper()}": value for name, value in both.items()}
    file = toml("\n".join(f'{name} = "{value}"' for name, value in both.items()))
    for flags, environ in ((both, {}), ({}, variables), (file, {})):
        (line,) = problems(flags, environ)
        assert "`windows` and `state` are two names of one setting and differ here (leave one out)" in line
        assert "hunter2" not in line


def test_variables_of_the_sdk_and_of_a_neighbouring_service_are_passed_over():
    assert read({}, {"SENTINEL_KEY": "k", "SENTINEL_ENFORCE": "off", "SENTINEL_SERVICE_HOST": "10.0.0.1"}) == Settings()
    links = {"SENTINEL_PORT": "tcp://10.0.0.1:80", "SENTINEL_PORT_8787_TCP_ADDR": "10.0.0.1"}
    assert read({}, links).port == 8787


@given(st.sampled_from(sorted(TABLE)), st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.lists(st.none())))
def test_no_value_raises_anything_else(name, value):
    try:
        TABLE[name].read(value)
    except (ValueError, settings.SentinelError) as error:
        assert str(error)


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        (Settings(), "http://127.0.0.1:8787"),
        (Settings(host="::1", port=1), "http://[::1]:1"),
        (Settings(public_url="https://s.example"), "https://s.example"),
    ],
)
def test_the_address_is_the_public_one_or_where_it_listens(settings, address):
    assert settings.address == address


def test_settings_that_are_shown_hold_no_secret():
    """In a traceback, a log or a debugger."""
    secrets = {
        "SENTINEL_DATABASE": "postgresql://u:hunter2@db/x", "SENTINEL_WINDOWS": "redis://:hunter2@cache/0",
        "SENTINEL_CHANNELS": '{"a": {"kind": "webhook", "url": "https://x/hunter2", "secret": "hunter2"}}',
        "SENTINEL_METRICS_KEY": "hunter2-hunter2-hunter2",
    }  # fmt: skip
    found = read({}, secrets)
    assert "hunter2" in str(found.database) + found.windows + str(found.channels)
    assert "hunter2" not in repr(found) + str(found)


@pytest.mark.parametrize("secret", ["hunter2-0123456789", "hunter2 with a space in", "hunter2é" * 4, "hunter2" * 99])
def test_a_key_for_metrics_that_is_short_or_cannot_be_sent_is_refused_and_not_repeated(secret, toml):
    with pytest.raises(SettingsError, match=r"20 to 512 characters .*openssl rand") as error:
        read(toml(f'metrics_key = "{secret}"'), {})
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("name", ["data", "playbooks", "rules", "geo", "config"])
@pytest.mark.parametrize("odd", ["a\0b", "a\nb", "\x1b[2J", "\u202e", "\ud800"])
def test_a_path_that_no_file_has_is_refused(name, odd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError):
        read({name: odd}, {})


def test_the_usual_guard_is_told_where_playbooks_are_written():
    most, per = Settings().guard
    manual = Path(__file__).parents[1] / "docs" / "playbooks.md"
    for told in (manual.read_text(), json_schema("playbook")["properties"]["guard"]["description"]):
        assert f"{most} per {format_duration(per)}" in told
