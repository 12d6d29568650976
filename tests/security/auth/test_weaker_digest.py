"""A node that asks for SHA-256 takes nothing weaker; a nonce that grew old is asked again. A stack of its own."""

import time

import pytest

from stack import kamailio
from stack.node import Stack
from stack.processes import free_port, wait_until
from tests.security.auth.digest import Challenge, header, response
from tests.support.aftermath import Aftermath, account_for_good_calls
from tests.support.party import Party
from tests.support.world import NUMBER, PASSWORD, World

NONCE_S = 1


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """SHA-256, and nonces that last a second."""
    folder = tmp_path_factory.mktemp("sha256")
    text = kamailio.CONFIGURATION.read_text(encoding="utf-8")
    assert '"nonce_expire", 120)' in text
    short = folder / "kamailio.cfg"
    short.write_text(text.replace('"nonce_expire", 120)', f'"nonce_expire", {NONCE_S})'), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kamailio, "CONFIGURATION", short)
        overrides = {"sip": {"digest_algorithm": "SHA-256"}, "flood": {"requests_per_s": 10_000}}
        with Stack(folder / "stack", overrides=overrides) as running:
            yield running


@pytest.fixture(scope="module")
def world(stack):
    return World(stack, [free_port()])


@pytest.fixture(scope="module")
def good_account(world):
    return account_for_good_calls(world)


@pytest.fixture(autouse=True)
def aftermath(world, good_account):
    found = Aftermath(world, good_account)
    yield found
    found.check()


def test_nothing_weaker_than_sha_256(world, phone):
    """The right password by MD5, by a session key, or under a false name of the algorithm calls nobody."""
    with Party(world) as caller:
        for algorithm, said in (("MD5", "MD5"), ("MD5", "SHA-256"), ("MD5-sess", "MD5-sess"), ("SHA-256", "MD5")):
            dialog = caller.new_dialog(NUMBER)
            challenge = Challenge.of(caller.ask("INVITE", dialog))
            assert "SHA-256" == challenge.algorithm
            fields = response(challenge, phone.username, PASSWORD, dialog.target, algorithm=algorithm)
            shown = header(fields | {"algorithm": said})
            assert 407 == caller.ask("INVITE", dialog, headers=[shown]).code, (algorithm, said)


def test_a_stale_nonce(world, phone):
    """After its time a nonce is asked again, whether the password is right or wrong: nobody learns which."""
    with Party(world) as caller:
        for password in (PASSWORD, "guess"):
            dialog = caller.new_dialog(NUMBER)
            challenge = Challenge.of(caller.ask("INVITE", dialog))
            given = time.monotonic()
            wait_until(lambda given=given: time.monotonic() > given + NONCE_S + 2, 5, "the nonce is old")
            shown = header(response(challenge, phone.username, password, dialog.target))
            assert 407 == caller.ask("INVITE", dialog, headers=[shown]).code
