import subprocess
import sys

import pytest

import soft_labels


def test_the_public_names_are_there_and_no_others() -> None:
    assert set(soft_labels.__all__) <= set(dir(soft_labels))
    assert all(callable(getattr(soft_labels, name)) for name in soft_labels.__all__)
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        _ = soft_labels.fit


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, soft_labels; print([m for m in ('torch', 'lightning', 'numpy', 'polars') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
