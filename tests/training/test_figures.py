import numpy as np
import pytest
import torch
from matplotlib.patches import Rectangle

from soft_labels.training.figures import entropy_scatter, items_figure

LABEL_DIST = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.4, 0.3, 0.3]])
PRED_DIST = torch.tensor([[0.8, 0.1, 0.1], [0.6, 0.2, 0.2], [0.2, 0.3, 0.5]])


@pytest.mark.slow
def test_items_are_drawn_from_the_clearest_to_the_most_disputed_with_both_distributions() -> None:
    figure = items_figure(LABEL_DIST.flip(0), PRED_DIST.flip(0), ["a", "b", "c"], ["third", "second", "first"])
    panels = figure.axes[:3]
    assert [panel.get_title() for panel in panels] == ["first", "second", "third"]
    for panel, label_dist, pred_dist in zip(panels, LABEL_DIST, PRED_DIST, strict=True):
        bars = [patch.get_height() for patch in panel.patches if isinstance(patch, Rectangle)]
        np.testing.assert_allclose(bars, [*label_dist, *pred_dist])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["annotators", "model"]


def test_the_scatter_has_a_point_an_item_and_their_correlation() -> None:
    label_entropy, pred_entropy = torch.tensor([0.0, 0.5, 1.0]), torch.tensor([0.3, 0.2, 0.9])
    (axis,) = entropy_scatter(label_entropy, pred_entropy).axes
    points = np.asarray(axis.collections[0].get_offsets())
    np.testing.assert_allclose(points, np.stack([label_entropy, pred_entropy], axis=1))
    expected = np.corrcoef(label_entropy, pred_entropy)[0, 1]
    assert axis.get_title() == f"Pearson r = {expected:.3f} over 3 items"
