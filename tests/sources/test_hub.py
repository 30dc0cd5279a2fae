"""The hub, against a small stand-in on this machine that answers as the real one does: models, revisions, errors."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from gedanken.sources.hub import Address

safetensors = pytest.importorskip("safetensors.numpy")

CONFIG = {"model_type": "llama", "num_attention_heads": 2, "hidden_size": 4, "architectures": ["LlamaForCausalLM"]}


def weights(value: float) -> bytes:
    names = ("model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight")
    return safetensors.save({name: np.full((4, 4), value, np.float32) for name in names})


def files(value: float) -> dict[str, bytes]:
    config = json.dumps(CONFIG).encode()
    return {"config.json": config, "model.safetensors": weights(value), "README.md": b"words", "onnx/model.bin": b"x"}


REPOS = {
    "org/tiny": {"main": files(1.0), "step20": files(20.0), "step3": files(3.0)},
    "org/gguf-only": {"main": {"a.Q4_0.gguf": b"GGUF", "README.md": b"words"}},
}


def commit(repo: str, revision: str) -> str:
    return hashlib.sha1(f"{repo}{revision}".encode()).hexdigest()


class Hub(BaseHTTPRequestHandler):
    served: list[str] = []

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET(body=False)

    def do_GET(self, body: bool = True):
        words = unquote(urlsplit(self.path).path).strip("/").split("/")
        api = words[:2] == ["api", "models"]
        words = words[2:] if api else words
        repo, (verb, *rest) = "/".join(words[:2]), (*words[2:], "")
        if repo == "org/gated":
            return self.answer(403, b"", {"X-Error-Code": "GatedRepo"}, body)
        if repo not in REPOS:
            return self.answer(404, b"", {"X-Error-Code": "RepoNotFound"}, body)
        if api and verb == "refs":
            refs = [
                {"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit(repo, name)} for name in REPOS[repo]
            ]
            return self.json({"branches": refs, "tags": [], "converts": []}, body)
        named = {commit(repo, name): name for name in REPOS[repo]}
        revision = rest[0] if rest and rest[0] else "main"
        revision = named.get(revision, revision)
        if revision not in REPOS[repo]:
            return self.answer(404, b"", {"X-Error-Code": "RevisionNotFound"}, body)
        held, sha = REPOS[repo][revision], commit(repo, revision)
        if api and verb == "tree":
            tree = [
                {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for path, content in held.items()
            ]
            return self.json(tree, body)
        if api:
            return self.json({"id": repo, "sha": sha, "siblings": [{"rfilename": name} for name in held]}, body)
        name = "/".join(rest[1:-1])
        if name not in held:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha}, body)
        if body:
            self.served.append(f"{repo}@{revision}/{name}")
        tag = hashlib.sha1(held[name]).hexdigest()
        return self.answer(200, held[name], {"ETag": f'"{tag}"', "X-Repo-Commit": sha}, body)

    def json(self, found, body: bool):
        self.answer(200, json.dumps(found).encode(), {"Content-Type": "application/json"}, body)

    def answer(self, status: int, content: bytes, headers: dict[str, str], body: bool):
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.served.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


OPEN = """
import json, sys
from gedanken.sources.models import open_model
from gedanken.status import Failure
told = []
for model in sys.argv[1:]:
    try:
        source = open_model(model)
        steps = [[s.step, float(s.state.read(s.state.pieces[0])[0, 0])] for s in source.snapshots()]
        told.append({"run": source.run, "steps": steps, **source.describe()})
    except Failure as failure:
        told.append({"sentence": failure.sentence, "try": failure.try_next})
print(json.dumps(told))
"""


def ask(endpoint: str, home, *models: str, **environment: str) -> list[dict]:
    """What opening each model tells, in a fresh process: huggingface_hub reads its environment once."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    kept |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    kept |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", **environment}
    command = [sys.executable, "-c", OPEN, *models]
    done = subprocess.run(command, env=kept, cwd=home, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_model_is_fetched_once_and_then_found_offline(hub, tmp_path):
    (told,) = ask(hub, tmp_path, "org/tiny")
    assert (told["run"], told["steps"], told["architecture"]) == ("tiny", [[None, 1.0]], "llama")
    assert told["revision"] == commit("org/tiny", "main")
    assert sorted(Hub.served) == ["org/tiny@main/config.json", "org/tiny@main/model.safetensors"]
    again, other = ask(hub, tmp_path, "org/tiny", "org/tiny@step3", HF_HUB_OFFLINE="1")
    assert again["steps"] == [[None, 1.0]]
    assert "not in the local cache" in other["sentence"] and "HF_HUB_OFFLINE" in other["try"]
    assert len(Hub.served) == 2


def test_revisions_and_ladders_of_revisions(hub, tmp_path):
    one, ladder, none = ask(hub, tmp_path, "org/tiny@step20", "org/tiny@step*", "org/tiny@epoch*")
    assert (one["run"], one["steps"]) == ("tiny@step20", [[None, 20.0]])
    assert (ladder["run"], ladder["steps"]) == ("tiny", [[3, 3.0], [20, 20.0]])
    assert none["sentence"] == "org/tiny has no revision that matches epoch*; it has main, step20, step3."


def test_what_cannot_be_had_is_one_sentence(hub, tmp_path):
    missing, revision, gated, gguf, file = ask(
        hub, tmp_path, "org/nothing", "org/tiny@v9", "org/gated", "org/gguf-only", "org/gguf-only/b.gguf"
    )
    assert missing["sentence"].startswith("There is no path org/nothing, and no model of that name on the hub")
    assert revision["sentence"] == "org/tiny has no revision v9."
    assert gated["sentence"].startswith("org/gated is gated")
    assert "holds no .safetensors or .bin" in gguf["sentence"] and "FILE.gguf" in gguf["try"]
    assert file["sentence"] == "org/gguf-only holds no file b.gguf."


def test_a_hub_that_does_not_answer_is_one_sentence(tmp_path):
    (told,) = ask("http://127.0.0.1:9", tmp_path, "org/tiny")
    assert told["sentence"].count("\n") == 0 and "org/tiny" in told["sentence"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("org/name", Address("org/name")),
        ("org/name@step5", Address("org/name", "step5")),
        ("org/name/q/file.gguf@main", Address("org/name", "main", "q/file.gguf")),
        ("name", None),
        ("a/b/c", None),
        ("./a/b", None),
        ("org/na me", None),
    ],
)
def test_addresses(text, address):
    assert Address.parse(text) == address
    assert address is None or str(address) == text
