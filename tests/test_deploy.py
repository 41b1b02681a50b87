"""The files in ``deploy/`` agree with each other, and with the programs and the package that they start."""

from __future__ import annotations

import re
import runpy
import shlex
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml  # type: ignore[import-untyped]
from postgres import PASSWORD, Cluster

from regsearch.cli import _parser
from regsearch.version import __version__

pytestmark = pytest.mark.slow(of="deployment")

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
FILES = sorted(file for file in DEPLOY.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OBJECTS: list[dict[str, Any]] = [
    one for name in ("raycluster.yaml", "driver.yaml") for one in yaml.safe_load_all((DEPLOY / name).read_text())
]
OURS, DATABASE = f"regsearch:{__version__}", "postgres"


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [one for one in OBJECTS if one["kind"] == kind]


def pods() -> list[dict[str, Any]]:
    """The templates of all pods of the manifests."""
    (cluster,) = of_kind("RayCluster")
    spec = cluster["spec"]
    templates = [group["template"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]
    return templates + [one["spec"]["template"] for one in OBJECTS if "template" in one["spec"]]


def containers() -> list[dict[str, Any]]:
    return [one for pod in pods() for one in pod["spec"]["containers"]]


def environment(container: dict[str, Any]) -> dict[str, Any]:
    """The variables of a container that have a value there."""
    return {one["name"]: one["value"] for one in container.get("env", ()) if "value" in one}


def environments() -> list[dict[str, Any]]:
    return [one.get("environment", {}) for one in SERVICES.values()] + [environment(one) for one in containers()]


def commands() -> list[list[str]]:
    """Every command that a container runs or is asked by whether it is well, with what variables default to."""
    said = [one["command"] for one in SERVICES.values() if "command" in one]
    plain = [shlex.split(re.sub(r"\$\{\w+:-(.*?)\}", r"\1", one)) for one in said]
    plain += [one["healthcheck"]["test"][1:] for one in SERVICES.values() if "healthcheck" in one]
    return plain + [one["args"] for one in containers() if "args" in one]


def start_options(params: dict[str, str]) -> list[str]:
    """What KubeRay makes of the parameters of a group."""
    return [f"--{name}={value}" for name, value in params.items()]


def addresses() -> set[str]:
    """``host:port`` of whatever something is given an address of, but for a container's own."""
    words = [str(value) for values in environments() for value in values.values()]
    words += [word.removeprefix("--address=") for command in commands() for word in command]
    found = {urlsplit(word).netloc.rpartition("@")[2] or word for word in words}
    return {one for one in found if re.fullmatch(r"[a-z][a-z-]*:\d+", one) and not one.startswith("localhost:")}


# --- the files among themselves ----------------------------------------------------------------------------------


def test_services_refer_to_each_other() -> None:
    """Whom a service waits for exists and can say that it is well; volumes are declared, and each is used."""
    for service in SERVICES.values():
        for name, waits in service.get("depends_on", {}).items():
            assert waits["condition"] != "service_healthy" or "healthcheck" in SERVICES[name]
    mounted = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())]
    assert {name for name in mounted if not name.startswith(".")} == set(COMPOSE["volumes"])
    assert all((DEPLOY / name).exists() for name in mounted if name.startswith("."))


def test_objects_refer_to_each_other() -> None:
    """Volumes that pods mount are among theirs, their claims are made, and services select pods by their labels."""
    claims = {one["metadata"]["name"] for one in of_kind("PersistentVolumeClaim")}
    made = [one for each in of_kind("StatefulSet") for one in each["spec"]["volumeClaimTemplates"]]
    templates = {one["metadata"]["name"] for one in made}
    for pod in pods():
        volumes = {one["name"]: one for one in pod["spec"].get("volumes", ())}
        mounts = {one["name"] for each in pod["spec"]["containers"] for one in each.get("volumeMounts", ())}
        assert mounts <= set(volumes) | templates
        claimed = [one["persistentVolumeClaim"] for one in volumes.values() if "configMap" not in one]
        assert {one["claimName"] for one in claimed} <= claims
    labels = [pod["metadata"]["labels"] for pod in pods() if "labels" in pod.get("metadata", {})]
    for one in (*of_kind("Deployment"), *of_kind("StatefulSet")):
        assert one["spec"]["selector"]["matchLabels"] == one["spec"]["template"]["metadata"]["labels"]
    assert all(one["spec"]["selector"] in labels for one in of_kind("Service"))


