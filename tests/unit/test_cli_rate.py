"""`meterline rate`: the command as a person calls it, its one line of output and its one line of complaint."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from cli.app import main

CHECKOUT = Path(__file__).parents[2]
TARIFF = {"connect_fee": "0.1", "rate_per_min": "0.6", "initial_s": 60, "increment_s": 6}
WEEKDAYS = {
    "zone": "Europe/Paris",
    "windows": [
        {
            "iso_weekdays": [1, 2, 3, 4, 5],
            "from_time": "08:00:00",
            "connect_fee": "0",
            "slots": [{"from_s": 0, "rate": "1", "per_s": 1, "increment_s": 1}],
        }
    ],
}


@pytest.fixture
def rate(tmp_path, capsys, monkeypatch):
    """Runs the command on a tariff, in this process; exit code, standard output, standard error."""
    monkeypatch.setenv("METERLINE_SETTINGS", "/nowhere")
    monkeypatch.chdir(tmp_path)

    def _rate(tariff: object, *words: str) -> tuple[int, str, str]:
        file = tmp_path / "tariff.json"
        file.write_text(tariff if isinstance(tariff, str) else json.dumps(tariff))
        code = main(["rate", "--tariff-file", str(file), *words])
        return code, *capsys.readouterr()

    return _rate


@pytest.mark.parametrize(
    ("tariff", "words", "answer"),
    [
        (TARIFF, ["--seconds", "61"], '{"cost": "0.7600"}'),
        (TARIFF, ["--seconds", "0"], '{"cost": "0.0000"}'),
        (TARIFF | {"rounding": {"method": "up", "decimals": 2}}, ["--seconds", "67"], '{"cost": "0.82"}'),
        (TARIFF | {"rounding": {"method": "up", "decimals": 0}}, ["--seconds", "61"], '{"cost": "1"}'),
        (TARIFF, ["--seconds", "90000"], '{"cost": "900.1000"}'),
        (TARIFF, ["--balance", "1"], '{"max_duration_s": 90}'),
        (TARIFF, ["--balance", "-1"], '{"max_duration_s": 0}'),
        (TARIFF, ["--balance", "100000"], '{"max_duration_s": 86400}'),
        (TARIFF | {"max_cost": "0.7", "max_cost_strategy": "disconnect"}, ["--balance", "9"], None),
        (WEEKDAYS, ["--at", "2026-06-01T06:00:00", "--seconds", "5"], '{"cost": "5.0000"}'),
        (WEEKDAYS, ["--at", "2026-06-01T08:00:00+02:00", "--seconds", "5"], '{"cost": "5.0000"}'),
    ],
)
def test_one_json_line(rate, tariff, words, answer):
    """Cost with the tariff's decimals, or whole seconds; no settings and no database are looked for."""
    code, output, complaint = rate(tariff, *words)
    assert (0, "") == (code, complaint)
    assert (answer or '{"max_duration_s": 60}') + "\n" == output


@pytest.mark.parametrize(
    ("tariff", "words", "named"),
    [
        (TARIFF, [], "--seconds"),
        (TARIFF, ["--seconds", "1", "--balance", "1"], "--balance"),
        (TARIFF, ["--seconds", "-1"], "--seconds"),
        (TARIFF, ["--seconds", "1.5"], "1.5"),
        (TARIFF, ["--balance", "1e3"], "1e3"),
        (TARIFF, ["--seconds", "1", "--at", "noon"], "noon"),
        (TARIFF, ["--secondz", "1"], "--secondz"),
        (TARIFF | {"connect_fee": "lots"}, ["--seconds", "1"], "connect_fee"),
        (TARIFF | {"conect_fee": "1"}, ["--seconds", "1"], "conect_fee"),
        (TARIFF | {"zone": "Mars/Base"}, ["--seconds", "1"], "Mars/Base"),
        (TARIFF | {"blocked": True}, ["--seconds", "1"], "barred"),
        ("{", ["--seconds", "1"], "tariff.json"),
        ([], ["--seconds", "1"], "tariff.json"),
        ([TARIFF | {"prefix": "1"}, TARIFF | {"prefix": "2"}], ["--seconds", "1"], "2 tariffs"),
        (WEEKDAYS, ["--at", "2026-06-06T12:00:00", "--seconds", "5"], "2026-06-06"),
    ],
)
def test_one_line_of_complaint(rate, tariff, words, named):
    """What is wrong is named in one line on standard error; nothing is printed as an answer."""
    code, output, complaint = rate(tariff, *words)
    assert code != 0
    assert output == ""
    assert named in complaint
    assert 1 == complaint.count("\n")


def test_command_runs_from_anywhere(tmp_path):
    """The script in bin/ as a person calls it, in a folder that is not the checkout's."""
    (tmp_path / "tariff.json").write_text(json.dumps(TARIFF))
    done = subprocess.run(
        [CHECKOUT / "bin" / "meterline", "rate", "--tariff-file", "tariff.json", "--seconds", "61"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "METERLINE_SETTINGS": "/nowhere"},
    )
    assert (0, '{"cost": "0.7600"}\n', "") == (done.returncode, done.stdout, done.stderr)


def test_a_missing_file_is_named(tmp_path):
    """The file that is not there stands in the complaint."""
    done = subprocess.run(
        [CHECKOUT / "bin" / "meterline", "rate", "--tariff-file", tmp_path / "none.json", "--seconds", "1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (1, "") == (done.returncode, done.stdout)
    assert "none.json: No such file" in done.stderr
