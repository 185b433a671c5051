import errno

import pytest

from soft_labels import errors
from soft_labels.errors import REMEDIES, SoftLabelsError, in_words


def test_what_the_system_refused_has_its_place_and_its_remedy() -> None:
    said = in_words(OSError(errno.ENOSPC, "No space left on device", "records/a.jsonl"))
    assert said is not None
    assert said.startswith("records/a.jsonl: No space left on device; make room there")


def test_a_place_that_nobody_named_is_a_librarys() -> None:
    assert str(in_words(OSError(errno.EDQUOT, "Disk quota exceeded"))).startswith("a file that a library wrote: ")


def test_what_nobody_can_place_or_mend_is_no_message() -> None:
    assert in_words(OSError(errno.ECHILD, "No child processes")) is None
    assert in_words(OSError(errno.ENOENT, "No such file or directory", "x.csv")) == "x.csv: No such file or directory"


@pytest.mark.parametrize("number", REMEDIES, ids=errno.errorcode.__getitem__)
def test_every_remedy_says_what_to_do(number: int) -> None:
    told = REMEDIES[number].split()
    assert {"make", "choose", "delete", "raise", "see", "mount", "check"} & set(told)


def test_every_error_of_this_package_ends_a_command_with_two() -> None:
    own = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SoftLabelsError)]
    assert len(own) > 5
    assert {kind.exit_code for kind in own} == {2}