def test_addresses_are_those_of_services() -> None:
    """Every address leads to a service, by a port on which something listens there."""
    (cluster,) = of_kind("RayCluster")
    head = cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    ports = {one["metadata"]["name"]: [port["port"] for port in one["spec"]["ports"]] for one in of_kind("Service")}
    ports[f"{cluster['metadata']['name']}-head-svc"] = [one["containerPort"] for one in head["ports"]]
    said = {name: re.findall(r"port[= ](\d+)", service.get("command", "")) for name, service in SERVICES.items()}
    listening = {f"{name}:{port}" for known in (ports, said) for name, found in known.items() for port in found}
    assert addresses() == {
        "postgres:5432", "mlflow:5000", "ray-head:6379", "ray-head:10001", "regsearch-head-svc:10001",
    }  # fmt: skip
    assert addresses() <= listening


def test_a_ray_cluster_has_what_one_must_have() -> None:
    """The manifest of the cluster has each field without which KubeRay refuses it, and resources for its pods."""
    (cluster,) = of_kind("RayCluster")
    assert cluster["apiVersion"] == "ray.io/v1"
    spec = cluster["spec"]
    assert isinstance(spec["headGroupSpec"]["rayStartParams"], dict)
    for group in spec["workerGroupSpecs"]:
        assert group["groupName"]
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        assert isinstance(group["rayStartParams"], dict)
    for one in containers():
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", one["name"])
        assert {"cpu", "memory"} <= set(one["resources"]["requests"])


def test_whoever_talks_to_ray_has_its_token() -> None:
    """Ray asks for a token, which its nodes and drivers have, and nothing else."""
    here = {name for name, one in SERVICES.items() if "RAY_AUTH_TOKEN" in one.get("environment", {})}
    there = {one["name"] for one in containers() if "RAY_AUTH_TOKEN" in {each["name"] for each in one.get("env", ())}}
    assert here == there == {"ray-head", "ray-worker", "driver"}
    asking = [one for one in environments() if "RAY_AUTH_MODE" in one]
    assert [one["RAY_AUTH_MODE"] for one in asking] == ["token"] * 6


# --- the files and the package -----------------------------------------------------------------------------------


def test_images_are_pinned_and_agree() -> None:
    """An image is that of this version, or one of PostgreSQL with its version, the same in all files."""
    used = {one["image"] for one in (*SERVICES.values(), *containers())}
    assert {one for one in used if not one.startswith(f"{DATABASE}:")} == {OURS}
    (database,) = used - {OURS}
    assert re.fullmatch(r"postgres:\d+\.\d+-\w+", database)
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert re.findall(r"^FROM (\S+)$", dockerfile, flags=re.MULTILINE) == re.findall(
        r"^FROM (python:3\.\d+\.\d+-\S+)$", dockerfile, flags=re.MULTILINE
    )
    told = {found for file in FILES for found in re.findall(r"regsearch:\d[\w.]*", file.read_text())}
    assert told == {OURS}


def test_ray_is_the_one_that_is_pinned() -> None:
    """The cluster's version of Ray is that of the image, which is that of the constraints."""
    (cluster,) = of_kind("RayCluster")
    assert f"ray=={cluster['spec']['rayVersion']}" in (ROOT / "constraints.txt").read_text().splitlines()
    installed = re.search(
        r'pip install .*--constraint constraints\.txt ".\[(.*?)\]"', (DEPLOY / "Dockerfile").read_text()
    )
    assert installed is not None
    assert {"ray", "postgres"} <= set(installed[1].split(","))


