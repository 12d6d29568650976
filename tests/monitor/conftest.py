"""A stack of its own with its monitor, whose figures are read as Prometheus reads them."""

import contextlib
import json
import secrets
import urllib.error
import urllib.request

import pymysql
import pytest
from prometheus_client.parser import text_string_to_metric_families

from stack.node import Stack
from stack.processes import StackError, free_port, wait_until
from tests.support.faults import OVERRIDES
from tests.support.scene import Scene
from tests.support.world import World

SEEN_S = 12
"""The monitor asks the ledger every two seconds."""


class Watcher:
    """Whoever asks the monitor."""

    def __init__(self, address):
        self._url = f"http://{address}"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path):
        """Code and body."""
        try:
            with self._opener.open(self._url + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def judged(self, path):
        """Code, and what is wrong; 0 while nobody answers."""
        try:
            code, body = self.get(path)
        except urllib.error.URLError:
            return 0, []
        return code, json.loads(body)["wrong"]

    def samples(self):
        """(name, labels) to value."""
        families = text_string_to_metric_families(self.get("/metrics")[1])
        return {
            (one.name.removeprefix("meterline_"), tuple(sorted(one.labels.items()))): one.value
            for family in families
            for one in family.samples
        }

    def value(self, name, **labels):
        """One figure; None when it is not shown."""
        return self.samples().get((name, tuple(sorted(labels.items()))))

    def wait_for(self, expected, name, limit_s=SEEN_S, **labels):
        """Until a figure is so."""
        seen = []

        def is_so():
            seen.append(self.value(name, **labels))
            return seen[-1] == expected

        try:
            wait_until(is_so, limit_s, f"{name} {labels} is {expected}", poll_s=0.1)
        except StackError as error:
            raise AssertionError(f"{error}; the last was {seen[-1]}") from None


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """MariaDB, drain, Kamailio and monitor, private."""
    calls = {**OVERRIDES["calls"], "grant_s": 20, "renew_lead_s": 12}
    overrides = {
        "calls": calls,
        "database": {"ivr_password": secrets.token_hex(16)},  # the doctor looks at every login whose password is there
        "monitor": {"listen": f"127.0.0.1:{free_port()}", "audit_interval_s": 1},
    }
    with Stack(tmp_path_factory.mktemp("monitor"), overrides=overrides, watched=True) as running:
        yield running


@pytest.fixture(scope="session")
def world(stack):
    made = World(stack, [free_port() for _ in range(2)])
    yield made
    made.wait_until_drained()
    assert [] == made.cashier.audit()


@pytest.fixture
def scene(world, tmp_path, request):
    made = Scene(world, tmp_path, request.path.parent)
    yield made
    made.end()


@pytest.fixture
def as_root(stack):
    """SQL as the server's own administrator; the rows."""

    def run(sql):
        with (
            contextlib.closing(pymysql.connect(**stack.mariadb.admin_params(), database="meterline")) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(sql)
            connection.commit()
            return cursor.fetchall()

    return run


@pytest.fixture(scope="session")
def watcher(stack):
    made = Watcher(stack.settings.monitor.listen)
    wait_until(lambda: made.value("live_calls", state="answered") is not None, 20, "the monitor has looked")
    return made
