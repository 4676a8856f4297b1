"""API keys in daily life: scopes, expiry, rotation, revocation, last use, and clients that are wrong too often."""

from __future__ import annotations

import socket
from typing import Iterator

import pytest

import wire
from books import Books
from edge import Edge, Instance
from stack import Stack, Tenant
from waiting import wait_for
from wire import Answer

NO_KEY = "The API key is missing or not valid. Send it in the Authorization header."
WRONG_KEYS = "There were too many wrong API keys from this address. Send a valid one, or try again later."
OUT_OF_SCOPE = "This API key may not be used for this account or this call."
LIMIT = 5  # wrong keys a minute, where a test wants to reach the limit


def key_of(stack: Stack, tenant: Tenant, *options: str) -> tuple[str, str]:
    """A new live key and its number."""
    key = stack.ctl("key", "create", "--agency", str(tenant.agency), "--mode", "live", *options)
    rows = stack.sql("select max(key_id)::text as id from gateway.api_keys where agency_id = %s", tenant.agency)
    return key, rows[0]["id"]


def get(stack: Stack, tenant: Tenant, key: str) -> Answer:
    return stack.exchange(wire.request_bytes("GET", stack.invoices_path(tenant), [("Authorization", key)]))


# ---- scopes and expiry


def test_a_key_for_one_account_opens_no_other(stack: Stack, tenant: Tenant) -> None:
    stack.ctl("account", "add", "--agency", str(tenant.agency), f"{tenant.account}b")
    other, _ = key_of(stack, tenant, "--account", f"{tenant.account}b")
    own, _ = key_of(stack, tenant, "--account", tenant.account)
    for ask in (lambda key: stack.create(tenant, key=key), lambda key: get(stack, tenant, key)):
        refused = ask(other)
        assert (refused.status, refused.error) == (403, OUT_OF_SCOPE)
        assert ask(own).status == 200


def test_a_key_for_one_call_opens_no_other(stack: Stack, tenant: Tenant) -> None:
    creates, _ = key_of(stack, tenant, "--route", "account_invoices")
    lists, _ = key_of(stack, tenant, "--route", "account_invoices_list")
    assert stack.create(tenant, key=creates).status == get(stack, tenant, lists).status == 200
    for refused in (stack.create(tenant, key=lists), get(stack, tenant, creates)):
        assert (refused.status, refused.error) == (403, OUT_OF_SCOPE)


def test_scope_is_looked_at_before_the_body(stack: Stack, tenant: Tenant) -> None:
    key, _ = key_of(stack, tenant, "--route", "account_invoices_list")
    assert stack.create(tenant, key=key, productId=...).status == 403


def test_a_key_that_expires_is_a_wrong_key(stack: Stack, tenant: Tenant) -> None:
    key, number = key_of(stack, tenant, "--expires", "2099-01-31")
    assert stack.create(tenant, key=key).status == 200
    stack.sql("update gateway.api_keys set expires_at = now() where key_id = %s", number)
    for refused in (stack.create(tenant, key=key), get(stack, tenant, key)):
        assert (refused.status, refused.error) == (401, NO_KEY)


# ---- rotation


def rotate(stack: Stack, tenant: Tenant, number: str, *options: str, code: int = 0) -> str:
    return stack.ctl("key", "rotate", number, "--agency", str(tenant.agency), *options, code=code)


def test_both_keys_open_until_the_overlap_ends(stack: Stack, tenant: Tenant) -> None:
    old, number = key_of(stack, tenant)
    new = rotate(stack, tenant, number, "--overlap", "1h")
    assert new != old
    assert [stack.create(tenant, key=key).status for key in (old, new)] == [200, 200]
    left = "select expires_at - now() between interval '55 min' and interval '1 hour' as near from gateway.api_keys where key_id = %s"
    assert stack.sql(left, number)[0]["near"]
    stack.sql("update gateway.api_keys set expires_at = now() where key_id = %s", number)
    assert [stack.create(tenant, key=key).status for key in (old, new)] == [401, 200]


def test_without_an_overlap_the_old_key_closes_at_once(stack: Stack, tenant: Tenant) -> None:
    old, number = key_of(stack, tenant)
    new = rotate(stack, tenant, number, "--overlap", "0")
    assert [stack.create(tenant, key=key).status for key in (old, new)] == [401, 200]


