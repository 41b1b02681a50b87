"""No password of a user's is shown or kept, wherever it was given."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from leaks import spellings, told
from mlflow_stores import free_port
from mlflow_stores import study as mirrored
from samples import poll, python, regression

from regsearch import InvalidInput, RegsearchError, Study, spaces
from regsearch.cleaning import SWITCHES, clean, cleaned, first_line, printable, public_address
from regsearch.cli import _parser, main
from regsearch.export.serving.registry import register
from regsearch.mirror import Mirror
from regsearch.storage.store import Store, study_names

TOKEN, PASSWORD, LIBPQ, AWS, TRACKED = (
    "t0ken-of-storage",
    "pa:ss@w/ord!",
    "pg-pass-word",
    "aws/key+of+mine",
    "tr4cked-pw",
)
REFUSED = {"run telling.py", "list --storage", "export one", "ui --storage", "report one", "retrain bundle", "sync one"}
SECRETS = (TOKEN, PASSWORD, LIBPQ, AWS, TRACKED)
SCRIPT = """
import os
import numpy as np
from sklearn.linear_model import Ridge
from regsearch import Choice, Estimator, Study

class Telling(Ridge):
    def fit(self, X, y, sample_weight=None):
        if self.alpha == 7:
            raise ValueError("cannot connect to " + os.environ["APP_STORAGE"] + " with " + os.environ["PGPASSWORD"])
        return super().fit(X, y, sample_weight)

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4))
y = X[:, 0] + rng.normal(size=60)
one = Study("one", X, y, space=Estimator(Telling(alpha=0.5), {"alpha": Choice(0.5, 1.0, 7, 50.0)}), cv=3,
            storage=os.environ["APP_STORAGE"], tracking=os.environ.get("APP_TRACKING"))
"""


class Echo(BaseHTTPRequestHandler):
    """Refuses every request, and repeats all of it: what a misconfigured gateway says."""

    def do_GET(self) -> None:
        said = f"{self.requestline}\n{self.headers}".encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_POST = do_GET  # noqa: N815 - as the server calls it

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def gateway() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def given_secrets(folder: Path, tracking: str | None) -> Iterator[None]:
    """An environment as a service has it: secrets in addresses and in variables of their own."""
    found = {
        "APP_STORAGE": f"sqlite:///file:{folder / 'optuna.db'}?token={TOKEN}&uri=true",
        "PGPASSWORD": LIBPQ, "AWS_SECRET_ACCESS_KEY": AWS, "MLFLOW_TRACKING_PASSWORD": TRACKED,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }  # fmt: skip
    if tracking is not None:
        found["APP_TRACKING"] = tracking
    with pytest.MonkeyPatch.context() as patch:
        for name, value in found.items():
            patch.setenv(name, value)
        yield


def commands() -> dict[str, list[list[str]]]:
    """How each command is called, with the storage by its option or by the environment's variable."""
    trust = ["--trust", "telling.Telling"]
    url, more = ["--storage", os.environ["APP_STORAGE"]], ["--script", "telling.py"]
    return {
        "run": [["run", "telling.py", "--trials", "4"]],
        "sync": [["sync", "one", *url]],
        "watch": [["watch", "one", "--once", *url]],
        "list": [["list", *url], ["list", "--storage", f"postgresql//me:{PASSWORD}@127.0.0.1:1/db"]],
        "show": [["show", "one", *url], ["show", "one", "--json", *url], ["show", "one", "--rule", "one_se", *url]],
        "export": [["export", "one", "--out", "bundle", "--register", "it", *url]],
        "ui": [["ui", *url, "--root", "elsewhere"]],
        "report": [["report", "one", *url], ["report", "one", "--storage", f"mysql://me:{PASSWORD}@127.0.0.1:1/db"]],
        "compare": [["compare", "one", "one", *url]],
        "ensemble": [["ensemble", "one", *url]],
        "ablate": [["ablate", "one", *url]],
        "learn": [["learn", "one", "--sizes", "0.5", "1", *url]],
        "verify": [["verify", "bundle", *more, *trust]],
        "retrain": [["retrain", "bundle", *more, *trust, "--data", "absent.csv", "--target", "y", "--out", "b"]],
    }  # fmt: skip


