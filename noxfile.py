"""The workshop's sessions. `nox -l` lists them; README.md has the two lines a visitor needs."""

import os
import shutil
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # before nox: an older Python brings an older nox
    sys.exit(
        f"supertokens-events needs Python 3.11 or newer; this is {sys.version.split()[0]} ({sys.executable}). "
        "Run the same line with a newer one, for example python3.12 in place of python3."
    )

import nox

ROOT = Path(__file__).parent
WORKSHOP = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = nox.project.python_versions(nox.project.load_toml(ROOT / "core/pyproject.toml"))
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
PACKAGES = ["core", *sorted(str(path.parent.relative_to(ROOT)) for path in ROOT.glob("sinks/*/pyproject.toml"))]
SOURCES = [f"{package}/src" for package in PACKAGES]
CONSTRAINTS = ROOT / "constraints.txt"
WORKERS = str(min(4, (os.cpu_count() or 1) + 1))  # one more than cores: many tests wait for a process, or a deadline

os.environ.setdefault("UV_COMPILE_BYTECODE", "1")  # as pip does: tests start many processes that import the SDK
os.environ.setdefault("UV_SYSTEM_CERTS", "1")  # uv trusts whom pip trusts, behind a company's proxy too

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_external_run = True
nox.options.sessions = ["lint", "typing", "docs", "tests", "wheels"]


def install(session: nox.Session, group: str, *packages: str) -> None:
    """Install a dependency group and, editable, the packages named, in the versions of constraints.txt."""
    editable = [argument for package in packages for argument in ("-e", package)]
    session.install("-c", str(CONSTRAINTS), *nox.project.dependency_groups(WORKSHOP, group), *editable)


@nox.session
def demo(session: nox.Session) -> None:
    """What happens in a real app becomes a signed webhook, a Slack message, a Segment batch and a line in a file."""
    install(session, "demo", *PACKAGES)
    session.run("python", "-m", "demo", *session.posargs, env={"PYTHONPATH": str(ROOT / "tests")})


@nox.session(python=PYTHONS if HERE in PYTHONS else [*PYTHONS, HERE])  # on a Python newer than we know, tests run too
def tests(session: nox.Session) -> None:
    """Every test of every package, on a few cores. Options go to pytest: `nox -s tests-3.12 -- -n 0 -k outbox`."""
    install(session, "test", *PACKAGES)
    session.run("pytest", "-n", WORKERS, "--dist", "worksteal", *session.posargs)


@nox.session
@nox.parametrize("minor", ["0.27", "0.28", "0.29", "0.30", "0.31"])
def sdk(session: nox.Session, minor: str) -> None:
    """The flows that exist there, with one minor version of supertokens-python: `nox -s "sdk(minor='0.29')"`."""
    install(session, "test", *PACKAGES)
    session.install(f"supertokens-python=={minor}.*")
    flows = session.posargs or ["tests/flows", "tests/test_flows.py", "tests/test_story.py"]
    session.run("pytest", "-n", WORKERS, "--dist", "worksteal", *flows)


@nox.session
def lint(session: nox.Session) -> None:
    """The style, the format, and who may import whom."""
    install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", env={"PYTHONPATH": os.pathsep.join(SOURCES)})


@nox.session
def typing(session: nox.Session) -> None:
    """Mypy, strict, on every package's source, and on what `new-sink` writes."""
    install(session, "typing", *PACKAGES)
    session.run("mypy", "--strict", *SOURCES)
    folder = Path(session.create_tmp()).resolve()
    for kind in ("http", "simple"):
        shutil.rmtree(folder / f"supertokens-events-my-{kind}", ignore_errors=True)
        with session.chdir(folder):
            session.run("supertokens-events", "new-sink", f"my-{kind}", "--kind", kind, silent=True)
        with session.chdir(folder / f"supertokens-events-my-{kind}"):
            session.run("mypy")


