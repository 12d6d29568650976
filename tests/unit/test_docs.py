"""The guides and the code say the same: settings, commands, refusals, log events, tables, routines, views, links."""

import ast
import json
import re
from pathlib import Path

import pytest
import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from billing.settings import Settings
from cli.app import app
from db.grants import rights_of
from kemi.refusals import ANSWERS

CHECKOUT = Path(__file__).parents[2]
OPERATOR = (CHECKOUT / "docs" / "operator.md").read_text(encoding="utf-8")
DATABASE = (CHECKOUT / "docs" / "database.md").read_text(encoding="utf-8")
MIGRATIONS = "\n".join(file.read_text("utf-8") for file in sorted((CHECKOUT / "db" / "migrations").glob("*.sql")))
DOCUMENTS = [
    *(CHECKOUT / name for name in ("README.md", "SECURITY.md", "docker/README.md")),
    *sorted((CHECKOUT / "docs").rglob("*.md")),
]

LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+) \((.*?)\n\) ENGINE", re.DOTALL)
COLUMN = re.compile(r"^  ([a-z]\w*) ", re.MULTILINE)
MARKDOWN = re.compile(r"(?<![\w./*-])([\w./-]*\w\.md)\b")
TEXTS = {"", ".agi", ".cfg", ".conf", ".example", ".md", ".py", ".service", ".sh", ".sql", ".toml", ".xml"}
ADDED = re.compile(r"ALTER TABLE (\w+)\n(.*?);\n", re.DOTALL)
ADDED_COLUMN = re.compile(r"ADD COLUMN IF NOT EXISTS (\w+) ")
EVENT = re.compile(r"(?:\b(?:event|failure|report)\(\s*|event: str = )\"(\w+)\"")
EVENT_FILES = sorted(file for package in ("billing", "kemi", "monitor") for file in (CHECKOUT / package).glob("*.py"))


def settings_of(model: type[BaseModel], prefix: str = "") -> dict[str, object]:
    """Every key as an operator writes it, with its default; PydanticUndefined: required."""
    found: dict[str, object] = {}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= settings_of(field.annotation, f"{name}.")
        else:
            found[prefix + name] = field.default
    return found


def table_row(text: str, key: str) -> list[str]:
    """The cells of the row whose first cell is `key`; empty without one."""
    row = re.search(rf"^\| `{re.escape(key)}` \|(.*)\|$", text, re.MULTILINE)
    return [cell.strip() for cell in row.group(1).split("|")] if row else []


def as_written(default: object) -> str:
    """A default as the table shows it."""
    if default is PydanticUndefined:
        return "required"
    if default is None:
        return "none"
    if isinstance(default, tuple):
        return f"`{json.dumps(default)}`"
    return f"`{default}`"


def commands() -> list[str]:
    """Every command: "topup", "db migrate".."""
    group = typer.main.get_command(app)
    found = []
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        found += [f"{name} {inner}" for inner in getattr(command, "commands", {})] or [name]
    return found


@pytest.mark.parametrize(("key", "default"), settings_of(Settings).items())
def test_every_setting_stands_in_the_operators_guide_with_its_default(key, default):
    """A key that an operator must guess is a fault, and so is a default that is another."""
    assert [as_written(default)] == table_row(OPERATOR, key)[:1]


def test_the_operators_guide_names_no_setting_that_does_not_exist():
    """A key that was renamed leaves the guide, too."""
    section = OPERATOR.split("\n## Settings\n")[1].split("\n## ")[0]
    assert set(settings_of(Settings)) == set(re.findall(r"^\| `([a-z_.]+)` \|", section, re.MULTILINE))


@pytest.mark.parametrize("command", commands())
def test_every_command_stands_in_the_operators_guide(command):
    """`meterline X` with what it does, in a row of its own or with its like."""
    assert re.search(rf"^\|[^|\n]*`meterline {command}[ `]", OPERATOR, re.MULTILINE)


@pytest.mark.parametrize(("token", "answer"), ANSWERS.items())
def test_every_refusal_stands_in_the_operators_guide_with_its_answer(token, answer):
    """Code, phrase and Retry-After."""
    shown = table_row(OPERATOR, token)[0]
    assert shown.startswith(f"{answer.code} {answer.reason}")
    assert (f"Retry-After {answer.retry_after_s}" in shown) == bool(answer.retry_after_s)


