from pathlib import Path

import pytest

from soft_labels.commands.run_files import files_of_run
from soft_labels.errors import ConfigError
from tests.conftest import Run


def test_a_run_is_named_by_its_folder_or_its_checkpoint(trained: Run) -> None:
    assert files_of_run(trained.checkpoint) == files_of_run(trained.folder)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml; give a folder that fit made"):
        files_of_run(tmp_path)
