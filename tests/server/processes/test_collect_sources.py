"""`confide sources`: a write key is shown once, works, goes on for its grace, and every change is recorded."""

import re

import pytest

from audit import Kind, Outcome

KEY = re.compile(r"wk_[A-Za-z0-9_-]{43}")


async def admin_records(site):
    found = [each for each in (await site.records()).values() if each.kind is Kind.ADMIN]
    return [(each.operation, each.outcome) for each in sorted(found, key=lambda each: each.time)]


@pytest.mark.timeout(90)
async def test_a_source_is_made_listed_rotated_and_disabled_and_each_is_recorded(shared):
    made = await shared.confide(
        "sources", "create", "web-shop", "--origin", "https://shop.example", "--origin", "https://m.shop.example",
        "--consent", "Advertising=marketing",
    )  # fmt: skip
    assert made.code == 0, made.err
    key = made.out.strip()
    assert KEY.fullmatch(key)
    again = await shared.confide("sources", "create", "web-shop")
    assert (again.code, again.out) == (1, "")
    assert "already" in again.err

    (listed,) = (await shared.confide("sources", "list")).json
    assert listed["name"] == "web-shop"
    assert listed["origins"] == ["https://shop.example", "https://m.shop.example"]
    assert listed["consent"] == {"Advertising": "marketing"}
    assert listed["disabled"] is False
    stored = str(await shared.main["sources"].find({}).to_list(None))
    assert key not in str(listed) + stored
    assert key.removeprefix("wk_") not in stored

    nothing = {"received": 0, "accepted": 0, "duplicates": 0, "omitted": 0, "refused": 0}
    assert listed["events"] == {**nothing, "first_at": None, "last_at": None}
    updated = await shared.confide("sources", "update", "web-shop", "--origin", "https://shop.example", "--no-plan")
    assert (updated.code, updated.json["origins"]) == (0, ["https://shop.example"]), updated.err
    assert (await shared.confide("sources", "show", "web-shop")).json == updated.json

    rotated = await shared.confide("sources", "rotate", "web-shop", "--grace-hours", "1")
    assert KEY.fullmatch(rotated.out.strip())
    assert rotated.out.strip() != key
    assert (await shared.confide("sources", "disable", "web-shop")).code == 0
    assert (await shared.confide("sources", "list")).json[0]["disabled"] is True
    assert await admin_records(shared) == [
        ("confide sources create web-shop", Outcome.ALLOWED),
        ("confide sources update web-shop", Outcome.ALLOWED),
        ("confide sources rotate web-shop", Outcome.ALLOWED),
        ("confide sources disable web-shop", Outcome.ALLOWED),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "Web Shop"), "lower-case"),
        (("create", "shop", "--origin", "shop.example"), "origins"),
        (("create", "shop", "--origin", "https://shop.example/path"), "origins"),
        (("create", "shop", "--consent", "Advertising"), "category=purpose"),
        (("create", "shop", "--consent", "Advertising=nonsense"), "no such purpose"),
        (("rotate", "nobodys"), "no source"),
        (("show", "nobodys"), "no source"),
        (("update", "nobodys", "--no-plan"), "no source"),
        (("disable", "nobodys"), "no source"),
        (("disable", "ana@example.org"), "no source"),
    ],
)
async def test_what_cannot_be_is_told_in_a_line_and_makes_no_source(shared, arguments, said):
    before = await admin_records(shared)
    ended = await shared.confide("sources", *arguments)
    assert (ended.code, ended.out) == (1, "")
    assert said in ended.err
    assert len(ended.err.strip().splitlines()) == 1
    assert "ana@example.org" not in ended.err
    assert await shared.main["sources"].find_one({"_id": "shop"}) is None
    assert await admin_records(shared) == before


async def test_without_the_log_nobody_gets_a_key(shared):
    ended = await shared.confide("sources", "create", "late", CONFIDE_AUDIT_URI="mongodb://127.0.0.1:1/")
    assert (ended.code, ended.out) == (1, "")
    assert await shared.main["sources"].find_one({"_id": "late"}) is None
