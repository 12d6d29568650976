"""What remedies tell people to do can be done."""

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from monitor.findings import Part, unit

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize("part", get_args(Part))
def test_parts_are_units_and_services(part):
    """Under systemd and in containers: each is told, and is there."""
    services = yaml.safe_load((CHECKOUT / "docker" / "compose.yaml").read_text("utf-8"))["services"]
    assert (CHECKOUT / "docs" / "systemd" / f"meterline-{part}.service").exists()
    assert part in services
    assert f"systemctl restart meterline-{part}, or docker compose restart {part}" == unit("restart", part)


def test_no_remedy_knows_systemd_alone():
    """Who runs containers has no systemctl."""
    texts = {file.name: file.read_text("utf-8") for file in (CHECKOUT / "monitor").glob("*.py")}
    assert ["findings.py"] == [name for name, text in texts.items() if re.search(r"systemctl|meterline-\w", text)]
