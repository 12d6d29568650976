"""Digest answers that no phone would send: every field may be another than the challenge asks for (RFC 2617, 8760)."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from tests.support.messages import Message
from tests.support.rawsip import DIGESTS


@dataclass
class Challenge:
    """What a 407 asks for."""

    realm: str
    nonce: str
    algorithm: str

    @classmethod
    def of(cls, answer: Message) -> Challenge:
        assert answer.code == 407, answer.text
        given = dict(re.findall(r'(\w+)="?([^",]+)"?', answer.header("proxy-authenticate")))
        return cls(given["realm"], given["nonce"], given.get("algorithm", "MD5"))


def response(
    challenge: Challenge,
    username: str,
    password: str,
    uri: str,
    *,
    method: str = "INVITE",
    nc: str = "00000001",
    cnonce: str = "",
    qop: str = "auth",
    algorithm: str = "",
    body: str = "",
) -> dict[str, str]:
    """The fields of a right answer, by the algorithm and qop named; `qop` empty: as RFC 2069 has it."""
    algorithm, cnonce = algorithm or challenge.algorithm, cnonce or secrets.token_hex(8)
    digest = DIGESTS.get(algorithm.removesuffix("-sess"), DIGESTS["MD5"])
    ha1 = digest(f"{username}:{challenge.realm}:{password}")
    if algorithm.endswith("-sess"):
        ha1 = digest(f"{ha1}:{challenge.nonce}:{cnonce}")
    ha2 = digest(f"{method}:{uri}" + (f":{digest(body)}" if qop == "auth-int" else ""))
    middle = f"{nc}:{cnonce}:{qop}:" if qop else ""
    return {
        "username": f'"{username}"',
        "realm": f'"{challenge.realm}"',
        "nonce": f'"{challenge.nonce}"',
        "uri": f'"{uri}"',
        "response": f'"{digest(f"{ha1}:{challenge.nonce}:{middle}{ha2}")}"',
        "algorithm": algorithm,
        **({"qop": qop, "cnonce": f'"{cnonce}"', "nc": nc} if qop else {}),
    }


def header(fields: dict[str, str], name: str = "Proxy-Authorization") -> str:
    """The header with these fields; those that are None are left out."""
    return f"{name}: Digest " + ", ".join(f"{key}={value}" for key, value in fields.items() if value is not None)
