"""The workshop's own facts: what the packages, the sessions and the README say of each other is so."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from supertokens_events.config.reader import OWN_SINK_TYPES

ROOT = Path(__file__).parent.parent
WORKSHOP = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = [ROOT / "core", *sorted(path.parent for path in ROOT.glob("sinks/*/pyproject.toml"))]
SINKS = PACKAGES[1:]

every_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
every_sink = pytest.mark.parametrize("package", SINKS, ids=lambda package: package.name)


def project(package: Path) -> dict:
    return tomllib.loads((package / "pyproject.toml").read_text())["project"]


def source(package: Path) -> Path:
    """The folder that is imported."""
    return package / "src" / project(package)["name"].replace("-", "_")


def files() -> list[Path]:
    """What git has, and what it would take."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def nox_sessions() -> dict[str, ast.FunctionDef]:
    tree = ast.parse((ROOT / "noxfile.py").read_text())
    return {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and any("nox.session" in ast.unparse(d) for d in node.decorator_list)
    }


def readme_commands() -> list[str]:
    """The README's two lines for a clone."""
    return re.findall(r"^python3 -m venv .*$", (ROOT / "README.md").read_text(), re.MULTILINE)


# The packages


@every_package
@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "LICENSE"])
def test_every_package_explains_itself(package, name):
    """Every package has a README, a changelog and a licence of its own, none of them empty."""
    assert (package / name).read_text().strip()


@every_package
def test_every_package_is_typed(package):
    """Every package has py.typed beside its modules, so that an app's type checker reads our annotations."""
    assert (source(package) / "py.typed").is_file()


