"""`make lint` sees when a file reaches where it must not."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "check_architecture.py"


@pytest.fixture
def check(tmp_path):
    """Runs the check on a checkout that holds one file; what it prints."""

    def _check(name: str, text: str) -> str:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        script = tmp_path / "scripts" / "check_architecture.py"
        script.parent.mkdir(exist_ok=True)
        script.write_text(SCRIPT.read_text())
        done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == (not done.stdout)
        return done.stdout.strip()

    return _check


@pytest.mark.parametrize(
    ("name", "text", "breach"),
    [
        ("kemi/relay.py", "import KSR\n", "kemi/relay.py:1: imports KSR; kemi/ksr.py alone may"),
        (
            "kemi/relay.py",
            "def f():\n    import KSR as k\n",
            "kemi/relay.py:2: imports KSR; kemi/ksr.py alone may",
        ),
        ("billing/a.py", "from kemi.ksr import log\n", "billing/a.py:1: billing imports kemi.ksr"),
        ("billing/a.py", "import http.client\n", "billing/a.py:1: billing imports http.client"),
        (
            "kemi/node.py",
            "from monitor import watch\n",
            "kemi/node.py:1: kemi imports monitor; nothing that carries calls depends on who watches",
        ),
        ("billing/rating.py", "import pymysql\n", "billing/rating.py:1: is pure, but imports pymysql"),
        ("cli/a.py", "def f():\n" + "    pass\n" * 70, "cli/a.py:1: f has 71 lines, more than 70"),
        (
            "kamailio.cfg",
            "request_route {\n}\n",
            "kamailio.cfg:1: routing belongs into kemi/: request_route {",
        ),
        (
            "kamailio.cfg",
            "/* a\nb */\nroute[X] {\n",
            "kamailio.cfg:3: routing belongs into kemi/: route[X] {",
        ),
        (
            "kamailio.cfg",
            "event_route[a:b] { }",
            "kamailio.cfg:1: routing belongs into kemi/: event_route[a:b] { }",
        ),
    ],
)
def test_a_breach_is_named(check, name, text, breach):
    """File, line and what is wrong."""
    assert breach == check(name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("kemi/ksr.py", "import KSR\n"),
        ("billing/a.py", "import json\nfrom billing.errors import NoRate\nimport pymysql\n"),
        ("billing/rating.py", "from decimal import Decimal\nfrom billing.errors import NoRate\n"),
        (
            "kamailio.cfg",
            '#!KAMAILIO\n# route[X] is not here\nloadmodule "tm.so" // if (x)\nmodparam("a", "b", "if (")\n',
        ),
        (
            "kamailio.cfg",
            '#!ifdef WITH_TLS\nenable_tls=yes\n#!endif\nmodparam("dialog", "timeout_route", "x")\n',
        ),
        ("kamailio.cfg", 'cfgengine "python"\nmodparam("rr", "append_fromtag", 1)\nfoo_route=1\n'),
    ],
)
def test_what_is_right_passes(check, name, text):
    """No complaint about the adapter, drivers in the engine, words in comments and strings."""
    assert check(name, text) == ""
