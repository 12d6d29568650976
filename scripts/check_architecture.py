"""What may import what, and where routing may live. One line for each breach; exit code 1 if there is any.

- kamailio.cfg holds modules and parameters, no routing;
- kemi/ksr.py alone knows KSR;
- billing/ knows no SIP, no web, no command line, no proxy script;
- kemi/ does not know the monitor;
- billing/rating.py and its like are pure: the standard library and one another;
- no function is longer than 70 lines.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("billing", "cli", "db", "demo", "kemi", "monitor", "portal", "stack")
ADAPTER = Path("kemi/ksr.py")
FORBIDDEN_IN_BILLING = {
    *("KSR", "cli", "db", "demo", "kemi", "monitor", "portal", "stack", "tests"),
    *("aiohttp", "django", "fastapi", "flask", "http", "httpx", "requests", "socketserver", "starlette"),
    *("rich", "typer"),
}
PURE = {Path("billing/errors.py"), Path("billing/money.py"), Path("billing/rating.py")}
ROUTING = re.compile(
    r"\b(?:(?:request|reply|onreply|failure|branch|event|onsend)_route\b|route\s*[\[({]|if\s*\()"
)
FUNCTION_LINES_MAX = 70


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full name of every module that is imported, anywhere in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module


def check_imports(path: Path, tree: ast.Module) -> Iterator[str]:
    for line, name in imports(tree):
        top = name.split(".")[0]
        if top == "KSR" and path != ADAPTER:
            yield f"{path}:{line}: imports KSR; {ADAPTER} alone may"
        if path.parts[0] == "billing" and top in FORBIDDEN_IN_BILLING:
            yield f"{path}:{line}: billing imports {name}"
        if path.parts[0] == "kemi" and top == "monitor":
            yield f"{path}:{line}: kemi imports {name}; nothing that carries calls depends on who watches"
        if path in PURE and top not in sys.stdlib_module_names and not is_pure(name):
            yield f"{path}:{line}: is pure, but imports {name}"


def is_pure(module: str) -> bool:
    return Path(module.replace(".", "/") + ".py") in PURE


def check_functions(path: Path, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{path}:{node.lineno}: {node.name} has {lines} lines, more than {FUNCTION_LINES_MAX}"


def check_kamailio_cfg(path: Path, text: str) -> Iterator[str]:
    """Comments begin with # (but not #!) or //, or stand in /* */; strings are left alone."""
    code = re.sub(r"/\*.*?\*/", lambda found: "\n" * found.group().count("\n"), text, flags=re.DOTALL)
    for number, line in enumerate(code.splitlines(), 1):
        bare = re.sub(r'"[^"]*"', '""', line)
        bare = re.sub(r"(#(?!!)|//).*", "", bare)
        if ROUTING.search(bare):
            yield f"{path}:{number}: routing belongs into kemi/: {line.strip()}"


def breaches(root: Path) -> Iterator[str]:
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            path = file.relative_to(root)
            tree = ast.parse(file.read_text(encoding="utf-8"), str(path))
            yield from check_imports(path, tree)
            yield from check_functions(path, tree)
    configuration = root / "kamailio.cfg"
    if configuration.exists():
        yield from check_kamailio_cfg(Path("kamailio.cfg"), configuration.read_text(encoding="utf-8"))


def main() -> int:
    found = list(breaches(Path(__file__).resolve().parents[1]))
    for breach in found:
        print(breach)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
