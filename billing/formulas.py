"""Texts that a spreadsheet would take for formulas: a carrier chooses the names in its deck, and anybody his own."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MARK = "'"


def marked(text: str) -> str:
    """The text with a mark before it that keeps it a text. `unmarked` gives back any text that this was."""
    return f"{_MARK}{text}" if text.startswith((*FORMULA, _MARK)) else text


def unmarked(text: str) -> str:
    """The text as it was before `marked`; one that needs no mark is as it is."""
    rest = text.removeprefix(_MARK)
    return rest if rest != text and rest.startswith((*FORMULA, _MARK)) else text
