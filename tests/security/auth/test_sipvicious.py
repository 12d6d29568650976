"""What the scanners that everybody uses may find: sipvicious against the proxy, on loopback.

| tool | may find |
|---|---|
| svmap | that a SIP server called Meterline is there: it answers pings, and challenges |
| svwar | nothing: REGISTER is 405, OPTIONS 404, INVITE 407, for names that exist as for those that do not |
| svcrack | nothing, unless the password is among its first three guesses from that address |
"""

import subprocess
import sys
from pathlib import Path

import pytest

from stack.processes import free_port
from tests.support.world import NUMBER

SCANNER = "127.0.0.71"
NOTHING = "found nothing"


@pytest.fixture
def scan(stack, tmp_path):
    """Runs a tool of sipvicious on the proxy; all that it says."""
    host, _, port = stack.sip_address.rpartition(":")

    def run(tool, *words):
        program = Path(sys.executable).with_name(f"sipvicious_{tool}")
        command = [program, "-p", port, "-b", SCANNER, "-x", SCANNER, "-P", str(free_port(SCANNER)), *words, host]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            cwd=tmp_path,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        )
        return done.stdout + done.stderr

    return run


def written(path, words):
    """A dictionary for a tool."""
    path.write_text("\n".join(words) + "\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("method", ["OPTIONS", "INVITE"])
def test_svmap(scan, stack, method):
    """The server is found, and its name: no version, no module, nothing more."""
    found = [line.split("|")[1:3] for line in scan("svmap", "-m", method).splitlines() if stack.sip_address in line]
    assert [[stack.sip_address, "Meterline"]] == [[cell.strip() for cell in row] for row in found]


@pytest.mark.parametrize("method", ["REGISTER", "OPTIONS", "INVITE"])
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_svwar(scan, world, phone, tmp_path, method, force):
    """No name is told from another, whether it is a user's, a number's, or nobody's."""
    names = written(tmp_path / "names", [phone.username, NUMBER, "100", "1000", "admin", "nobody"])
    said = scan("svwar", "-m", method, *force, "--domain", world.realm, "-d", names, "--maximumtime", "2")
    assert NOTHING in said
    assert "| " not in said


def test_svcrack(scan, world, phone, tmp_path, aftermath):
    """Twenty guesses with the right password as the last: three are looked at, and none is told as right."""
    guesses = written(tmp_path / "guesses", [*(f"guess{number}" for number in range(19)), phone.password])
    told = ["-u", phone.username, "-e", NUMBER, "-d", guesses, "--domain", world.realm, "--maximumtime", "2"]
    assert NOTHING in scan("svcrack", *told)
    assert NOTHING in scan("svcrack", "-m", "INVITE", *told)
    details = [one.get("detail", "") for one in aftermath.events()]
    assert 3 == sum(detail.startswith("wrong: ") for detail in details)
    assert any(detail.startswith("locked: ") for detail in details)
