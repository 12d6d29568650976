"""Each sentence of the oracle fails on a log that was doctored for it, and a clean one passes."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest

from billing.pricelist import rate_to_json
from tests.faults.oracle import (
    DATABASE,
    JITTER,
    PROXY,
    WIRE,
    Attempt,
    Evidence,
    Leg,
    Purse,
    Record,
    Verdict,
    Window,
    attempts_of,
    judge,
    judge_drill,
)
from tests.support.messages import Message
from tests.unit.builders import rate

RATE = rate_to_json(rate())
T = 1_000_000.0
CENT = Decimal("0.01")
ACCOUNT = 7
CALL = Attempt(
    "a", "node1", code=200, invited=T, answered=T + 0.30, connected=T + 0.31, hung_up=T + 4.01, hung_up_heard=T + 4.02,
    bye_to_callee=T + 4.02, last=T + 4.1,
)  # fmt: skip
CDR = Record(
    "01KEY", "a", "node1", opened_at=T - 0.02, grant_s=10, talked_ms=3705, billed_s=4, result="answered",
    end_reason="caller", rated_at=datetime(2026, 1, 1), legs=(Leg(ACCOUNT, 4 * CENT),), moved={ACCOUNT: -4 * CENT},  # noqa: DTZ001
)  # fmt: skip
PURSE = Purse(ACCOUNT, Decimal("0.96"), Decimal("0.96"), Decimal(0), 0, Decimal("0.96"))
CUT = replace(CALL, hung_up=None, hung_up_heard=None, bye_to_caller=T + 10.35, bye_to_callee=T + 10.35, last=T + 10.4)
CUT_CDR = replace(
    CDR, talked_ms=10_040, billed_s=10, end_reason="cut", legs=(Leg(ACCOUNT, 10 * CENT),), moved={ACCOUNT: -10 * CENT}
)


def evidence(**changes):
    return replace(Evidence([CALL], [CDR], [PURSE], []), **changes)


def charged(record, seconds, **changes):
    """The same record for another time."""
    return replace(
        record, billed_s=seconds, talked_ms=seconds * 1000, legs=(Leg(ACCOUNT, seconds * CENT),),
        moved={ACCOUNT: -seconds * CENT}, **changes,
    )  # fmt: skip


def kinds(verdict):
    return {text.partition(":")[0] for text in verdict.findings}


def found(**changes):
    return kinds(judge(evidence(**changes)))


def during(kind, start, end, takes=PROXY, node="node1"):
    return Window(kind, takes, node, T + start, T + end)


def test_a_clean_log_passes():
    """Nothing is found, and no second is over or under."""
    verdict = judge(
        evidence(
            attempts=[CALL, replace(CUT, call_id="b")], records=[CDR, replace(CUT_CDR, call_key="02KEY", call_id="b")]
        )
    )
    assert [] == verdict.findings
    assert (2, 2, 2) == (verdict.sums["calls"], verdict.sums["connected"], verdict.sums["CDRs"])
    assert not any("seconds" in name for name in verdict.sums)


def test_a_call_without_a_cdr():
    """It reached the callee, and the ledger does not know of it."""
    assert {"no CDR"} == found(records=[])
    assert {"no CDR"} == found(
        records=[replace(CDR, legs=(), moved={}, result="billing_unavailable", billed_s=0, talked_ms=0)]
    )


def test_two_cdrs_for_one_call():
    """Allowed only when a restart made two calls of one, and one of them was never answered."""
    free = replace(
        CDR, call_key="02KEY", result="cancelled", billed_s=0, talked_ms=0, legs=(Leg(ACCOUNT, Decimal(0)),), moved={}
    )
    assert {"several CDRs"} == found(records=[CDR, free])
    assert set() == found(records=[CDR, free], windows=[during("proxy killed", 0.1, 0.2)])
    twice = replace(CDR, call_key="02KEY")
    assert {"several CDRs"} == found(records=[CDR, twice], windows=[during("proxy killed", 0.1, 0.2)])


def test_connected_while_its_authorization_was_unknown():
    """The callee heard of it before the ledger had."""
    assert {"connected unauthorized"} == found(records=[replace(CDR, opened_at=T + 0.3)])


def test_a_free_call():
    """The caller had his 200, and the CDR says nobody answered."""
    record = replace(CDR, result="cancelled", billed_s=0, talked_ms=0, legs=(Leg(ACCOUNT, Decimal(0)),), moved={})
    verdict = judge(evidence(records=[record]))
    assert {"free call"} == kinds(verdict)
    assert 4 == verdict.sums["seconds undercharged"]


def test_charged_for_nothing():
    """No callee heard of it and it costs something."""
    alone = replace(CALL, code=503, invited=None, answered=None, connected=None, hung_up=None, bye_to_callee=None)
    assert {"charged for nothing"} == found(attempts=[alone])
    assert {"provisional"} == found(attempts=[alone], records=[replace(CDR, provisional=True)])
    assert set() == found(attempts=[alone], records=[replace(CDR, provisional=True)], lost_nodes={"node1": T + 1})


def test_undercharged():
    """A second less than both talked for sure."""
    verdict = judge(evidence(records=[charged(CDR, 3)]))
    assert {"undercharged"} == kinds(verdict)
    assert 1 == verdict.sums["seconds undercharged"]


def test_overcharged():
    """More than they can have talked: nothing excuses it."""
    verdict = judge(evidence(records=[charged(CDR, 6)], windows=[during("proxy killed", 1, 5)]))
    assert {"overcharged"} == kinds(verdict)
    assert 2 == verdict.sums["seconds overcharged"]


def test_charged_and_never_connected():
    """The caller never had his 200: a second is a second too many, unless his wire was broken when it was sent."""
    deaf = replace(CALL, code=0, connected=None, hung_up=T + 0.9, hung_up_heard=T + 0.91, bye_to_callee=None)
    assert {"overcharged"} == found(attempts=[deaf], records=[charged(CDR, 1)])
    assert set() == found(attempts=[deaf], records=[charged(CDR, 1)], windows=[during("loss", 0, 0.5, WIRE)])


def test_two_datagrams_that_came_late():
    """The 200 to the caller and the BYE to the proxy were held back, up to 0.15 s each: a second more may be charged
    for that, and for no other reason; not for one of them alone, and no second on top."""
    late = replace(CALL, connected=CALL.answered + 0.15)
    late = replace(late, hung_up=late.connected + 1.65, last=late.connected + 2.2)
    record = charged(CDR, 3)
    both = [during("reordered at the callers", -1, 9, JITTER)]
    assert set() == found(attempts=[late], records=[record], windows=both)
    assert {"overcharged"} == found(attempts=[late], records=[record])
    for kind in ("reordered at the carrier", "doubled at the callers"):  # it held the BYE back alone, and neither
        one = [during(kind, -1, 9, JITTER)]
        assert {"overcharged"} == found(attempts=[late], records=[record], windows=one)
    assert {"overcharged"} == found(attempts=[late], records=[charged(CDR, 4)], windows=both)


def test_charged_after_the_hang_up():
    """The proxy heard late of it: only when it was down, datagrams were lost or the BYE was taken."""
    late = replace(CALL, hung_up_heard=T + 7.02, bye_to_callee=T + 7.02, last=T + 7.1)
    record = charged(CDR, 7)
    assert {"overcharged"} == found(attempts=[late], records=[record])
    assert {"overcharged"} == found(
        attempts=[late], records=[record], windows=[during("database killed", 3, 5, DATABASE, "node2")]
    )
    assert {"overcharged"} == found(
        attempts=[late], records=[record], windows=[during("proxy killed", 3, 5, node="node2")]
    )
    assert {"overcharged"} == found(attempts=[late], records=[record], windows=[during("reordered", 3, 5, JITTER)])
    for excuse in (
        {"windows": [during("proxy killed", 3, 5)]},
        {"windows": [during("loss", 3, 5, WIRE, "")]},
        {"doomed": {"a": "bye_lost"}},
    ):
        verdict = judge(evidence(attempts=[late], records=[record], **excuse))
        assert [] == verdict.findings
        assert 3 == sum(
            count for name, count in verdict.sums.items() if name.startswith("seconds charged after the hang-up")
        )


def test_charged_without_end_after_the_hang_up():
    """Keepalives end a call whose BYE was lost; one that goes on past them is wrong."""
    silent = replace(CALL, hung_up_heard=None, bye_to_callee=T + 100, last=T + 100)
    record = charged(CDR, 99, grant_s=120)
    assert {"late without end"} == found(attempts=[silent], records=[record], doomed={"a": "bye_lost"})
    restarted = [during("proxy killed", 44, 45)]
    assert set() == found(attempts=[silent], records=[record], doomed={"a": "bye_lost"}, windows=restarted)


def test_provisional_without_a_lost_node():
    """The whole grant may be charged where a node was lost or killed in that moment, and nowhere else."""
    record = charged(CDR, 10, provisional=True, end_reason="lost_node")
    assert {"provisional"} == found(records=[record])
    verdict = judge(evidence(records=[record], lost_nodes={"node1": T + 1}))
    assert [] == verdict.findings
    assert 6 == verdict.sums["seconds overcharged, node lost"]
    assert {"provisional"} == found(records=[record], lost_nodes={"node1": T + 12})  # its end had been told
    assert set() == found(records=[record], lost_nodes={"node1": T + 12}, untold=frozenset([record.call_key]))
    assert set() == found(records=[record], windows=[during("proxy killed", 0, 0.5)])
    long = replace(CALL, hung_up=T + 25, hung_up_heard=T + 25.1, bye_to_callee=T + 25.1, last=T + 25.2)
    record = charged(CDR, 30, provisional=True, end_reason="lost_node", grant_s=30)
    assert {"provisional"} == found(attempts=[long], records=[record], windows=[during("proxy killed", 12, 13)])


def test_cut_late():
    """BYEs a second after the deadline and more, while the proxy is up."""
    late = replace(CUT, bye_to_caller=T + 11.5, bye_to_callee=T + 11.5, last=T + 11.6)
    assert {"cut late"} == found(attempts=[late], records=[CUT_CDR])
    one_end = replace(CUT, bye_to_callee=T + 15, last=T + 15.1)
    assert {"cut late"} == found(attempts=[one_end], records=[CUT_CDR])
    for excuses_nothing in (
        during("proxy killed", 2, 3),
        during("reordered", 9, 12, JITTER),
        during("proxy killed", 10, 11, node="node2"),
    ):
        assert {"cut late"} == found(attempts=[late], records=[CUT_CDR], windows=[excuses_nothing])
    verdict = judge(evidence(attempts=[late], records=[CUT_CDR], windows=[during("proxy killed", 10, 11)]))
    assert (1, 0) == (verdict.sums["cut"], verdict.sums["cuts judged"])
    assert [] == verdict.findings
    assert 2 == verdict.sums["seconds talked past the grant, proxy down or wire broken"]


def test_never_cut():
    """The grant is long over and the two still talk."""
    endless = replace(CALL, hung_up=T + 30, hung_up_heard=T + 30.1, bye_to_callee=T + 30.1, last=T + 30.2)
    assert {"talked past the grant"} == found(attempts=[endless], records=[charged(CDR, 10)])


def test_never_cut_after_a_restart():
    """What broke at the deadline excuses the time until it was whole again, and no more: a cutter that forgets."""
    down = [during("proxy killed", 10, 11), during("proxy killed", 14, 15)]
    for seconds, windows, findings in (
        (17, down[:1], {"talked past the grant"}),
        (17, down, set()),
        (22, down, {"talked past the grant"}),
    ):
        late = replace(CALL, hung_up=T + seconds, hung_up_heard=T + seconds, bye_to_callee=T + seconds, last=T + 30)
        assert findings == found(attempts=[late], records=[charged(CDR, 10)], windows=windows)
    assert set() == found(attempts=[late], records=[charged(CDR, 10)], windows=down, doomed={"a": "phone_gone"})


def test_cut_early():
    """A cut that takes seconds away which were paid for."""
    early = replace(CUT, bye_to_caller=T + 5, bye_to_callee=T + 5, last=T + 5.1)
    assert "cut early" in found(attempts=[early], records=[replace(charged(CDR, 5), end_reason="cut")])


def test_ended_for_no_reason():
    """Both still talked, and the proxy ended it: for a phone that is gone alone."""
    early = replace(CUT, bye_to_caller=T + 5, bye_to_callee=T + 5, last=T + 5.1)
    record = replace(charged(CDR, 5), end_reason="keepalive")
    assert {"ended for no reason"} == found(attempts=[early], records=[record])
    assert set() == found(attempts=[early], records=[record], doomed={"a": "phone_gone"})
    for restarted in (during("proxy killed", 0, 1), during("proxy killed", 4, 4.5)):
        assert "ended for no reason" in found(attempts=[early], records=[record], windows=[restarted])
    wished = replace(early, hung_up=T + 4.9)
    assert set() == found(attempts=[wished], records=[record])


def test_one_end_was_never_told():
    """A cut tells both."""
    deaf = replace(CUT, bye_to_callee=None)
    assert {"no BYE"} == found(attempts=[deaf], records=[CUT_CDR])


def test_beyond_the_grant():
    """Nobody is charged for more than was held."""
    assert "beyond the grant" in found(records=[charged(CDR, 4, grant_s=3)])


def test_a_wrong_charge():
    """The rating engine says something else."""
    record = replace(CDR, legs=(Leg(ACCOUNT, 5 * CENT, RATE),), moved={ACCOUNT: -5 * CENT})
    assert {"wrong charge"} == found(records=[record])
    assert set() == found(records=[replace(CDR, legs=(Leg(ACCOUNT, 4 * CENT, RATE),))])


def test_a_wrong_bundle():
    """What minute bundles paid is not charged, and is not more than was talked."""
    half = replace(CDR, legs=(Leg(ACCOUNT, CENT, RATE, bundle_s=3),), moved={ACCOUNT: -CENT})
    assert set() == found(records=[half])
    assert {"wrong charge"} == found(records=[replace(CDR, legs=(Leg(ACCOUNT, 4 * CENT, RATE, bundle_s=3),))])
    whole = replace(CDR, legs=(Leg(ACCOUNT, 0 * CENT, RATE, bundle_s=5),), moved={})
    assert {"wrong bundle"} == found(records=[whole])
    assert 3 == judge(evidence(records=[half])).sums["seconds that minute bundles paid"]


def test_a_carrier_that_is_too_full():
    """Two at once of one node where one is allowed; one after the other is well."""
    other, cdr = replace(CALL, call_id="b"), replace(CDR, call_key="02KEY", call_id="b")
    assert {"carrier too full"} == found(attempts=[CALL, other], records=[CDR, cdr], channels_max=1)
    assert set() == found(attempts=[CALL, other], records=[CDR, cdr], channels_max=2)
    elsewhere = replace(other, node="node2")
    assert set() == found(attempts=[CALL, elsewhere], records=[CDR, cdr], channels_max=1)
    refused = replace(CDR, call_key="03KEY", call_id="c", result="no_carrier", billed_s=0, talked_ms=0,
                      legs=(Leg(ACCOUNT, 0 * CENT),), moved={})  # fmt: skip
    assert 1 == judge(evidence(records=[CDR, refused], channels_max=1)).sums["calls refused at a full carrier"]
    assert {"no carrier"} == found(records=[CDR, refused])


def test_entries_that_differ():
    """The CDR's charge and the ledger's entries are one."""
    assert {"entries differ"} == found(records=[replace(CDR, moved={})])
    assert {"entries differ"} == found(records=[replace(CDR, moved={ACCOUNT: -8 * CENT})])


def test_wrong_seconds():
    """Billed seconds are those talked, rounded up, at most the grant."""
    assert {"wrong seconds"} == found(records=[replace(CDR, talked_ms=4100)])


@pytest.mark.parametrize(
    ("purse", "finding"),
    [
        (replace(PURSE, balance=Decimal("0.97")), "balance"),
        (replace(PURSE, available=Decimal("-0.01")), "overdrawn"),
        (replace(PURSE, held=Decimal("0.10")), "hold without a call"),
        (replace(PURSE, calls=1), "hold without a call"),
    ],
)
def test_purses(purse, finding):
    """Balance = entries, available >= 0, no hold and no call in progress when all is over."""
    assert {finding} == found(purses=[purse])


@pytest.mark.parametrize(
    ("left", "finding"),
    [
        ({"lives": ["01KEY of node1"]}, "call never settled"),
        ({"dialogs": {"node1": 1}}, "dialog without a call"),
        ({"channels": {"node1": 1}}, "channel without a call"),
        ({"channels": {"node1": -1}}, "channel without a call"),
        ({"audit": [("balance", 7, 1, 2)]}, "audit"),
        ({"refused_facts": ["{}"]}, "fact refused"),
        ({"fatal_lines": ['"uncaught"']}, "fatal"),
    ],
)
def test_what_is_left_over(left, finding):
    """Live calls, dialogs, differences of the audit, facts set aside, exceptions: none."""
    assert {finding} == found(**left)


def test_no_recovery():
    """Nobody connects within ten seconds of the database's return, although somebody tries."""
    away = during("database killed", 1, 2, DATABASE, "")
    later = replace(CALL, call_id="b", invited=T + 14, answered=T + 14.3, connected=T + 14.31, hung_up=T + 18.01,
                    hung_up_heard=T + 18.02, bye_to_callee=T + 18.02, last=T + 18.1)  # fmt: skip
    records = [CDR, replace(CDR, call_key="02KEY", call_id="b", opened_at=T + 13.9)]
    tries = [Attempt(f"c{order}", "node1", code=503, dialled=T + 3, last=T + 5) for order in range(10)]
    assert {"no recovery"} == found(attempts=[CALL, later, *tries], records=records, windows=[away])
    elsewhere = [replace(one, node="node2") for one in tries]
    assert {"no recovery"} == found(attempts=[CALL, *elsewhere], windows=[away]), "nobody ever connects there"
    assert set() == found(attempts=[CALL, later, *tries[:9]], records=records, windows=[away]), "too few dialled"
    ill = during("proxy killed", 2, 9)
    assert set() == found(attempts=[CALL, later, *tries], records=records, windows=[away, ill])
    sooner = replace(later, invited=T + 10.6, answered=T + 10.9, connected=T + 10.91, hung_up=T + 14.61,
                     hung_up_heard=T + 14.62, bye_to_callee=T + 14.62)  # fmt: skip
    records[1] = replace(records[1], opened_at=T + 10.5)
    assert set() == found(attempts=[CALL, sooner, *tries], records=records, windows=[away])


