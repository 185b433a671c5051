"""The head as a scikit-learn classifier: features in, shares of annotators or plain labels as targets."""

from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, column_or_1d, validate_data

from soft_labels.annotations.base import AnnotatedData
from soft_labels.data.dataset import Dataset
from soft_labels.data.embedded import EmbeddedDataset
from soft_labels.data.split import Split
from soft_labels.distributions import soft_cross_entropy
from soft_labels.embeddings import TensorFeatures
from soft_labels.errors import SoftLabelsError
from soft_labels.heads.config import HeadConfig
from soft_labels.heads.head import TrainedHead, of_encoder, versions
from soft_labels.heads.train import fit_network
from soft_labels.training.spec import RunSpec

_HIGHEST_SEED = 2**31 - 1


class SoftLabelClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A head on features, trained by the same code as ``soft-labels fit``.

    A part of the items is held out of training: it ends training early and chooses the best epoch.

    Args:
        target: See :class:`~soft_labels.training.spec.RunSpec`, as for all up to ``min_delta``.
        loss: How far it is from the target.
        hidden_width: Width of the hidden layer.
        dropout: Share of hidden units that training drops.
        lr: Adam's learning rate.
        weight_decay: Adam's L2 term.
        scheduler: ``plateau`` cuts the learning rate when the validation loss stagnates.
        plateau_factor: What a cut multiplies the learning rate by.
        plateau_patience: Epochs without improvement before a cut.
        standardize: Standardise features by the training items' mean and deviation.
        smoothing: Share of each label that target smoothed spreads evenly.
        shrinkage: Annotations that target shrunk adds to each item.
        batch_size: Items a training step.
        max_epochs: Most passes over the training items.
        patience: Epochs without improvement before training stops.
        min_delta: Least decrease of the validation loss that counts as one.
        validation_fraction: Share of the items that is held out of training.
        calibration: A row of ``soft_labels.training.calibration.CALIBRATIONS``, fitted on the held-out items.
        ordinal: Whether the classes are ordered.
        classes: ``[C]`` names of the columns of targets ``[N, C]``; by default 0 to C - 1.
        random_state: Seed of the held-out part, initial weights, order and dropout.

    Attributes:
        classes_: ``[C]``.
        head_: The :class:`~soft_labels.heads.head.TrainedHead`, which can be saved.
        n_features_in_: Width of the features.

    Example:
        >>> X = np.random.default_rng(0).standard_normal((60, 4))
        >>> shares = np.where(X[:, :1] > 0, [[0.8, 0.2]], [[0.3, 0.7]])
        >>> SoftLabelClassifier(max_epochs=2, random_state=0).fit(X, shares).predict_proba(X).shape
        (60, 2)
    """

    def __init__(
        self,
        target: str = "soft",
        loss: str = "cross_entropy",
        hidden_width: int = 256,
        dropout: float = 0.5,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        scheduler: Literal["none", "plateau"] = "none",
        plateau_factor: float = 0.5,
        plateau_patience: int = 2,
        standardize: bool = True,
        smoothing: float = 0.0,
        shrinkage: float = 0.0,
        batch_size: int = 32,
        max_epochs: int = 100,
        patience: int = 10,
        min_delta: float = 1e-4,
        validation_fraction: float = 0.15,
        calibration: str = "none",
        ordinal: bool = False,
        classes: Any = None,
        random_state: Any = None,
    ) -> None:
        self.target = target
        self.loss = loss
        self.hidden_width = hidden_width
        self.dropout = dropout
        self.lr = lr
        self.weight_decay = weight_decay
        self.scheduler = scheduler
        self.plateau_factor = plateau_factor
        self.plateau_patience = plateau_patience
        self.standardize = standardize
        self.smoothing = smoothing
        self.shrinkage = shrinkage
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.min_delta = min_delta
        self.validation_fraction = validation_fraction
        self.calibration = calibration
        self.ordinal = ordinal
        self.classes = classes
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: N803 (scikit-learn's own names)
        """Train.

        Args:
            X: ``[N, D]`` features.
            y: ``[N, C]`` counts or shares of the annotators who chose each class, or ``[N]`` labels.

        Raises:
            ValueError: Features or targets are malformed, or a parameter is out of its range.
        """
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        features = validate_data(self, X, dtype=np.float32)
        counts = self._counts(y)
        check_consistent_length(features, counts)
        random = check_random_state(self.random_state)
        seed = int(random.randint(_HIGHEST_SEED))
        try:
            spec = self._spec(seed)
            data = self._data(np.array(features), counts, seed)
            network = fit_network(data, spec, self.calibration, accelerator="cpu")
            config = HeadConfig(
                class_names=tuple(map(str, self.classes_)), ordinal=self.ordinal, reads="vectors",
                embedding_dim=data.embedding_dim, spec=spec.of_module(), calibration=self.calibration,
                versions=versions(), **of_encoder(None),
            )  # fmt: skip
        except SoftLabelsError as error:
            raise ValueError(str(error)) from error
        self.head_ = TrainedHead(config, network)
        return self

    def _counts(self, y: ArrayLike) -> NDArray[np.float64]:
        """Counts or shares ``[N, C]``; sets ``classes_``."""
        array = np.asarray(y)
        if array.ndim == 2 and array.shape[1] > 1:
            counts = check_array(array, dtype=np.float64, input_name="y")
            self.classes_ = np.arange(counts.shape[1]) if self.classes is None else np.asarray(self.classes)
            if len(self.classes_) != counts.shape[1]:
                raise ValueError(f"y has {counts.shape[1]} columns but there are {len(self.classes_)} classes")
            return np.asarray(counts)
        labels = column_or_1d(array, warn=True)
        check_array(labels.reshape(-1, 1), dtype=None, input_name="y")
        check_classification_targets(labels)
        self.classes_, positions = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"wanted at least two classes to tell apart, got {len(self.classes_)} class")
        return np.eye(len(self.classes_))[positions]

    def _spec(self, seed: int) -> RunSpec:
        """How to train."""
        of_spec = RunSpec.__dataclass_fields__.keys()
        return RunSpec(seed=seed, **{name: value for name, value in self.get_params().items() if name in of_spec})

    def _data(self, features: NDArray[np.float32], counts: NDArray[np.float64], seed: int) -> EmbeddedDataset:
        """The items, a part of them held out; nothing is kept for a test."""
        digits = len(str(len(features)))
        uids = tuple(f"{row:0{digits}}" for row in range(len(features)))
        train, val = _parts(counts.argmax(axis=1), self.validation_fraction, seed)
        split = Split(tuple(uids[row] for row in train), tuple(uids[row] for row in val), ())
        names = tuple(map(str, self.classes_))
        data = AnnotatedData("features", uids, uids, torch.from_numpy(counts), names, "text", self.ordinal)
        dataset = Dataset(data, given_split=split)
        made_by = {"encoder": {"kind": "tensors"}}
        return EmbeddedDataset(dataset, TensorFeatures(torch.from_numpy(features)), "tensors", made_by)

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """Distributions over ``classes_``, ``[N, C]``, of features ``[N, D]``."""
        check_is_fitted(self)
        features = np.array(validate_data(self, X, dtype=np.float32, reset=False))
        pred_dist = self.head_.distributions(torch.from_numpy(features)).double()
        return np.asarray((pred_dist / pred_dist.sum(dim=1, keepdim=True)).numpy())

    def predict(self, X: ArrayLike) -> NDArray[Any]:  # noqa: N803
        """The likeliest class of each item, ``[N]``, of features ``[N, D]``."""
        likeliest = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[likeliest])

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:  # noqa: N803
        """Accuracy for labels ``[N]``; for counts or shares ``[N, C]`` the mean log-likelihood of an annotation, nats.

        Args:
            X: ``[N, D]`` features.
            y: ``[N, C]`` counts or shares, or ``[N]`` labels.
            sample_weight: ``[N]``.
        """
        array = np.asarray(y)
        if array.ndim != 2 or array.shape[1] < 2:
            return float(super().score(X, y, sample_weight))
        shares = torch.from_numpy(array / array.sum(axis=1, keepdims=True))
        surprise = soft_cross_entropy(shares, torch.from_numpy(self.predict_proba(X)).log())
        weights = None if sample_weight is None else np.asarray(sample_weight)
        return float(-np.average(surprise.numpy(), weights=weights))


def _parts(labels: NDArray[np.int64], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Rows that train and rows that are held out, each class in proportion where there are enough of it."""
    if not 0 < share < 1:
        raise ValueError(f"wanted a validation_fraction above 0 and below 1, got {share}")
    if len(labels) < 2:
        raise ValueError(f"wanted at least two samples, one to train and one to hold out, got n_samples={len(labels)}")
    classes, sizes = np.unique(labels, return_counts=True)
    held = int(np.ceil(share * len(labels)))
    enough = sizes.min() >= 2 and min(held, len(labels) - held) >= len(classes)
    train, val = train_test_split(
        np.arange(len(labels)), test_size=held, random_state=seed, stratify=labels if enough else None
    )
    return sorted(train.tolist()), sorted(val.tolist())
