"""Downloads against a real server on the loopback address that misbehaves on request."""

import errno
import hashlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import numpy as np
import pytest

from soft_labels.annotations.download import RemoteFile, RetryPolicy, _MirrorError, _Transfer, fetch_file
from soft_labels.annotations.sources import CIFAR10_IMAGES, SOURCES
from soft_labels.errors import DownloadError

CONTENT = np.random.default_rng(0).bytes(300_000)
QUICK = RetryPolicy(attempts=3, first_wait_s=0.01, longest_wait_s=0.2, timeout_s=5.0)
FETCH = """
import sys
from pathlib import Path
from soft_labels.annotations.download import RemoteFile, fetch_file
fetch_file(RemoteFile(sys.argv[1], (sys.argv[2],), sha256=sys.argv[3]), Path(sys.argv[4]))
"""


@dataclass
class Reply:
    """How the server answers one request."""

    status: int = 200
    body: bytes = CONTENT
    headers: dict[str, str] = field(default_factory=dict)
    honours_range: bool = True
    cut: int | None = None
    chunk_pause_s: float = 0.0


@dataclass
class Seen:
    """One request and how many bytes of body were sent for it."""

    path: str
    headers: dict[str, str]
    sent: int = 0


class Server(ThreadingHTTPServer):
    """Answers each path by its list of replies; the last one is repeated."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: dict[str, list[Reply]] = {}
        self.seen: list[Seen] = []

    def url(self, path: str, *replies: Reply) -> str:
        self.replies[path] = list(replies)
        return f"http://127.0.0.1:{self.server_port}{path}"

    def ranges(self) -> list[str | None]:
        return [seen.headers.get("range") for seen in self.seen]


class Handler(BaseHTTPRequestHandler):
    """Does what the reply says."""

    server: Server

    def do_GET(self) -> None:
        queue = self.server.replies[self.path]
        reply = queue.pop(0) if len(queue) > 1 else queue[0]
        seen = Seen(self.path, {name.lower(): value for name, value in self.headers.items()})
        self.server.seen.append(seen)
        with suppress(ConnectionError):
            self.send_body(reply, self.send_head(reply, seen), seen)

    def send_head(self, reply: Reply, seen: Seen) -> bytes:
        status, body, headers = reply.status, reply.body, dict(reply.headers)
        asked = re.fullmatch(r"bytes=(\d+)-", seen.headers.get("range", ""))
        if status == 200 and asked and reply.honours_range:
            start = int(asked[1])
            status = 206 if start < len(body) else 416
            headers.setdefault("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            body = body[start:]
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        return body[: reply.cut]

    def send_body(self, reply: Reply, body: bytes, seen: Seen) -> None:
        for start in range(0, len(body), 4096):
            chunk = body[start : start + 4096]
            seen.sent += len(chunk)  # before the write, so that whoever holds the bytes finds them counted
            self.wfile.write(chunk)
            time.sleep(reply.chunk_pause_s)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def closed_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    return f"http://127.0.0.1:{port}/file.bin"


def remote(*urls: str, path: str = "set/data/file.bin", content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile(path, urls, sha256=hashlib.sha256(content).hexdigest())


def prepare(root: Path, name: str, content: bytes) -> Path:
    path = root / "set/data" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_digests_are_those_of_other_tools(tmp_path: Path) -> None:
    # printf 'hello\n' | sha256sum; printf 'hello\n' | git hash-object --stdin
    (tmp_path / "hello").write_bytes(b"hello\n")
    sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
    blob = "ce013625030ba8dba906f756967f9e9ca394464a"
    assert RemoteFile("hello", (), sha256=sha256).matches(tmp_path / "hello")
    assert RemoteFile("hello", (), git_blob_sha1=blob).matches(tmp_path / "hello")
    (tmp_path / "hello").write_bytes(b"hello")
    assert not RemoteFile("hello", (), sha256=sha256).matches(tmp_path / "hello")
    assert not RemoteFile("hello", (), git_blob_sha1=blob).matches(tmp_path / "hello")


@pytest.mark.parametrize(("sha256", "blob"), [(None, None), ("0" * 64, "0" * 40)])
def test_exactly_one_digest(sha256: str | None, blob: str | None) -> None:
    with pytest.raises(DownloadError, match="exactly one of"):
        RemoteFile("file", (), sha256=sha256, git_blob_sha1=blob)


def test_fetched_whole_and_quietly(server: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = fetch_file(remote(server.url("/file", Reply())), tmp_path / "new", retry=QUICK)
    assert path == tmp_path / "new/set/data/file.bin"
    assert path.read_bytes() == CONTENT
    assert not path.with_name("file.bin.part").exists()
    assert server.seen[0].headers["accept-encoding"] == "identity"
    assert server.ranges() == [None]
    assert capfd.readouterr() == ("", "")


def test_a_terminal_gets_a_bar(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich draws as on a terminal, and a person is said to look at it
    monkeypatch.setattr("soft_labels.annotations.download.is_watched", lambda: True)
    fetch_file(remote(server.url("/file", Reply())), tmp_path, retry=QUICK)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "file.bin" in captured.err
    assert "100%" in captured.err


def test_a_file_that_is_there_costs_no_request(server: Server, tmp_path: Path) -> None:
    path = prepare(tmp_path, "file.bin", CONTENT)
    assert fetch_file(remote(server.url("/file", Reply())), tmp_path, retry=QUICK) == path
    assert server.seen == []
    assert [file.name for file in path.parent.iterdir()] == ["file.bin"]


def test_another_file_of_that_name_is_left_alone(server: Server, tmp_path: Path) -> None:
    path = prepare(tmp_path, "file.bin", b"my own work")
    file = remote(server.url("/file", Reply()))
    with pytest.raises(DownloadError, match=r"not the pinned file.*move this file away") as caught:
        fetch_file(file, tmp_path, retry=QUICK)
    assert str(path) in str(caught.value)
    assert file.checksum in str(caught.value)
    assert path.read_bytes() == b"my own work"
    assert server.seen == []


def test_a_broken_connection_is_resumed(server: Server, tmp_path: Path) -> None:
    url = server.url("/file", Reply(cut=100_000), Reply(cut=50_000), Reply())
    assert fetch_file(remote(url), tmp_path, retry=QUICK).read_bytes() == CONTENT
    assert server.ranges() == [None, "bytes=100000-", "bytes=150000-"]
    assert sum(seen.sent for seen in server.seen) == len(CONTENT)


def test_the_next_mirror_resumes_what_the_first_began(server: Server, tmp_path: Path) -> None:
    first = server.url("/first", Reply(cut=70_000), Reply(status=404, body=b""))
    assert fetch_file(remote(first, server.url("/second", Reply())), tmp_path, retry=QUICK).read_bytes() == CONTENT
    assert [(seen.path, seen.sent) for seen in server.seen] == [
        ("/first", 70_000),
        ("/first", 0),
        ("/second", len(CONTENT) - 70_000),
    ]


def test_a_server_that_ignores_range_starts_over(server: Server, tmp_path: Path) -> None:
    prepare(tmp_path, "file.bin.part", CONTENT[:1000])
    url = server.url("/file", Reply(honours_range=False))
    assert fetch_file(remote(url), tmp_path, retry=QUICK).read_bytes() == CONTENT
    assert server.ranges() == ["bytes=1000-"]


@pytest.mark.parametrize(
    ("part", "reply"),
    [
        (CONTENT + b"too long", Reply()),
        (CONTENT[:1000], Reply(headers={"Content-Range": f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"})),
    ],
    ids=["416", "206 of other bytes"],
)
def test_a_refused_range_starts_over(server: Server, tmp_path: Path, part: bytes, reply: Reply) -> None:
    prepare(tmp_path, "file.bin.part", part)
    assert fetch_file(remote(server.url("/file", reply, Reply())), tmp_path, retry=QUICK).read_bytes() == CONTENT
    assert server.ranges() == [f"bytes={len(part)}-", None]


def test_wrong_bytes_of_an_earlier_call_do_not_condemn_a_mirror(server: Server, tmp_path: Path) -> None:
    prepare(tmp_path, "file.bin.part", b"x" * 1000)
    assert fetch_file(remote(server.url("/file", Reply())), tmp_path, retry=QUICK).read_bytes() == CONTENT
    assert server.ranges() == ["bytes=1000-", None]


def test_a_whole_part_costs_no_request(server: Server, tmp_path: Path) -> None:
    part = prepare(tmp_path, "file.bin.part", CONTENT)
    assert fetch_file(remote(server.url("/file", Reply())), tmp_path, retry=QUICK).read_bytes() == CONTENT
    assert server.seen == []
    assert not part.exists()


@pytest.mark.parametrize("bad", [Reply(body=b"a login page"), Reply(status=404), Reply(status=206)])
def test_a_mirror_that_cannot_help_is_asked_once(server: Server, tmp_path: Path, bad: Reply) -> None:
    file = remote(server.url("/bad", bad), server.url("/good", Reply()))
    assert fetch_file(file, tmp_path, retry=QUICK).read_bytes() == CONTENT
    assert [seen.path for seen in server.seen] == ["/bad", "/good"]
    assert server.ranges() == [None, None]


def test_a_redirect_is_followed(server: Server, tmp_path: Path) -> None:
    target = server.url("/file", Reply())
    moved = server.url("/moved", Reply(status=302, body=b"", headers={"Location": target}))
    assert fetch_file(remote(moved), tmp_path, retry=QUICK).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_tried_again_a_limited_number_of_times(
    server: Server, tmp_path: Path, status: int
) -> None:
    bad = server.url("/bad", Reply(status=status))
    with pytest.raises(DownloadError, match=f"HTTP status {status}"):
        fetch_file(remote(bad), tmp_path, retry=QUICK)
    assert len(server.seen) == QUICK.attempts
    server.url("/bad", Reply(status=status), Reply())
    assert fetch_file(remote(bad), tmp_path, retry=QUICK).read_bytes() == CONTENT


@pytest.mark.parametrize("wish", ["0", "Thu, 01 Jan 2026 00:00:00 GMT"])
def test_retry_after_goes_before_the_back_off(server: Server, tmp_path: Path, wish: str) -> None:
    url = server.url("/file", Reply(status=503, headers={"Retry-After": wish}), Reply())
    patient = RetryPolicy(first_wait_s=60.0)
    began = time.monotonic()
    fetch_file(remote(url), tmp_path, retry=patient)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("wish", ["3600", "Thu, 01 Jan 2099 00:00:00 GMT"])
def test_retry_after_is_bounded(server: Server, tmp_path: Path, wish: str) -> None:
    url = server.url("/file", Reply(status=429, headers={"Retry-After": wish}), Reply())
    began = time.monotonic()
    fetch_file(remote(url), tmp_path, retry=QUICK)
    assert QUICK.longest_wait_s <= time.monotonic() - began < 5


def test_an_unreadable_retry_after_is_ignored(server: Server, tmp_path: Path) -> None:
    url = server.url("/file", Reply(status=503, headers={"Retry-After": "soon"}), Reply())
    assert fetch_file(remote(url), tmp_path, retry=QUICK).read_bytes() == CONTENT


def test_a_server_that_falls_silent_is_asked_for_the_rest(server: Server, tmp_path: Path) -> None:
    url = server.url("/file", Reply(chunk_pause_s=1.0), Reply())
    hasty = RetryPolicy(attempts=2, first_wait_s=0.01, timeout_s=0.3)
    assert fetch_file(remote(url), tmp_path, retry=hasty).read_bytes() == CONTENT
    assert server.ranges() == [None, "bytes=4096-"]


def test_one_message_tells_all_when_every_mirror_fails(server: Server, tmp_path: Path, closed_url: str) -> None:
    missing, wrong = server.url("/missing", Reply(status=404)), server.url("/wrong", Reply(body=b"other"))
    file = remote(closed_url, missing, wrong)
    with pytest.raises(DownloadError) as caught:
        fetch_file(file, tmp_path, retry=QUICK)
    message = str(caught.value)
    assert re.search(rf"{re.escape(closed_url)}: .*refused", message)
    assert f"{missing}: HTTP status 404" in message
    assert f"{wrong}: other bytes than the pinned ones" in message
    assert file.checksum in message
    assert f"save it as file.bin in the folder {tmp_path / 'set/data'}" in message
    assert not list((tmp_path / "set/data").glob("*.part"))


def start(url: str, root: Path) -> subprocess.Popen[bytes]:
    file = remote(url)
    return subprocess.Popen([sys.executable, "-c", FETCH, file.path, url, str(file.sha256), str(root)])


@pytest.mark.slow
def test_a_killed_process_leaves_a_part_that_the_next_call_resumes(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "set/data/file.bin"
    part = target.with_name("file.bin.part")
    url = server.url("/file", Reply(chunk_pause_s=0.05), Reply())
    with start(url, tmp_path) as process:
        while not part.exists() or part.stat().st_size < 30_000:
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    kept = part.stat().st_size
    assert not target.exists()
    assert part.read_bytes() == CONTENT[:kept]
    assert fetch_file(remote(url), tmp_path, retry=QUICK).read_bytes() == CONTENT
    assert server.ranges() == [None, f"bytes={kept}-"]
    assert not part.exists()


@pytest.mark.slow
def test_two_processes_download_once(server: Server, tmp_path: Path) -> None:
    url = server.url("/file", Reply(chunk_pause_s=0.01))
    with start(url, tmp_path) as one, start(url, tmp_path) as other:
        assert (one.wait(), other.wait()) == (0, 0)
    assert (tmp_path / "set/data/file.bin").read_bytes() == CONTENT
    assert server.ranges() == [None]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said_in_words(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set/data").mkdir(parents=True)
    (tmp_path / "set/data/file.bin.part").symlink_to("/dev/full")
    with pytest.raises(DownloadError, match="make room") as caught:
        fetch_file(remote(server.url("/file", Reply())), tmp_path, retry=QUICK)
    assert os.strerror(errno.ENOSPC) in str(caught.value)
    assert not (tmp_path / "set/data/file.bin").exists()
    assert len(server.seen) == 1


def test_a_folder_that_cannot_be_made_is_said_in_words(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set").write_text("a file where a folder belongs")
    with pytest.raises(DownloadError, match="could not be put in place"):
        fetch_file(remote(server.url("/file", Reply())), tmp_path, retry=QUICK)
    assert server.seen == []


def test_a_redirect_to_a_host_that_is_not_named_is_refused_before_it_is_asked(server: Server, tmp_path: Path) -> None:
    elsewhere = server.url("/file", Reply()).replace("127.0.0.1", "localhost")
    moved = server.url("/moved", Reply(status=302, body=b"", headers={"Location": elsewhere}))
    with pytest.raises(
        DownloadError, match="it redirects to localhost, which is none of the hosts named for this file"
    ):
        fetch_file(remote(moved), tmp_path, retry=QUICK)
    assert [seen.path for seen in server.seen] == ["/moved"]
    named = replace(remote(moved), redirects_to=("localhost",))
    assert fetch_file(named, tmp_path, retry=QUICK).read_bytes() == CONTENT


def test_https_is_never_left(tmp_path: Path) -> None:
    transfer = _Transfer(remote("https://host/a"), tmp_path / "file", QUICK)
    with pytest.raises(_MirrorError, match="it steps down from https to http://host/b"):
        transfer._check_address("https://host/a", httpx.Request("GET", "http://host/b"))
    transfer._check_address("https://host/a", httpx.Request("GET", "https://host/b"))


def test_no_more_bytes_are_taken_than_the_file_has(server: Server, tmp_path: Path) -> None:
    endless = server.url("/endless", Reply(body=CONTENT * 20))
    limited = replace(remote(endless, server.url("/good", Reply())), most_bytes=len(CONTENT))
    assert fetch_file(limited, tmp_path, retry=QUICK).read_bytes() == CONTENT
    with pytest.raises(DownloadError, match="it sends more than the 300,000 bytes that the file may have"):
        fetch_file(replace(remote(endless, path="other"), most_bytes=len(CONTENT)), tmp_path, retry=QUICK)
    assert (tmp_path / "other.part").stat().st_size <= len(CONTENT)


@pytest.mark.slow
def test_a_trickle_ends_after_the_time_that_the_size_allows_and_goes_on_in_the_next_call(
    server: Server, tmp_path: Path
) -> None:
    file = replace(remote(server.url("/file", Reply(chunk_pause_s=0.1), Reply())), most_bytes=len(CONTENT))
    impatient = replace(QUICK, slowest_bytes_s=1e6, shortest_s=0.5)
    with pytest.raises(DownloadError, match="not whole after 0 seconds; what arrived is kept"):
        fetch_file(file, tmp_path, retry=impatient)
    assert fetch_file(file, tmp_path, retry=QUICK).read_bytes() == CONTENT
    assert server.ranges()[-1] is not None


def test_every_source_has_a_bound() -> None:
    files = [*(file for files in SOURCES.values() for file in files), CIFAR10_IMAGES]
    assert all(file.most_bytes < 200 * 2**20 for file in files)
    assert {url.partition(":")[0] for file in files for url in file.urls} == {"https"}
