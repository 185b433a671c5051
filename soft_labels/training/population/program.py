"""One program: a few heads that share their mini-batch size, from the first epoch until the last of them ends."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from typing import NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soft_labels.data.batches import Batch, BatchLoader, Observed, epoch_seed
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.data.split import SPLIT_NAMES, SplitName
from soft_labels.metrics import Judged
from soft_labels.metrics.inputs import STATE_DTYPE
from soft_labels.metrics.table import core_values
from soft_labels.training.heads import MLPHead, draw_mask
from soft_labels.training.objectives import Aim, Objective, item_losses
from soft_labels.training.population.aims import Aims
from soft_labels.training.population.rules import TrainingRules
from soft_labels.training.population.stacked import StackedHeads, side_by_side, with_ones
from soft_labels.training.spec import Ending, RunResult, RunSpec

Curve = dict[str, NDArray[np.float64]]
_Stream = tuple[int, int]  # some data and a seed


class PopulationData:
    """A data set as a program reads it: standardised features as stacked heads take them, and what was observed.

    Args:
        data: The data.
        standardize: Whether to standardise features by the training split's statistics.
        device: Where programs run.
    """

    def __init__(self, data: EmbeddedDataset, standardize: bool, device: torch.device) -> None:
        self.num_classes = data.num_classes
        self.width = data.embedding_dim
        self.device = device
        self.observed = data.dataset.observed
        self._features = data.features
        zeros = (torch.zeros(self.width), torch.ones(self.width))
        self.statistics = data.feature_statistics if standardize else zeros
        self.majority_label = self.observed.majority_label.to(device)
        self.rows: dict[SplitName, Tensor] = {part: data.dataset.rows(part) for part in SPLIT_NAMES}
        # An accelerator keeps what it needs; on a CPU a block at a time costs a hundredth of a step, and no copy.
        kept = self._features.in_memory and device.type != "cpu"
        self._prepared = self._prepare(torch.arange(len(self._features))) if kept else None

    def _prepare(self, rows: Tensor) -> Tensor:
        """Features of some rows, standardised, with ones, on the device, ``[n, D']``."""
        mean, scale = self.statistics
        return with_ones((self._features[rows] - mean) / scale).to(self.device)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Prepared features of some rows, ``[n, D']``."""
        return self._prepare(rows) if self._prepared is None else self._prepared[rows]

    def loader(self, batch_size: int, seed: int, dists: Tensor) -> BatchLoader:
        """The training split's mini-batches.

        Args:
            batch_size: Items a mini-batch, B.
            seed: Of their order.
            dists: ``[N, K, C]`` what a batch has as its ``label_dist``: one distribution for each aim.
        """
        nothing = dists.new_empty(len(dists), 0)
        return BatchLoader(self, Observed(nothing, dists, self.majority_label), self.rows["train"], batch_size, seed)

    def blocks(self, split: SplitName, most_rows: int) -> Iterator[Tensor]:
        """Prepared features of a split in order, at most so many rows at a time."""
        return (self[rows] for rows in torch.split(self.rows[split], most_rows))


@dataclass
class Member:
    """One head of a program and the runs that it stands for.

    Args:
        spec: What decides its weights' path: of the scheduler only the learning rate counts.
        lr: Its learning rate in the coming epoch.
        runs: Positions of its runs.
        part: Which of the program's data it is trained on.
    """

    spec: RunSpec
    lr: float
    runs: list[int]
    part: int = 0


@dataclass
class _Run:
    """What is kept of one run."""

    curve: dict[str, list[float]] = field(default_factory=dict)
    ending: Ending | None = None
    best: tuple[Tensor, Tensor] | None = None


class Program:
    """Trains members side by side; each run ends by its own rule, and a member when its last run has.

    Args:
        parts: The data, of the same shapes: one set, or some that differ in their split or annotations.
        specs: The runs, S.
        members: Heads to begin with; each run belongs to one.
        monitor_test: Whether curves have the test split.
        keep_heads: Whether to keep the best epoch's weights.
        after_epoch: Called with a run's position, epoch and validation loss; a true answer ends the run.
        stop: When it is set, training is given up before the next epoch.
    """

    def __init__(
        self,
        parts: Sequence[PopulationData],
        specs: Sequence[RunSpec],
        members: Sequence[Member],
        *,
        monitor_test: bool,
        keep_heads: bool,
        after_epoch: Callable[[int, int, float], bool] | None,
        stop: Event,
    ) -> None:
        self._parts = parts
        self._device = parts[0].device
        self._specs = specs
        self._keep_heads = keep_heads
        self._after_epoch = after_epoch
        self._stop = stop
        self._splits: tuple[SplitName, ...] = ("val", "test") if monitor_test else ("val",)
        self._rules = TrainingRules(specs)
        self._loss = Objective(specs[0]).loss  # programs are made of runs with one loss
        self._aims = [Aims(specs, part.observed, part.device) for part in parts]
        self._part_of = {run: member.part for member in members for run in member.runs}
        self._runs = [_Run() for _ in specs]
        self._members = sorted(members, key=_rates)
        self.member_steps = 0

    def train(self) -> list[RunResult]:
        """Train until every run has ended.

        Returns:
            A result for each run, in the order of ``specs``; none if training was given up.
        """
        first = self._members[0].spec
        seeds = sorted({member.spec.seed for member in self._members})
        fresh = {
            seed: MLPHead(self._parts[0].width, self._parts[0].num_classes, first.hidden_width, first.dropout, seed)
            for seed in seeds
        }
        heads = [fresh[member.spec.seed] for member in self._members]
        self._heads = StackedHeads.from_heads(heads, [_rates(member) for member in self._members], self._device)
        self._loaders: dict[_Stream, BatchLoader] = {}
        epoch = 0
        while self._members:
            if self._stop.is_set():
                return []
            curves = self._train_epoch(epoch)
            for split in self._splits:
                curves.update(self._evaluate(split))
            self._finish_epoch(epoch, curves)
            epoch += 1
        return [self._result(position) for position in range(len(self._specs))]

    def _train_epoch(self, epoch: int) -> Curve:
        """One pass over the training split; its metrics are those of the pass itself."""
        members = self._members
        streams = sorted({_stream(member) for member in members})
        loaders = [self._loader(stream, epoch) for stream in streams]
        of_stream = torch.tensor([streams.index(_stream(member)) for member in members], device=self._device)
        kind = self._kinds()
        masks = _Masks(members, epoch, self._device)
        logits, passed = [], []
        for batches in zip(*loaders, strict=True):
            seen = _Seen.of(batches, [self._aims[part].weights for part, _ in streams])
            features = side_by_side([batch.features for batch in batches])
            features = features.expand(len(members), -1, -1) if len(streams) == 1 else features[of_stream]
            mask = masks.draw(features.shape[1])
            logits.append(self._heads.step(features, mask, self._loss, seen.aim(of_stream, kind)))
            passed.append(seen)
        self.member_steps += len(members) * len(logits)
        return self._metrics("train", torch.cat(logits, 1), _Seen.joined(passed).of_members(of_stream), kind)

    def _kinds(self) -> Tensor:
        """Which aim each member has, ``[P]``; aims are in the same order for all data."""
        return self._aims[0].of(member.spec for member in self._members)

    def _loader(self, stream: "_Stream", epoch: int) -> BatchLoader:
        """The mini-batches of some data and a seed in this epoch."""
        part, seed = stream
        if stream not in self._loaders or self._aims[part].each_epoch:
            first, dists = self._members[0].spec, self._aims[part].training(seed, epoch)
            self._loaders[stream] = self._parts[part].loader(first.batch_size, seed, dists)
        self._loaders[stream].set_epoch(epoch)
        return self._loaders[stream]

    def _evaluate(self, split: SplitName) -> Curve:
        """Metrics of a split after the epoch."""
        parts = sorted({member.part for member in self._members})
        of_part = torch.tensor([parts.index(member.part) for member in self._members], device=self._device)
        most = self._heads.most_rows
        logits = []
        for blocks in zip(*(self._parts[part].blocks(split, most) for part in parts), strict=True):
            features = side_by_side(blocks)
            features = features.expand(len(of_part), -1, -1) if len(parts) == 1 else features[of_part]
            logits.append(self._heads.logits(features))
        seen = _Seen.side_by_side([_Seen.whole(self._parts[part], self._aims[part], split) for part in parts])
        seen = seen if len(parts) == 1 else seen.of_members(of_part)
        return self._metrics(split, torch.cat(logits, dim=1), seen, self._kinds())

    def _metrics(self, split: SplitName, logits: Tensor, seen: "_Seen", kind: Tensor) -> Curve:
        """Loss and metrics of each member, each ``[P]``.

        Args:
            split: Stands before every key.
            logits: ``[P, N, C]``.
            seen: What each member saw of the items, or, with a first dimension of 1, what all of them saw.
            kind: ``[P]`` the aim that each member learns.
        """
        own = seen.aim(torch.arange(len(kind), device=kind.device) if len(seen.dists) > 1 else kind * 0, kind)
        values = {
            "loss": item_losses(self._loss, own, logits).mean(-1, dtype=STATE_DTYPE),
            **core_values(Judged(logits, seen.dists[:, :, Aims.OBSERVED], seen.majority_label)),
        }
        # Lightning keeps what is logged in float32, and rules compare what is logged.
        return {f"{split}/{name}": value.float().cpu().double().numpy() for name, value in values.items()}

    def _finish_epoch(self, epoch: int, curves: Curve) -> None:
        """Write down the epoch, apply the rules, and go on with the members that still have runs."""
        member_of = {run: place for place, member in enumerate(self._members) for run in member.runs}
        curves["lr"] = np.array([member.lr for member in self._members])
        losses = np.full(len(self._specs), np.nan, dtype=np.float32)
        for run, place in member_of.items():
            losses[run] = curves["val/loss"][place]
            for name, values in curves.items():
                self._runs[run].curve.setdefault(name, []).append(float(values[place]))
        best = self._rules.step(epoch, losses)
        if self._keep_heads:
            self._keep_best(best, epoch, member_of)
        for run in member_of:
            self._runs[run].ending = self._ending(run, epoch, float(losses[run]))
        self._go_on()

    def _keep_best(self, best: NDArray[np.bool_], epoch: int, member_of: dict[int, int]) -> None:
        """Keep the weights of runs whose best epoch this is; runs of one member share a copy."""
        copies: dict[int, tuple[Tensor, Tensor]] = {}
        for run, place in member_of.items():
            if best[run] or epoch == 0:
                if place not in copies:
                    copies[place] = self._heads.state(place)
                self._runs[run].best = copies[place]

    def _ending(self, run: int, epoch: int, loss: float) -> Ending | None:
        """Why a run ends after this epoch, if it does."""
        if self._after_epoch is not None and self._after_epoch(run, epoch, loss):
            return "pruned"
        if epoch + 1 == self._specs[run].max_epochs:
            return "max_epochs"
        return "early_stopping" if self._rules.stopped[run] else None

    def _go_on(self) -> None:
        """Drop what has ended; a member whose runs now differ in their learning rate becomes several."""
        following: list[tuple[int, Member]] = []
        for place, member in enumerate(self._members):
            by_rate: dict[float, list[int]] = {}
            for run in member.runs:
                if self._runs[run].ending is None:
                    by_rate.setdefault(float(self._rules.lr[run]), []).append(run)
            following += [(place, replace(member, lr=lr, runs=runs)) for lr, runs in by_rate.items()]
        following.sort(key=lambda one: _rates(one[1]))
        self._members = [member for _, member in following]
        if self._members:
            self._heads.take([place for place, _ in following], [_rates(member) for member in self._members])

    def _result(self, position: int) -> RunResult:
        """What a run gave."""
        run = self._runs[position]
        state = None if run.best is None else self._state(self._parts[self._part_of[position]], *run.best)
        best_epoch = int(self._rules.best_epoch[position])
        return RunResult(self._specs[position], run.curve, best_epoch, cast("Ending", run.ending), state)

    @staticmethod
    def _state(data: PopulationData, hidden: Tensor, output: Tensor) -> dict[str, Tensor]:
        """The ``state_dict`` of the one head with these weights."""
        mean, scale = data.statistics
        return {
            "feature_mean": mean, "feature_scale": scale,
            "hidden.weight": hidden[:, :-1].contiguous(), "hidden.bias": hidden[:, -1].contiguous(),
            "output.weight": output[:, :-1].contiguous(), "output.bias": output[:, -1].contiguous(),
        }  # fmt: skip


class _Masks:
    """The epoch's dropout draws: one stream for each seed and share of dropped units, as the one-head module has it."""

    def __init__(self, members: Sequence[Member], epoch: int, device: torch.device) -> None:
        self._width = members[0].spec.hidden_width
        wanted = [(member.spec.seed, member.spec.dropout) for member in members]
        self._streams = sorted(set(wanted))
        self._of_member = torch.tensor([self._streams.index(one) for one in wanted], device=device)
        self._generators = [
            torch.Generator(device).manual_seed(epoch_seed(seed, epoch, "dropout")) for seed, _ in self._streams
        ]

    def draw(self, rows: int) -> Tensor | None:
        """The next mini-batch's factors, ``[P or 1, rows, W]``; ``None`` where nobody drops anything."""
        if all(dropout == 0 for _, dropout in self._streams):
            return None
        drawn = side_by_side(
            [
                draw_mask(rows, self._width, dropout, generator)
                if dropout
                else torch.ones(rows, self._width, device=generator.device)
                for (_, dropout), generator in zip(self._streams, self._generators, strict=True)
            ]
        )
        return drawn if len(self._streams) == 1 else drawn[self._of_member]


class _Seen(NamedTuple):
    """What is known of some items: ``dists`` ``[S, B, K, C]`` for each aim, ``majority_label`` ``[S, B]``, ``weights``.

    The first dimension is one of streams of mini-batches, or of members; ``weights`` is ``[S, B, K]``, or ``None``.
    """

    dists: Tensor
    majority_label: Tensor
    weights: Tensor | None

    @classmethod
    def of(cls, batches: Sequence[Batch], weights: Sequence[Tensor | None]) -> "_Seen":
        """One mini-batch of each stream, and the weights ``[N, K]`` of all items of its data."""
        return cls.side_by_side([
            cls(batch.label_dist, batch.majority_label, None if own is None else own[batch.rows])
            for batch, own in zip(batches, weights, strict=True)
        ])  # fmt: skip

    @classmethod
    def whole(cls, data: PopulationData, aims: Aims, split: SplitName) -> "_Seen":
        """A split, as losses of validation and test are counted, without a first dimension."""
        rows = data.rows[split].to(data.device)
        weights = None if aims.weights is None else aims.weights[rows]
        return cls(aims.judging[rows], data.majority_label[rows], weights)

    @classmethod
    def side_by_side(cls, many: Sequence["_Seen"]) -> "_Seen":
        """What is known of each, given without a first dimension."""
        dists, labels, weights = zip(*many, strict=True)
        return cls(side_by_side(dists), side_by_side(labels), None if weights[0] is None else side_by_side(weights))

    @classmethod
    def joined(cls, many: Sequence["_Seen"]) -> "_Seen":
        """Mini-batches one after another."""
        dists, labels, weights = zip(*many, strict=True)
        return cls(torch.cat(dists, 1), torch.cat(labels, 1), None if weights[0] is None else torch.cat(weights, 1))

    def of_members(self, of_stream: Tensor) -> "_Seen":
        """What each member saw, ``of_stream`` ``[P]`` being its stream."""
        return _Seen(*(None if part is None else part[of_stream] for part in self))  # type: ignore[arg-type]

    def aim(self, place: Tensor, kind: Tensor) -> Aim:
        """Each member's own aim: ``place`` ``[P]`` in the first dimension, ``kind`` ``[P]`` among the aims."""
        return Aim(self.dists[place, :, kind], None if self.weights is None else self.weights[place, :, kind])


def _stream(member: Member) -> _Stream:
    """What decides a member's mini-batches: its data and its seed."""
    return member.part, member.spec.seed


def _rates(member: Member) -> tuple[float, float]:
    """Learning rate and weight decay, by which members are ordered so that equals are neighbours."""
    return member.lr, member.spec.weight_decay
