"""Which files are read for a path: the playbooks, the rules that belong to them, their lists."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sentinel.core.errors import InputError
from sentinel.loader.content import LARGEST_LIST, load, stamps
from sentinel.loader.mistakes import PlaybookErrors

PLAYBOOK = "playbook: {id}\nrule: {rule}\ngroup_by: ip\nwindow: 10m\nwhen: {{count: 5}}\n"


def playbook(id: str = "p", rule: str = "login-failed") -> str:
    return PLAYBOOK.format(id=id, rule=rule)


def rule(id: str = "login-failed", where: str = "success == False") -> str:
    return f"rule: {id}\nevent: auth\nwhere: {where}\n"


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def mistakes(*paths: Path, **options: object) -> list[str]:
    with pytest.raises(PlaybookErrors) as caught:
        load(paths, **options)  # type: ignore[arg-type]
    return [f"{Path(one.place.file).name}:{one.place.line}: {one.message}" for one in caught.value.mistakes]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write(
        tmp_path / "project",
        {
            "playbooks/auth/a.yaml": playbook("a"),
            "playbooks/b.yml": playbook("b"),
            "playbooks/notes.txt": "not a playbook",
            "playbooks/.draft.yaml": "not: yours",
            "playbooks/.git/c.yaml": "not: yours",
            "rules/r.yaml": rule(where='in_list(ip, "bad")'),
            "rules/lists/bad.txt": "203.0.113.9\n",
        },
    )


def test_without_paths_the_shipped_content_is_loaded_and_has_no_mistake() -> None:
    content = load()
    assert len(content.rules) >= 10 and len(content.playbooks) >= 10
    assert "disposable-email-domains" in content.lists


def test_a_folder_is_read_with_all_below_it_but_hidden_and_foreign_files(project: Path) -> None:
    content = load([project])
    assert (list(content.playbooks), list(content.rules)) == (["a", "b"], ["login-failed"])


@pytest.mark.parametrize("path", ["playbooks", "playbooks/b.yml", "playbooks/auth", "playbooks/auth/a.yaml", "rules"])
def test_rules_and_lists_are_found_beside_the_folder_playbooks(project: Path, path: str) -> None:
    """Below it at any depth too; the rule found is the project's own, not the shipped one of the same name."""
    found = load([project / path]).rules["login-failed"]
    assert found.where and found.where.source == 'in_list(ip, "bad")'


def test_rules_inside_the_folder_of_a_path_are_found(tmp_path: Path) -> None:
    write(tmp_path, {"a/p.yaml": playbook(), "a/rules/r.yaml": rule(where="ip != None")})
    found = load([tmp_path / "a" / "p.yaml"]).rules["login-failed"]
    assert found.where and found.where.source == "ip != None"


def test_given_rules_stand_in_for_those_beside_the_paths(project: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", {"r.yaml": rule(where="ip != None")})
    found = load([project / "playbooks"], rules=[other]).rules["login-failed"]
    assert found.where and found.where.source == "ip != None"


def test_without_rules_of_its_own_a_playbook_uses_the_shipped_ones(tmp_path: Path) -> None:
    """Only those it names are part of what is loaded."""
    write(tmp_path / "alone", {"p.yaml": playbook()})
    content = load([tmp_path / "alone" / "p.yaml"])
    assert list(content.rules) == ["login-failed"]
    assert content.rules["login-failed"].events == ("auth",)


def test_a_file_reached_twice_is_read_once(project: Path) -> None:
    content = load([project, project / "playbooks", project / "playbooks" / "b.yml", project / "rules"])
    assert sorted(content.playbooks) == ["a", "b"]


def test_a_link_to_a_file_is_read_once(project: Path) -> None:
    (project / "playbooks" / "link.yaml").symlink_to(project / "playbooks" / "b.yml")
    assert sorted(load([project]).playbooks) == ["a", "b"]


def test_lists_beside_a_folder_of_rules_are_found(tmp_path: Path) -> None:
    write(tmp_path, {"rules/r.yaml": rule(where='in_list(user, "staff")'), "lists/staff.txt": "u1\n"})
    assert load([tmp_path / "rules"]).rules["login-failed"]


def test_a_path_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file or folder"):
        load([tmp_path / "missing"])
    with pytest.raises(InputError, match="there is no file or folder"):
        load(rules=[tmp_path / "missing"])


def test_a_folder_that_cannot_be_read_is_no_folder_without_playbooks(tmp_path: Path, monkeypatch: Any) -> None:
    """Playbooks that are passed over in silence protect nobody."""
    (tmp_path / "closed").mkdir()
    (tmp_path / ".git").mkdir()
    really = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path).name in ("closed", ".git"):
            raise PermissionError(13, "Permission denied", str(path))
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)
    closed = re.escape(f"the folder `{tmp_path / 'closed'}` cannot be read: Permission denied")
    with pytest.raises(InputError, match=closed):
        load([tmp_path])


