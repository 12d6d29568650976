"""Who is calling: four ways to know, and what a guesser learns."""

from dataclasses import replace

import pytest

from billing.directory import Directory, publish
from billing.errors import Refused
from kemi import identity, lockout
from tests.unit.builders import Ledger, caller, leg
from tests.unit.kemi.conftest import GATEWAY, IVR

CARD = [("X-Meterline-Card", "700100"), ("X-Meterline-PIN", "1234")]


def use(node, **answers):
    node._ledger = Ledger(**answers)


def refusal():
    with pytest.raises(Refused) as caught:
        identity.identify()
    return caught.value.token


def with_card(world, node, pin="1234", **more):
    """An IVR's INVITE with a card whose PIN is 1234."""
    use(node, identify_card=caller(pin_hash=identity.pin_hash("700100", "1234"), card_number="700100"))
    world.request(si="198.51.100.1", headers=[CARD[0], ("X-Meterline-PIN", pin)], **more)


def with_algorithm(settings, algorithm):
    """The same settings with another digest algorithm."""
    sip = settings.sip.model_copy(update={"digest_algorithm": algorithm})
    return settings.model_copy(update={"sip": sip})


# --- digest -------------------------------------------------------------------------------------------------


def test_right_digest_is_the_user(world, node):
    """The right response names the user, and the CDR shows his name, not his From."""
    world.request(fU="somebody-else")
    assert "alice" == identity.identify().number


@pytest.mark.parametrize(("digest", "adu"), [(-2, "sip:030123@example.net"), (1, "sip:0900@example.net")])
def test_wrong_response_or_uri_is_refused(world, node, digest, adu):
    """A wrong response, or one made for another URI, is 403."""
    world.truths["digest"] = digest
    world.request(adu=adu)
    assert "bad_credentials" == refusal()


@pytest.mark.parametrize("result", [-1, -3, -4, -5, -6])
def test_old_or_used_nonce_is_asked_again(world, node, result):
    """What is not a wrong response is a nonce to renew, and no failure."""
    world.truths["digest"] = result
    for _ in range(10):
        with pytest.raises(identity.Challenge):
            identity.identify()
    world.truths["digest"] = 1
    assert "alice" == identity.identify().number


@pytest.mark.parametrize("algorithm", ["MD5-sess", "SHA-256", "none"])
def test_another_algorithm_is_asked_again(world, node, algorithm):
    """Who answers by another algorithm than the challenge's is challenged, and no database asked."""
    world.request(aa=algorithm)
    with pytest.raises(identity.Challenge):
        identity.identify()
    assert [] == node.ledger.asked
    world.request(aa="md5")
    assert "alice" == identity.identify().number


def test_used_answer_is_asked_again(world, node):
    """A right answer is good once, whoever sends it again."""
    world.request(adr="an-answer")
    assert "alice" == identity.identify().number
    with pytest.raises(identity.Challenge):
        identity.identify()


def test_wrong_answers_are_not_remembered(world, node):
    """Who has no password puts nothing into the table of used answers."""
    world.request(adr="an-answer")
    guess(world, 2)
    assert {} == world.tables.get("answers", {})
    assert "alice" == identity.identify().number


def test_unknown_user_is_checked_and_refused_like_a_known_one(world, node):
    """An unknown user costs the same check and hears the same as a known one with a wrong password."""
    use(node, identify_digest=None)
    world.truths["digest"] = -2
    assert "bad_credentials" == refusal()
    assert [("0" * 32,)] == world.did("check")


@pytest.mark.parametrize(("algorithm", "expected"), [("MD5", "a" * 32), ("SHA-256", "b" * 64)])
def test_digest_is_checked_by_the_hash_of_the_nodes_algorithm(world, node, algorithm, expected):
    """The setting chooses which of the user's two stored hashes counts."""
    node.settings = with_algorithm(node.settings, algorithm)
    use(node, identify_digest=caller(ha1_md5="a" * 32, ha1_sha256="b" * 64, user_name="alice"))
    identity.identify()
    assert [(expected,)] == world.did("check")


def test_unknown_user_costs_a_check_of_the_same_length_under_sha256(world, node):
    """The stand-in's hash is as long as a real one."""
    node.settings = with_algorithm(node.settings, "SHA-256")
    use(node, identify_digest=None)
    world.truths["digest"] = -2
    assert "bad_credentials" == refusal()
    assert [("0" * 64,)] == world.did("check")


