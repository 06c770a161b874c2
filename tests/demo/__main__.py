"""``python -m demo``: tells the story. Exits 0, or 1 with a sentence for everything that is missing."""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from demo.after import ideas
from demo.report import Report
from demo.stage import set_up
from demo.story import Story


def main(arguments: Sequence[str] | None = None) -> int:
    options, report = _options(arguments), Report()
    try:
        return _tell(options, report)
    except httpx.HTTPError as error:
        report.problems([f"The app did not answer {error.request.url}: {type(error).__name__}."])
        return 1
    except KeyboardInterrupt:
        return 130


def _tell(options: argparse.Namespace, report: Report) -> int:
    with _folder(options.keep) as folder, set_up(folder, wrong=options.wrong_secret) as stage:
        missing = Story(stage, report).tell()
        if not missing:
            report.heading("What to try next")
            report.ideas(ideas(stage, options.keep))
    return 1 if missing else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--keep", metavar="FOLDER", type=_new_folder, help="put the files there, and leave them")
    parser.add_argument(
        "--wrong-secret",
        metavar="SINK",
        action="append",
        choices=["crm", "oncall", "analytics"],
        default=[],
        help="give this sink a secret that its place does not know: %(choices)s; may be given for each",
    )
    return parser.parse_args(arguments)


def _new_folder(name: str) -> Path:
    folder = Path(name)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise argparse.ArgumentTypeError(f"{name} is not an empty folder; name a new one")
    return folder


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="supertokens-events-demo-") as folder:
            yield Path(folder).resolve()


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows only ASCII can follow, too
    sys.exit(main())
