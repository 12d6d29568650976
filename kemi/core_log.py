"""Kamailio's own log, kept free of what strangers write.

Its errors quote the message that they are about, line breaks and all, before anybody knows who sent it. And its JSON
log engine (5.6.3, 6.0) writes past the end of its buffer when such a quote holds a NUL: a few thousand datagrams from
a stranger ended the proxy (docs/kamailio.md, 52). The processes that read from the network therefore log what is
critical, and no mere errors. What an operator must know are our own events, and everything before the fork.
"""

from __future__ import annotations

import ctypes

CRITICAL = -2
"""L_CRIT of Kamailio's dprint.h; an error is -1."""
ASYNC_WORKERS = -2
"""Rank of the processes for RPC and asynchronous work; SIP workers, UDP's and TCP's, are 1 and above."""


def keep_quiet(rank: int) -> None:
    """Called in each process after the fork."""
    if rank > 0 or rank == ASYNC_WORKERS:
        ctypes.CDLL(None).set_local_debug_level(CRITICAL)