def test_unknown_user_never_passes(world, node):
    """Even a response that fits the stand-in's hash is refused for a user who is not there."""
    use(node, identify_digest=None)
    assert "bad_credentials" == refusal()


def test_user_without_a_hash_never_passes_by_an_empty_one(world, node):
    """A user whose HA1 is missing is checked against one that nobody can meet."""
    use(node, identify_digest=caller(user_name="alice"))
    world.truths["digest"] = -2
    refusal()
    assert [("0" * 32,)] == world.did("check")


def guess(world, times):
    world.truths["digest"] = -2
    for _ in range(times):
        refusal()
    world.truths["digest"] = 1


def test_guesser_is_locked_out(world, node):
    """After three wrong responses of one user from one source even the right one is refused."""
    guess(world, 3)
    assert "bad_credentials" == refusal()


def test_two_wrong_ones_do_not_lock(world, node):
    """A slip or two is forgiven."""
    guess(world, 2)
    assert "alice" == identity.identify().number


def test_owner_at_another_address_is_not_locked_out(world, node):
    """A guesser locks himself out, not the user's own phone."""
    guess(world, 50)
    world.request(si="203.0.113.99")
    assert "alice" == identity.identify().number


def guess_from_everywhere(world, times):
    """Wrong responses, each from another address."""
    for number in range(times):
        world.request(si=f"192.0.2.{number}")
        guess(world, 1)


def test_guesser_with_many_addresses_is_locked_out(world, node):
    """Strange addresses together have six guesses; then the right response from one more does not help."""
    guess_from_everywhere(world, 5)
    world.request(si="198.51.100.77")
    assert "alice" == identity.identify().number
    guess_from_everywhere(world, 50)
    world.request(si="198.51.100.78")
    assert "bad_credentials" == refusal()


def test_owner_is_not_locked_out_from_everywhere(world, node):
    """An address that the right response came from before is not held to what all the others did."""
    assert "alice" == identity.identify().number
    guess_from_everywhere(world, 50)
    world.request()
    assert "alice" == identity.identify().number


def test_owners_address_has_its_own_limit(world, node):
    """Who guesses at the owner's own address has three like anybody else, and locks the owner there alone."""
    identity.identify()
    world.request(si="203.0.113.51")
    identity.identify()
    world.request()
    guess(world, 3)
    assert "bad_credentials" == refusal()
    world.request(si="203.0.113.51")
    assert "alice" == identity.identify().number


def test_right_answers_are_no_guesses(world, node):
    """However often the owner calls, he uses nothing up."""
    for _ in range(20):
        identity.identify()
    guess(world, 2)
    assert "alice" == identity.identify().number


def test_guesses_at_the_same_moment_are_not_one_too_many(world, node, monkeypatch):
    """Each is counted before it is judged: workers that look at the same moment do not all find room."""
    now = [identity.Guess("user:7", f"192.0.2.{number}") for number in range(20)]
    assert 6 == sum(guess.is_allowed() for guess in now)


