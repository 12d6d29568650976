"""The systemd units: systemd takes them as they are, and rates what they leave open."""

import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
UNITS = sorted((CHECKOUT / "docs" / "systemd").glob("*.service"))
TARGET = CHECKOUT / "docs" / "systemd" / "meterline.target"
EXPOSURE_MAX = 1.5
"""Of 10, by systemd 252. What is left: the network, and files of the host that everybody may read."""

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")


@pytest.fixture
def installed(tmp_path):
    """The units, for a checkout that is here and not in /opt."""
    for unit in (*UNITS, TARGET):
        text = unit.read_text(encoding="utf-8")
        assert unit is TARGET or "/opt/meterline" in text
        (tmp_path / unit.name).write_text(text.replace("/opt/meterline", str(CHECKOUT)), encoding="utf-8")
    return tmp_path


def analyze(*words):
    done = subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_systemd_takes_them(installed):
    """No unknown setting, no program that is not there, no loop in the order."""
    assert (0, "") == analyze("verify", *(str(file) for file in sorted(installed.iterdir())))


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_they_have_no_rights_to_lose(installed, unit):
    """systemd's own measure of what a broken service could reach."""
    threshold = f"--threshold={round(EXPOSURE_MAX * 10)}"
    code, told = analyze("security", "--offline=true", "--no-pager", threshold, str(installed / unit.name))
    assert 0 == code, told


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_they_come_back_for_ever(unit):
    """A node that gave up would stay away when the cause has gone."""
    lines = unit.read_text(encoding="utf-8").splitlines()
    assert {"Restart=always", "StartLimitIntervalSec=0", "User=meterline", "PartOf=meterline.target"} <= set(lines)
