"""Two nodes that were given one name by mistake: the first goes on untouched, the second takes no new calls."""

import json
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from billing.board import FILE_NAME, Board
from billing.instance import instance_in
from stack.kamailio import CHECKOUT, PrivateKamailio, answers_options, make_state, python_environment
from stack.node import Stack, toml, write_private
from stack.processes import Child, free_port, wait_until
from tests.support.party import RING, Party, carrier, on_the_wire
from tests.support.world import NUMBER, World

LIMIT_S = 20
KEEPER_TURNS = 11  # it looks for lost calls in every fifth


@dataclass
class Node:
    """A proxy with its drain and state folder, at an address."""

    address: str
    kamailio: PrivateKamailio
    drain: Child
    state: Path

    def start(self) -> None:
        make_state(self.state)
        self.drain.start()
        self.drain.wait_ready((self.state / "directory.json").exists, LIMIT_S)
        self.kamailio.start()

    def stop(self) -> None:
        self.kamailio.stop()
        self.drain.stop()

    def events(self, name: str) -> list[dict[str, str]]:
        """The drain's lines of this event."""
        lines = self.drain.log.read_text(encoding="ascii").splitlines()
        return [line for line in map(json.loads, lines) if line.get("event") == name]

    @property
    def twin(self) -> str:
        """Whom the proxy takes for another node with its name."""
        return str(json.loads((self.state / "directory.json").read_text(encoding="utf-8"))["twin"])


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    calls = {"grant_s": 10, "renew_lead_s": 5, "shorter_grants_s": [1], "ring_limit_s": 20, "early_dialog_s": 25}
    with Stack(tmp_path_factory.mktemp("first"), overrides={"calls": calls}) as running:
        yield running


@pytest.fixture(scope="module")
def world(stack):
    return World(stack, [free_port()])


@pytest.fixture
def second(stack, tmp_path):
    """Settings copied from the first, its name included, with a folder and port of its own; not started yet."""
    content = tomllib.loads(stack.settings_path.read_text(encoding="utf-8"))
    address = f"127.0.0.1:{free_port()}"
    content["sip"]["listen"] = [f"udp:{address}", f"tcp:{address}"]
    content["node"]["state_dir"] = str(tmp_path / "state")
    path = tmp_path / "meterline.toml"
    write_private(path, toml({"card_pin_key": content.pop("card_pin_key")}, content))
    drain = Child("drain", stack.drain.args, folder=tmp_path, env=python_environment(path), cwd=CHECKOUT)
    node = Node(address, PrivateKamailio(tmp_path, path), drain, tmp_path / "state")
    yield node
    node.stop()


def keeper_looked(node: Node, times: int) -> bool:
    """Whether the proxy's keeper ran so often."""
    seen = set()
    board = Board(node.state / FILE_NAME)

    def ticked() -> bool:
        seen.add(board.noted("keeper_ms"))
        return len(seen) > times

    try:
        wait_until(ticked, times + LIMIT_S, f"{times} turns of the keeper")
    finally:
        board.close()
    return True


def test_second_node_takes_nothing_from_the_first(stack, world, second):
    """A call that talks and one that rings on the first go on, though the second knows neither dialog; new calls get
    503 there, with the truth in the CDR, and both nodes' logs are as they should be."""
    talking, ringing, refused = (world.customer("5") for _ in range(3))
    with carrier(world) as callee, Party(world) as one, Party(world) as two, Party(world) as lost:
        # 1. On the first node one call is up, another rings.
        up = one.call(world.phone(talking))
        callee.invites = RING
        rings = two.dial(world.phone(ringing))
        invite = callee.wait_for(lambda message: message.method == "INVITE" and message.call_id == rings.call_id, "it")
        world.wait_for_live(ringing, state="open")
        # 2. The second starts, and is told whose the name is.
        second.start()
        assert answers_options(second.address)
        wait_until(lambda: bool(second.twin), LIMIT_S, "the second node knows of the first")
        (event,) = second.events("node_taken")
        first_state, second_state = stack.settings.node.state_dir, second.state
        assert event["other"].endswith(f":{first_state}")
        assert event["own"].endswith(f":{second_state}")
        # 3. It refuses new calls.
        host, port = second.address.rsplit(":", 1)
        lost.proxy = (host, int(port))
        phone = world.phone(refused)
        lost.user = phone.username
        dialog = lost.new_dialog(NUMBER)
        answer = lost.invite(dialog, password=phone.password)
        assert (503, "5") == (answer.code, answer.header("retry-after"))
        # 4. Its keeper looks for lost calls more than once, and leaves the first node's alone.
        assert keeper_looked(second, KEEPER_TURNS)
        assert ["open"] == [row["state"] for row in world.live_calls(ringing)]
        callee.answer(invite)
        connected = two.wait_for_final(rings, "INVITE")
        assert connected.code == 200
        two.establish(rings, connected)
        two.send(two.request("ACK", rings, cseq=rings.cseq))
        world.wait_for_live(ringing)
        # 5. A restart of the first one's drain is no other node.
        stack.drain.stop()
        stack.drain.start()
        owner = world.cashier.nodes()[0].instance
        beaten = world.cashier.nodes()[0].heartbeat_at
        wait_until(lambda: world.cashier.nodes()[0].heartbeat_at > beaten, LIMIT_S, "the first node is heard of")
        assert owner == world.cashier.nodes()[0].instance == instance_in(first_state).name
        for party, call in ((one, up), (two, rings)):
            assert 200 == party.hang_up(call).code
        # 6. Each call has one CDR and is charged for its seconds.
        calls = on_the_wire(world, [one, two], [callee])
    assert [(200, "caller")] * 2 == [(call.code, call.cdr.end_reason) for call in calls]
    assert [Decimal(call.cdr.billed_s) / 100 for call in calls] == [call.charge for call in calls]
    wait_until(lambda: bool(world.cdrs([dialog.call_id])[dialog.call_id]), LIMIT_S, "the refused call has its CDR")
    (cdr,) = world.cdrs([dialog.call_id])[dialog.call_id]
    assert ("billing_unavailable", Decimal(5)) == (cdr.result, world.balance(refused))
    assert cdr.detail.startswith("node node1 is also ")
    world.wait_until_drained()
    assert [] == world.cashier.audit()
    lines = [json.loads(line) for line in stack.drain.log.read_text(encoding="ascii").splitlines()]
    assert [] == [line for line in lines if line.get("event") in ("node_taken", "call_reaped")]
    assert [] == second.events("call_reaped")
