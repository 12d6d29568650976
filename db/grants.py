"""Who may do what in the ledger: the locked owners of routines and views, the logins that programs use, and the
role that a vendor gives to his administrators.

A runtime login has EXECUTE and SELECT on views, nothing more; the admin's also changes the tables that hold no money.
Rights are given object by object, never on the schema: MariaDB cannot subtract a table from a grant on its schema.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

Role = Literal["owner", "archivist", "reader", "proxy", "cashier", "admin", "ivr"]

OWNER = "meterline_owner"
"""Definer of every routine. Locked; its name stands in db/routines/*.sql."""
ARCHIVIST = "meterline_archivist"
"""Definer of the routines of retention: the only one who may take a row out of `entry` and `cdr`. Locked."""
READER = "meterline_reader"
"""Definer of every view. Locked; may only SELECT, so that no view can be written through, whatever is granted on it."""
OWNERS_HOST = "localhost"
ADMINISTRATOR = "meterline_administrator"
"""A role of the server with the rights of the admin's login, for people: GRANT meterline_administrator TO anna.

It reads no hash: who has an HA1 can call as its user, and a PIN is soon found from its hash by who knows card_pin_key.
Therefore only the nodes execute identify_digest and identify_card."""


class Right(NamedTuple):
    """One privilege on one object of the ledger; `column` is empty unless it is for that column alone."""

    kind: Literal["TABLE", "PROCEDURE"]
    name: str
    privilege: str
    column: str = ""


def _tables(privileges: str, names: str) -> frozenset[Right]:
    return frozenset(Right("TABLE", name, privilege) for name in names.split() for privilege in privileges.split())


def _execute(names: Iterable[str]) -> frozenset[Right]:
    return frozenset(Right("PROCEDURE", name, "EXECUTE") for name in names)


_IDENTIFY = (
    "identify_digest", "identify_caller_number", "identify_card", "identify_user", "identify_account",
)  # fmt: skip
_CALLS = (
    "open_call", "answer_call", "extend_call", "settle_call", "record_call", "reap_calls", "heartbeat", "forget_counts",
    "note_carriers", "set_carrier_cost", "record_attempt",
)  # fmt: skip
_MONEY = ("top_up", "refund", "adjust", "transfer", "correct_charge", "accept_cdr", "retire_node")
"""The last two move none, but give up what would be refunded by itself: for whoever can give it back by hand."""
_CONFIGURE = (
    "create_account", "set_account", "suspend_account", "resume_account", "close_account", "move_account",
    "set_credit_limit", "put_tariff", "put_rate", "remove_rate",
    "create_carrier", "set_carrier", "set_carrier_status", "set_account_routing", "set_tariff_routing",
    "put_shown_number", "remove_shown_number",
)  # fmt: skip
_TARIFFS = (
    "create_tariff", "set_tariff", "open_deck", "stage_rates", "deck_problems", "compare_deck", "deck_below_cost",
    "apply_deck", "discard_deck",
)  # fmt: skip
_WHO_CALLS = (
    "add_user", "set_user", "suspend_user", "resume_user", "remove_user", "set_user_password", "remove_user_password",
    "add_caller_number", "remove_caller_number", "add_trunk", "rename_trunk", "set_trunk_status", "remove_trunk",
    "add_trunk_network", "remove_trunk_network", "bar_prefix", "allow_prefix", "forget_prefix", "put_premium_prefix",
    "remove_premium_prefix", "end_call", "end_account_calls",
)  # fmt: skip
_CARDS = (
    "block_cards", "unblock_cards", "cancel_cards", "block_card", "unblock_card", "cancel_card",
    "block_vouchers", "unblock_vouchers", "cancel_vouchers", "forgive_guesses",
)  # fmt: skip
_ISSUE = ("issue_cards", "issue_vouchers", "put_card")
_SELL = ("activate_cards", "activate_card", "activate_vouchers", "redeem_voucher", "card_quote")
"""Who may make money of what somebody else issued."""
_READ = ("account_statement", "archivable", "audit", "audit_archive", "export_cdrs")
_BUNDLES = ("add_bundle", "change_bundle", "remove_bundle", "assign_bundle", "unassign_bundle")
_REPORTS = (
    "v_account v_cdr v_cdr_leg v_entry v_live_call v_live_leg v_rate v_tariff v_trunk v_carrier v_node v_alarm v_user "
    "v_username v_caller_number v_prefix_rule v_premium_prefix v_end_mark v_parent_hold v_below_cost "
    "v_carrier_state v_shown_number v_margin "
    "v_bundle v_bundle_plan v_bundle_prefix v_live_bundle v_cdr_bundle "
    "v_card v_card_number v_batch v_voucher v_voucher_batch v_voucher_refusal "
    "v_statement v_traffic v_attempt v_traffic_attempt "
    "v_cdr_archive v_cdr_leg_archive v_entry_archive v_checkpoint v_retention "
    "v_charged_leg v_correction v_deck v_accepted_call"
)

_DECK_TABLES = "deck deck_rate"
_CARD_TABLES = "zone_offset card_batch card voucher_batch voucher guess_count voucher_refusal"
_CARRIER_TABLES = "carrier_prefix carrier_state shown_number"
_WHO_CALLS_TABLES = (
    "user credential_digest trunk trunk_address credential_caller_number account_prefix user_prefix premium_prefix "
    "end_mark"
)
_ALL_TABLES = (
    "account purse user credential_digest credential_card trunk trunk_address credential_caller_number carrier tariff "
    "rate live_call live_leg cdr cdr_leg attempt entry money_key node call_count alarm account_prefix user_prefix "
    "premium_prefix end_mark bundle bundle_prefix account_bundle bundle_period live_bundle cdr_bundle "
    f"{_CARRIER_TABLES} {_CARD_TABLES} {_DECK_TABLES} "
    "export_position retention balance_checkpoint cdr_archive cdr_leg_archive entry_archive correction "
    "correction_archive accepted_call attempt_archive"
)

_PROXY = _execute((*_IDENTIFY, *_CALLS, "audit")) | _tables(
    "SELECT",
    "v_rate v_tariff v_live_call v_live_leg v_live_total v_trunk v_carrier v_node v_cdr v_cdr_leg v_config_version "
    "v_alarm v_parent_hold v_premium_prefix v_end_mark v_carrier_route v_carrier_use v_carrier_state v_live_route "
    "v_bundle_prefix v_live_bundle v_accepted_call",
)
_CASHIER = _execute(
    (*_MONEY, *_SELL, *_CARDS, *_READ, "identify_account", "acknowledge_alarms")
) | _tables("SELECT", _REPORTS)
_ADMIN = (
    _execute((
        *_CONFIGURE, *_TARIFFS, *_ISSUE, *_CARDS, *_WHO_CALLS, *_BUNDLES, *_READ, "acknowledge_alarms", "archive",
        "identify_account", "identify_caller_number",
    ))
    | _tables("SELECT", f"{_REPORTS} v_config_version v_deck_change")
    | _tables("SELECT", "account user trunk trunk_address credential_caller_number tariff rate")
)


_IVR = _execute(("card_quote", "redeem_voucher"))
"""It reads nothing: whoever has its password must guess PINs and codes, and is slowed."""
_VERSION = _tables("SELECT", "v_version")


def rights_of(role: Role, routines: Iterable[str], views: Iterable[str]) -> frozenset[Right]:
    """Everything that a role may do. `routines` and `views` are the names of all there are."""
    if role == "owner":
        return _owner(routines, views)
    if role == "archivist":
        return _archivist()
    if role == "reader":
        return _tables("SELECT", f"{_ALL_TABLES} loaded_object _yoyo_migration")
    return _IVR if role == "ivr" else {"proxy": _PROXY, "cashier": _CASHIER, "admin": _ADMIN}[role] | _VERSION


def _owner(routines: Iterable[str], views: Iterable[str]) -> frozenset[Right]:
    """What the routines do, and no more: an entry or a spent key is never changed, not even by them."""
    return (
        _tables("SELECT", _ALL_TABLES)
        | _tables("SELECT", " ".join(view for view in views if view.startswith("audit_")))
        | _tables("INSERT UPDATE", "account purse tariff cdr cdr_leg node carrier card voucher credential_card")
        | _tables("INSERT UPDATE", "accepted_call")
        | _tables("UPDATE", "export_position")
        | _tables("INSERT UPDATE", "bundle account_bundle bundle_period cdr_bundle")
        | _tables("INSERT", "entry money_key card_batch voucher_batch correction attempt attempt_archive")
        | _tables(
            "INSERT UPDATE DELETE",
            "rate live_call live_leg live_bundle call_count alarm "
            f"{_WHO_CALLS_TABLES} {_CARRIER_TABLES} {_DECK_TABLES}",
        )
        | _tables("INSERT UPDATE DELETE", "zone_offset guess_count")
        | _tables("INSERT DELETE", "voucher_refusal bundle_prefix")
        | _execute(routines)
    )


def _archivist() -> frozenset[Right]:
    """He moves rows and adds them up; he writes none of his own, and no balance."""
    return (
        _tables("SELECT", "purse export_position")
        | _tables("SELECT DELETE", "cdr cdr_leg attempt entry correction")
        | _tables("SELECT INSERT", "cdr_archive cdr_leg_archive attempt_archive entry_archive correction_archive")
        | _tables("SELECT INSERT UPDATE", "balance_checkpoint")
        | _tables("SELECT UPDATE", "retention")
        | _execute((
            "archive", "archive_calls", "archive_corrections", "archive_entries", "move_entries",
            "check_archive_before", "publish_keys",
            "refuse_in_transaction", "refuse",
        ))
    )  # fmt: skip