@nox.session
def wheels(session: nox.Session) -> None:
    """Build every package, install the wheels with plain pip, in every subset of the sinks, beside a sink that `new-sink` wrote,
    without the SDK and then with it; send an event through.
    """
    install(session, "wheels")
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder / "dist", ignore_errors=True)
    for package in PACKAGES:
        session.run("python", "-m", "build", "--installer", "uv", "--outdir", f"{folder}/dist", package, silent=True)
    session.run("python", "-m", "venv", "--clear", str(folder / "venv"))
    python = str(folder / "venv/bin/python")
    built = [str(wheel) for wheel in (folder / "dist").glob("*.whl")]
    session.run(python, "-m", "pip", "install", "-q", "-c", str(CONSTRAINTS), *built, external=True)
    session.run(python, "-m", "pip", "check", external=True)
    session.run(python, "tests/smoke/smoke.py", external=True)
    session.run(python, "tests/smoke/without_sdk.py", external=True)
    session.run(python, "tests/smoke/subsets.py", f"{folder}/dist", external=True)
    new_sink_is_installed(session, folder, python)
    (core,) = (folder / "dist").glob("supertokens_events-*.whl")
    session.run(python, "-m", "pip", "install", "-q", "-c", str(CONSTRAINTS), f"{core}[sdk]", external=True)
    session.run(python, "tests/smoke/with_sdk.py", external=True)


def new_sink_is_installed(session: nox.Session, folder: Path, python: str) -> None:
    """Write a sink with the core that is installed there, build its wheel, install it beside the core's, send it an event."""
    shutil.rmtree(folder / "new", ignore_errors=True)
    (folder / "new").mkdir()
    with session.chdir(folder / "new"):
        arguments = ("new-sink", "smoke-signal", "--kind", "simple")
        session.run(python, "-m", "supertokens_events", *arguments, external=True)
    build = ("-m", "build", "--installer", "uv", "--wheel", "--outdir", f"{folder}/new/dist")
    session.run("python", *build, f"{folder}/new/supertokens-events-smoke-signal", silent=True)
    (wheel,) = (folder / "new/dist").glob("*.whl")
    session.run(python, "-m", "pip", "install", "-q", "--no-index", str(wheel), external=True)
    session.run(python, "tests/smoke/new_sink.py", external=True)


@nox.session
def simulate(session: nox.Session) -> None:
    """The engine in virtual time with faults at every step: `nox -s simulate -- --seeds 10000`, `-- --seed 7`."""
    install(session, "test", *PACKAGES)
    session.run("python", "-m", "simulation", *session.posargs, env={"PYTHONPATH": str(ROOT / "tests")})


@nox.session
def chaos(session: nox.Session) -> None:
    """Real processes, killed again and again: `nox -s chaos -- sqlite --seconds 60`, `-- postgres`."""
    install(session, "test", *PACKAGES)
    path = os.pathsep.join((str(ROOT / "tests"), str(ROOT / "core/tests")))
    session.run("python", "-m", "chaos", *(session.posargs or ["sqlite"]), env={"PYTHONPATH": path})


@nox.session
def bench(session: nox.Session) -> None:
    """How quick it is, in figures: every script, or one with options: `nox -s bench -- sign_in --rate 50`."""
    install(session, "bench", *PACKAGES)
    scripts = sorted(path.stem for path in ROOT.glob("core/benchmarks/[!_]*.py"))
    chosen, options = ([session.posargs[0]], session.posargs[1:]) if session.posargs else (scripts, [])
    path = os.pathsep.join((str(ROOT / "tests"), str(ROOT / "core/tests")))
    for script in chosen:
        session.run("python", f"core/benchmarks/{script}.py", *options, env={"PYTHONPATH": path})


@nox.session
def docs(session: nox.Session) -> None:
    """Build the pages into docs/_build; a warning is an error."""
    install(session, "docs", *PACKAGES)
    session.run("sphinx-build", "-W", "-q", "docs", "docs/_build")


@nox.session
def generate(session: nox.Session) -> None:
    """Make what follows from the catalog anew: reference pages, JSON Schemas, the AsyncAPI document."""
    install(session, "generate", "core")
    session.run("python", "docs/generate.py", *session.posargs)


@nox.session
def constraints(session: nox.Session) -> None:
    """Make constraints.txt anew: names and versions, nothing else."""
    install(session, "constraints")
    names = [nox.project.load_toml(ROOT / package / "pyproject.toml")["project"]["name"] for package in PACKAGES]
    session.run(
        *("uv", "pip", "compile", "--quiet", "--upgrade", "--output-file", str(CONSTRAINTS)),
        *("--universal", "--python-version", PYTHONS[0], "--fork-strategy", "fewest"),
        *("--no-annotate", "--custom-compile-command", "nox -s constraints"),
        *(f"--no-emit-package={name}" for name in names),
        *("--group", "dev", *(f"{package}/pyproject.toml" for package in PACKAGES)),
    )
