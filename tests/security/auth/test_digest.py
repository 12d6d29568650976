"""The digest: what was overheard, forged, bent or made weaker lets nobody in, and costs nobody anything."""

import pytest

from tests.security.auth.digest import Challenge, header, response
from tests.support.rawsip import SDP
from tests.support.world import NUMBER, PASSWORD

OTHER_NUMBER = "4940999999"
CHALLENGED, REFUSED = 407, 403
ALLOWED = set()
"""The Call-IDs of calls that may reach a carrier."""


def challenged(end, number=NUMBER):
    """A call's dialog and the challenge to its first INVITE."""
    dialog = end.new_dialog(number)
    return dialog, Challenge.of(end.ask("INVITE", dialog))


def answered(end, dialog, fields, *more):
    """The code that an INVITE with these credentials gets."""
    return end.ask("INVITE", dialog, headers=[header(fields), *more]).code


def right(phone, challenge, dialog, **changes):
    return response(challenge, phone.username, PASSWORD, dialog.target, **changes)


@pytest.fixture(autouse=True)
def nothing_rings(callee):
    """None of these calls reaches a carrier, unless a test says so."""
    yield
    callee.caught_up()
    assert [] == [one.text for one in callee.heard("INVITE") if one.call_id not in ALLOWED]
    ALLOWED.clear()


def call(end, dialog, fields):
    """A call that is let in, and ends."""
    ALLOWED.add(dialog.call_id)
    assert 200 == answered(end, dialog, fields)
    assert 200 == end.hang_up(dialog).code


def test_a_used_nonce(caller, attacker, phone, account, aftermath):
    """Overheard credentials work for nobody: not again in the same call, in another, from elsewhere, for elsewhere."""
    dialog, challenge = challenged(caller)
    fields = right(phone, challenge, dialog)
    call(caller, dialog, fields)
    for end in (caller, attacker):
        end.user = phone.username
        assert CHALLENGED == answered(end, end.new_dialog(NUMBER), fields)
        assert CHALLENGED == answered(end, end.new_dialog(NUMBER, dialog.call_id, "anothertag"), fields)
        assert answered(end, end.new_dialog(OTHER_NUMBER), fields) in (CHALLENGED, REFUSED)
    aftermath.allow(cdrs=1, charged=[account])


def test_a_nonce_counted_on(caller, phone, account, aftermath):
    """Who has the password may use a nonce again; each answer works once, and one with another count is another."""
    _, challenge = challenged(caller)
    for nc in ("00000005", "00000006"):
        fields = right(phone, challenge, caller.new_dialog(NUMBER), nc=nc)
        call(caller, caller.new_dialog(NUMBER), fields)
        assert CHALLENGED == answered(caller, caller.new_dialog(NUMBER), fields)
    aftermath.allow(cdrs=2, charged=[account])


def test_a_count_that_was_never_answered(caller, phone):
    """An overheard answer whose count was raised by the thief is another answer, and wrong."""
    dialog, challenge = challenged(caller)
    fields = right(phone, challenge, dialog)
    assert REFUSED == answered(caller, dialog, fields | {"nc": "00000002"})


def test_an_answer_without_a_count(caller, phone, account, aftermath):
    """A phone that knows RFC 2069 alone is let in by a nonce once, and never again by the same."""
    dialog, challenge = challenged(caller)
    fields = right(phone, challenge, dialog, qop="")
    call(caller, dialog, fields)
    assert CHALLENGED == answered(caller, caller.new_dialog(NUMBER), fields)
    aftermath.allow(cdrs=1, charged=[account])


def test_a_nonce_of_another_address(world, caller, attacker, phone):
    """A nonce is good at the address that it was given to, even with the right password."""
    _, challenge = challenged(attacker)
    dialog = caller.new_dialog(NUMBER)
    assert CHALLENGED == answered(caller, dialog, right(phone, challenge, dialog))


FORGERIES = (
    lambda nonce: "",
    lambda nonce: "0",
    lambda nonce: nonce[:-1],
    lambda nonce: nonce + "A",
    lambda nonce: nonce[::-1],
    lambda nonce: ("B" if nonce[0] == "A" else "A") + nonce[1:],
    lambda nonce: nonce[:30] + ("B" if nonce[30] == "A" else "A") + nonce[31:],
    # Not its last letter: of that base64 takes two bits, and another spelling of the same nonce is none that is forged.
    lambda nonce: nonce[:-5] + ("B" if nonce[-5] == "A" else "A") + nonce[-4:],
    lambda nonce: "A" * 2000,
    lambda nonce: "%n%s$au$var(x)",
    lambda nonce: "ÿ" * 20,
)


def test_a_forged_nonce(caller, phone):
    """One that the proxy did not give is answered with one that it gives."""
    for number, forge in enumerate(FORGERIES):
        dialog, challenge = challenged(caller)
        challenge.nonce = forge(challenge.nonce)
        assert CHALLENGED == answered(caller, dialog, right(phone, challenge, dialog)), number


def test_another_uri(world, caller, phone):
    """Credentials for a cheap number do not call a dear one, nor one in another spelling or domain."""
    uris = (f"sip:{NUMBER}@{world.realm}", f"sip:{OTHER_NUMBER}@elsewhere.test", f"sips:{OTHER_NUMBER}@{world.realm}")
    for uri in uris:
        dialog, challenge = challenged(caller, OTHER_NUMBER)
        assert REFUSED == answered(caller, dialog, response(challenge, phone.username, PASSWORD, uri)), uri