def test_every_event_of_the_log_stands_in_the_operators_guide():
    """An operator who greps for an event finds what it means, and none that nobody writes."""
    written = {name for file in EVENT_FILES for name in EVENT.findall(file.read_text("utf-8"))}
    section = OPERATOR.split("\n## Logs\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \|", section, re.MULTILINE)
    assert written == {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def tables() -> dict[str, list[str]]:
    """Every table of the ledger with its columns."""
    found = {name: COLUMN.findall(body) for name, body in TABLE.findall(MIGRATIONS)}
    for name, body in ADDED.findall(MIGRATIONS):
        found[name] += ADDED_COLUMN.findall(body)
    return found


def test_every_table_is_in_the_picture():
    """The picture shows the whole ledger."""
    picture = DATABASE.split("\n## Picture\n")[1].split("\n## ")[0]
    assert [] == [name for name in tables() if not re.search(rf"\| {name} +\|", picture)]


@pytest.mark.parametrize(("table", "columns"), tables().items())
def test_every_column_has_its_meaning(table, columns):
    """Below the table's heading."""
    section = DATABASE.split(f"\n### {table}\n")[1].split("\n### ")[0].split("\n## ")[0]
    assert set(columns) == set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`[^|]*)\|", section, re.MULTILINE))))


@pytest.mark.parametrize("role", ["proxy", "cashier", "admin", "ivr"])
def test_every_routine_and_view_that_a_login_may_use_is_told(role):
    """What may be executed or read stands in the guide by its name."""
    told = set(re.findall(r"`(\w+)[`(]", DATABASE))
    assert set() == {right.name for right in rights_of(role, [], [])} - told - set(tables())


def test_every_refusal_of_a_routine_is_told():
    """The tokens that SIGNAL carries."""
    signalled = {
        token
        for file in (CHECKOUT / "db" / "routines").glob("*.sql")
        for token in re.findall(r"refuse\((?:CONCAT\()?'([a-z_]+): ", file.read_text("utf-8"))
    }
    assert set() == signalled - set(re.findall(r"`([a-z_]+)`", DATABASE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document):
    """To files of this checkout, and to headings that are there."""
    text = document.read_text(encoding="utf-8")
    for target, anchor in LINK.findall(text):
        file = (document.parent / target) if target else document
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}, anchor


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_that_a_document_names_exist(document):
    """`docs/..`, `kemi/..` in running text."""
    folders = "bench|billing|cli|db|demo|docker|docs|kemi|monitor|scripts|stack|tests"
    named = re.findall(rf"`((?:{folders})/[\w./-]+)`", document.read_text("utf-8"))
    assert [] == [one for one in named if not (CHECKOUT / one).exists()]


def test_every_document_that_is_named_exists():
    """In comments as in documents: whoever has the checkout can open it: at its root, in docs, or beside the file."""
    sources = [file for file in CHECKOUT.rglob("*") if is_source(file)]
    missing = [
        f"{file.relative_to(CHECKOUT)}: {name}"
        for file in sources
        for name in MARKDOWN.findall(file.read_text("utf-8"))
        if not any((folder / name).is_file() for folder in (CHECKOUT, CHECKOUT / "docs", file.parent))
    ]
    assert (True, []) == (len(sources) > 200, missing)


def is_source(file: Path) -> bool:
    """A text of the project: no cache, no environment, nothing that a run wrote."""
    inside = file.relative_to(CHECKOUT).parts
    hidden = any(part.startswith(".") and part != ".ci" for part in inside)
    written = inside[0] == "run" or "__pycache__" in inside
    return file.is_file() and not hidden and not written and file.suffix in TEXTS


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_in_a_document_is_python(document):
    """Snippets between quotes of `python -c` and in python blocks compile."""
    text = document.read_text(encoding="utf-8")
    snippets = re.findall(r"python -c '\n(.*?)'", text, re.DOTALL) + re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for snippet in snippets:
        ast.parse(snippet)
