"""A head's card: what a person who gets it must know, in the form that the Hugging Face Hub reads."""

from collections.abc import Iterator, Mapping
from typing import Any

from soft_labels.heads.config import HeadConfig

_TASKS = {"text": "text-classification", "text_pair": "text-classification", "image": "image-classification",
          "vectors": "tabular-classification"}  # fmt: skip
_INPUTS = {
    "text": '["a text", "another"]',
    "text_pair": '[("one text", "the other")]',
    "image": '[Path("photo.jpg")]',
    "vectors": "features",
}
_TABLE = "table.csv"
_ALL = "all numbers"


def card_of(config: HeadConfig, name: str) -> str:
    """The text of ``README.md``.

    Args:
        config: The head.
        name: What it is called.
    """
    return f"---\n{_front_matter(config, name)}\n---\n\n{_body(config, name)}"


def _front_matter(config: HeadConfig, name: str) -> str:
    """What the Hub reads: library, task, tags, and the metrics of the test items."""
    from huggingface_hub import EvalResult, ModelCardData

    task, report = _TASKS[config.reads], config.report
    dataset = str(config.trained_on.get("dataset", "unnamed"))
    metrics = {"kl": "KL divergence, nats", "entropy_corr": "Entropy correlation", "accuracy": "Accuracy"}
    results = [
        EvalResult(task, dataset, dataset, key, report[key], metric_name=words, dataset_split="test")
        for key, words in metrics.items()
        if report.get(key) is not None
    ]
    data = ModelCardData(
        library_name="soft-labels",
        pipeline_tag=task,
        tags=["soft-labels", "annotation-distributions"],
        model_name=name,
        eval_results=results or None,
        ignore_metadata_errors=True,
    )
    return data.to_yaml().strip()


def _body(config: HeadConfig, name: str) -> str:
    """What a person reads."""
    classes = ", ".join(config.class_names) + (", in this order" if config.ordinal else "")
    facts = {
        "Classes": classes,
        "Reads": {"text_pair": "pairs of texts", "text": "texts", "image": "images"}.get(config.reads, config.reads),
        "Encoder": _encoder(config),
        "Trained towards": f"target {config.spec['target']}, loss {config.spec['loss']}, seed {config.spec['seed']}",
        "Calibration": config.calibration,
        "Trained on": _data(config),
        "Versions": ", ".join(f"{package} {number}" for package, number in config.versions.items()),
    }
    notes = "".join(f"- {note}\n" for note in config.report.get("notes") or [])
    return (
        f"# {name}\n\n"
        "A classification head on a frozen encoder that predicts how annotators would answer: a distribution over "
        "classes, not one label.\n\n"
        + "".join(f"- **{what}:** {words}\n" for what, words in facts.items() if words)
        + f"\n## Numbers\n\n{_numbers(config.report)}\n{notes}\n"
        "## Use\n\n"
        "```python\nimport soft_labels\n\n"
        'head = soft_labels.load("FOLDER OR ORGANISATION/NAME")\n'
        f"head.predict({_INPUTS[config.reads]}).to_frame()\n```\n\n"
        f"```\nsoft-labels predict FOLDER {_TABLE} --out predictions.parquet\n```\n"
    )


def _encoder(config: HeadConfig) -> str:
    """The encoder in words."""
    if config.encoder is None:
        return f"none: features of {config.embedding_dim} numbers are given"
    settings = config.encoder["init_args"]
    weights = ", ".join(str(value) for key, value in config.fingerprint.items() if key.split(".")[-1] == "weights")
    named = " ".join(str(part) for part in (config.encoder["class_path"].split(".")[-1], settings.get("model")) if part)
    return f"{named}{f' ({weights})' if weights else ''}, {config.embedding_dim} features"


def _data(config: HeadConfig) -> str:
    """The data set in words."""
    items = config.trained_on.get("items", {})
    counted = ", ".join(f"{count:,} {part}" for part, count in items.items())
    return f"{config.trained_on.get('dataset', 'unnamed')}{f' ({counted} items)' if counted else ''}"


def _numbers(report: Mapping[str, Any]) -> str:
    """The table of numbers on the test items, each with its interval and what it can be read against."""
    if not report:
        return "Not measured."
    seeds = f", {report['annotators']:.1f} annotators each" if report.get("annotators") else ""
    head = f"On {report['items']:,} test items{seeds}. Information in nats; intervals are 95%, over items.\n\n"
    rows = "".join(f"| {' | '.join(row)} |\n" for row in _rows(report))
    return f"{head}| | value | interval | read against |\n| --- | --- | --- | --- |\n{rows}"


def _rows(report: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """A row a number that is known."""
    against = {
        "kl": f"floor {_number(report, 'floor')}, class marginal {_number(report, 'marginal')}",
        "overconfidence": "0 for a head as sure as it is right",
        "vagueness": "0 for a head that knows as much as annotators say",
        "share_of_achievable": "0 at the class marginal, 1 at the floor",
        "entropy_corr": f"ceiling {_number(report, 'ceiling_low')} to {_number(report, 'ceiling_high')}",
        "worth": f"annotators; {report.get('worth_reach') or 'not known'} what could be drawn",
        "accuracy": "share of items whose likeliest class has the highest count",
        "set_share": f"share of answers that sets of {_number(report, 'set_size')} classes hold, "
        f"wanted {_number(report, 'set_level')}",
    }
    for name, words in against.items():
        if report.get(name) is not None:
            low, high = report.get(f"{name}_low"), report.get(f"{name}_high")
            interval = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
            yield name.replace("_", " "), _number(report, name), interval, words


def _number(report: Mapping[str, Any], name: str) -> str:
    """A number, or that it is not known."""
    value = report.get(name)
    return "not known" if value is None else f"{value:.3f}"
