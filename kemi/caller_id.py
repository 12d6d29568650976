"""What carriers are shown of a caller: From and P-Asserted-Identity (RFC 3325), and nothing when he hides (RFC 3323).

Both are made from who he is known to be. What he writes chooses among the numbers that he may show, and no more. Who
may show none is anonymous: his SIP user name is half of what calls at his expense, and carriers hand on what they are
shown. His own From comes back to him in replies and in what the carrier asks within the call; the dialog's variable
`i` keeps the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from billing import caller_id
from billing.errors import InvalidNumber
from kemi import flood, ksr
from kemi.headers import IDENTITIES
from kemi.node import here
from kemi.tables import NUMBERS

if TYPE_CHECKING:
    from billing.directory import Carrier
    from billing.numbers import DialPlan

ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
ASSERTED, PREFERRED, PRIVACY = "P-Asserted-Identity", "P-Preferred-Identity", "Privacy"
REVEALING = (
    "Subject",
    "Call-Info",
    "Organization",
    "User-Agent",
    "Reply-To",
    "In-Reply-To",
    "Geolocation",
    "P-Access-Network-Info",
)
"""What else would tell who calls (RFC 3323 4.1), or where he is (RFC 6442, 7315)."""


@dataclass(frozen=True)
class Shown:
    """`number`: E.164 digits; of an emergency call, what else is in the URI. All empty: there is nothing to show."""

    number: str
    uri: str
    hidden: bool

    @property
    def label(self) -> str:
        """For the CDR: what the callee may see."""
        return "anonymous" if self.hidden or not self.number else self.number


# --- which ------------------------------------------------------------------------------------------------------------


def choose(allowed: str, verified: str, plan: DialPlan) -> Shown:
    """What the caller of the INVITE in hand shows. `allowed`: his numbers with commas between, the default first;
    `verified`: one that is proven otherwise (a trusted trunk told it)."""
    numbers = [*([verified] if verified else []), *(one for one in allowed.split(",") if one)]
    written = [*(caller_id.number_in(body) for body in ksr.headers(PREFERRED)), ksr.pv("$fU")]
    asked = [number for text in written if (number := _e164(text, plan))]
    number = caller_id.number_to_show(asked, numbers)
    hidden = caller_id.wants_to_hide(ksr.headers(PRIVACY), ksr.pv("$fU"), ksr.pv("$fd"))
    return Shown(number, f"sip:+{number}@{here().settings.sip.realm}" if number else "", hidden)


def as_number(text: str, plan: DialPlan) -> str:
    """E.164 digits of what a trusted trunk wrote; empty when it is no number."""
    return _e164(text, plan)


def _e164(text: str, plan: DialPlan) -> str:
    try:
        return plan.e164(text)
    except InvalidNumber:
        return ""


def remember(username: str, shown: Shown) -> None:
    """Whose number it is, should this phone call for help: nobody is asked for a password then."""
    if shown.uri:
        ksr.set_table_text(NUMBERS, f"{flood.network_of_source()}|{username}", shown.uri)


def truth_for_emergency() -> Shown:
    """A call for help is never anonymous: the number that this phone showed last, or what it says itself."""
    uri = ksr.table_text(NUMBERS, f"{flood.network_of_source()}|{ksr.pv('$fU')}")
    if not uri and caller_id.wants_to_hide((), ksr.pv("$fU"), ksr.pv("$fd")):
        said = [caller_id.number_in(body) for name in (PREFERRED, ASSERTED) for body in ksr.headers(name)]
        number = next((one for one in said if one), "")
        uri = f"sip:{number}@{here().settings.sip.realm}" if number else ""
    return Shown(_user(uri), uri, hidden=False)


# --- towards carriers -------------------------------------------------------------------------------------------------


def prepare(shown: Shown) -> None:
    """Keep what every branch of the INVITE in hand needs, and what the dialog does. The dialog is there."""
    header = ANONYMOUS if shown.hidden or not shown.uri else f"<{shown.uri}>"
    ksr.set_pv("$avp(from)", header)
    ksr.set_pv("$avp(identity)", f"<{shown.uri}>" if shown.uri else "")
    ksr.set_pv("$avp(hidden)", "1" if shown.hidden else "")
    ksr.set_dialog_var("i", header)
    if shown.hidden:
        ksr.set_dialog_var("y", "1")


def aim_at(carrier: Carrier) -> None:
    """The next branch is for this one: who hides is told to those alone who keep it to themselves."""
    told = carrier.trusts_identity or not ksr.pv("$avp(hidden)")
    ksr.set_pv("$avp(asserted)", ksr.pv("$avp(identity)") if told else "")


def edit_branch() -> None:
    """In the branch route: the headers that this carrier is shown."""
    _satisfy_privacy()
    if ksr.dialog_var("m"):
        ksr.remove_headers(PRIVACY)
    if not (header := ksr.pv("$avp(from)")):
        return
    ksr.remove_headers("From")
    ksr.append_header("From", f"{header};tag={ksr.pv('$ft')}")
    if asserted := ksr.pv("$avp(asserted)"):
        ksr.append_header(ASSERTED, asserted)
    if ksr.pv("$avp(hidden)"):
        ksr.remove_headers(*REVEALING)
        _hide_contact()
        ksr.remove_headers(PRIVACY)
        ksr.append_header(PRIVACY, caller_id.privacy_of_hidden(ksr.headers(PRIVACY)))


def _satisfy_privacy() -> None:
    """We are the proxy whom `Proxy-Require: privacy` means (RFC 3323 4.3); a carrier who is none would answer 420."""
    if not (bodies := ksr.headers("Proxy-Require")):
        return
    ksr.remove_headers("Proxy-Require")
    options = [option.strip() for body in bodies for option in body.split(",")]
    if others := [option for option in options if option.lower() != "privacy"]:
        ksr.append_header("Proxy-Require", ", ".join(others))


def restore_in_reply() -> None:
    """To the caller of the INVITE: the From that he sent (RFC 3261 8.2.6.2), and nothing of a callee who hides."""
    _hide_callee()
    if ksr.pv("$avp(from)"):
        _as_sent("From")


# --- within the call --------------------------------------------------------------------------------------------------


def edit_in_dialog(*, from_caller: bool) -> bool:
    """A request within the current dialog goes to the other side: each gets the caller's address as it knows it, and
    the caller the number as he dialled it, not with what was put before it for the carrier.

    False when both know the same, and nothing is to be put back in replies.
    """
    header = ksr.dialog_var("i")
    if not header:
        return False
    if from_caller:
        ksr.remove_headers("From")
        ksr.append_header("From", f"{header};tag={ksr.pv('$ft')}")
        if ksr.dialog_var("y"):
            ksr.remove_headers(*REVEALING)
            _hide_contact()
    else:
        ksr.remove_headers("From", "To")
        ksr.append_header("From", f"<{ksr.pv('$dlg(to_uri)')}>;tag={ksr.pv('$ft')}")
        ksr.append_header("To", f"<{ksr.pv('$dlg(from_uri)')}>;tag={ksr.pv('$tt')}")
    return True


def restore_in_dialog() -> None:
    """A reply within the call: From and To as they were sent; and no more of a caller who hides than before."""
    _as_sent("From")
    _as_sent("To")
    if not ksr.is_known_dialog():
        return
    if ksr.pv("$ft") == ksr.pv("$dlg(from_tag)"):
        _hide_callee()
    else:
        ksr.remove_headers(*IDENTITIES)
        if ksr.dialog_var("y"):
            ksr.remove_headers("Server", *REVEALING)
            _hide_contact()


def shown_in_dialog() -> str:
    """What the callee of the current dialog sees of the caller, for the CDR."""
    return _user(ksr.dialog_var("i") or ksr.pv("$dlg(from_uri)"))


def _user(uri: str) -> str:
    return uri.partition(":")[2].partition("@")[0].removeprefix("+")


def local_party() -> str:
    """The caller's side of the current dialog as the callee knows it, without tag."""
    return ksr.dialog_var("i") or f"<{ksr.pv('$dlg(from_uri)')}>"


def _hide_callee() -> None:
    """In a reply of the callee's: a caller is nobody who keeps to himself who somebody else is (RFC 3325 5)."""
    if caller_id.wants_to_hide(ksr.headers(PRIVACY), "", ""):
        ksr.remove_headers(*IDENTITIES)


def _as_sent(name: str) -> None:
    if sent := ksr.pv(f"$T_req($hdr({name}))"):
        ksr.remove_headers(name)
        ksr.append_header(name, sent)


def _hide_contact() -> None:
    """What comes back to it goes by the dialog's own contact, whatever it says."""
    if ksr.pv("$ct"):
        ksr.remove_headers("Contact")
        own = ksr.pv("$Ri")
        host = f"[{own}]" if ":" in own else own
        ksr.append_header("Contact", f"<sip:anonymous@{host}:{ksr.pv('$Rp')}>")
