"""Who may call: users, their SIP passwords and caller numbers, trunks, and the prefixes that they may call."""

from collections.abc import Iterable
from itertools import groupby

from billing.errors import LedgerRefused
from billing.ledger_accounts import AccountRef, AccountsLedger, settings_json
from billing.ledger_rows import record
from billing.ledger_types import TrunkKind
from billing.ledger_types_accounts import CallerNumber, PrefixRule, PremiumPrefix, TrunkShown, Username, UserRow


class UsersLedger(AccountsLedger):
    """What an administrator asks of the ledger. LedgerRefused names what cannot be. A user's name is his account's."""

    def create_user(self, account: AccountRef, name: str, **settings: object) -> int:
        """A user of an account; his id. Settings as in set_user."""
        rows = self._call("add_user", self._account(account), name, settings_json(settings) if settings else None)
        return int(rows[0]["id"])

    def set_user(self, account: AccountRef, user: str, **settings: object) -> None:
        """Change some of name, max_calls, longest_call_s, max_calls_per_second; None: none."""
        self._call("set_user", self._account(account), user, settings_json(settings))

    def suspend_user(self, account: AccountRef, user: str, *, now: bool = False, reason: str = "") -> int:
        """No new calls; with `now` those in progress end, too. How many are ending."""
        return int(self._call("suspend_user", self._account(account), user, now, reason)[0]["ending"])

    def resume_user(self, account: AccountRef, user: str) -> None:
        """Active again."""
        self._call("resume_user", self._account(account), user)

    def remove_user(self, account: AccountRef, user: str) -> None:
        """Gone, with passwords and caller numbers; CDRs keep the name."""
        self._call("remove_user", self._account(account), user)

    def set_user_status(self, user_id: int, status: str) -> None:
        """'active' or 'suspended'."""
        names = self._user(user_id)
        if status == "active":
            self.resume_user(*names)
        else:
            self.suspend_user(*names)

    def users(self, account: AccountRef | None = None, *, removed: bool = False) -> list[UserRow]:
        """Users by account and name, of one account or of all."""
        name = None if account is None else self._account(account)
        rows = self._select(
            "SELECT * FROM v_user WHERE (%s IS NULL OR account_name = %s) AND (%s OR status <> 'removed')"
            " ORDER BY account_name, name, user_id",
            *(name, name, removed),
        )
        return [record(UserRow, row) for row in rows]

    # --- credentials --------------------------------------------------------------------------------------------------

    def set_user_password(
        self, account: AccountRef, user: str, username: str, realm: str, ha1_md5: str, ha1_sha256: str
    ) -> None:
        """SIP name and password: hex hashes of username:realm:password (RFC 7616)."""
        self._call("set_user_password", self._account(account), user, username, realm, ha1_md5, ha1_sha256)

    def remove_user_password(self, account: AccountRef, user: str, username: str, realm: str) -> None:
        """This SIP name of his is nobody's any more."""
        self._call("remove_user_password", self._account(account), user, username, realm)

    def put_digest(self, user_id: int, username: str, realm: str, ha1_md5: str, ha1_sha256: str) -> None:
        """set_user_password for a user by id."""
        self.set_user_password(*self._user(user_id), username, realm, ha1_md5, ha1_sha256)

    def usernames(self, account: AccountRef | None = None) -> list[Username]:
        """SIP user names, of one account or of all."""
        name = None if account is None else self._account(account)
        sql = "SELECT * FROM v_username WHERE %s IS NULL OR account_name = %s ORDER BY username, realm"
        return [record(Username, row) for row in self._select(sql, name, name)]

    def add_caller_number(self, trunk: str, number: str, account: AccountRef, user: str | None) -> None:
        """Calls from this number (E.164 digits) on a trunk for caller numbers: this user's, or (None) this card's."""
        self._call("add_caller_number", trunk, number, self._account(account), user)

    def remove_caller_number(self, trunk: str, number: str) -> None:
        """Nobody's any more."""
        self._call("remove_caller_number", trunk, number)

    def put_caller_number(
        self, trunk_id: int, number: str, *, user_id: int | None = None, account_id: int | None = None
    ) -> None:
        """add_caller_number by ids: a user's, or a card's."""
        if user_id is not None:
            account, user = self._user(user_id)
            self.add_caller_number(self._trunk(trunk_id), number, account, user)
        else:
            assert account_id is not None, "neither a user nor a card"
            self.add_caller_number(self._trunk(trunk_id), number, account_id, None)

    def caller_numbers(self, account: AccountRef | None = None, trunk: str | None = None) -> list[CallerNumber]:
        """Caller numbers, of one account or trunk or of all."""
        name = None if account is None else self._account(account)
        rows = self._select(
            "SELECT * FROM v_caller_number WHERE (%s IS NULL OR account_name = %s) AND (%s IS NULL OR trunk_name = %s)"
            " ORDER BY trunk_name, number",
            *(name, name, trunk, trunk),
        )
        return [record(CallerNumber, row) for row in rows]

    # --- trunks -------------------------------------------------------------------------------------------------------

    def add_trunk(self, trunk: str, kind: TrunkKind, account: AccountRef | None, user: str | None) -> int:
        """A trusted source without networks yet; its id. Kind customer: every call is this user's; else `account` is
        the reseller who owns it, None the vendor."""
        owner = None if account is None else self._account(account)
        return int(self._call("add_trunk", trunk, kind, owner, user)[0]["id"])

    def create_trunk(self, name: str, kind: TrunkKind, networks: Iterable[str], *, user_id: int | None = None) -> int:
        """add_trunk with its networks (CIDR texts); kind 'customer' needs the user's id."""
        account, user = (None, None) if user_id is None else self._user(user_id)
        trunk_id = self.add_trunk(name, kind, account, user)
        for network in networks:
            self.add_trunk_network(name, network)
        return trunk_id

    def rename_trunk(self, trunk: str, name: str) -> None:
        """Another name."""
        self._call("rename_trunk", trunk, name)

    def set_trunk_status(self, trunk: int | str, status: str) -> None:
        """'active' or 'suspended'."""
        self._call("set_trunk_status", self._trunk(trunk), status)

    def remove_trunk(self, trunk: str) -> None:
        """With its networks; not while it has caller numbers."""
        self._call("remove_trunk", trunk)

    def add_trunk_network(self, trunk: str, network: str) -> None:
        """Calls from this network (CIDR text) are the trunk's."""
        self._call("add_trunk_network", trunk, network)

    def remove_trunk_network(self, trunk: str, network: str) -> None:
        """They are not any more."""
        self._call("remove_trunk_network", trunk, network)

    def all_trunks(self) -> list[TrunkShown]:
        """Every trunk by name, suspended ones too."""
        rows = self._select("SELECT * FROM v_trunk ORDER BY name, trunk_id, network")
        shown = []
        for _, group in groupby(rows, lambda row: row["trunk_id"]):
            of_trunk = list(group)
            networks = tuple(row["network"] for row in of_trunk if row["network"] is not None)
            shown.append(record(TrunkShown, of_trunk[0], networks=networks))
        return shown

    # --- prefixes -----------------------------------------------------------------------------------------------------

    def bar_prefix(self, account: AccountRef, user: str | None, prefix: str) -> None:
        """No calls there ('': nowhere), of the account and all below it, or of this user alone."""
        self._call("bar_prefix", self._account(account), user, prefix)

    def allow_prefix(self, account: AccountRef, user: str | None, prefix: str) -> None:
        """Calls there pass, whatever a shorter prefix or a premium range says."""
        self._call("allow_prefix", self._account(account), user, prefix)

    def forget_prefix(self, account: AccountRef, user: str | None, prefix: str) -> None:
        """No rule for exactly this prefix any more."""
        self._call("forget_prefix", self._account(account), user, prefix)

    def prefix_rules(self, account: AccountRef | None = None) -> list[PrefixRule]:
        """Allowed and barred prefixes of one account and its users, or of all."""
        name = None if account is None else self._account(account)
        rows = self._select(
            "SELECT * FROM v_prefix_rule WHERE %s IS NULL OR account_name = %s"
            " ORDER BY account_name, user_name, prefix",
            *(name, name),
        )
        return [record(PrefixRule, row, allowed=bool(row["allowed"])) for row in rows]

    def premium_prefixes(self) -> list[PremiumPrefix]:
        """Ranges that are barred for every account that does not allow them, by prefix."""
        return [record(PremiumPrefix, row) for row in self._select("SELECT * FROM v_premium_prefix ORDER BY prefix")]

    def put_premium_prefix(self, prefix: str, name: str, source: str) -> None:
        """Make or change a premium range."""
        self._call("put_premium_prefix", prefix, name, source)

    def remove_premium_prefix(self, prefix: str) -> None:
        """Premium no more."""
        self._call("remove_premium_prefix", prefix)

    def _user(self, user_id: int) -> tuple[str, str]:
        rows = self._select("SELECT account_name, name FROM v_user WHERE user_id = %s", user_id)
        if not rows:
            raise LedgerRefused("unknown_user", f"there is no user {user_id}")
        return str(rows[0]["account_name"]), str(rows[0]["name"])

    def _trunk(self, trunk: int | str) -> str:
        if isinstance(trunk, str):
            return trunk
        return self._name("trunk", f"trunk {trunk}", "SELECT name FROM v_trunk WHERE trunk_id = %s", trunk)
