"""How much of what a service allows is used: ``python -m tests.benchmarks.hosted_throughput --requests 400``.

A loopback server in a process of its own answers each request after 50 ms. With C requests at the same time it allows
C / 0.05 requests a second, less what the machine costs: a bare client (one connection a thread, answers not even
parsed) is timed beside the whole stage, which packs, checks and stores. Vectors are narrow, and as wide as those of
text-embedding-3-large.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from soft_labels.embeddings import EmbeddingStore, content_keys, encode_missing
from soft_labels.encoders import OpenAIEncoder

LATENCY = 0.05
SERVE = """
import json, sys
from tests.fake_openai import FakeOpenAI
answers = {}
def answer(request):
    number = len(request["input"])
    if number not in answers:  # the same vectors every time, so that the server costs next to nothing
        answers[number] = json.dumps(server.embed(request)).encode()
    return 200, answers[number]
with FakeOpenAI(width=int(sys.argv[1]), latency=float(sys.argv[2]), answer=answer) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


def bare_seconds(url: str, bodies: Sequence[bytes], concurrency: int) -> float:
    """Time of a client that does nothing with its answers."""
    parts = urlsplit(url)
    waiting = iter(bodies)

    def work(_: int) -> None:
        connection = HTTPConnection(str(parts.hostname), parts.port)
        for body in waiting:
            connection.request("POST", f"{parts.path}/embeddings", body, {"Content-Type": "application/json"})
            connection.getresponse().read()

    start = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        list(pool.map(work, range(concurrency)))
    return time.perf_counter() - start


def stage_seconds(url: str, inputs: Sequence[str], texts: int, concurrency: int) -> float:
    """Time of the stage, into a store that is deleted afterwards."""
    encoder = OpenAIEncoder("m", base_url=url, batch_size=texts, concurrency=concurrency)
    keys = content_keys(inputs)
    with tempfile.TemporaryDirectory(prefix="soft-labels-throughput-") as folder:
        store = EmbeddingStore(Path(folder), encoder)
        start = time.perf_counter()
        encode_missing(inputs, keys, encoder, store)
        return time.perf_counter() - start


def compare(url: str, requests: int, texts: int, concurrency: int) -> None:
    """Time both and print their rates."""
    inputs = [f"text {number}" for number in range(requests * texts)]
    packs = [inputs[start : start + texts] for start in range(0, len(inputs), texts)]
    bodies = [json.dumps({"model": "m", "input": pack, "encoding_format": "base64"}).encode() for pack in packs]
    bare = bare_seconds(url, bodies, concurrency)
    stage = stage_seconds(url, inputs, texts, concurrency)
    allowed = requests / concurrency * LATENCY
    print(
        f"  {concurrency:>2} at a time: allowed {requests / allowed:,.0f} requests a second, bare client "
        f"{requests / bare:,.0f}, stage {requests / stage:,.0f}: {allowed / stage:.1%} of allowed, "
        f"{bare / stage:.1%} of bare"
    )


def main() -> None:
    """Narrow and wide vectors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--texts", type=int, default=16, help="texts a request")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 3072])
    arguments = parser.parse_args()
    for width in arguments.widths:
        command = [sys.executable, "-c", SERVE, str(width), str(LATENCY)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            stage_seconds(url, ["imports the client"], 1, 1)
            print(f"{arguments.texts} texts a request, {width:,} numbers a vector")
            for concurrency in arguments.concurrency:
                compare(url, arguments.requests, arguments.texts, concurrency)
            server.stdin.close()


if __name__ == "__main__":
    main()
