"""The house: who may import whom, what a light import costs, and what must never be there."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import regsearch
from regsearch.models.linear import penalties
from regsearch.space.registry import FAMILIES, registered
from regsearch.space.tree import Leaf

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools" / "docs"))

import rooms  # noqa: E402
from rooms import ABOVE, GROUND, ROOMS, imported, own, place  # noqa: E402

# The same inside models/neural.
NET_ROOMS = (
    "layout", "mixing", "technique", "optimizer", "embedding_layers", "embedding", "task_layers", "sharing", "columns",
    "pass_kernels", "one_pass", "dropout_masks", "patches", "penalty", "function_penalty", "techniques", "network",
    "architectures", "learning_rate", "config", "training", "files", "predictor", "refit", "figures", "net",
)  # fmt: skip
HEAVY = ("numpy", "scipy", "pandas", "sklearn", "optuna", "mlflow", "torch", "matplotlib", "skops", "numba", "joblib")


MODULES = rooms.modules()
LINES = 400  # of a module: what is read in one sitting
SCREEN = 60  # lines of a function


def outside(tree: ast.AST) -> set[str]:
    """The top-level packages that a module imports."""
    return {name.partition(".")[0] for name in imported(tree)}


def may_import(here: str) -> set[str]:
    """The places that a place may import beside itself."""
    if here in GROUND:
        return GROUND
    if here in ABOVE:
        return GROUND | set(ABOVE) | set(ROOMS[: ROOMS.index(ABOVE[here]) + 1])
    below = set(ROOMS[: ROOMS.index(here)])
    built = {name for name, room in ABOVE.items() if room in below}
    return GROUND | below | built - ({"data"} if here == "space" else set())


def test_the_rooms_are_the_house() -> None:
    """The rooms, and what stands flat beside them, are all there is."""
    assert {*ROOMS, *GROUND, *ABOVE} >= {place(module) for module in MODULES} >= {*ROOMS, *GROUND}
    assert {file.parent.name for file in rooms.PACKAGE.glob("*/*.py")} - {"testing"} == set(ROOMS)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module: str) -> None:
    """A module imports only from its own room, the rooms below it, and the ground."""
    here = place(module)
    up = {name for name in own(MODULES[module], MODULES) if place(name) not in may_import(here) | {here}}
    assert not up, f"{module} imports {up}"


def test_imports_of_nets_go_down() -> None:
    """Inside the room of nets, a folder or module imports only from those before it in `NET_ROOMS`."""
    modules = [name for name in MODULES if name.startswith("models.neural.")]
    assert {name.split(".")[2] for name in modules} == set(NET_ROOMS)
    for module in modules:
        here = NET_ROOMS.index(module.split(".")[2])
        inside = {name.split(".")[2] for name in own(MODULES[module], MODULES) if name in modules}
        up = {room for room in inside if NET_ROOMS.index(room) > here}
        assert not up, f"{module} imports {up}"


def test_no_import_cycle() -> None:
    """The import graph has no cycle, function-level and typing-only imports included."""
    graph = {module: own(tree, MODULES) - {module} for module, tree in MODULES.items()}
    list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_the_picture_is_of_the_code() -> None:
    """The page on the architecture shows the rooms as the code has them; `tools/docs/rooms.py` writes it anew."""
    assert rooms.PAGE.read_text(encoding="utf-8") == rooms.page()
    assert rooms.PICTURE.read_text(encoding="utf-8") == rooms.picture(rooms.rooms())


def definitions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    return (one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef))


def test_modules_are_read_in_one_sitting_and_functions_fit_on_a_screen() -> None:
    """No module has more than 400 lines, no function more than 60."""
    files = {file: len(file.read_text().splitlines()) for file in rooms.PACKAGE.rglob("*.py")}
    assert {file.name: lines for file, lines in files.items() if lines > LINES} == {}
    long = [
        f"{module}.{one.name}"
        for module, tree in MODULES.items() for one in definitions(tree)
        if not isinstance(one, ast.ClassDef) and (one.end_lineno or 0) - one.lineno >= SCREEN
    ]  # fmt: skip
    assert long == []


def test_every_class_has_a_name_of_its_own() -> None:
    """No two public classes of the package share a name."""
    names = Counter(
        one.name for tree in MODULES.values() for one in definitions(tree)
        if isinstance(one, ast.ClassDef) and not one.name.startswith("_")
    )  # fmt: skip
    assert {name for name, count in names.items() if count > 1} == set()


@pytest.mark.slow
def test_no_local_variable_has_the_name_of_an_import() -> None:
    """A name means one thing in a module; parameters, which callers know, have the names of their meaning."""
    hidden = []
    for module, tree in MODULES.items():
        heads = [one for one in tree.body if isinstance(one, ast.Import | ast.ImportFrom)]
        known = {alias.asname or alias.name for head in heads for alias in head.names}
        for function in definitions(tree):
            if not isinstance(function, ast.ClassDef):
                own_names = {one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg)}
                names = (one for one in ast.walk(function) if isinstance(one, ast.Name))
                made = {one.id for one in names if isinstance(one.ctx, ast.Store)}
                hidden += [f"{module}.{function.name}: {name}" for name in (made & known) - own_names]
    assert hidden == []


def test_optunas_private_names_are_known_in_one_file() -> None:
    """Only the file that keeps Optuna's study touches what Optuna does not promise."""
    private = {"_storage", "_trial_id"}
    users = {
        module for module, tree in MODULES.items() for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in private
    }  # fmt: skip
    assert users == {"storage.optuna_study"}


