from decimal import Decimal


def tariff(world, name, owner, decimals, rounding, **rate):
    """A tariff of its own rounding with one rate."""
    made = world.admin.put_tariff(
        f"{name} of {owner.name if owner else 'the vendor'}",
        "EUR",
        decimals=decimals,
        rounding=rounding,
        owner_account_id=owner.account_id if owner else None,
    )
    world.admin.put_rate(made, "49", name, **rate)
    return made


def test_three_levels_three_prices(scene, world):
    """Each at its own price, increment and rounding, to the cent; and the books add up."""
    # 1. The vendor sells by the minute, the reseller by 30/6, the sub-reseller by the second with a fee.
    vendors = tariff(world, "wholesale", None, 2, "down", price="0.2055", increment_s=60)
    reseller = world.reseller("10", vendors)
    resellers = tariff(world, "resale", reseller, 3, "up", price="0.3501", initial_s=30, increment_s=6)
    below = world.reseller("10", resellers, parent=reseller)
    retail = tariff(world, "retail", below, 4, "half_up", price="0.60", connect_fee="0.05")
    customer = world.customer("10", retail, parent=below)
    # 2. A call of 3.5 s.
    scene.callee()
    (call,) = scene.truth(scene.phones([world.phone(customer)], talk_s=3.5).wait())
    assert 4 == call.cdr.billed_s
    # 3. What each level pays.
    assert (Decimal("0.09"), Decimal("0.176"), Decimal("0.20")) == call.charges
    assert [Decimal("9.91"), Decimal("9.824"), Decimal("9.80")] == [
        world.balance(account) for account in (customer, below, reseller)
    ]
    # 4. The sub-reseller sells so short a call under his price: that is what the warning is for.
    (warning,) = world.admin._call(
        "put_rate", retail, "49", "retail", "0.05", "0.30", 60, None, 1, 0, None, "disconnect", None, None, None, 0
    )
    assert warning["warning"].startswith("below_cost: 49 is sold at 0.300000 a minute")


def test_a_level_that_runs_dry_ends_the_call(scene, world):
    """The caller's own account, the one above, the one above that; and one that may hold no more of its parent's money:
    all are renewed once, for the second that is left."""
    # 1. Chains at a cent a second on each level; in three of them another level has 0.11, the fourth has the limit.
    chains = []
    for poor in range(4):
        balances = ["0.11" if level == poor else "5" for level in range(3)]
        top = world.reseller(balances[2])
        middle = world.reseller(balances[1], parent=top)
        limit = {"parent_hold_limit": "0.11"} if poor == 3 else {}
        chains.append((world.customer(balances[0], parent=middle, **limit), middle, top))
    # 2. Granted ten seconds, renewed for one more, and cut.
    scene.callee()
    calls = scene.truth(scene.phones([world.phone(chain[0]) for chain in chains], "phone_waits").wait())
    for call in calls:
        assert call.ended_by_proxy
        assert ("cut", 11, (Decimal("0.11"),) * 3) == (call.cdr.end_reason, call.cdr.billed_s, call.charges)
        assert call.lasted(11)
    # 3. The dry one has nothing left, the others the rest.
    for poor, chain in enumerate(chains):
        expected = [Decimal(0) if level == poor else Decimal("4.89") for level in range(3)]
        assert expected == [world.balance(account) for account in chain]


def test_a_child_that_may_hold_less_than_the_smallest_charge_does_not_call(scene, world):
    """However rich both are; the caller does not hear why, and the CDR has the truth."""
    reseller = world.reseller("100")
    customer = world.customer("100", parent=reseller, parent_hold_limit="0.009999")
    callee = scene.callee()
    (call,) = scene.truth(scene.phones([world.phone(customer)], "phone_waits").wait())
    assert (480, "unavailable") == call.outcome
    assert "parent_hold_limit" in call.cdr.detail
    assert "parent_hold" not in call.final.text
    assert [] == callee.received("INVITE")
