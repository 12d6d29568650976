"""The deterministic model: seeded histories of two proxies and one ledger in which anything may die anywhere."""

import sys
from types import ModuleType

sys.modules.setdefault("KSR", ModuleType("KSR"))  # the script imports it; each node of a history brings its own