@pytest.mark.slow
def test_no_command_tells_a_secret(
    tmp_path: Path, gateway: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every command that there is, given secrets in every place that takes one, prints none and writes none."""
    (tmp_path / "telling.py").write_text(SCRIPT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    subparsers = next(one for one in _parser()._actions if isinstance(one, argparse._SubParsersAction))
    with given_secrets(tmp_path, f"http://me:{TRACKED}@127.0.0.1:{gateway}"):
        recipes = commands()
        assert set(recipes) == set(subparsers.choices)
        status = {" ".join(recipe[:2]): main(recipe) for several in recipes.values() for recipe in several}
    sys.modules.pop("telling")
    said = "".join(capfd.readouterr())
    assert {name for name, code in status.items() if code} == REFUSED
    printed = [line for line in said.splitlines() if any(secret in line for secret in spellings(SECRETS))]
    assert printed == []
    assert "the last failure: ValueError: cannot connect to" in said
    assert "403" in said  # of the server that repeats what it was sent
    assert told(tmp_path, SECRETS, but="telling.py") == []
    hint = next(line for line in said.splitlines() if line.startswith("Export:"))
    assert hint.endswith('--storage "$APP_STORAGE"')


@pytest.mark.slow
@pytest.mark.process
def test_a_dead_server(tmp_path: Path) -> None:
    """The process that writes to a server which does not answer has its address neither in its log nor on its line."""
    log = tmp_path / "mirror.log"
    with given_secrets(tmp_path, None):
        mirror = Mirror(f"http://me:{quote(PASSWORD, safe='')}@127.0.0.1:{free_port()}", None, log)
        mirror.start(mirrored())
        assert mirror.pid is not None
        line = subprocess.run(["ps", "-o", "args=", "-p", str(mirror.pid)], capture_output=True, text=True, check=True)
        assert poll(lambda: log.is_file() and "did not answer" in log.read_text())
    os.kill(mirror.pid, signal.SIGKILL)
    assert "regsearch.mirror.writer" in line.stdout
    assert "127.0.0.1" not in line.stdout
    assert "127.0.0.1" in log.read_text()
    assert told(tmp_path, SECRETS, but="telling.py") == []


@pytest.mark.slow
@pytest.mark.parametrize("front", ["postgresql://", "postgresql//", "postgresql:", "mysql+nodriver://", "nonsense:/"])
@pytest.mark.parametrize("password", [PASSWORD, quote(PASSWORD, safe=""), "simple-one", "a@b@c", "q?u#e/ry"])
def test_errors_and_tracebacks_of_the_library(tmp_path: Path, front: str, password: str) -> None:
    """An address that opens no storage is refused without its password, by each name that leads to it."""
    url = f"{front}me:{password}@127.0.0.1:1/db"
    for use in (
        lambda: Study("one", *regression(), space=spaces.linear(), root=tmp_path, storage=url).run(1, quiet=True),
        lambda: Store(tmp_path, "one", url).optuna(),
        lambda: study_names(tmp_path, url),
    ):
        with pytest.raises(InvalidInput, match="storage must be a URL that Optuna can open") as error:
            use()
        said = "".join(traceback.format_exception(error.value))
        assert password not in said
        assert f"me:{password}" not in said


@pytest.mark.slow
def test_registering_at_a_server_that_repeats_everything(tmp_path: Path, gateway: int) -> None:
    """A server's refusal is quoted without the password that it repeats, in the traceback too."""
    study = Study("one", *regression(), space=spaces.linear(), root=tmp_path, tracking=False, cv=3)
    study.run(2, quiet=True)
    with given_secrets(tmp_path, None), pytest.raises(RegsearchError) as error:
        register(study.export(tmp_path / "b"), "m", tracking_uri=f"http://me:{TRACKED}@127.0.0.1:{gateway}")
    said = "".join(traceback.format_exception(error.value))
    assert f"http://127.0.0.1:{gateway} did not take the model 'm'" in said
    assert not any(secret in said for secret in spellings(SECRETS))


@pytest.mark.slow
def test_a_hint_that_a_user_can_run(tmp_path: Path) -> None:
    """The command that a run proposes names the variable that has the address, else it has stars and says for what."""
    from regsearch.study.summary import summary

    url = f"sqlite:///file:{tmp_path / 'optuna.db'}?token={TOKEN}&uri=true"
    results = Study("one", *regression(), space=spaces.linear(), root=tmp_path, storage=url, tracking=False).run(
        1, quiet=True
    )
    with pytest.MonkeyPatch.context() as patch:
        said = summary(results, False)
        assert "?token=***&uri=true'" in said
        assert said.endswith("in place of ***, or its whole URL in REGSEARCH_STORAGE")
        patch.setenv("DATABASE", url)
        assert summary(results, False).endswith('--storage "$DATABASE"')
        patch.setenv("REGSEARCH_STORAGE", url)
        assert "--storage" not in summary(results, False)
        listed = python("-m", "regsearch", "list", "--root", str(tmp_path))
    assert "one" in listed.stdout, listed.stderr


# --- the function ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://***@host/db"),
        ("see http://me:p@ss@127.0.0.1:5000/x@y, please", "see http://***@127.0.0.1:5000/x@y, please"),
        ("postgresql//me:secret@host/db", "postgresql//***@host/db"),
        ("postgresql:/me:secret@host/db", "postgresql:/***@host/db"),
        ("me:sec/ret@host", "***@host"),
        ("http://host:5000/api?api_key=abc&x=1", "http://host:5000/api?api_key=***&x=1"),
        ("host=db user=me password=abc port=1", "host=db user=me password=*** port=1"),
        ("<Pipeline (host=db port=1 user=me database=x)>", "<Pipeline (host=db port=1 user=*** database=x)>"),
        ("{'password': 'abc', 'user': 'me'}", "{'password': '***', 'user': 'me'}"),
        ("Authorization: Basic bWU6c2VjcmV0", "Authorization: Basic ***"),
        ("Bearer abc.def-ghi", "Bearer ***"),
        # what is no secret stays
        ("models:/name@champion", "models:/name@champion"),
        ("http://h:5000/#/x?viewStateShareKey=a", "http://h:5000/#/x?viewStateShareKey=a"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("TfidfVectorizer(token_pattern='x', tokenizer=None)", "TfidfVectorizer(token_pattern='x', tokenizer=None)"),
        (r"C:\data@home\x", r"C:\data@home\x"),
        ("10:30, a@b.org", "10:30, a@b.org"),
    ],
)  # fmt: skip
def test_what_looks_like_a_secret(text: str, shown: str) -> None:
    """Passwords and tokens are hidden where a text has them, and nothing else is changed."""
    assert clean(text) == shown
    assert clean(shown) == shown


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=4, max_size=30))
def test_a_known_password_is_hidden_in_every_spelling(password: str) -> None:
    """A password in the environment is hidden as it is, and as addresses and Python write it."""
    assume(password.lower() not in SWITCHES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", {"SERVICE_PASSWORD": password})
        for spelt in (password, quote(password, safe=""), repr(password)):
            assert clean(f"[{spelt}]").strip("['\"]") == "***"


def test_short_words_are_hidden_as_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A short password spoils no longer word that has it inside; switches and folders are no passwords."""
    monkeypatch.setenv("SERVICE_PASSWORD", "test")
    monkeypatch.setenv("USE_TOKEN", "true")
    assert clean("the latest test is true") == "the latest *** is true"
    assert os.getcwd() in clean(f"in {os.getcwd()}")


def test_causes_are_cleaned() -> None:
    """An error that holds a secret, or whose own cause does, is replaced by its text; any other stays as it is."""
    plain, inner = ValueError("plain"), ValueError("http://me:secret@h/")
    outer = ValueError("outer")
    outer.__cause__ = inner
    assert cleaned(plain) is plain
    for error in (inner, outer):
        said = "".join(traceback.format_exception(cleaned(error)))
        assert "secret" not in said
        assert "ValueError" in said


def test_characters_that_steer() -> None:
    """Control characters, marks of direction and halves of characters are shown by their names, lines as they are."""
    assert clean("a\x1b[31mb\r\x07\nc\u202ed\ud800\x9b") == r"a\x1b[31mb\r\x07" + "\n" + r"c\u202ed\ud800\x9b"
    assert printable("a\nb\tc\u2028d") == r"a\nb\tc\u2028d"
    assert printable("naïve 中文 👩‍💻 µ±") == "naïve 中文 👩‍💻 µ±"
    assert first_line(ValueError("\x1b[2Jone\ntwo")) == r"\x1b[2Jone"
    assert first_line(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://me:pw@host:5000/mlflow?token=abc", "http://host:5000/mlflow?token=***"),
        ("postgresql://me:p@ss/w:rd@127.0.0.1:1/db", "postgresql://127.0.0.1:1/db"),
        ("databricks://profile", "databricks://profile"),
    ],
)
def test_addresses_that_lead_to_their_place(address: str, shown: str) -> None:
    """An address loses its user and password, and still is one."""
    assert public_address(address) == shown
