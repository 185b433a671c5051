"""Pictures of TensorBoard, taken in a headless Chromium: what the README shows, and what to look at after a change.

``python -m docs.pictures`` trains the quickstart's heads for it, or takes the runs that ``--logdir`` names. It needs
Chromium and its driver (``apt install chromium chromium-driver``), and selenium (``pip install 'soft-labels[dev]'``).
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support import expected_conditions as ec
from selenium.webdriver.support.ui import WebDriverWait

from docs.figures import GROUNDS

COMMITTED = Path(__file__).parent / "pages" / "tensorboard.png"
_TRAINED = ("compare", "--config=quickstart", "--seeds=5", "--trainer.max_epochs=25")
_SECONDS = 60
_SETTLING = 12  # seconds: lines are drawn by a worker, nothing of the page says when
_COLOURS = 64  # of a picture, which is then small
_COLOUR_ITEMS = """
const inside = (node, name) => node?.shadowRoot?.querySelector(name);
const projector = inside(document.querySelector('vz-projector-dashboard'), 'vz-projector');
const panel = inside(projector, 'vz-projector-data-panel');
if (!panel?.colorOptions?.length) return false;
panel.selectedColorOptionName = arguments[0];
return true;
"""


class View(NamedTuple):
    """One picture.

    Args:
        tab: As TensorBoard's address names it.
        size: Width and height of the window.
        prepare: What is done on the page before.
    """

    tab: str
    size: tuple[int, int]
    prepare: Callable[[WebDriver], None]


def _drawn(driver: WebDriver) -> None:
    """Close the settings, and wait until every chart has its lines."""
    WebDriverWait(driver, _SECONDS).until(lambda one: one.find_elements(By.TAG_NAME, "scalar-card"))
    if driver.find_elements(By.CSS_SELECTOR, ".sidebar"):
        driver.find_element(By.CSS_SELECTOR, ".settings-button").click()
    time.sleep(_SETTLING)


def _waited(driver: WebDriver) -> None:  # noqa: ARG001
    """Wait until a tab has drawn what it shows."""
    time.sleep(_SETTLING)


def _coloured(driver: WebDriver) -> None:
    """Colour the items by their label entropy; the projector is a page in a page in the page."""
    for _ in range(2):
        WebDriverWait(driver, _SECONDS).until(ec.frame_to_be_available_and_switch_to_it((By.TAG_NAME, "iframe")))
    WebDriverWait(driver, _SECONDS).until(lambda one: one.execute_script(_COLOUR_ITEMS, "label entropy"))
    driver.switch_to.default_content()
    time.sleep(_SETTLING)


VIEWS = {
    "tensorboard": View("timeseries", (1280, 1260), _drawn),
    "custom": View("custom_scalars", (1280, 860), _waited),
    "images": View("images", (1280, 1000), _waited),
    "hparams": View("hparams", (1280, 500), _waited),
    "projector": View("projector", (1280, 800), _coloured),
}


@contextmanager
def tensorboard(logdir: Path) -> Iterator[str]:
    """TensorBoard over a folder of runs.

    Args:
        logdir: The folder.

    Returns:
        Its address.
    """
    command = [sys.executable, "-m", "tensorboard.main", f"--logdir={logdir}", "--host=127.0.0.1", "--port=0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603 (our own)
    try:
        assert server.stderr is not None  # noqa: S101 (a pipe)
        yield next(found[0] for line in server.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+/", line)))
    finally:
        server.terminate()
        server.communicate(timeout=_SECONDS)


def _program(name: str) -> str:
    """Where a program of this machine is."""
    found = shutil.which(name)
    if found is None:
        raise SystemExit(f"wanted {name} on this machine, found none; install it, as apt install chromium-driver does")
    return found


@contextmanager
def browser() -> Iterator[WebDriver]:
    """A headless Chromium that draws without a graphics card."""
    chromium, chromedriver = (_program(name) for name in ("chromium", "chromedriver"))
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in ("headless=new", "no-sandbox", "hide-scrollbars", "enable-unsafe-swiftshader", "use-angle=swiftshader"):
        options.add_argument(f"--{flag}")
    driver = webdriver.Chrome(options, Service(chromedriver))  # unless told, selenium asks the network for a driver
    try:
        yield driver
    finally:
        driver.quit()


def take(logdir: Path, out: Path, names: Sequence[str], grounds: Sequence[str] = GROUNDS) -> list[Path]:
    """Take pictures.

    Args:
        logdir: A folder of runs, as ``lightning_logs/compare/DATASET/arms``.
        out: Where they go, as ``NAME-light.png`` and ``NAME-dark.png``.
        names: Of :data:`VIEWS`.
        grounds: ``light``, ``dark`` or both.
    """
    found = []
    out.mkdir(parents=True, exist_ok=True)
    with tensorboard(logdir) as address, browser() as driver:
        for name in names:
            for ground in grounds:
                view, path = VIEWS[name], out / f"{name}-{ground}.png"
                driver.set_window_size(*view.size)
                driver.get("about:blank")
                driver.get(f"{address}?darkMode={str(ground == 'dark').lower()}&smoothing=0#{view.tab}")
                view.prepare(driver)
                driver.save_screenshot(str(path))
                with Image.open(path) as picture:
                    picture.convert("RGB").quantize(_COLOURS).save(path, optimize=True)
                found.append(path)
    return found


def main() -> None:
    """``python -m docs.pictures``."""
    parser = argparse.ArgumentParser(prog="python -m docs.pictures", description=__doc__)
    parser.add_argument("--logdir", type=Path, help="runs to look at; trained by quickstart if not given")
    parser.add_argument("--out", type=Path, help="folder for all pictures; without it the README's is made anew")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        logdir = told.logdir or _trained(Path(folder))
        if told.out is not None:
            for path in take(logdir, told.out, list(VIEWS)):
                print(path)  # noqa: T201
        else:
            (light,) = take(logdir, Path(folder) / "pictures", [COMMITTED.stem], ["light"])
            COMMITTED.write_bytes(light.read_bytes())
            print(f"{COMMITTED}: {COMMITTED.stat().st_size:,} bytes")  # noqa: T201


def _trained(folder: Path) -> Path:
    """The arms of the quickstart, trained now."""
    command = [sys.executable, "-m", "soft_labels", *_TRAINED, f"--trainer.default_root_dir={folder}"]
    subprocess.run(command, check=True)  # noqa: S603 (our own)
    (arms,) = folder.glob("lightning_logs/compare/*/arms")
    return arms


if __name__ == "__main__":
    main()