@pytest.mark.slow
def test_families_are_named_where_they_are() -> None:
    """What is imported by name goes down too, but for the models' families, which a name in a file may stand for."""
    named = {
        module: {
            node.value for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            and re.fullmatch(r"regsearch(\.\w+)+", node.value) and node.value.partition(".")[2] in MODULES
        }
        for module, tree in MODULES.items() if "importlib.import_module" in ast.unparse(tree)
    }  # fmt: skip
    for module, names in named.items():
        if module != "space.registry":
            here = may_import(place(module)) | {place(module)}
            assert {place(name.partition(".")[2]) for name in names} <= here, module
    assert named["space.registry"] == set(FAMILIES.values())
    for tag, cls in registered().items():
        family = FAMILIES.get(tag.partition(".")[0], FAMILIES[""])
        own = cls.__module__.startswith("regsearch.") and not issubclass(cls, Leaf)
        assert not own or f"{cls.__module__}.".startswith(f"{family}."), tag


@pytest.mark.process
@pytest.mark.parametrize("command", [["-c", "import regsearch, sys; dir(regsearch)"], ["-m", "regsearch", "--help"]])
def test_light_import(command: list[str]) -> None:
    """``import regsearch`` and ``regsearch --help`` load none of the heavy packages."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command], capture_output=True, text=True, timeout=300, check=True
    )
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "regsearch" in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.process
def test_nets_are_described_without_torch() -> None:
    """A space of nets, with every technique in it, is written, read and walked without torch."""
    modules = sorted(name for name in MODULES if name.startswith("models.neural.techniques."))
    assert modules
    script = (
        "import importlib, sys\n"
        "import regsearch, regsearch.models.neural\n"
        f"for name in {modules}: importlib.import_module('regsearch.' + name)\n"
        "from regsearch.space.config import from_toml, to_toml\n"
        "from regsearch.models.neural import CNN, MLP, Net, techniques\n"
        "from regsearch.space.params import flat\n"
        "from regsearch.space.sampling import default\n"
        "from regsearch.space.tree import Choice\n"
        "slots = {slot: Choice(None, *(c() for c in found)) for slot, found in techniques.slots().items()}\n"
        "space = Net(Choice(MLP(), CNN()), **slots)\n"
        "assert from_toml(to_toml(space)) == space\n"
        "flat(default(space))\n"
        "flat(space.reference())\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], timeout=300, check=True)


@pytest.mark.process
def test_files_are_searched_without_a_database(tmp_path: Path) -> None:
    """A search whose trials are files loads neither MLflow nor what databases are for, in its own process."""
    script = (
        "import sys\n"
        "from sklearn.datasets import load_diabetes\n"
        "from regsearch import Study, spaces\n"
        "def look(study, trial): loaded.append({'mlflow', 'sqlalchemy'} & set(sys.modules))\n"
        "loaded = []\n"
        "X, y = load_diabetes(return_X_y=True)\n"
        f"study = Study('s', X[:60], y[:60], space=spaces.linear(), root={str(tmp_path)!r})\n"
        "study.run(2, on_trial=look, quiet=True)\n"
        "assert loaded == [set(), set()], loaded\n"
    )
    subprocess.run([sys.executable, "-c", script], timeout=300, check=True)


@pytest.mark.slow
def test_mlflow_stays_in_the_writer() -> None:
    """Only the writer process's modules import mlflow, what replaces a report, and what registers a bundle."""
    assert {module for module, tree in MODULES.items() if "mlflow" in outside(tree)} <= {
        "mirror.writer", "mirror.runs", "mirror.sqlite", "mirror.replacing", "export.serving.registry",
    }  # fmt: skip
    others = {module for module, tree in MODULES.items() if own(tree, MODULES) & {"mirror.runs", "mirror.writer"}}
    assert others <= {"mirror.writer"}