@every_package
def test_the_licence_is_the_same_everywhere(package):
    """A package's licence is the repository's, and its metadata names it."""
    assert (package / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert project(package)["license"] == "Apache-2.0"


@every_package
def test_a_version_is_said_once(package):
    """No module repeats its package's version: it asks the installed metadata."""
    version = re.escape(project(package)["version"])

    repeated = [path for path in source(package).rglob("*.py") if re.search(rf"['\"]{version}['\"]", path.read_text())]

    assert repeated == []


@every_package
def test_the_changelog_begins_with_the_version(package):
    """The topmost version of the changelog is the package's."""
    versions = re.findall(r"^## \[?(\d\S*?)\]?(?: |$)", (package / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert versions[0] == project(package)["version"]


@every_package
def test_the_packages_support_the_same_pythons(package):
    """A sink's Pythons are the core's, and the lowest is what ruff and mypy check against."""
    pythons = [c.rpartition(" ")[2] for c in project(package)["classifiers"] if re.search(r":: 3\.\d+$", c)]
    core = [c.rpartition(" ")[2] for c in project(ROOT / "core")["classifiers"] if re.search(r":: 3\.\d+$", c)]

    assert pythons == core
    assert project(package)["requires-python"] == f">={core[0]}"
    assert WORKSHOP["tool"]["mypy"]["python_version"] == core[0]
    assert WORKSHOP["tool"]["ruff"]["target-version"] == f"py{core[0].replace('.', '')}"


@every_package
def test_what_a_package_imports_it_declares(package):
    """Every foreign import of a package is a dependency of it, of one of its extras, or of the core that it builds on."""
    extras = project(package).get("optional-dependencies", {}).values()
    lines = chain(project(package)["dependencies"], project(ROOT / "core")["dependencies"], *extras)
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    owners = packages_distributions()  # without what is installed editable, which is ours and named like its module

    undeclared = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in source(package).rglob("*.py")
        if "templates" not in path.parts  # packages of their own, which declare what they import
        for module in imported(path) - sys.stdlib_module_names - {source(package).name}
        if not declared & {canonicalize_name(owner) for owner in owners.get(module, [module])}
    }

    assert undeclared == set()


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {name.partition(".")[0] for name in names}


# The sinks


@every_sink
def test_a_sinks_range_fits_the_core(package):
    """A sink in this repository accepts the core beside it, and not the next minor."""
    (core,) = (
        Requirement(line) for line in project(package)["dependencies"] if re.match(r"supertokens-events\b(?!-)", line)
    )
    version = Version(project(ROOT / "core")["version"])

    assert version in core.specifier
    assert Version(f"{version.major}.{version.minor + 1}") not in core.specifier


@every_sink
def test_a_sink_is_found_by_its_name(package):
    """A sink's entry point has the sink type's name, which is the package's, and leads to the package's module."""
    assert project(package)["name"] == f"supertokens-events-{package.name}"
    assert project(package)["entry-points"] == {"supertokens_events": {package.name: source(package).name}}


def test_the_core_names_every_sinks_package():
    """A configured sink type of ours that is not installed is answered with its package's name."""
    assert [package.name for package in SINKS] == sorted(OWN_SINK_TYPES)


@every_package
def test_the_workshop_knows_every_package(package):
    """A package of this repository is in the uv workspace's sources, in the dev group and in the import contracts."""
    name = project(package)["name"]

    assert name in WORKSHOP["tool"]["uv"]["sources"]
    assert name in WORKSHOP["dependency-groups"]["dev"]
    assert source(package).name in WORKSHOP["tool"]["importlinter"]["root_packages"]
    assert f"`{name}`" in (ROOT / "README.md").read_text()


def test_the_contract_names_every_sink():
    """The rule that sinks never import each other holds for every sink there is."""
    (contract,) = (c for c in WORKSHOP["tool"]["importlinter"]["contracts"] if c["id"] == "sinks")

    assert contract["modules"] == [source(package).name for package in SINKS]


# The README's two lines


def test_the_readme_has_two_lines_for_a_clone():
    """The README's first line runs the demo, its second runs the default sessions, and they differ in nothing else."""
    demo, tests = readme_commands()

    assert demo == f"{tests} -s demo"
    assert "demo" in nox_sessions()


def test_ci_runs_the_readmes_line():
    """What .ci/run ends with is the README's line for all tests, letter for letter."""
    assert (ROOT / ".ci/run").read_text().splitlines()[-1] == readme_commands()[1]


def test_ci_can_be_run():
    """.ci/run is executable."""
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_every_session_says_what_it_does():
    """Every nox session has a docstring, which `nox -l` shows."""
    assert [name for name, node in nox_sessions().items() if not ast.get_docstring(node)] == []


def test_every_session_in_the_guide_exists():
    """CONTRIBUTING and README name no session that is not there, and CONTRIBUTING names them all."""
    named = [re.findall(r"nox -s (\w+)", (ROOT / name).read_text()) for name in ("CONTRIBUTING.md", "README.md")]

    assert set(named[0]) == set(nox_sessions())
    assert set(named[1]) <= set(nox_sessions())


# What is written where


def test_constraints_are_names_and_versions():
    """constraints.txt has a name, a version and perhaps a marker on each line: no address, no path, no option."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()

    odd = [line for line in lines if not re.fullmatch(r"#.*|[a-z0-9-]+==[\w.]+( ; [\w.]+ [^:/]+)?", line)]

    assert odd == []
    assert not any("://" in line for line in lines)


def test_constraints_cover_what_is_declared():
    """Everything that a package or a session asks for by name has its version in constraints.txt."""
    asked = [line for package in PACKAGES for line in project(package)["dependencies"]]
    asked += [line for group in WORKSHOP["dependency-groups"].values() for line in group if isinstance(line, str)]
    ours = {project(package)["name"] for package in PACKAGES}
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}

    assert {canonicalize_name(Requirement(line).name) for line in asked} - ours - pinned == set()


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("a home folder", r"/(root|home/[a-z]\w*|Users/\w+)/"),
        ("a package index", r"\bpypi\.(org|python)|pythonhosted\.|--(extra-)?index-url|--find-link[s]"),
        ("a temporary folder of one machine", r"/(var/folders|tmp/(pytest-of|tmp\w{6,}))"),
    ],
)
def test_no_file_knows_the_machine_it_was_written_on(what, pattern):
    """No file in git names a home folder, a package index or a scratch folder: a clone works anywhere."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if re.search(pattern, line)
    ]

    assert found == [], what


def test_every_test_is_a_sentence():
    """Every test function in the repository says in its docstring what is so."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}"
        for path in files()
        if path.name.startswith("test_") and path.suffix == ".py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        if not ast.get_docstring(node)
    ]

    assert silent == []


def test_links_between_our_pages_lead_somewhere():
    """Every relative link in a Markdown file leads to a file."""
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in files()
        if path.suffix == ".md"
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", path.read_text())
        if not (path.parent / target).exists()
    ]

    assert broken == []
