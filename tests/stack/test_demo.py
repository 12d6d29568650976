"""`make demo`, whole: what a newcomer sees first."""

import signal

import pytest

from demo import __main__ as demo


@pytest.fixture
def _keeps_its_signals():
    """The demo takes SIGTERM for itself."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_keeps_its_signals")
def test_every_call_goes_as_told(tmp_path, monkeypatch, capsys):
    """Seconds, charges, balances, audit; a reseller's call level by level; and nothing is left running."""
    monkeypatch.setattr(demo, "RUN", tmp_path / "demo")

    code = demo.main([])

    shown = capsys.readouterr()
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert (0, "") == (code, shown.err), shown.out
    assert "Every call went as told, to the last cent." == lines[-1]
    paid = lines.index("who pays to whom pays who then pays and keeps")
    assert [
        "card of Northwind Northwind 0.04 0.02 0.02",
        "Northwind the vendor 0.02 0.008 0.012",
        "the vendor the carrier 0.008",
        "The vendor's margin of these 4 s: 0.012",
    ] == lines[paid + 1 : paid + 5]
    assert any(line.startswith("Stopped. No process of the demo is left running.") for line in lines)
