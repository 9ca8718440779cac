"""Files of playbooks that two servers write: what one saves the other does not overwrite unseen."""

from __future__ import annotations

import pytest

from sentinel.core.errors import Conflict
from sentinel.service import writing
from sentinel.service.library import Library
from sentinel.service.writing import Writing
from sentinel.store.embedded.store import open_store
from tests.prepared import prepared

NOW = 1_763_650_000_000_000


@pytest.fixture
def editors(tmp_path):
    """Two servers' editors over one folder and one store, and the file both have open."""
    folder = tmp_path / "playbooks"
    folder.mkdir()
    file = folder / "a.yaml"
    file.write_text("# as it was\n")
    store = open_store(prepared(tmp_path / "data"))
    yield [Writing(Library([folder], (), (), None), store, lambda: NOW, lambda: None) for _ in range(2)], file
    store.close()


def test_of_two_servers_that_save_a_file_at_the_same_moment_one_is_refused(editors, monkeypatch):
    (here, there), file = editors
    mark, replace, refused = here.sheet(str(file)).mark, writing._replace, []

    def meanwhile(*of, **more):
        monkeypatch.setattr(writing, "_replace", replace)
        with pytest.raises(Conflict, match="at this very moment") as caught:
            there.write(str(file), "# theirs\n", mark, "bob")
        refused.append(caught.value)
        replace(*of, **more)

    monkeypatch.setattr(writing, "_replace", meanwhile)
    here.write(str(file), "# ours\n", mark, "ana")
    assert len(refused) == 1 and file.read_text() == "# ours\n"
    with pytest.raises(Conflict, match="changed this file meanwhile"):
        there.write(str(file), "# theirs\n", mark, "bob")
    there.write(str(file), "# theirs\n", there.sheet(str(file)).mark, "bob")
    assert file.read_text() == "# theirs\n"


def test_what_fails_to_be_saved_holds_up_nobody(editors, monkeypatch):
    (here, there), file = editors
    with pytest.raises(Conflict):
        here.write(str(file), "# ours\n", "another mark", "ana")
    there.write(str(file), "# theirs\n", there.sheet(str(file)).mark, "bob")
    assert file.read_text() == "# theirs\n"
