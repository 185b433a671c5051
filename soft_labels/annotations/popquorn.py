"""POPQUORN politeness: 25,042 ratings of 3,718 e-mails by 506 annotators.

Source: Pei and Jurgens (2023), "When Do Annotator Demographics Matter? Measuring the Influence of Annotator
Demographics with the POPQUORN Dataset". The annotators were asked "how polite do you think it is?" on a scale
of five steps, whose ends alone have words: "Not polite at all" and "Very polite".
"""

import csv
from dataclasses import replace
from pathlib import Path

from soft_labels.annotations.base import AnnotatedData
from soft_labels.annotations.layout import locate
from soft_labels.annotations.table.read import read_table
from soft_labels.annotations.table.settings import TableSettings

RATINGS = ("1", "2", "3", "4", "5")
DEMOGRAPHICS = ("gender", "race", "age", "occupation", "education")
CLASS_NAMES = ("1 (not polite at all)", "2", "3", "4", "5 (very polite)")


def read_popquorn(root: Path) -> AnnotatedData:
    """Read the politeness ratings, one item an e-mail (``instance_id``), ordered by uid as text.

    An annotator who rates one e-mail twice is an error: in the released file nobody does.

    Args:
        root: Folder that holds ``popquorn/dataset/politeness_rating/raw_data.csv``, or any folder on the way
            down to the file.

    Returns:
        Inputs are the e-mails; five ordered classes; what the file says of the annotators, where it does.

    Raises:
        DataError: The file or a column is missing; a rating is missing, not whole or off the scale; an annotator
            rated an e-mail twice; or one ``instance_id`` has two texts.
    """
    path = locate(root, "popquorn", "dataset", "politeness_rating", "raw_data.csv")
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        header = next(csv.reader(file), [])
    data = read_table(
        path,
        TableSettings(
            uid_column="instance_id",
            text_column="text",
            annotator_column="user_id",
            label_column="politeness",
            class_names=RATINGS,
            ordinal=True,
            about_annotators=[name for name in DEMOGRAPHICS if name in header],
            name="popquorn",
        ),
    )
    return replace(data, class_names=CLASS_NAMES)
