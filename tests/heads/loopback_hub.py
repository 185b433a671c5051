"""A small hub of models and data sets on the loopback: commits and files, as huggingface_hub asks for them."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest


@dataclass
class Commit:
    """A commit and its files."""

    name: str
    files: dict[str, bytes]


@dataclass
class Hub:
    """What it holds: by repository its commits, the newest last."""

    commits: dict[str, list[Commit]] = field(default_factory=dict)
    url: str = ""

    def at(self, repository: str, revision: str) -> Commit | None:
        """The commit of a name, or the newest."""
        known = self.commits.get(repository, [])
        if revision == "main":
            return known[-1] if known else None
        return next((commit for commit in known if commit.name == revision), None)

    def add(self, repository: str, lines: list[dict[str, Any]]) -> Commit:
        """A commit of the files that an upload names."""
        known = self.commits[repository]
        files = dict(known[-1].files) if known else {}
        for line in lines:
            if line["key"] == "file":
                files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        commit = Commit(hashlib.sha1(f"{repository}{len(known)}".encode()).hexdigest(), files)  # noqa: S324
        known.append(commit)
        return commit


class Handler(BaseHTTPRequestHandler):
    """Answers for a hub."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def answer(self, code: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def answer_json(self, content: Any) -> None:
        self.answer(200, json.dumps(content).encode(), Content_Type="application/json")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/repos/create":
            self.create(json.loads(body))
        elif re.fullmatch(r"/api/models/[^/]+/[^/]+/preupload/main", self.path):
            own = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            self.answer_json({"files": [{"path": one["path"], **own} for one in json.loads(body)["files"]]})
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main", self.path):
            commit = self.hub.add(match[1], [json.loads(line) for line in body.splitlines()])
            url = f"{self.hub.url}/{match[1]}/commit/{commit.name}"
            self.answer_json({"commitOid": commit.name, "commitUrl": url, "success": True})
        elif self.path == "/api/validate-yaml":
            self.answer_json({"errors": [], "warnings": []})
        else:
            self.answer(404)

    def create(self, asked: dict[str, Any]) -> None:
        name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
        self.hub.commits.setdefault(name, [])
        self.answer_json({"url": f"{self.hub.url}/{name}"})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if match := re.fullmatch(r"/api/(?:models|datasets)/([^/]+/[^/]+?)(?:/revision/([^/]+))?", path):
            self.describe(match[1], match[2] or "main")
        elif match := re.fullmatch(r"/api/(?:models|datasets)/([^/]+/[^/]+)/tree/([^/]+)(?:/.*)?", path):
            self.list_files(match[1], match[2])
        elif match := re.fullmatch(r"/(?:datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self.give(match[1], match[2], match[3])
        else:
            self.answer(404)

    def describe(self, repository: str, revision: str) -> None:
        commit = self.hub.at(repository, revision)
        if commit is None:
            self.answer(404, b"{}", X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
            return
        siblings = [{"rfilename": name} for name in commit.files]
        self.answer_json({"id": repository, "sha": commit.name, "siblings": siblings, "private": False, "tags": [],
                          "downloads": 0, "likes": 0})  # fmt: skip

    def list_files(self, repository: str, revision: str) -> None:
        commit = self.hub.at(repository, revision)
        files = commit.files if commit else {}
        self.answer_json([{"type": "file", "path": name, "size": len(content), "oid": _etag(content)}
                          for name, content in files.items()])  # fmt: skip

    def give(self, repository: str, revision: str, name: str) -> None:
        commit = self.hub.at(repository, revision)
        content = commit.files.get(name) if commit else None
        if commit is None or content is None:
            self.answer(404, X_Error_Code="EntryNotFound" if commit else "RepoNotFound")
            return
        self.answer(200, content, ETag=f'"{_etag(content)}"', X_Repo_Commit=commit.name)


def _etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()  # noqa: S324


@contextmanager
def hub_in_process(cache: Path, patch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty hub that huggingface_hub asks in this process, with a cache of its own."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"hub": hub}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    patch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
    patch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE",
                  hub.url + "/{repo_id}/resolve/{revision}/{filename}")  # fmt: skip
    patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    patch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    patch.setattr(huggingface_hub.hf_api.api, "endpoint", hub.url)
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
