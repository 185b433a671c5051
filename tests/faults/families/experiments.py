"""Files of experiments, arms and jobs, and the address of a service that is wrong, down or ill."""

from typing import Any

import yaml

from tests.fake_openai import Answer
from tests.faults.case import Case
from tests.faults.damage import Damage, of_file, writing

REPRODUCE = ("reproduce", "--config", "experiment.yaml", "--config", "extra.yaml", "--out", "new")
COMPARE = ("compare", "--config", "data.yaml", "--seeds=1", "--config", "arms.yaml")


def _dumped(name: str, content: object) -> Damage:
    return writing(name, yaml.safe_dump(content))


EXPERIMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "one seed": ({"seeds": 1}, "at least 2 seeds"),
    "seeds below zero": ({"seeds": -2}, "at least 2 seeds"),
    "seeds that are a word": ({"seeds": "many"}, "seeds"),
    "no data sets": ({"datasets": []}, "at least one data set"),
    "a data set of no files": ({"datasets": [[]]}, "data"),
    "a data set that is not there": ({"datasets": [["none.yaml"]]}, "none.yaml"),
    "a data set twice": ({"datasets": [["data.yaml"], ["data.yaml"]]}, "table|twice|two"),
    "a data set of another kind": ({"datasets": [["jobs.yaml"]]}, "jobs"),
    "no sweeps": ({"sweeps": {}}, "one sweep"),
    "a sweep that is not there": ({"sweeps": {"grid": "none.yaml"}}, "none.yaml"),
    "a sweep of another kind": ({"sweeps": {"grid": "data.yaml"}}, "data.yaml|space|data"),
    "a sweep whose name walks up": ({"sweeps": {"../../x": "grid.yaml"}}, "name|x"),
    "a name that walks up": ({"name": "../up"}, "name"),
    "an unknown key": ({"magic": 1}, "magic"),
    "no arms": ({"arms": {}}, "at least one arm"),
    "a baseline that is none": ({"baseline": "medium"}, "baseline of"),
}  # fmt: skip
ARMS: dict[str, tuple[Any, str]] = {
    "no arms": ({"arms": {}, "baseline": "hard"}, "at least one arm"),
    "one arm": ({"arms": {"hard": {"model.target": "hard"}}, "baseline": "soft"}, "baseline"),
    "arms that are a list": ({"arms": ["soft", "hard"], "baseline": "hard"}, "arms"),
    "an arm that is a word": ({"arms": {"soft": "soft", "hard": {}}, "baseline": "hard"}, "arm"),
    "an arm of another": ({"arms": {"a": {"from": "z", "calibration": "none"}, "hard": {}}, "baseline": "hard"}, "z"),
    "an arm of itself": ({"arms": {"a": {"from": "a", "calibration": "temperature"}}, "baseline": "a"}, "a"),
    "a calibration that is none": (
        {"arms": {"hard": {}, "a": {"from": "hard", "calibration": "magic"}}, "baseline": "hard"}, "magic",
    ),
    "a derived arm that trains": (
        {"arms": {"hard": {}, "a": {"from": "hard", "model.lr": 1}}, "baseline": "hard"}, "a",
    ),
    "a key that is none": ({"arms": {"hard": {"model.magic": 1}}, "baseline": "hard"}, "model.magic"),
    "a key of the trainer": ({"arms": {"hard": {"trainer.devices": 7}}, "baseline": "hard"}, "trainer.devices|device"),
    "a value that is none": ({"arms": {"hard": {"model.lr": "fast"}}, "baseline": "hard"}, "lr"),
    "a value out of range": ({"arms": {"hard": {"model.dropout": 2}}, "baseline": "hard"}, "dropout"),
    "a value of nothing": ({"arms": {"hard": {"model.lr": None}}, "baseline": "hard"}, "lr"),
    "a name that walks up": ({"arms": {"../x": {"model.target": "hard"}}, "baseline": "../x"}, "name|x"),
    "a name with a line break": ({"arms": {"a\nb": {"model.target": "hard"}}, "baseline": "a\nb"}, "name|a"),
    "an empty name": ({"arms": {"": {"model.target": "hard"}}, "baseline": ""}, "name|arm"),
    "a space": ({"arms": {"a": {"space": {"model.lr": {"categorical": [1]}}}}, "baseline": "a"}, "searches nothing"),
    "a loss of ranks without order": ({"arms": {"hard": {"model.loss": "rps"}}, "baseline": "hard"}, "ordinal"),
    "a file of a number": (17, "Unexpected config: 17"),
}  # fmt: skip
JOBS: dict[str, tuple[Any, str]] = {
    "no jobs": ({"jobs": []}, "at least one job"),
    "a job without a command": ({"jobs": [{"name": "a"}]}, "command"),
    "a job after nothing": ({"jobs": [{"name": "a", "after": "z", "command": "ls"}]}, "z"),
    "jobs in a circle": (
        {"jobs": [{"name": n, "after": o, "command": "ls"} for n, o in ("ab", "ba")]}, "wait for each other",
    ),
    "a name with a line break": ({"jobs": [{"name": "a\nb", "command": "ls"}]}, "name"),
    "no workers": ({"jobs": [{"name": "a", "command": "ls", "workers": 0}]}, "at least 1 worker"),
    "a partition with a line break": (
        {"resources": {"partition": "gpu\ntouch made"}, "jobs": [{"name": "a", "command": "ls"}]}, "one line",
    ),
    "a memory with a line break": (
        {"resources": {"memory": "1G\n#SBATCH --x"}, "jobs": [{"name": "a", "command": "ls"}]}, "one line",
    ),
    "a time with a line break": (
        {"resources": {"time": "1:00\rtouch made"}, "jobs": [{"name": "a", "command": "ls"}]}, "one line",
    ),
    "an account with a line break": (
        {"resources": {"account": "a\u2028touch made"}, "jobs": [{"name": "a", "command": "ls"}]}, "one line",
    ),
    "a folder with a line break": ({"folder": "x\ntouch made", "jobs": [{"name": "a", "command": "ls"}]}, "one line"),
    "an option with a line break": (
        {"resources": {"extra": ["--x\ntouch made"]}, "jobs": [{"name": "a", "command": "ls"}]}, "one line",
    ),
    "a password": (
        {"jobs": [{"name": "a", "command": "soft-labels sweep --storage postgresql://u:hunter2@h/s"}]}, "password",
    ),
    "GPUs below zero": ({"resources": {"gpus": -1}, "jobs": [{"name": "a", "command": "ls"}]}, "gpus"),
    "CPUs of zero": ({"resources": {"cpus": 0}, "jobs": [{"name": "a", "command": "ls"}]}, "cpus"),
    "nodes of zero": ({"resources": {"nodes": 0}, "jobs": [{"name": "a", "command": "ls"}]}, "nodes"),
    "an unknown key": ({"magic": 1, "jobs": [{"name": "a", "command": "ls"}]}, "magic"),
}  # fmt: skip


