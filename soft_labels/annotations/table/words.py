"""How columns of annotation files are named, and what their values look like."""

import re
from typing import Literal

from soft_labels.annotations.table.profile import Column

MOST_CLASSES = 50
UID = re.compile(
    r"^(_?input_hash|_?task_hash|key|index|idx|object|hit_?id|uid|guid|uuid|id|item|instance|task|example|sample|pair|post|"
    r"comment|tweet|doc(ument)?|question|sentence|text|image|reply|row|record|utterance|segment|unit|case|stimulus|trial|beitrag|satz|phrase|texte|texto|frase|testo|编号|序号)"
    r"(_?(id|ids|idx|index|no|nr|num|number|uid|key))?$"
)
WEAK_UID = re.compile(r"(_id|id|_no|_idx|_key)$")
ANNOTATOR = re.compile(
    r"annotator|worker|rater|coder|judge$|judge_id|labell?er|participant|respondent|completed_by|_session_id|performer|"
    r"^(user|username|user_id|person|expert|assessor|reviewer|evaluator|who)$|^(user|expert|assessor|reviewer)_?id$|"
    r"kodierer|bewerter|annotateur|évaluateur|anotador|evaluador|annotatore|valutatore|标注员|标注者|アノテーター"
)
PAIRS = (
    ("premise", "hypothesis"), ("sentence1", "sentence2"), ("sentence_1", "sentence_2"), ("text1", "text2"),
    ("text_1", "text_2"), ("text_a", "text_b"), ("sentence_a", "sentence_b"), ("question1", "question2"),
    ("post", "reply"), ("context", "response"), ("context", "statement"), ("context", "utterance"),
    ("parent", "comment"), ("prompt", "response"), ("question", "answer"), ("claim", "evidence"), ("query", "document"),
)  # fmt: skip
LABEL = re.compile(
    r"^(labels?|annotations?|answers?|ratings?|scores?|judge?ments?|class|category|choices?|votes?|verdict|accept|stance|"
    r"sentiment|emotion|opinion|annotated|label_?(value|id|name)|chosen|selected|responses?|value|target|tag|tags|"
    r"urteil|bewertung|kategorie|étiquette|etiquette|jugement|etiqueta|juicio|etichetta|giudizio|标签|类别|ラベル)$"
)
COUNTS = re.compile(r"count|counter|votes|tall(y|ies)|freq|histogram")
NUMBER_OF = re.compile(r"^(n|count|counts|votes?|num|nb|freq|frequency|times|weight|num_votes|n_votes|n_annotat\w*)$")
DERIVED = re.compile(
    r"(?:^|_)(?:soft|hard|gold|majority|old|true|truth|aggregat\w*|mean|avg|average|median|std|entropy|agreements?|split|fold|"
    r"lang|language|date|time|times|timestamp|created|updated|url|link|version|number_of\w*|length|duration|status|mode|"
    r"confidence|prob|probability|probabilities|lead|seconds)(?:_|$)"
)
PART_COLUMN = re.compile(r"(data_?)?(splits?|parts?|partition|subset|set)|split_?(name|set)|split_?part|fold_?name")
_PARTS: dict[str, Literal["train", "val", "test"]] = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "devel": "val", "development": "val", "test": "test", "testing": "test",
}  # fmt: skip
_OF_SEVERAL_FILES = re.compile(r"[-_.]\d+(-of-\d+)?$")
RATING = re.compile(
    r"rat(ing|e)|scor|likert|level|degree|severity|intensity|quality|polite|offens|toxic|strength|scale|star"
)
MARKS = {"0", "1", "true", "false"}


def part_called(name: str) -> Literal["train", "val", "test"] | None:
    """The part of a split that a name means, in a cell or as a file.

    Example:
        >>> part_called("Dev"), part_called("train-00000-of-00002"), part_called("fold 3")
        ('val', 'train', None)
    """
    return _PARTS.get(_OF_SEVERAL_FILES.sub("", name.strip().lower()))


def is_uid(name: str) -> bool:
    """Whether a column is named as ids of items are."""
    return bool(UID.match(Column(name, "scalar", 0, 0).word))


def is_number(text: str) -> bool:
    """Whether a text is a number."""
    return bool(re.fullmatch(r"[+-]?\d+(\.\d+)?", text))


def is_person(name: str) -> bool:
    """Whether a column is named like one of several annotators: a letter, a number, an address or a key."""
    stem = "a|r|w|u|p|ann|annotator|rater|worker|coder|user|judge|expert|person|label|annotation|rating"
    one = rf"[a-z]|({stem})([ _.-]?[0-9]{{1,6}}|[ _.-][a-z])|({stem.removeprefix('a|r|w|u|p|')})[a-rt-z]"
    return bool(re.fullmatch(rf"{one}|\S+@\S+\.\w+|(?=.*\d)[0-9a-f]{{6,}}", name, re.IGNORECASE))