@pytest.mark.parametrize(
    ("arguments", "finding"),
    [
        (([0.1] * 98 + [0.6] * 2, 200, 1.0), "in-dialog slow"),
        (([0.1] * 98 + [float("inf")] * 2, 200, 1.0), "in-dialog slow"),
        (([], 200, 1.0), "in-dialog slow"),
        (([0.1] * 100, 199, 1.0), "drill"),
        (([0.1] * 100, 200, 10.1), "no recovery"),
        (([0.1] * 100, 200, 1.0), None),
    ],
)
def test_the_drill(arguments, finding):
    """p99 of requests in dialogs under half a second with 200 calls up; new calls within ten seconds."""
    verdict = Verdict()
    judge_drill(*arguments, verdict)
    assert ({finding} if finding else set()) == kinds(verdict)


def message(first, at, *, sent, cseq="1 INVITE"):
    return Message(f"{first}\r\nCall-ID: x\r\nCSeq: {cseq}\r\n\r\n", T + at, sent=sent)


def test_attempts_from_logs():
    """Both ends' messages of one Call-ID make one attempt, with its moments."""
    caller = [
        message("INVITE sip:1@x SIP/2.0", 0, sent=True),
        message("SIP/2.0 407 Proxy Authentication Required", 0.1, sent=False),
        message("INVITE sip:1@x SIP/2.0", 0.2, sent=True, cseq="2 INVITE"),
        message("SIP/2.0 200 OK", 1, sent=False, cseq="2 INVITE"),
        message("SIP/2.0 200 OK", 1.5, sent=False, cseq="2 INVITE"),
        message("BYE sip:1@x SIP/2.0", 3, sent=True, cseq="3 BYE"),
        message("BYE sip:1@x SIP/2.0", 3.5, sent=True, cseq="3 BYE"),
        message("SIP/2.0 200 OK", 3.6, sent=False, cseq="3 BYE"),
    ]
    callee = [
        message("INVITE sip:1@x SIP/2.0", 0.4, sent=False, cseq="2 INVITE"),
        message("SIP/2.0 200 OK", 0.9, sent=True, cseq="2 INVITE"),
        message("BYE sip:1@x SIP/2.0", 3.55, sent=False, cseq="3 BYE"),
    ]
    (one,) = attempts_of({"node2-hangs_up": caller}, callee)
    expected = Attempt(
        "x", "node2", code=200, dialled=T, invited=T + 0.4, answered=T + 0.9, connected=T + 1, hung_up=T + 3,
        hung_up_heard=T + 3.6,
        bye_to_callee=T + 3.55, last=T + 3.6,
    )  # fmt: skip
    assert expected == one
    assert T + 3 == one.over_at
    assert T + 3.55 == one.known_at
