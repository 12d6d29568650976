#!/usr/bin/env python3
"""Looks for keys and passwords in every file that git knows or would take in. Asks nobody on the network.

    scripts/check_secrets.py [FOLDER]     the checkout, or another folder: all files in it

What looks like a secret and is none stands in scripts/not-secrets.toml, each with its reason. In tests a word after
"password" is no finding, for private servers have such; keys are.
"""

import hashlib
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from detect_secrets.core.scan import scan_file
from detect_secrets.plugins.keyword import KeywordDetector
from detect_secrets.settings import transient_settings

CHECKOUT = Path(__file__).resolve().parents[1]
ALLOWED = CHECKOUT / "scripts" / "not-secrets.toml"
PLUGINS = (
    "ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "DiscordBotTokenDetector",
    "GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector", "KeywordDetector", "MailchimpDetector",
    "NpmDetector", "OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector", "SendGridDetector", "SlackDetector",
    "SquareOAuthDetector", "StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector",
)  # fmt: skip
ENTROPY = ({"name": "HexHighEntropyString", "limit": 3.0}, {"name": "Base64HighEntropyString", "limit": 4.5})
FILTERS = ("is_sequential_string", "is_templated_secret", "is_indirect_reference", "is_lock_file")
SETTINGS = {
    "plugins_used": [*({"name": name} for name in PLUGINS), *ENTROPY],
    "filters_used": [{"path": f"detect_secrets.filters.heuristic.{name}"} for name in FILTERS],
}


class Finding(NamedTuple):
    """`fingerprint`: of the text that was found, which is not shown itself."""

    file: str
    line: int
    kind: str
    fingerprint: str


def main(words: list[str]) -> int:
    folder = Path(words[0]) if words else CHECKOUT
    names = _tracked(folder) if folder == CHECKOUT else sorted(path for path in folder.rglob("*") if path.is_file())
    found = list(findings(folder, names))
    allowed = _allowed() if folder == CHECKOUT else set()
    unknown = [one for one in found if (one.file, one.fingerprint) not in allowed]
    for one in unknown:
        print(f"{one.file}:{one.line}: {one.kind} (fingerprint {one.fingerprint})")
    for file, fingerprint in sorted(allowed - {(one.file, one.fingerprint) for one in found}):
        print(f"{ALLOWED.name}: {file} has no {fingerprint} any more")
        unknown.append(Finding(file, 0, "", fingerprint))
    print(f"secrets: {len(unknown)} findings in {len(names)} files")
    return 1 if unknown else 0


def findings(folder: Path, names: Iterable[Path]) -> Iterator[Finding]:
    """What looks like a secret in these files."""
    with transient_settings(SETTINGS):
        for path in names:
            in_tests = path.relative_to(folder).parts[0] == "tests"
            for one in scan_file(str(path)):
                if in_tests and one.type == KeywordDetector.secret_type:
                    continue
                assert one.secret_value is not None
                yield Finding(str(path.relative_to(folder)), one.line_number, one.type, _fingerprint(one.secret_value))


def _fingerprint(text: str) -> str:
    digits = hashlib.sha256(text.encode()).hexdigest()
    return f"{digits[:4]}-{digits[4:8]}-{digits[8:12]}"


def _tracked(folder: Path) -> list[Path]:
    listed = subprocess.run(
        ["/usr/bin/git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    paths = [folder / name for name in sorted(set(listed.split("\0"))) if name]
    return [path for path in paths if path.is_file()]


def _allowed() -> set[tuple[str, str]]:
    """(file, fingerprint) of all that was looked at."""
    content = tomllib.loads(ALLOWED.read_text(encoding="utf-8"))
    return {(one["file"], fingerprint) for one in content["none"] for fingerprint in one["fingerprints"]}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
