"""Text as it may be shown and kept: without passwords, and without characters that steer a terminal or a page.

Whatever another library says, and whatever repeats an address or a name that a user gave, goes through here.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, TextIO

HIDDEN = "***"
REASON = 300  # characters of the first line of what another library says
SHORTEST = 4  # letters of a password that is looked for by itself; a shorter one is hidden where an address has it
WORD = 8  # letters below which it is hidden only where it stands as a word
SWITCHES = {"true", "false", "none", "null"}  # values that are no secrets, whatever their names say
FOLDERS = {"PWD", "OLDPWD"}
_NAME = r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|(?:api|access|account|private|secret)[_-]?key)"
_IN_ENVIRONMENT = re.compile(rf"(?:{_NAME}|connection_string)(?:_|$)", re.IGNORECASE)
_IN_QUERY = re.compile(rf"([?&;](?:[\w.-]*{_NAME}|key|sig|signature|sas)=)([^&\s'\"#;]+)", re.IGNORECASE)
_HOST = r"(?:localhost|[\w-]+\.[\w.-]+|[\w.-]+:\d+|\[[\w:.]+\])(?:[/?#\s'\",;)]|$)"
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"//[^\s'\"<>/?#]{{1,400}}@(?={_HOST})"), f"//{HIDDEN}@"),
    # whatever signs a password has that it should not have; what is a number before a slash is a port
    (re.compile(r"//[^\s'\"<>/?#@:]{0,200}:(?!\d+[/?#])[^\s'\"<>]{0,400}@"), f"//{HIDDEN}@"),
    (re.compile(r"//[^\s'\"<>/?#]{1,400}@"), f"//{HIDDEN}@"),
    # the same where // or the colon before it was forgotten; no models:/name@alias, no C:\\folder@
    (re.compile(r"[^\s'\"<>/:@\\]{1,64}:(?![/\\]|\d+[/?#])[^\s'\"<>]{1,400}@(?=[\w\[])"), f"{HIDDEN}@"),
    (_IN_QUERY, rf"\1{HIDDEN}"),
    (re.compile(r"(\(host=\S{1,200} (?:port=\d+ )?user=)\S+(?= database=)"), rf"\1{HIDDEN}"),  # psycopg of a connection
    (re.compile(r"\b(basic|bearer) +[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    # password=value of a connection string, 'password': 'value' of a dict
    (re.compile(rf"(\b[\w.-]{{0,100}}{_NAME}=)('[^']*'|\"[^\"]*\"|[^\s'\"&,;)]+)", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(rf"(['\"][\w.-]{{0,100}}{_NAME}['\"]: *)('[^']*'|\"[^\"]*\")", re.IGNORECASE), rf"\1'{HIDDEN}'"),
)
# control characters, marks of direction, separators of lines, tags, and halves of characters
_OTHERS = r"\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f"
_STEERING = re.compile(rf"[\x00-\x1f{_OTHERS}]")
_STEERING_IN_LINES = re.compile(rf"[\x00-\x08\x0b-\x1f{_OTHERS}]")
_remembered: set[str] = set()  # the secrets of the addresses that this process was given


class ForeignError(Exception):
    """What another library raised, by its name and its cleaned text: it takes its place in a chain of errors."""


def clean(text: Any) -> str:
    """A text as it may be shown: no secrets, and nothing that steers a terminal; its lines stay."""
    return _STEERING_IN_LINES.sub(_escaped, without_secrets(str(text)))


def printable(text: Any) -> str:
    """A name or a cell as one line, whose control characters are seen, not obeyed."""
    return _STEERING.sub(_escaped, str(text))


def one_line(text: Any) -> str:
    """A text without secrets as one line: a message of another library may have several."""
    return printable(re.sub(r"\s*[\r\n]+\s*", " ", without_secrets(str(text)).strip()))


def shortened(text: str, most: int) -> str:
    """A text of at most so many letters; an ellipsis shows a cut."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def as_html(text: Any) -> str:
    """A name or a sentence in a page."""
    from html import escape

    return escape(printable(text))


def as_words(text: Any) -> str:
    """A name or a sentence in Markdown: it makes no element, no link and no code."""
    return printable(text).replace("<", "&lt;").replace("`", r"\`").replace("](", r"]\(")


def as_code(text: Any) -> str:
    """A name in Markdown as code, whatever signs it has."""
    said = printable(text)
    ticks = "`" * (max(map(len, re.findall("`+", said)), default=0) + 1)
    return f"{ticks} {said} {ticks}" if "`" in said else f"`{said}`"


