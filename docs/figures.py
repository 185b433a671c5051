"""The pictures of the concepts, drawn from this package's own functions when the site is built."""

import io
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure

from soft_labels.distributions import kl_divergence, label_distribution, majority_label
from soft_labels.palette import ANNOTATORS, ARMS
from soft_labels.trust.decomposition import decompose
from soft_labels.trust.dirichlet import fit_mixtures
from soft_labels.trust.floor import class_marginal, constant_kl, kl_floor
from soft_labels.trust.inputs import Floats, cross_entropy, entropies, shares
from soft_labels.trust.worth import annotator_curve

GROUNDS = ("light", "dark")
_INK: Mapping[str, str] = {"light": "#333333", "dark": "#dddddd"}
_ITEMS, _CLASSES = 400, ("polite", "neutral", "rude")
_LEANING = (1.2, 0.8, 0.5)  # of the Dirichlet distribution that simulated items are drawn from

Ground = str


class Picture(NamedTuple):
    """One picture: what draws it, and what it shows, in words."""

    draw: Callable[[Figure, Ground], None]
    shows: str


def svg(picture: Picture, ground: Ground) -> str:
    """A picture as SVG on a transparent ground.

    Args:
        picture: A row of :data:`FIGURES`.
        ground: ``light`` or ``dark``: what it will lie on.
    """
    ink, out = _INK[ground], io.StringIO()
    colours = dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), ink)
    bare = dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False)
    settings: Any = {"svg.hashsalt": "soft-labels", "font.size": 11, **bare, **colours}
    with rc_context(settings):
        figure = Figure(figsize=(7.2, 2.9), layout="constrained")
        picture.draw(figure, ground)
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return out.getvalue()


def _annotators(ground: Ground) -> str:
    """The colour of annotators."""
    return str(getattr(ANNOTATORS, ground))


def _arm(place: int, ground: Ground) -> str:
    """The colour of an arm: 0 for hard, 1 for soft, as in the report."""
    return str(getattr(ARMS[place], ground))


def _simulated(annotators: int, items: int = _ITEMS) -> tuple[Floats, Floats]:
    """True distributions of items, and the counts of some annotators."""
    generator = np.random.default_rng(0)
    truth = generator.dirichlet(_LEANING, items)
    return truth, generator.multinomial(annotators, truth).astype(np.float64)


def _guesses(truth: Floats) -> Floats:
    """Logits of a head that knows half of what there is to know of the items."""
    noise = np.random.default_rng(1).normal(0, 1, truth.shape)
    return np.asarray(0.5 * np.log(truth + 1e-3) + 0.5 * noise)


def _softmax(logits: Floats) -> Floats:
    """Probabilities."""
    return np.asarray(torch.from_numpy(logits).softmax(-1).numpy())


def distribution(figure: Figure, ground: Ground) -> None:
    """Label distributions of three items."""
    counts = torch.tensor([[10.0, 0.0, 0.0], [6.0, 4.0, 0.0], [4.0, 3.0, 3.0]])
    for place, row in enumerate(counts):
        axes = figure.add_subplot(1, 3, place + 1)
        axes.bar(_CLASSES, label_distribution(row).tolist(), color=_annotators(ground), width=0.7)
        hard = torch.nn.functional.one_hot(majority_label(row), len(_CLASSES))
        look: Any = {"edgecolor": _arm(0, ground), "linewidth": 1.8, "linestyle": "--"}
        axes.bar(_CLASSES, hard.tolist(), fill=False, width=0.7, **look)
        axes.set(ylim=(0, 1.08), yticks=[0, 0.5, 1] if place == 0 else [], title=_in_words(row.int().tolist()))
    figure.axes[0].set_ylabel("share of annotators")


def _in_words(counts: list[int]) -> str:
    """Counts as a title."""
    return " : ".join(map(str, counts))


def kl(figure: Figure, ground: Ground) -> None:
    """KL of one item, by what a head says."""
    said = torch.linspace(0.01, 0.99, 197, dtype=torch.float64)
    logits = torch.stack([said, 1 - said], -1).log()
    label_dist = torch.tensor([0.6, 0.4], dtype=torch.float64).expand_as(logits)
    axes = figure.add_subplot()
    values = kl_divergence(label_dist, logits)
    axes.plot(said, values, color=_arm(1, ground), linewidth=2)
    for share in (0.6, 0.95):
        at = int((said - share).abs().argmin())
        axes.plot(said[at], values[at], "o", color=_arm(1, ground))
        axes.annotate(f"{share:.0%}: {float(values[at]):.2f}", (said[at], values[at]), (-8, 12),
                      textcoords="offset points", ha="right")  # fmt: skip
    axes.set(xlabel="share that the head gives to polite", ylabel="KL, nats", ylim=(-0.03, 1.5), xlim=(0, 1))