def test_another_method(world, caller, account):
    """Credentials overheard from another request place no call."""
    for method in ("REGISTER", "BYE", "OPTIONS", "invite", ""):
        dialog, challenge = challenged(caller)
        fields = right(world.phone(account), challenge, dialog, method=method)
        assert REFUSED == answered(caller, dialog, fields), method


def test_another_algorithm(caller, phone):
    """What the challenge did not offer is not taken, though the password is right."""
    for algorithm in ("MD5-sess", "SHA-256", "SHA-512-256", "AKAv1-MD5", "none", '"SHA-256"'):
        dialog, challenge = challenged(caller)
        fields = right(phone, challenge, dialog, algorithm=algorithm)
        assert CHALLENGED == answered(caller, dialog, fields), algorithm


def test_another_protection(caller, phone):
    """Nor is another quality of protection: of the body, or of both."""
    for changes in ({"qop": "auth-int", "body": SDP}, {"qop": "auth,auth-int"}):
        dialog, challenge = challenged(caller)
        assert answered(caller, dialog, right(phone, challenge, dialog, **changes)) in (CHALLENGED, REFUSED), changes


def test_two_credentials(world, caller, account, phone, aftermath):
    """Of two headers nobody knows which was checked: refused. One for the registrar beside ours changes nothing."""
    rich = world.phone(world.customer("100"))
    dialog, challenge = challenged(caller)
    mine, his = right(phone, challenge, dialog), response(challenge, rich.username, "guess", dialog.target)
    for pair in ((mine, his), (his, mine), (mine, mine)):
        assert 400 == answered(caller, caller.new_dialog(NUMBER), pair[0], header(pair[1]))
    call_fields = [header(his, "Authorization"), header(mine)]
    ALLOWED.add(dialog.call_id)
    assert 200 == caller.ask("INVITE", dialog, headers=call_fields).code
    assert 200 == caller.hang_up(dialog).code
    aftermath.allow(cdrs=1, charged=[account])


def test_two_credentials_in_one_header(world, caller, phone):
    """A list in one header is no way around it."""
    rich = world.phone(world.customer("100"))
    dialog, challenge = challenged(caller)
    mine, his = right(phone, challenge, dialog), response(challenge, rich.username, "guess", dialog.target)
    both = header(his) + ", Digest " + header(mine).partition("Digest ")[2]
    assert caller.ask("INVITE", dialog, headers=[both]).code in (400, CHALLENGED, REFUSED)


def test_credentials_for_the_registrar_alone(caller, phone):
    """Authorization is for a registrar; a proxy asks again."""
    dialog, challenge = challenged(caller)
    fields = header(right(phone, challenge, dialog), "Authorization")
    assert CHALLENGED == caller.ask("INVITE", dialog, headers=[fields]).code


def test_another_realm(caller, phone):
    """Credentials for another realm are none for this one."""
    for realm in ("elsewhere.test", "", "METERLINE.TEST", "meterline.test.", "x" * 5000):
        dialog, challenge = challenged(caller)
        challenge.realm = realm
        assert answered(caller, dialog, right(phone, challenge, dialog)) in (CHALLENGED, REFUSED), realm


NAMES = (
    *("x" * 30_000, "", " ", "%s%s%n", "$au", "a)b(c", "' OR '1'='1", "\\' OR 1=1 -- ", "a\\\\"),
    *("ä😀", "\u202e", "_", "%", "{}"),
)


def test_user_names(caller, aftermath):
    """Nobody has such a name, however long; it is refused like any other, and does not fill the log."""
    for name in NAMES:
        dialog, challenge = challenged(caller)
        fields = response(challenge, name, PASSWORD, dialog.target)
        assert answered(caller, dialog, fields) in (400, CHALLENGED, REFUSED), name[:20]
    assert all(len(line) < 3000 for line in aftermath.lines())


def test_user_names_that_resemble_one(caller, phone):
    """A name is compared exactly: another spelling is another user, not a way around his lock."""
    for name in (phone.username.upper(), phone.username.title(), f"{phone.username} ", f" {phone.username}"):
        dialog, challenge = challenged(caller)
        assert REFUSED == answered(caller, dialog, response(challenge, name, PASSWORD, dialog.target)), name


def test_a_field_that_is_missing(caller, phone):
    """Credentials with a hole are none."""
    for missing in ("username", "realm", "nonce", "uri", "response", "cnonce", "nc"):
        dialog, challenge = challenged(caller)
        fields = right(phone, challenge, dialog)
        del fields[missing]
        assert answered(caller, dialog, fields) in (400, CHALLENGED, REFUSED), missing


def test_credentials_that_are_none(caller):
    """Whatever else stands there."""
    for text in ("Basic YTpi", "Digest", "Digest ", "", "Digest " + "," * 500, 'Digest username="', "\t"):
        dialog = caller.new_dialog(NUMBER)
        assert caller.ask("INVITE", dialog, headers=[f"Proxy-Authorization: {text}"]).code in (400, CHALLENGED), text


def test_a_response_of_zeros_for_nobody(world, caller):
    """An unknown user is checked against a hash that nobody may know: its answer lets nobody in either."""
    for number in range(3):
        dialog, challenge = challenged(caller)
        fields = response(challenge, f"nobody{number}", PASSWORD, dialog.target)
        assert REFUSED == answered(caller, dialog, fields)
