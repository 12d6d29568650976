"""`make lint` finds what it is there to find: a secret, a shell."""

import secrets
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


def ran(*words: str | Path) -> tuple[int, str]:
    done = subprocess.run([sys.executable, *words], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("key.pem", f"{'-' * 5}BEGIN {'PRIVATE'} KEY{'-' * 5}\nMIIE\n"),
        ("settings.toml", f'{"proxy"}_password = "{secrets.token_urlsafe(16)}"\n'),
        ("settings.py", f'KEY = "{secrets.token_hex(32)}"\n'),
        ("aws.txt", f"{'AKIA'}{secrets.token_hex(8).upper()}\n"),
        ("tests/test_it.py", f'KEY = "{secrets.token_hex(32)}"\n'),
    ],
    ids=["pem", "keyword", "entropy", "aws", "in tests"],
)
def test_a_planted_secret_is_found(tmp_path, name, text):
    """By file and line; what was found is not shown."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"\n{text}")
    code, shown = ran("scripts/check_secrets.py", tmp_path)
    assert (1, True) == (code, f"{name}:2: " in shown)
    assert text.split('"')[1:2] == [] or text.split('"')[1] not in shown


def test_no_secret_no_finding(tmp_path):
    """Ordinary text, and a password in a test."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text('PASSWORD = "correct-horse"\n')
    (tmp_path / "notes.txt").write_text("Nothing to see here.\n")
    assert (0, "secrets: 0 findings in 2 files\n") == ran("scripts/check_secrets.py", tmp_path)


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("import subprocess\nsubprocess.run('ls ' + input(), shell=True)\n", "B602"),
        ("import pickle\npickle.loads(input().encode())\n", "B301"),
        ("import ssl\nssl._create_unverified_context()\n", "B323"),
        ("PASSWORD = 'hunter2'\n", "B105"),
    ],
)
def test_bandit_fails_for_what_is_dangerous(tmp_path, text, check):
    """With the settings of this checkout, which skip little."""
    (tmp_path / "bad.py").write_text(text)
    code, shown = ran("-m", "bandit", "--quiet", "--configfile", "pyproject.toml", tmp_path / "bad.py")
    assert (1, True) == (code, check in shown)
