"""Kamailio's KSR object without Kamailio: answers as 5.6.3 does, as far as kemi/ksr.py asks, and remembers the rest.

It keeps the engine's oddities: three kinds of truth; null pseudo-variables; a pseudo-variable whose name does not
end where its brackets do is null; a header that was removed can still be read.
"""

import itertools
from types import SimpleNamespace


class Dialog:
    """One dialog of the module: $dlg(..), $dlg_var(..), and the lifetimes it was given."""

    def __init__(self, call_id, from_tag, **values):
        self.values = {"callid": call_id, "from_tag": from_tag, "state": "4", "from_cseq": "1", "to_cseq": "0"} | values
        self.variables = {}
        self.lifetimes = []
        self.properties = []


class World:
    """A message in hand, the transaction, the dialogs and the tables. Tests set it up and read what happened."""

    def __init__(self):
        self.message = {}
        self.headers = []
        self.tables = {}
        self.avps = {}
        self.dialogs = {}
        self.dialog = None
        self.context = {}
        self.actions = []
        self.logged = []
        self.names_asked = set()
        self.truths = {
            "transaction": -1,
            "new_transaction": 1,
            "reply_transaction": 1,
            "whole": 1,
            "cancelled": -1,
            "timed_out": -1,
            "digest": 1,
            "credentials": 1,
            "async": 0,
            "pike": 1,
            "relay": [1],
            "sane": 1,
            "forwards": 1,
            "send": 1,
            "reply_callid": 1,
        }
        self.final_code = 500
        self.destinations = set()
        self.answers = itertools.count()

    # --- setting up ---------------------------------------------------------------------------------------------------

    def request(self, method="INVITE", headers=(), **pvs):
        """Put a request in hand. `pvs`: without the dollar, such as rU="4930"."""
        self.message = {
            "$rm": method,
            "$ru": "sip:030123@example.net",
            "$rU": "030123",
            "$ci": "call-1",
            "$ft": "from-1",
            "$tt": None,
            "$cs": "1",
            "$si": "203.0.113.50",
            "$sp": 5060,
            "$proto": "udp",
            "$fU": "alice",
            "$fu": "sip:alice@example.net",
            "$tu": "sip:030123@example.net",
            "$ct": "<sip:alice@203.0.113.50>",
            "$au": "alice",
            "$adu": "sip:030123@example.net",
            "$TS": 1_700_000_000,
            "$T_branch_idx": 0,
            "$mb": f"{method} sip:030123@example.net SIP/2.0\r\n\r\n",
        }
        self.message |= {f"${name}": value for name, value in pvs.items()}
        self.message.setdefault("$ou", self.message["$ru"])
        host, _, port = str(self.message["$ct"]).partition("@")[2].strip(">").partition(";")[0].partition(":")
        self.message |= {"$(ct{nameaddr.uri}{uri.host})": host, "$(ct{nameaddr.uri}{uri.port})": port}
        self.headers = list(headers)
        self.actions.clear()

    def reply(self, code=200, **pvs):
        """Put a reply to an INVITE in hand, from the first carrier."""
        self.request("INVITE", **({"tt": "to-1", "si": "192.0.2.1", "rs": code, "ct": "<sip:gw@192.0.2.1>"} | pvs))

    def known(self, **values):
        """A dialog that is up: answered, acknowledged, between 203.0.113.50 and 192.0.2.1; and make it current."""
        dialog = Dialog("call-1", "from-1", **{
            "to_tag": "to-1",
            "from_uri": "sip:alice@example.net",
            "to_uri": "sip:4930123@192.0.2.1",
            "from_contact": "sip:alice@203.0.113.50",
            "to_contact": "sip:gw@192.0.2.1",
        } | values)  # fmt: skip
        dialog.variables = {"k": "01HX0000000000000000000000", "a": "card", "g": "120", "s": "203.0.113.50"}
        dialog.variables |= {"d": "192.0.2.1", "c": "1", "h": "sip:203.0.113.50:5060;transport=udp"}
        self.dialogs[dialog.values["callid"], dialog.values["from_tag"]] = self.dialog = dialog
        return dialog

    # --- reading what happened ----------------------------------------------------------------------------------------

    def did(self, kind):
        """The actions of a kind, without the kind."""
        return [action[1:] for action in self.actions if action[0] == kind]

    @property
    def replied(self):
        """The codes answered."""
        return [action[0] for action in self.did("reply")]

    @property
    def reply_headers(self):
        """Headers added to the reply."""
        return [line for (line,) in self.did("append_to_reply")]

    # --- pseudo-variables ---------------------------------------------------------------------------------------------

    def get(self, name):
        self.names_asked.add(name)
        if _end_of_name(name) != len(name):
            return None
        kind, _, inner = name.partition("(")
        inner = inner.removesuffix(")")
        value = self._value(name, kind, inner)
        if isinstance(value, bytes):
            return value.decode()  # PyUnicode_FromStringAndSize: raises what a test expects of it
        return value

    def _value(self, name, kind, inner):
        if kind == "$sht":
            table, _, key = inner.partition("=>")
            return None if "$" in key else self.tables.get(table, {}).get(key)
        if kind == "$avp":
            return self.avps.get(inner)
        if kind == "$dlg_var":
            return self.dialog.variables.get(inner) if self.dialog else None
        if kind == "$dlg":
            return self.dialog.values.get(inner) if self.dialog else None
        if name == "$adr" and name not in self.message:
            return f"answer-{next(self.answers)}"  # everybody's answer has one of its own
        return self.message.get(name)

    def set(self, name, value):
        kind, _, inner = name.partition("(")
        inner = inner.removesuffix(")")
        if kind == "$avp":
            self.avps[inner] = value
        elif kind == "$dlg_ctx":
            self.context[inner] = value
        elif kind == "$dlg_var":
            assert self.dialog is not None, f"{name} without a dialog"
            self.note("variable", inner)
            self.dialog.variables[inner] = value
        else:
            raise AssertionError(name)

    # --- what modules do ----------------------------------------------------------------------------------------------

    def note(self, *action, result=None):
        self.actions.append(action)
        return result

    def count_up(self, table, key, by=1):
        values = self.tables.setdefault(table, {})
        values[key] = int(values.get(key) or 0) + by
        return values[key]

    def find(self):
        """The dialog of the message in hand, from either side; until it is answered any To-tag will do."""
        sent = (self.message["$ft"], self.message.get("$tt"))
        for dialog in self.dialogs.values():
            caller, callee = dialog.values["from_tag"], dialog.values.get("to_tag")
            from_caller = sent[0] == caller and (sent[1] == callee or None in (sent[1], callee))
            if self.message["$ci"] == dialog.values["callid"] and (from_caller or sent == (callee, caller)):
                return dialog
        return None

    def is_known(self):
        found = self.find()
        if found is not None:
            self.dialog = found
        return 1 if found else -1

    def manage(self):
        self.note("manage")
        if self.message.get("$tt") is None:
            key = (self.message["$ci"], self.message["$ft"])
            self.dialog = self.dialogs[key] = Dialog(*key, state="1")
        return 1

    def enter(self, call_id, from_tag, to_tag):
        found = self.dialogs.get((call_id, from_tag)) if to_tag else None  # "invalid To tag parameter"
        if found is not None and found.values.get("to_tag") in (None, to_tag):
            self.dialog = found
            return 1
        return -1

    def set_timeout(self, seconds):
        self.dialog.lifetimes.append(seconds)
        return self.note("lifetime", seconds, result=1)

    def set_uri(self, uri):
        self.message["$ru"] = uri
        self.message["$rU"] = uri.removeprefix("sip:").partition("@")[0]
        return 1 if uri else -1

    def suspend(self, route, group):
        self.note("group", group)
        return self.note("async", route, result=self.truths["async"])

    def relay(self):
        results = self.truths["relay"]
        result = results.pop(0) if len(results) > 1 else results[0]
        self.note("relay", self.message["$ru"])
        return result

    def header(self, name, index):
        bodies = [body for given, body in self.headers if given.lower() == name.lower()]
        body = bodies[index] if index < len(bodies) else None
        return body.decode() if isinstance(body, bytes) else body  # raises as PyUnicode_FromStringAndSize does