def test_the_new_key_has_the_old_one_s_scope(stack: Stack, tenant: Tenant) -> None:
    _, number = key_of(stack, tenant, "--route", "account_invoices_list", "--account", tenant.account, "--name", "reports")
    new = rotate(stack, tenant, number)
    assert get(stack, tenant, new).status == 200
    assert stack.create(tenant, key=new).status == 403
    rows = stack.sql("select name, mode, accounts, follows::text from gateway.api_keys where agency_id = %s order by key_id desc limit 1",
                     tenant.agency)
    assert rows == [{"name": "reports", "mode": "live", "accounts": [tenant.account], "follows": number}]


# ---- revocation


def test_a_revoked_key_is_refused_by_every_worker_at_once(stack: Stack, tenant: Tenant) -> None:
    """No worker remembers that a key was good: the call after the revocation is refused, whoever gets it."""
    place = stack.dir / "keys"
    place.mkdir()
    wish, number = stack.create_bytes(tenant), stack.sql(
        "select min(key_id)::text as id from gateway.api_keys where agency_id = %s", tenant.agency)[0]["id"]
    with Instance(stack, place / "1.sock") as first, Instance(stack, place / "2.sock") as second:
        with Edge([first.path, second.path]) as edge:
            assert {answer.status for answer in wire.burst(edge.plain_port, [wish] * 20)} == {200}
            stack.ctl("key", "revoke", number, "--agency", str(tenant.agency))
            answers = wire.burst(edge.plain_port, [wish] * 20)
            read = wire.request_bytes("GET", stack.invoices_path(tenant), [("Authorization", tenant.key)])
            answers += wire.burst(edge.plain_port, [read] * 20)
    assert {(answer.status, answer.error) for answer in answers} == {(401, NO_KEY)}
    workers = stack.sql("select count(distinct worker_id) as n from gateway.events where agency_id = %s and worker_id is not null",
                        tenant.agency)
    assert workers[0]["n"] == 2, "both workers had known the key"


# ---- last use


def last_used(stack: Stack, number: str) -> str | None:
    return stack.sql("select last_used_at::text as at from gateway.api_keys where key_id = %s", number)[0]["at"]


@pytest.mark.parametrize("what", ["create", "read", "refused"])
def test_the_last_use_of_a_key_is_written_down(stack: Stack, tenant: Tenant, what: str) -> None:
    key, number = key_of(stack, tenant)
    unused, other = key_of(stack, tenant)
    assert last_used(stack, number) is None
    if what == "read":
        assert get(stack, tenant, key).status == 200
    else:
        assert stack.create(tenant, key=key, **({"clientId": "nobody"} if what == "refused" else {})).status in (200, 404)
    wait_for("its last use", lambda: last_used(stack, number))
    assert last_used(stack, other) is None and unused
    assert stack.sql("select last_used_at <= now() as sane from gateway.api_keys where key_id = %s", number) == [{"sane": True}]


def test_a_key_in_constant_use_is_written_once_a_minute(stack: Stack, tenant: Tenant) -> None:
    """The first use after a minute writes, others do not."""
    key, number = key_of(stack, tenant)
    marker, after = key_of(stack, tenant)
    assert stack.create(tenant, key=key).status == 200
    first = wait_for("its last use", lambda: last_used(stack, number))
    for used in (key, marker):
        assert stack.create(tenant, key=used).status == 200
    wait_for("the same gathering", lambda: last_used(stack, after))
    assert last_used(stack, number) == first
    stack.sql("update gateway.api_keys set last_used_at = now() - interval '61 s' where key_id = %s", number)
    old = last_used(stack, number)
    assert stack.create(tenant, key=key).status == 200
    wait_for("a later use", lambda: last_used(stack, number) != old)


def test_a_key_s_row_that_is_held_is_in_nobody_s_way(stack: Stack, tenant: Tenant, books: Books) -> None:
    key, number = key_of(stack, tenant)
    with stack.locked("gateway.api_keys"):
        assert books.told(stack.create(tenant, key=key)).status == 200
    wait_for("its last use", lambda: stack.create(tenant, key=key).status == 200 and last_used(stack, number), every_s=0.5)


# ---- wrong keys