def _experiments() -> list[Case]:
    """Experiments that cannot be."""
    kind = "experiments and arms"
    cases = [
        Case(kind, f"experiment: {name}", REPRODUCE, says, _dumped("extra.yaml", {"experiment": change}))
        for name, (change, says) in EXPERIMENTS.items()
    ]
    cases += [
        Case(kind, f"arms: {name}", COMPARE, says, _dumped("arms.yaml", content))
        for name, (content, says) in ARMS.items()
    ]
    latin = of_file("data.yaml", lambda path: path.write_bytes(path.read_bytes() + "# für\n".encode("latin-1")))
    plain = ("reproduce", "--config", "experiment.yaml", "--out", "new")
    return [
        *cases,
        Case(kind, "a data set's file that is no UTF-8", plain, "data.yaml: wanted UTF-8", latin),
        Case(kind, "a sweep's file that is no UTF-8", plain, "grid.yaml: wanted UTF-8",
             of_file("grid.yaml", lambda path: path.write_bytes(b"\xff\xfe" + path.read_bytes()))),
        Case(kind, "arms that are no UTF-8", COMPARE, "arms.yaml: wanted UTF-8", writing("arms.yaml", b"arms: \xff")),
        Case(kind, "arms that are not there", COMPARE, "arms.yaml"),
        Case(kind, "an option without an equals sign", (*plain, "--data.split_seed", "3"), "equals sign"),
    ]  # fmt: skip


def _jobs() -> list[Case]:
    """Jobs for a cluster that would be no scripts."""
    command = ("cluster", "slurm", "--config", "other.yaml")
    return [
        Case("jobs of a cluster", name, command, says, _dumped("other.yaml", content))
        for name, (content, says) in JOBS.items()
    ]


