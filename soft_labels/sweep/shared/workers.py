"""How workers see that another one is dead: it no longer counts."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from optuna.study import Study
from optuna.trial import TrialState

from soft_labels.errors import SweepError
from soft_labels.sweep.shared.claims import WORKER, Claim, JoinedStudy

logger = logging.getLogger(__name__)


class Heartbeat:
    """Counts on in a user attribute of studies while a batch trains.

    Args:
        studies: The studies.
        worker: The worker's name.
        seconds: Seconds between two counts.
    """

    def __init__(self, studies: Sequence[Study], worker: str, seconds: float) -> None:
        self._studies = studies
        self._worker = worker
        self._seconds = seconds
        self._count = 0

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Count on from a thread until the block ends."""
        ended = threading.Event()
        thread = threading.Thread(target=self._count_on, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _count_on(self, ended: threading.Event) -> None:
        """Count until told to end, also after a storage was away for long."""
        while not ended.wait(self._seconds):
            self._count += 1
            for study in self._studies:
                with suppress(SweepError, OSError):  # the worker's own calls say it
                    study.set_user_attr(_attribute(self._worker), self._count)


class Watch:
    """Takes trials back from workers whose count has stood still over many looks.

    Looks are counted and not seconds: no two machines' clocks are compared, and when a storage was away, which kept
    everybody from counting, nobody has looked either.

    Args:
        joined: The study.
        looks: How many looks a count may stand still.
    """

    def __init__(self, joined: JoinedStudy, looks: int) -> None:
        self._joined = joined
        self._most = looks
        self._looks: dict[tuple[int, int | None], int] = {}

    def look(self) -> None:
        """Look once at all running trials."""
        study = self._joined.study
        counts = study.user_attrs
        running = {
            (trial.number, counts.get(_attribute(trial.user_attrs.get(WORKER, "")))): trial
            for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
        }
        self._looks = {sign: self._looks.get(sign, 0) + 1 for sign in running}
        for sign, looks in self._looks.items():
            if looks > self._most:
                logger.warning("%s: trial %d is taken back from a silent worker", study.study_name, sign[0])
                Claim(self._joined, running[sign]).give_up()


def _attribute(worker: str) -> str:
    """The study's user attribute that holds a worker's count."""
    return f"{WORKER} {worker}"