@pytest.fixture(scope="module")
def strict() -> Iterator[Stack]:
    with Stack(DEADLINE_MS=3000, LEASE_MS=1500, WRONG_KEYS_PER_MIN=LIMIT) as stack:
        yield stack


def from_address(stack: Stack, address: str, data: bytes) -> Answer:
    """As a client that has another address of this host."""
    with socket.create_connection(("127.0.0.1", stack.port), 60, (address, 0)) as sock:
        sock.sendall(data)
        return wire.read_answer(sock)


def wrong_key(stack: Stack, tenant: Tenant) -> str:
    """One of the right form that nobody has any more."""
    key, number = key_of(stack, tenant)
    stack.sql("delete from gateway.api_keys where key_id = %s", number)
    return key


def test_an_address_with_too_many_wrong_keys_is_slowed_down(strict: Stack) -> None:
    tenant, here = strict.tenant(), "127.0.0.2"
    wrong = strict.create_bytes(tenant, key=wrong_key(strict, tenant))
    answers = [from_address(strict, here, wrong) for _ in range(LIMIT + 3)]
    assert [answer.status for answer in answers] == [401] * LIMIT + [429] * 3
    assert {answer.error for answer in answers[:LIMIT]} == {NO_KEY} and {answer.error for answer in answers[LIMIT:]} == {WRONG_KEYS}
    assert all(1 <= int(answer.header("Retry-After") or 0) <= 60 and answer.request_id for answer in answers[LIMIT:])
    # A right key passes all the same, one that this worker has never seen as well; so do other addresses.
    fresh, _ = key_of(strict, tenant)
    assert from_address(strict, here, strict.create_bytes(tenant, key=fresh)).status == 200
    assert from_address(strict, here, strict.create_bytes(tenant)).status == 200
    assert from_address(strict, here, wrong).status == 429, "right keys do not make up for wrong ones"
    assert from_address(strict, "127.0.0.3", wrong).status == 401
    assert strict.audit("select count(*) as n from audit.requests where agency_id = %s", tenant.agency) == [{"n": 2}]


@pytest.mark.parametrize("what, address", [("revoked", "127.0.0.4"), ("misspelt", "127.0.0.5"), ("read", "127.0.0.6")])
def test_all_wrong_keys_count(strict: Stack, what: str, address: str) -> None:
    tenant = strict.tenant()
    key, number = key_of(strict, tenant)
    if what == "misspelt":
        key = key[:-1] + ("a" if key[-1] != "a" else "b")
    else:
        strict.ctl("key", "revoke", number, "--agency", str(tenant.agency))
    data = strict.create_bytes(tenant, key=key)
    if what == "read":
        data = wire.request_bytes("GET", strict.invoices_path(tenant), [("Authorization", key)])
    assert [from_address(strict, address, data).status for _ in range(LIMIT + 2)] == [401] * LIMIT + [429] * 2


def test_no_key_at_all_is_no_wrong_key(strict: Stack) -> None:
    data = wire.request_bytes("GET", strict.invoices_path(strict.demo), [])
    assert {from_address(strict, "127.0.0.7", data).status for _ in range(2 * LIMIT)} == {401}


def test_the_upstream_s_own_interface_says_it_in_its_words(strict: Stack) -> None:
    data = wire.request_bytes("GET", "/v1/invoices", [("Authorization", "Bearer nonsense")])
    answers = [from_address(strict, "127.0.0.8", data) for _ in range(LIMIT + 1)]
    assert answers[-1].status == 429
    assert answers[-1].json["error"] == {"type": "invalid_request_error", "code": "rate_limit", "message": WRONG_KEYS}


def test_slow_answers_hold_nobody_up(strict: Stack) -> None:
    """Hundreds of wrong keys wait for their answers while right ones pass; clients that leave meanwhile do no harm."""
    tenant, books = strict.tenant(), Books(strict)
    wrong = strict.create_bytes(tenant, key=wrong_key(strict, tenant))
    waiting = [strict.send(wrong) for _ in range(300)]
    answers = books.told_all(strict.burst([strict.create_bytes(tenant)] * 20))
    assert {answer.status for answer in answers} == {200}
    for pending in waiting[::3]:
        pending.leave()
    told = [pending.answer().status for index, pending in enumerate(waiting) if index % 3]
    assert set(told) == {401, 429} and told.count(401) <= LIMIT
    assert books.assert_balanced().created == 20
