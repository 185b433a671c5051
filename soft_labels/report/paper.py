"""The paper's own numbers, to stand beside ours.

Source: Singh, Tiwari, Hasanbeig and Gupta, "Soft-Label Training Preserves Epistemic Uncertainty", arXiv:2511.14117.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from soft_labels.training.spec import Scheduler

CITATION = 'Singh et al., "Soft-Label Training Preserves Epistemic Uncertainty", arXiv:2511.14117'


@dataclass(frozen=True)
class PaperArm:
    """One arm on one data set in the paper, over 10 seeds.

    Args:
        accuracy: Mean and standard deviation, percent (Table 3).
        kl: Mean and standard deviation, nats (Table 3).
        entropy_corr: Mean (Table 4).
        best: Learning rate, batch size, epochs, weight decay and scheduler (Table 2).
    """

    accuracy: tuple[float, float]
    kl: tuple[float, float]
    entropy_corr: float
    best: tuple[float, int, int, float, Scheduler]

    def mean(self, metric: str) -> float | None:
        """The mean of ``kl`` or ``entropy_corr``; ``None`` of a metric that its Table 4 does not have."""
        return {"kl": self.kl[0], "entropy_corr": self.entropy_corr}.get(metric)


@dataclass(frozen=True)
class PaperSet:
    """One data set in the paper.

    Args:
        encoder: Name of the encoder's model.
        items: Number of items (Table 1).
        annotations_per_item: (Table 1).
        entropy: Mean and standard deviation of the normalized entropy (Table 1).
        accuracy_p: p-value of the paired t-test (Table 3).
        kl_p: p-value of the paired t-test (Table 3).
        arms: By name, ``hard`` and ``soft``.
    """

    encoder: str
    items: int
    annotations_per_item: float
    entropy: tuple[float, float]
    accuracy_p: float
    kl_p: float
    arms: Mapping[str, PaperArm]


# By the names that this package gives these data sets.
PAPER = {
    "chaosnli": PaperSet(
        encoder="text-embedding-3-large", items=3113, annotations_per_item=100, entropy=(0.59, 0.20),
        accuracy_p=9.1e-4, kl_p=4.7e-7,
        arms={
            "hard": PaperArm((51.75, 1.25), (0.367, 0.011), 0.130, (1e-4, 16, 15, 1e-4, "plateau")),
            "soft": PaperArm((55.30, 2.05), (0.319, 0.012), 0.284, (1e-3, 32, 20, 1e-4, "plateau")),
        },
    ),
    "popquorn": PaperSet(
        encoder="text-embedding-3-large", items=3700, annotations_per_item=6.7, entropy=(0.62, 0.18),
        accuracy_p=0.948, kl_p=6.4e-9,
        arms={
            "hard": PaperArm((52.00, 1.25), (0.430, 0.014), 0.232, (1e-4, 32, 10, 0, "plateau")),
            "soft": PaperArm((51.98, 1.46), (0.361, 0.007), 0.286, (1e-5, 8, 20, 0, "none")),
        },
    ),
    "cifar10h-hard": PaperSet(
        encoder="vit_small_patch14_dinov2", items=1103, annotations_per_item=50, entropy=(0.24, 0.16),
        accuracy_p=0.553, kl_p=1.6e-5,
        arms={
            "hard": PaperArm((78.51, 2.47), (0.596, 0.073), 0.353, (1e-3, 16, 10, 1e-4, "none")),
            "soft": PaperArm((78.14, 2.52), (0.406, 0.021), 0.493, (1e-4, 16, 15, 1e-4, "plateau")),
        },
    ),
}  # fmt: skip

DISAGREEMENTS = """\
The paper's text gives "32% lower KL" as the average. Its Table 4 gives 13.1% (ChaosNLI), 16.0% (POPQUORN) and 31.9% \
(CIFAR-10H-Hard), 20.3% on average; 32% is CIFAR-10H-Hard alone.
Its "61% stronger entropy correlation" agrees with its Table 4: +118.5%, +23.3% and +39.7%, 60.5% on average. Table 4 \
prints +24% for POPQUORN.
It counts 3,700 items of POPQUORN with a mean entropy of 0.62; the released files hold 3,718 with 0.60.
In its Table 2 the two rows of POPQUORN are run together; the reading given here is the one that fits.
It says neither how ties for the majority class are broken nor how large the parts of the split are.
""".splitlines()


def paper_arm(dataset: str, arm: str | None) -> PaperArm | None:
    """The paper's numbers of an arm; ``None`` where the data set or the arm is not the paper's.

    Args:
        dataset: The data set's name.
        arm: The paper's arm, of :attr:`~soft_labels.training.spec.HeadSpec.plain_target`.
    """
    return PAPER[dataset].arms.get(arm) if dataset in PAPER and arm is not None else None


def paper_pair(dataset: str, arm: str | None, base: str | None) -> tuple[PaperArm, PaperArm] | None:
    """The paper's numbers of an arm and of its baseline; ``None`` where it does not compare them.

    Args:
        dataset: The data set's name.
        arm: The paper's arm that an arm is.
        base: The one that its baseline is.
    """
    pair = paper_arm(dataset, arm), paper_arm(dataset, base)
    return None if arm == base or pair[0] is None or pair[1] is None else (pair[0], pair[1])
