from pathlib import Path

import pytest

from soft_labels.errors import ConfigError
from soft_labels.heads.source import folder_of


def test_a_folder_that_is_there_comes_before_a_name_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder_of("lab/polite") is None
    (tmp_path / "lab" / "polite").mkdir(parents=True)
    assert folder_of("lab/polite") == Path("lab/polite")


@pytest.mark.parametrize("source", ["nosuch", "a/b/c", "lab/", "with space/x"])
def test_what_is_neither_is_refused(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=rf"wanted the folder of a head, or ORGANISATION/NAME on.*, got '{source}'"):
        folder_of(source)
