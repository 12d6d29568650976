"""What people type, as values."""

from datetime import UTC, datetime

from cli.values import period


def test_a_period_until_now_has_what_was_booked_in_this_second() -> None:
    """A payment, and the statement that is printed for it at once."""
    booked = datetime.now(UTC)

    assert booked <= period("2026-01-01", None, "UTC").end