def test_what_an_image_takes_exists() -> None:
    """Whatever the image is made of is in the repository, and let through to the build."""
    copied = re.findall(r"^COPY (.+) \S+$", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for name in (name for names in copied for name in names.split()):
        assert (ROOT / name).exists()
        assert f"!{name}" in allowed


def test_no_file_has_a_password() -> None:
    """Passwords come from the environment or a secret; the file that holds one is no part of the repository."""
    for file in FILES:
        text = file.read_text()
        assert not re.findall(r"://[^/\s@:]+:[^/\s@]+@", text), file
        given = re.findall(r"(?:PASSWORD|TOKEN)[\"']?[:=] *(\S.*)?$", text, flags=re.MULTILINE)
        assert all(not one or re.match(r"\$\{(POSTGRES_PASSWORD|RAY_AUTH_TOKEN):\?", one) for one in given), file
    assert not of_kind("Secret")
    for one in containers():
        assert not any(re.search("PASSWORD|TOKEN", name) for name in environment(one))
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    assert not (DEPLOY / "studies" / ".env").exists()


# --- the files and the programs ----------------------------------------------------------------------------------


def test_commands_are_understood_by_the_programs_that_they_name() -> None:
    """Ray, MLflow and regsearch each take every command that is given to them, with all its options."""
    (cluster,) = of_kind("RayCluster")
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    made = [["ray", "start", *start_options(group["rayStartParams"])] for group in groups]
    seen = set()
    for program, *words in commands() + made:
        seen.add(program)
        UNDERSTOOD[program](words)
    assert seen == set(UNDERSTOOD)


def ray_understands(words: list[str]) -> None:
    from ray.scripts.scripts import cli

    cli.commands[words[0]].make_context(words[0], words[1:])


def mlflow_understands(words: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own tables
        from mlflow.cli import cli

    cli.commands[words[0]].make_context(words[0], words[1:])


def regsearch_understands(words: list[str]) -> None:
    found = _parser().parse_args(words)
    assert (DEPLOY / found.script.removeprefix("/")).is_file()


UNDERSTOOD: dict[str, Callable[[list[str]], object]] = {
    "ray": ray_understands, "mlflow": mlflow_understands, "regsearch": regsearch_understands,
    "pg_isready": lambda words: None, "wget": lambda words: None,
}  # fmt: skip


def test_mlflow_answers_to_the_names_it_is_called_by() -> None:
    """Every address of MLflow that is given to somebody has a host to which its server answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of MLflow's own tables
        from mlflow.server.security_utils import is_allowed_host_header

    listed = [word for command in commands() if command[0] == "mlflow" for word in command if "mlflow:5000" in word]
    allowed = [word.removeprefix("--allowed-hosts=").split(",") for word in listed]
    called = [urlsplit(one["MLFLOW_TRACKING_URI"]).netloc for one in environments() if "MLFLOW_TRACKING_URI" in one]
    assert len(called) == len(allowed) == 2
    assert all(is_allowed_host_header(hosts, one) for hosts in allowed for one in [*called, "localhost:5000"])


def test_the_study_runs_on_what_its_environment_names(
    tmp_path: Path, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study of the image runs on workers, with its trials in the database whose password the environment has."""
    name = postgres.database()
    monkeypatch.setenv("REGSEARCH_STORAGE", postgres.url(name).replace(f":{PASSWORD}@", "@"))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    monkeypatch.setenv("STUDIES_ROOT", str(tmp_path))
    study = runpy.run_path(str(DEPLOY / "studies" / "study.py"))["study"]
    assert study.options.tracking == "http://mlflow:5000"
    assert study.replace(tracking=False).main(["--trials", "3", "--workers", "2"]) == 0
    ((count,),) = postgres.ask("SELECT count(*) FROM trials WHERE state = 'COMPLETE'", database=name)
    assert count == 3
    assert len(list(study.store.folder.glob("trials/*"))) == 3