def first_line(error: BaseException) -> str:
    """What an error says in its first line, cleaned; its type where it says nothing."""
    said = clean(error).strip()
    return shortened(printable(said.splitlines()[0]), REASON) if said else type(error).__name__


def cleaned(error: BaseException) -> BaseException:
    """An error as the cause of another: a traceback shows it, so one that holds a secret is replaced by its text."""
    chain, one = [], error
    while one is not None and one not in chain:
        chain.append(one)
        one = one.__cause__ or one.__context__  # type: ignore[assignment]
    if not any(without_secrets(text := str(link)) != text for link in chain):
        return error
    return ForeignError(f"{type(error).__name__}: {clean(error)}").with_traceback(error.__traceback__)


# --- secrets ---------------------------------------------------------------------------------------------------


def without_secrets(text: str) -> str:
    """A text in which passwords and tokens are ``***``: those that are known, and what looks like one."""
    for secret in _known():
        if secret in text:
            text = _replaced(text, secret)
    return _without_patterns(text)


def _without_patterns(text: str) -> str:
    for pattern, hidden in _PATTERNS:
        text = pattern.sub(hidden, text)
    return text


def public_address(address: str) -> str:
    """An address that still leads to its place, without user and password and with its tokens hidden."""
    if not _misread(address.partition("//")[2]):
        address = re.sub(r"//[^\s/?#]*@", "//", address, count=1)
    return _without_patterns(address).replace(f"{HIDDEN}@", "")


def remember_secrets(address: Any) -> None:
    """Hide from now on what an address has of secrets, wherever this process shows or keeps them."""
    if isinstance(address, str):
        _remembered.update(_in_address(address))


def _known() -> list[str]:
    """Every secret of this process in every spelling, the longest first: none is left in half."""
    return _spelt(frozenset(_remembered), tuple(os.environ.items()))


@lru_cache(maxsize=8)
def _spelt(remembered: frozenset[str], variables: tuple[tuple[str, str], ...]) -> list[str]:
    found = {spelt for secret in (*remembered, *_in_environment(variables)) for spelt in _spellings(secret)}
    return sorted(found, key=len, reverse=True)


def _in_environment(variables: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in variables:
        if re.match(r"[\w+.-]+://", value):
            yield from _in_address(value)
        elif name not in FOLDERS and len(value) >= SHORTEST and _IN_ENVIRONMENT.search(name):
            yield from () if value.lower() in SWITCHES else (value,)


def _in_address(address: str) -> Iterator[str]:
    """Passwords and tokens of an address, however badly it is written; parsers that misread it repeat their parts."""
    rest = address.partition("//")[2]
    place = rest if _misread(rest) else re.split(r"[/?#]", rest, maxsplit=1)[0]
    front = place.rpartition("@")[0] or (rest.rpartition("@")[0] if "@" not in place else "")
    forgotten = None if rest else re.search(r"[^\s:/@\\]+:(?![/\\])(\S+)@", address)
    password = forgotten[1] if forgotten else re.sub(r"^\d+/.*", "", front.partition(":")[2])  # that is a port
    yield from (part for part in (password, *re.split(r"[@/:?#]", password)) if len(part) >= SHORTEST)
    yield from (found[2] for found in _IN_QUERY.finditer(address) if len(found[2]) >= SHORTEST)


def _misread(rest: str) -> bool:
    """Whether there is an @ behind what would be the host, and that is none: the password has an @ and a slash."""
    host = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    return "@" in rest.partition(f"@{host}")[2] and re.match(_HOST, f"{host}/") is None


def _spellings(secret: str) -> Iterator[str]:
    """A secret as addresses and Python write it."""
    from urllib.parse import quote, quote_plus, unquote, unquote_plus

    for plain in {secret, unquote(secret), unquote_plus(secret)}:
        yield from (plain, quote(plain, safe=""), quote(plain), quote_plus(plain), repr(plain)[1:-1])


def _replaced(text: str, secret: str) -> str:
    if len(secret) >= WORD:
        return text.replace(secret, HIDDEN)
    return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)


# --- characters ------------------------------------------------------------------------------------------------


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


class CleanStream:
    """A stream of text that is cleaned line by line: what is printed by those who know nothing of secrets."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._begun = stream, ""

    def write(self, text: str) -> int:
        *whole, self._begun = (self._begun + text).split("\n")
        if whole:
            self._stream.write("".join(f"{clean(line)}\n" for line in whole))
        return len(text)

    def flush(self) -> None:
        if self._begun:
            self._stream.write(clean(self._begun))
            self._begun = ""
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def say(text: Any = "", *, error: bool = False) -> None:
    """Print a cleaned text, or say what went wrong."""
    print(clean(text), file=sys.stderr if error else sys.stdout)