ENCODER = "soft_labels.encoders.OpenAIEncoder"
EMBED = ("embed", "--config", "plain.yaml", f"--data.encoder={ENCODER}", "--data.encoder.model=m")
ADDRESSES: dict[str, tuple[tuple[str, ...], str]] = {
    "nobody answers": (("--data.encoder.base_url=http://127.0.0.1:1/v1",), "127.0.0.1"),
    "no such protocol": (("--data.encoder.base_url=ftp://127.0.0.1/v1",), "base_url"),
    "an address of no host": (("--data.encoder.base_url=http:///v1",), "base_url"),
    "a word for an address": (("--data.encoder.base_url=here",), "base_url"),
    "a password in the address": (("--data.encoder.base_url=http://a:hunter2@127.0.0.1/v1",), "user or password"),
    "a key that is nowhere": (
        ("--data.encoder.base_url=http://127.0.0.1:1/v1", "--data.encoder.api_key_env=NOWHERE"), "NOWHERE",
    ),
    "no requests at a time": (
        ("--data.encoder.base_url=http://127.0.0.1:1/v1", "--data.encoder.concurrency=0"), "concurrency",
    ),
    "a cost below zero": (("--data.encoder.base_url=http://127.0.0.1:1/v1", "--data.encoder.max_cost=-1"), "max_cost"),
    "no dimensions": (("--data.encoder.base_url=http://127.0.0.1:1/v1", "--data.encoder.dimensions=0"), "dimensions"),
}  # fmt: skip


def _rows(**changes: Any) -> Answer:
    """An answer in which the last embedding is another."""

    def answer(request: dict[str, Any]) -> tuple[int, object]:
        rows = [{"object": "embedding", "index": n, "embedding": [0.5, 1.0]} for n in range(len(request["input"]))]
        rows[-1].update(changes)
        return 200, {"object": "list", "model": "m", "data": rows, "usage": {"prompt_tokens": 1, "total_tokens": 1}}

    return answer


def _always(status: int, body: object) -> Answer:
    return lambda request: (status, body)


ANSWERS: dict[str, tuple[Answer, str]] = {
    "no JSON": (_always(200, b"<html>hello"), "JSON|answer"),
    "JSON of another form": (_always(200, {"hello": 1}), "answer|data"),
    "a list": (_always(200, [1]), "answer|data"),
    "nothing": (_always(200, b""), "answer|JSON"),
    "no embeddings": (_always(200, {"object": "list", "model": "m", "data": []}), "embedding"),
    "an embedding of no number": (_rows(embedding=[float("nan"), 1.0]), "finite|JSON"),
    "an embedding of words": (_rows(embedding=["a", "b"]), "answer|numbers|embedding"),
    "embeddings of two widths": (_rows(embedding=[1.0]), "width|length|numbers|dimension"),
    "an index twice": (_rows(index=0), "index|answer|embedding"),
    "an index beyond": (_rows(index=10**6), "index|answer|embedding"),
    "an empty embedding": (_rows(embedding=[]), "numbers|empty|width|embedding"),
    "an embedding of nothing": (_rows(embedding=None), "embedding|answer"),
    "base64 of half a number": (_rows(embedding="AAA="), "embedding|answer|base64"),
    "401": (_always(401, {"error": {"message": "no"}}), "401|key"),
    "404": (_always(404, {"error": {"message": "no such model"}}), "404|model"),
    "400": (_always(400, {"error": {"message": "too long"}}), "too long|400"),
    "500": (_always(500, {"error": {"message": "oops"}}), "500|oops"),
    "nested deeply": (_always(200, b'{"data": ' + b"[" * 10**5 + b"]" * 10**5 + b"}"), "answer|JSON|nest"),
}  # fmt: skip


def _hosted() -> list[Case]:
    """A service on loopback that is not there or answers wrongly."""
    kind = "hosted encoder"
    quick = ("--data.encoder.max_retries=0",)
    cases = [Case(kind, name, (*EMBED, *quick, *options), says) for name, (options, says) in ADDRESSES.items()]
    cases += [
        Case(kind, f"answers {name}", (*EMBED, *quick, "--data.encoder.base_url={service}"), says, answer=answer)
        for name, (answer, says) in ANSWERS.items()
    ]
    return cases


def cases() -> list[Case]:
    """All kinds."""
    return [*_experiments(), *_jobs(), *_hosted()]
