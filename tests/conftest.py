"""Real data where it is there, and small generated data in the real layouts. A test that changes files copies them."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NLI_LETTERS = "enc"
NLI_TEXTS = ("someone is outside", "someone waits for a friend", "nobody is there")
DEMOGRAPHICS = ("gender", "race", "age", "occupation", "education")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real annotation files are not beside the repository (../shared/data)")
    return folder


@pytest.fixture(scope="session")
def tiny_chaosnli_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 items in two files; each premise serves two items."""
    root = tmp_path_factory.mktemp("chaosnli-root")
    folder = root / "chaosnli" / "chaosNLI_v1.0"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(1)
    for subset in ("snli", "mnli_m"):
        lines = [json.dumps(_nli_record(f"{subset}-{index}", index, generator)) for index in range(24)]
        (folder / f"chaosNLI_{subset}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def _nli_record(uid: str, index: int, generator: np.random.Generator) -> dict[str, object]:
    leaning = np.roll([6.0, 1.0, 1.0], index % 3)
    counts = generator.multinomial(100, generator.dirichlet(leaning)).tolist()
    counter = {letter: count for letter, count in zip(NLI_LETTERS, counts, strict=True) if count}
    return {
        "uid": uid,
        "label_counter": counter,
        "majority_label": max(counter, key=counter.__getitem__),
        "label_dist": [count / 100 for count in counts],
        "label_count": counts,
        "entropy": -sum(count / 100 * math.log2(count / 100) for count in counts if count),
        "example": {
            "uid": uid,
            "premise": f"{uid.partition('-')[0]} scene {index // 2}: a person stands by the road.",
            "hypothesis": f"At scene {index // 2} {NLI_TEXTS[index % 3]}.",
            "source": "generated",
        },
        "old_label": "n",
        "old_labels": ["neutral"] * 5,
    }


@pytest.fixture(scope="session")
def tiny_popquorn_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 e-mails, 3 to 8 ratings each, in mixed order."""
    root = tmp_path_factory.mktemp("popquorn-root")
    path = root / "popquorn" / "dataset" / "politeness_rating" / "raw_data.csv"
    path.parent.mkdir(parents=True)
    generator = np.random.default_rng(2)
    rows = [row for item in range(40) for row in _email_rows(item, generator)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["instance_id", "user_id", "text", "politeness", "source", *DEMOGRAPHICS])
        writer.writerows(rows[index] for index in generator.permutation(len(rows)))
    return root


def _email_rows(item: int, generator: np.random.Generator) -> list[list[str]]:
    words = ("Send it.", "I want it.", "I need the file.", "Could you send it?", "Would you kindly send it? Thank you!")
    text = f'Hello "{item}",\n{words[item % 5]}'
    users = generator.choice(30, generator.integers(3, 9), replace=False)
    ratings = np.clip(item % 5 + 1 + generator.integers(-1, 2, len(users)), 1, 5)
    return [
        [str(item), f"user{user}", text, f"{rating}.0", "generated", *[""] * len(DEMOGRAPHICS)]
        for user, rating in zip(users, ratings, strict=True)
    ]


@pytest.fixture(scope="session")
def tiny_cifar10h_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 images, six a class, with 50 annotations each, from full agreement to strong disagreement."""
    root = tmp_path_factory.mktemp("cifar10h-root")
    (root / "cifar10h" / "data").mkdir(parents=True)
    (root / "cifar10h" / "cifar10-test").mkdir()
    generator = np.random.default_rng(3)
    labels = np.arange(60, dtype=np.uint8) % 10
    agreement = np.linspace(1.0, 0.4, 60)
    dists = agreement[:, None] * np.eye(10)[labels] + (1 - agreement[:, None]) / 10
    np.save(root / "cifar10h" / "data" / "cifar10h-counts.npy", generator.multinomial(50, dists))
    np.save(root / "cifar10h" / "data" / "cifar10-test-labels.npy", labels)
    for index, label in enumerate(labels):
        noise = generator.integers(0, 40, (32, 32, 3)) + 20 * int(label)
        Image.fromarray(noise.astype(np.uint8)).save(root / "cifar10h" / "cifar10-test" / f"{index:05d}.jpg")
    return root


@pytest.fixture(scope="session")
def tiny_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A long CSV (item, text, annotator, label): 45 comments, five annotations each, three classes."""
    path = tmp_path_factory.mktemp("table") / "comments.csv"
    generator = np.random.default_rng(4)
    words = {"calm": "What a quiet day.", "cross": "This is too loud.", "angry": "Stop this at once!"}
    names = list(words)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["item", "text", "annotator", "label"])
        for item in range(45):
            chances = np.roll([0.7, 0.2, 0.1], item % 3)
            for annotator, label in enumerate(generator.choice(3, 5, p=chances)):
                writer.writerow([f"c{item:02d}", f"{words[names[item % 3]]} {item}", f"a{annotator}", names[label]])
    return path
