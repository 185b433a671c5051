from pathlib import Path

from soft_labels.data import ChaosNLIDataModule, Cifar10HDataModule, PopquornDataModule
from soft_labels.encoders import TimmEncoder
from tests.conftest import ToyTextEncoder


def test_each_data_set_is_read_from_its_root(
    tiny_chaosnli_root: Path, tiny_popquorn_root: Path, tiny_cifar10h_root: Path, tmp_path: Path
) -> None:
    text, image = ToyTextEncoder(), TimmEncoder()
    chaosnli = ChaosNLIDataModule(tiny_chaosnli_root, encoder=text, store=tmp_path)
    popquorn = PopquornDataModule(tiny_popquorn_root, encoder=text, store=tmp_path)
    cifar10h = Cifar10HDataModule(tiny_cifar10h_root, encoder=image, store=tmp_path)
    found = [(data.dataset.name, data.num_classes, data.ordinal) for data in (chaosnli, popquorn, cifar10h)]
    assert found == [("chaosnli", 3, False), ("popquorn", 5, True), ("cifar10h-hard", 10, False)]


def test_subsets_can_be_chosen(tiny_chaosnli_root: Path, tiny_cifar10h_root: Path, tmp_path: Path) -> None:
    both = ChaosNLIDataModule(tiny_chaosnli_root, encoder=ToyTextEncoder(), store=tmp_path)
    snli = ChaosNLIDataModule(tiny_chaosnli_root, ("snli",), encoder=ToyTextEncoder(), store=tmp_path)
    assert 0 < len(snli.dataset.data) < len(both.dataset.data)
    hard, whole = (
        Cifar10HDataModule(tiny_cifar10h_root, hard=hard, encoder=TimmEncoder(), store=tmp_path)
        for hard in (True, False)
    )
    assert len(hard.dataset.data) < len(whole.dataset.data) == 60


def test_tables_of_new_items_name_their_columns_as_the_data_set_does(
    tiny_chaosnli_root: Path, tiny_popquorn_root: Path, tiny_cifar10h_root: Path
) -> None:
    columns = [
        data.item_columns
        for data in (
            ChaosNLIDataModule(tiny_chaosnli_root),
            PopquornDataModule(tiny_popquorn_root),
            Cifar10HDataModule(tiny_cifar10h_root),
        )
    ]
    assert columns == [
        {"uid_column": "uid", "text_column": "premise", "second_text_column": "hypothesis"},
        {"uid_column": "uid", "text_column": "text"},
        {"uid_column": "uid", "image_column": "image"},
    ]