def parts(figure: Figure, ground: Ground) -> None:
    """KL in two parts, by temperature."""
    truth, counts = _simulated(10)
    temperatures = np.geomspace(0.25, 4, 60)
    heads = np.stack([_softmax(_guesses(truth) / each) for each in temperatures])
    split = decompose(counts, heads)
    axes = figure.add_subplot()
    ink = _INK[ground]
    axes.axhline(0, color=ink, linewidth=0.6)
    axes.plot(temperatures, split.kl.mean(-1), color=_arm(1, ground), linewidth=2.4, label="KL")
    axes.plot(
        temperatures, split.overconfidence.mean(-1), color=_arm(0, ground), linestyle="--", label="overconfidence"
    )
    axes.plot(temperatures, split.vagueness.mean(-1), color=_annotators(ground), linestyle=":", label="vagueness")
    axes.set(xscale="log", xticks=[0.25, 0.5, 1, 2, 4], xticklabels=["¼", "½", "1", "2", "4"], xlabel="temperature",
             ylabel="nats", ylim=(-0.5, 1.2))  # fmt: skip
    axes.minorticks_off()
    axes.legend()


def floor(figure: Figure, ground: Ground) -> None:
    """The floor, by the number of annotators."""
    numbers = (2, 3, 5, 8, 12, 20, 35, 60, 100)
    charged, read, constant = [], [], []
    for number in numbers:
        truth, counts = _simulated(number, 1_500)
        label_dist = shares(counts)
        charged.append(float((cross_entropy(label_dist, np.log(truth)) - entropies(label_dist)).mean()))
        read.append(float(kl_floor(counts, fit_mixtures(counts, [1])[0]).mean()))
        constant.append(float(constant_kl(counts, class_marginal(counts)).mean()))
    axes = figure.add_subplot()
    axes.plot(numbers, constant, color=_INK[ground], linestyle="--", label="class marginal")
    axes.plot(numbers, charged, color=_annotators(ground), linewidth=2, label="a perfect model")
    axes.plot(numbers, read, "o", color=_arm(1, ground), label="floor, from counts")
    axes.set(xscale="log", xticks=numbers, xticklabels=map(str, numbers), xlabel="annotators of an item",
             ylabel="KL, nats", ylim=(0, None))  # fmt: skip
    axes.minorticks_off()
    axes.legend()


def worth(figure: Figure, ground: Ground) -> None:
    """What a head is worth in annotators."""
    truth, counts = _simulated(20)
    head = _softmax(_guesses(truth))
    curve = annotator_curve(counts, counts, class_marginal(counts))
    found = curve.worth(head).annotators
    reached = float(cross_entropy(curve.label_dist, np.log(head)).mean())
    axes = figure.add_subplot()
    axes.plot(
        curve.annotators, np.nanmean(curve.cross_entropy, -1), "o-", color=_annotators(ground), label="k annotators"
    )
    axes.axhline(reached, color=_arm(1, ground), linestyle="--", label="the head")
    axes.axvline(found, color=_INK[ground], linewidth=0.8, linestyle=":")
    axes.annotate(f"worth {found:.1f}", (found, reached), (8, 8), textcoords="offset points")
    axes.set(xlabel="annotators k", ylabel="cross-entropy, nats")
    axes.legend()


FIGURES: dict[str, Picture] = {
    "distribution": Picture(
        distribution,
        "Three items of ten annotators each. Bars: the label distribution. Outline: what is left of it when "
        "the majority class is the label; the second and the third item then look like the first.",
    ),
    "kl": Picture(
        kl,
        "KL of an item that six of ten annotators call polite, by the share that a head gives to polite. It "
        "is 0 where the head says 60%, and grows without end towards certainty.",
    ),
    "parts": Picture(
        parts,
        "One head on 400 simulated items, its logits divided by a temperature. KL is the sum of the other "
        "two. Too cold, the head is surer than right; too hot, it says less than it knows. KL is lowest where "
        "overconfidence is about 0.",
    ),
    "floor": Picture(
        floor,
        "KL that is charged to a perfect model, which knows the truth of 1,500 simulated items, by the number "
        "of annotators (line), and the floor that is read off the counts alone (points). Dashed: the best "
        "constant.",
    ),
    "worth": Picture(
        worth,
        "How well k annotators of an item foretell its others (line), on 400 simulated items of 20 "
        "annotators, and how well a head does (dashed). Where both meet is what the head is worth in "
        "annotators.",
    ),
}