def test_guesses_around_a_slices_end_are_no_more(world, node, monkeypatch):
    """The limit holds in any stretch of time as long as the window, wherever its slices end and the guesser begins."""
    window_s, now = node.settings.lockout.window_s, [0.0]
    monkeypatch.setattr(lockout.time, "monotonic", lambda: now[0])
    for first in (0, 1, window_s // 2, window_s - 3, window_s - 2, window_s - 1):
        allowed = []
        for moment in range(first, first + 3 * window_s):
            now[0] = float(moment)
            if identity.Guess(f"user:{first}", "192.0.2.1").is_allowed():
                allowed.append(moment)
        assert len(allowed) > 3
        assert 3 >= max(sum(start <= moment < start + window_s for moment in allowed) for start in allowed)


def test_lock_ends(world, node, monkeypatch):
    """However often a guesser tries, two windows after his first guess the lock is over."""
    now = [node.settings.lockout.window_s * 10.0]
    monkeypatch.setattr(lockout.time, "monotonic", lambda: now[0])
    guess(world, 50)
    now[0] += node.settings.lockout.window_s
    guess(world, 50)
    assert "bad_credentials" == refusal()
    now[0] += node.settings.lockout.window_s
    assert "alice" == identity.identify().number


def test_places_that_are_remembered_are_bounded(world, node):
    """Whoever has a password may call from everywhere, and fills no shared memory with it."""
    for number in range(200):
        world.request(si=f"192.0.2.{number}")
        identity.identify()
    assert lockout.TRUSTED_PLACES_MAX + 1 == len(world.tables["trusted"])


@pytest.mark.parametrize("name", ["a)b", "a(b", "a$b"])
def test_no_user_name_escapes_the_lock(world, node, name):
    """The lock works whatever characters the name has."""
    world.request(au=name)
    guess(world, 3)
    assert "bad_credentials" == refusal()


def test_unknown_names_share_one_count(world, node):
    """There is nothing to guess at a name that is not there; a source that tries names out fills no shared memory."""
    use(node, identify_digest=None)
    world.truths["digest"] = -2
    for number in range(100):
        world.request(au=f"user{number}")
        assert "bad_credentials" == refusal()
    assert {"nobody", "nobody|nowhere"} == {key.rpartition("/")[0] for key in world.tables["failures"]}


# --- cards --------------------------------------------------------------------------------------------------


def test_card_and_pin_of_an_ivr_are_the_card(world, node):
    """From a trusted IVR card number and PIN name the card; the caller number is shown."""
    with_card(world, node, fU="491701")
    assert "491701" == identity.identify().number


def test_wrong_pin_is_refused(world, node):
    """A wrong PIN is 403."""
    with_card(world, node, pin="1235")
    assert "bad_credentials" == refusal()


@pytest.mark.parametrize(("owner", "outcome"), [(None, ""), (100, ""), (101, ""), (102, "bad_credentials")])
def test_a_resellers_ivr_takes_his_own_cards_alone(world, node, owner, outcome):
    """The trunk's owner is in the card's chain, or it is the vendor's; another's card is like a wrong PIN."""
    trunk = replace(IVR, owner_account_id=owner)
    publish(Directory((trunk,)), node.settings.node.state_dir / "directory.json")
    use(node, identify_card=caller(leg(), leg(1), pin_hash=identity.pin_hash("700100", "1234")))
    world.request(si="198.51.100.1", headers=CARD)
    assert outcome == (refusal() if outcome else identity.identify() and "")


@pytest.mark.parametrize(("owner", "outcome"), [(None, ""), (100, ""), (102, "unknown_caller")])
def test_a_resellers_trunk_takes_his_own_callers_alone(world, node, owner, outcome):
    """Also one that was moved away from under him."""
    publish(Directory((replace(GATEWAY, owner_account_id=owner),)), node.settings.node.state_dir / "directory.json")
    world.request(si="198.51.100.2", fU="493011")
    assert outcome == (refusal() if outcome else identity.identify() and "")


@pytest.mark.parametrize(
    "headers",
    [[], CARD[:1], CARD[1:], [*CARD, CARD[0]], [*CARD, CARD[1]], [CARD[0], CARD[0], CARD[1], CARD[1]]],
)
def test_missing_or_repeated_card_headers_are_refused(world, node, headers):
    """Exactly one number and one PIN: of two nobody knows which was checked."""
    with_card(world, node)
    world.request(si="198.51.100.1", headers=headers)
    assert "bad_credentials" == refusal()
    assert [] == node.ledger.asked


def test_unknown_card_is_refused(world, node):
    """A card that is not there is refused like a wrong PIN."""
    use(node, identify_card=None)
    world.request(si="198.51.100.1", headers=CARD)
    assert "bad_credentials" == refusal()


@pytest.mark.parametrize("hashed", [None, ""])
def test_card_without_a_hash_is_refused(world, node, hashed):
    """A card whose PIN was never set has no PIN that fits."""
    use(node, identify_card=caller(pin_hash=hashed))
    world.request(si="198.51.100.1", headers=CARD)
    assert "bad_credentials" == refusal()


def test_pin_hash_is_keyed_and_bound_to_its_card(world, node):
    """The same PIN of two cards has two hashes, and the boundary between number and PIN is fixed."""
    hashes = {identity.pin_hash(*pair) for pair in [("700100", "1234"), ("700101", "1234"), ("7001001", "234")]}
    assert 3 == len(hashes)


def test_card_headers_from_elsewhere_are_nothing(world, node):
    """Who is no IVR cannot show a card: he is asked for his digest."""
    with_card(world, node)
    world.request(si="203.0.113.50", headers=CARD)
    use(node, identify_digest=None, identify_card=caller())
    world.truths["digest"] = -2
    refusal()
    assert [] == node.ledger.asked_for("identify_card")


def test_card_guesser_does_not_lock_its_owner_out(world, node):
    """A guesser calling from one number leaves the owner's calls from his own alone."""
    for _ in range(10):
        with_card(world, node, pin="9999", fU="491999")
        refusal()
    with_card(world, node, fU="491999")
    assert "bad_credentials" == refusal()
    with_card(world, node, fU="491701")
    assert "491701" == identity.identify().number


def test_unknown_cards_share_one_count(world, node):
    """Trying card numbers out fills no shared memory either, whatever caller number is shown."""
    use(node, identify_card=None)
    for number in range(100):
        world.request(si="198.51.100.1", headers=[("X-Meterline-Card", str(number)), CARD[1]], fU=f"49{number}")
        assert "bad_credentials" == refusal()
    assert {"nobody", "nobody|nowhere"} == {key.rpartition("/")[0] for key in world.tables["failures"]}


def guess_pins(world, node, times):
    """Wrong PINs for the card, each from another caller number."""
    for number in range(times):
        with_card(world, node, pin="9999", fU=f"49900{number}")
        refusal()


def test_rotating_caller_numbers_lock_the_card(world, node):
    """Who shows another number with every guess has six in all: then even the right PIN does not help him."""
    guess_pins(world, node, 5)
    with_card(world, node, fU="499111")
    assert "499111" == identity.identify().number
    guess_pins(world, node, 10)
    with_card(world, node, fU="499222")
    assert "bad_credentials" == refusal()


def test_owners_number_is_not_locked_by_rotating_ones(world, node):
    """A number from which the right PIN came before is not held to the card's limit over all numbers."""
    with_card(world, node, fU="491701")
    identity.identify()
    guess_pins(world, node, 50)
    with_card(world, node, fU="491701")
    assert "491701" == identity.identify().number


def test_trusted_number_has_its_own_limit(world, node):
    """Who shows the owner's number has three guesses like anybody else."""
    with_card(world, node, fU="491701")
    identity.identify()
    for _ in range(3):
        with_card(world, node, pin="9999", fU="491701")
        refusal()
    with_card(world, node, fU="491701")
    assert "bad_credentials" == refusal()


def test_lock_of_a_card_does_not_reach_another(world, node):
    """The limit over all caller numbers is one card's."""
    guess_pins(world, node, 50)
    pin_hash = identity.pin_hash("700101", "1234")
    use(node, identify_card=caller(leg(account_id=101), pin_hash=pin_hash, card_number="700101"))
    world.request(si="198.51.100.1", headers=[("X-Meterline-Card", "700101"), CARD[1]], fU="499333")
    assert "499333" == identity.identify().number


def test_no_caller_number_escapes_the_lock(world, node):
    """A guesser whose From has brackets in it is locked out like any other."""
    for _ in range(10):
        with_card(world, node, pin="9999", fU="x)")
        refusal()
    with_card(world, node, fU="x)")
    assert "bad_credentials" == refusal()


# --- trunks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shown", "asked"), [("+491701", "491701"), ("491701", "491701")])
def test_trusted_caller_number_is_looked_up(world, node, shown, asked):
    """On a trusted gateway the caller's number, without its plus, says who it is."""
    world.request(si="198.51.100.2", fU=shown)
    assert asked == identity.identify().number
    assert [(2, asked)] == node.ledger.asked_for("identify_caller_number")


def test_unknown_caller_number_is_refused(world, node):
    """A number that belongs to nobody is unknown_caller."""
    use(node, identify_caller_number=None)
    world.request(si="198.51.100.2")
    assert "unknown_caller" == refusal()


def test_customers_trunk_is_its_user(world, node):
    """The address alone names the user that the trunk calls as; From is shown only."""
    world.request(si="198.51.100.3", fU="100")
    assert "100" == identity.identify().number
    assert [(7,)] == node.ledger.asked_for("identify_user")


def test_trunk_of_nobody_is_refused(world, node):
    """A customer's trunk without a user calls as nobody."""
    world.request(si="198.51.100.4")
    assert "unknown_caller" == refusal()