@pytest.mark.slow
def test_nothing_is_pickled() -> None:
    """No module imports a serialiser that runs what it reads, but for what a process sends to those it has started.

    And numpy is never allowed to.
    """
    for module, tree in MODULES.items():
        picklers = outside(tree) & {"pickle", "cloudpickle", "dill", "marshal", "shelve"}
        assert not picklers or module == "parallel.shipping", module
        names = {name for name in imported(tree) if name.startswith("joblib")}
        assert not names & {"joblib", "joblib.load", "joblib.dump"}, module
        allowed = [
            keyword.value
            for node in ast.walk(tree) if isinstance(node, ast.Call)
            for keyword in node.keywords if keyword.arg == "allow_pickle"
        ]  # fmt: skip
        assert all(isinstance(value, ast.Constant) and value.value is False for value in allowed), module


@pytest.mark.parametrize("name", regsearch.__all__)
def test_public_names_resolve(name: str) -> None:
    """Every public name is there."""
    assert getattr(regsearch, name) is not None
    assert name in dir(regsearch)


def test_public_names_are_one_list() -> None:
    """What loads lazily, what type checkers see, and ``__all__`` are the same names, each at its home."""
    assert set(regsearch._HOME_OF) | set(regsearch._MODULES) == set(regsearch.__all__)
    assert len(regsearch.__all__) == len(set(regsearch.__all__))
    (block,) = [
        node for node in MODULES["__init__"].body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]  # fmt: skip
    seen = {
        alias.asname or alias.name: (f"{node.module}.{alias.name}", str(node.module))
        for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }  # fmt: skip
    assert {name: whole for name, (whole, _) in seen.items() if name in regsearch._MODULES} == regsearch._MODULES
    known = {name: home for name, (_, home) in seen.items() if name not in regsearch._MODULES}
    assert known | dict.fromkeys(penalties.__all__, penalties.__name__) == regsearch._HOME_OF  # a new one is one file
    with pytest.raises(AttributeError, match="nothing"):
        _ = regsearch.nothing


def test_a_penalty_is_one_file(tmp_path: Path) -> None:
    """A new file of a penalty is public and found by its name without any other edit, and listing it stays light."""
    package = tmp_path / "regsearch"
    shutil.copytree(rooms.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    folder = package / "models" / "linear" / "penalties"
    lasso = (folder / "l1.py").read_text(encoding="utf-8")
    (folder / "heavier.py").write_text(lasso.replace("class L1(", "class Heavier("), encoding="utf-8")
    script = (
        "import sys, regsearch\n"
        f"assert regsearch.__file__.startswith({str(tmp_path)!r})\n"
        "assert 'Heavier' in regsearch.__all__ and 'Heavier' in dir(regsearch) and 'numpy' not in sys.modules\n"
        "from regsearch import Heavier, Linear, Penalty\n"
        "import regsearch.models.linear as linear\n"
        "assert issubclass(Heavier, Penalty) and Linear('heavier').penalty == Heavier()\n"
        "assert linear.Heavier is linear.penalties.Heavier is Heavier and 'Heavier' in linear.__all__\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, timeout=300, check=True)