def _end_of_name(name):
    """Where a pseudo-variable's name ends: core/pvapi.c, pv_locate_name."""
    depth = 0
    for position, character in enumerate(name):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == ")" and depth == 0:
            return position + 1
    return len(name) if depth == 0 else -1


def install(module, world):
    """Give `module`, which stands in sys.modules as KSR, this world."""
    note, truths = world.note, world.truths
    module.pv = SimpleNamespace(
        get=world.get, gete=lambda name: "" if (value := world.get(name)) is None else value, sets=world.set
    )
    module.hdr = SimpleNamespace(
        get_idx=world.header,
        is_present=lambda name: truths["whole"],
        gete_idx=lambda name, index: world.header(name, index) or "",
        remove=lambda name: note("remove", name, result=1),
        append=lambda line: note("append", line.removesuffix("\r\n"), result=1),
        append_to_reply=lambda line: note("append_to_reply", line.removesuffix("\r\n"), result=1),
    )
    module.htable = SimpleNamespace(
        sht_inc=world.count_up,
        sht_dec=lambda table, key: world.count_up(table, key, -1),
        sht_get=lambda table, key: world.tables.get(table, {}).get(key),
        sht_sets=lambda table, key, value: world.tables.setdefault(table, {}).__setitem__(key, value),
        sht_rm=lambda table, key: world.tables.get(table, {}).pop(key, None) and None,
    )
    module.tm = SimpleNamespace(
        t_check_trans=lambda: truths["reply_transaction" if "$rs" in world.message else "transaction"],
        t_check_status=lambda pattern: note("let_go", result=1),
        t_newtran=lambda: note("transaction", result=truths["new_transaction"]),
        t_is_canceled=lambda: truths["cancelled"],
        t_branch_timeout=lambda: truths["timed_out"],
        t_get_status_code=lambda: world.final_code,
        t_relay=world.relay,
        t_reply=lambda code, reason: note("reply", code, reason, result=1),
        t_set_fr=lambda ring, silence: note("timers", ring, silence, result=1),
        t_on_branch=lambda route: note("on_branch", route, result=1),
        t_on_failure=lambda route: note("on_failure", route, result=1),
        t_on_reply=lambda route: note("on_reply", route, result=1),
        t_uac_send=lambda *arguments: note("send", *arguments, result=truths["send"]),
    )
    module.tmx = SimpleNamespace(
        t_reply_callid=lambda *arguments: note("reply_callid", *arguments, result=truths["reply_callid"])
    )
    module.dialog = SimpleNamespace(
        is_known_dlg=world.is_known,
        dlg_manage=world.manage,
        dlg_get=world.enter,
        dlg_set_timeout=world.set_timeout,
        dlg_set_property=lambda name: world.dialog.properties.append(name) or 1,
    )
    module.dispatcher = SimpleNamespace(
        ds_is_active_uri=lambda group, uri: 1 if uri in world.destinations else -1,
        ds_reload=lambda: note("reload", result=1),
    )
    module.auth = SimpleNamespace(
        has_credentials=lambda realm: truths["credentials"],
        auth_challenge=lambda realm, flags: note("challenge", realm, result=1),
        pv_auth_check=lambda realm, ha1, flags, checks: note("check", ha1, result=truths["digest"]),
    )
    module.siputils = SimpleNamespace(has_totag=lambda: 1 if world.message.get("$tt") else -1)
    module.nathelper = SimpleNamespace(set_contact_alias=lambda: note("alias", result=1))
    module.maxfwd = SimpleNamespace(process_maxfwd=lambda most: truths["forwards"])
    module.sanity = SimpleNamespace(sanity_check=lambda messages, uris: truths["sane"])
    module.rr = SimpleNamespace(record_route=lambda: note("record_route", result=1))
    module.sl = SimpleNamespace(send_reply=lambda code, reason: note("reply", code, reason, result=1))
    setattr(module, "async", SimpleNamespace(task_group_route=world.suspend))
    module.pike = SimpleNamespace(pike_check_ip=lambda address: note("pike", address, result=truths["pike"]))
    module.tcpops = SimpleNamespace(tcp_set_connection_lifetime=lambda seconds: note("idle", seconds, result=1))
    module.is_myself = lambda uri: "example.net" in uri
    module.seturi = world.set_uri
    module.setdsturi = lambda uri: note("next_hop", uri, result=1)
    module.resetdsturi = lambda: note("next_hop", "")
    module.force_rport = lambda: note("rport", result=1)
    module.set_drop = lambda: note("drop")