def test_an_empty_folder_is_no_mistake(tmp_path: Path) -> None:
    assert not load([tmp_path]).playbooks


def test_all_mistakes_of_all_files_are_reported_in_their_order(tmp_path: Path) -> None:
    """Ids that exist already are told at the second place, with the first."""
    write(
        tmp_path,
        {
            "playbooks/a.yaml": playbook("same") + "mood: good\n",
            "playbooks/b.yaml": playbook("same", rule="nowhere"),
            "rules/r.yaml": rule() + "---\n" + rule(),
            "rules/s.yaml": "rule: broken\nevent: {\n",
            "rules/lists/l.txt": b"ok\n\xff\n",
        },
    )
    assert mistakes(tmp_path) == [
        "a.yaml:6: unknown key `mood`",
        "b.yaml:1: there is a playbook `same` already",
        "l.txt:2: the file is not UTF-8",
        "r.yaml:5: there is a rule `login-failed` already",
        "s.yaml:2: the document ends before this is complete",
    ]


def test_a_rule_that_may_hide_in_a_broken_file_is_not_called_unknown(tmp_path: Path) -> None:
    """Nor is one whose document has mistakes: an author who puts them right has nothing more to do."""
    write(tmp_path, {"p.yaml": playbook("a", "broken"), "r.yaml": "rule: broken\nevent: auth\nwhere: (\n"})
    assert [one.partition(":")[0] for one in mistakes(tmp_path)] == ["r.yaml"]
    write(tmp_path, {"p.yaml": playbook("a", "hidden"), "r.yaml": "}\nrule: hidden\nevent: auth\n"})
    assert [one.partition(":")[0] for one in mistakes(tmp_path)] == ["r.yaml"]


def test_channels_are_checked_where_they_are_known(tmp_path: Path) -> None:
    text = playbook() + "actions: [{notify: {channel: pager}}]\n"
    write(tmp_path, {"p.yaml": text})
    assert load([tmp_path]).playbooks["p"].actions[0].channel == "pager"
    assert load([tmp_path], channels=["pager"]).playbooks
    assert mistakes(tmp_path, channels=["security"]) == ["p.yaml:6: there is no channel `pager`"]


@pytest.mark.parametrize("place", ["app/rules/lists", "app/lists", "app/rules/logins/lists"])
def test_lists_are_found_however_deep_below_the_path_their_rules_lie(tmp_path: Path, place: str) -> None:
    files = {"app/rules/logins/r.yaml": rule(where='in_list(user, "staff")'), f"{place}/staff.txt": "u1\n"}
    write(tmp_path, files | {"elsewhere/lists/staff.txt": "u2"})
    assert load([tmp_path]).lists["staff"].holds("u1")
    before = stamps([tmp_path])
    (tmp_path / place / "staff.txt").write_text("u1\nu2\n")
    assert stamps([tmp_path]) != before


def test_two_lists_of_one_name_are_a_mistake(tmp_path: Path) -> None:
    write(tmp_path, {"rules/r.yaml": rule(), "rules/lists/a.txt": "x", "lists/a.txt": "y"})
    assert mistakes(tmp_path) == ["a.txt:1: there is a list `a` already"]


def test_what_is_no_ordinary_file_is_passed_over_and_not_waited_for(tmp_path: Path) -> None:
    write(tmp_path, {"p.yaml": playbook(), "rules/r.yaml": rule(), "lists/staff.txt": "u1"})
    for name in ("q.yaml", "rules/s.yaml", "lists/pipe.txt"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "lists" / "folder.txt").mkdir()
    found = load([tmp_path])
    assert list(found.playbooks) == ["p"] and "pipe" not in found.lists and "staff" in found.lists


def test_files_have_a_bound(tmp_path: Path) -> None:
    write(tmp_path, {"big.yaml": "#" * (1 << 20) + "\n", "lists/big.txt": b"x" * (LARGEST_LIST + 1)})
    assert mistakes(tmp_path) == [
        "big.yaml:1: the file has more than 1,048,576 bytes",
        "big.txt:1: the list has more than 16,777,216 bytes",
    ]


def test_a_folder_of_lists_that_cannot_be_read_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path, {"p.yaml": playbook(), "rules/r.yaml": rule()})
    (tmp_path / "rules" / "lists").symlink_to("lists")
    with pytest.raises(InputError, match=r"the folder `.*rules/lists` cannot be read: Too many levels"):
        load([tmp_path])


def test_a_folder_of_rules_of_one_s_own_is_said_to_stand_in_for_the_shipped_ones(tmp_path: Path) -> None:
    wanted = {"p.yaml": playbook(rule="zzz"), "rules/r.yaml": rule(where='in_list(ip, "zzz")')}
    with pytest.raises(PlaybookErrors) as caught:
        load([write(tmp_path, wanted)])
    assert ["your own" in (one.hint or "") for one in caught.value.mistakes] == [True, True]


def test_a_folder_that_looks_like_a_file_and_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nothing")
    assert not load([tmp_path]).playbooks
