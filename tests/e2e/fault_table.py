"""Every fault of the sandbox at every step: what it has to come to.

Two grids say it in words, one for a fault that strikes once while the client is patient, one for a fault that lasts
until the client was answered. WORDS explains the words, FAULTS the rows, STEPS the columns.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Iterator


@dataclasses.dataclass(frozen=True)
class Fault:
    """A row of the grids: a rule for the sandbox."""

    kind: str
    rule: dict[str, Any] = dataclasses.field(default_factory=dict)
    lasting: dict[str, Any] = dataclasses.field(default_factory=dict)  # instead of rule where it lasts
    # Why its rows do not run among the others: what they trip is the breaker of a whole mode (test: they have that one to
    # themselves), or everybody's connections (alone).
    apart: str = ""


# Longer than the hasty worker's patience for a call.
LONG_MS = 1500

FAULTS: dict[str, Fault] = {
    "refuse_connection": Fault("refuse_connection", {"delay_ms": 300}, apart="alone"),
    "reset_before": Fault("reset_before"),
    "reset_after": Fault("reset_after"),
    "status_409": Fault("status_409"),
    "status_424": Fault("status_424"),
    "status_429": Fault("status_429"),
    "status_429_retry_after": Fault("status_429", {"retry_after_s": 1}),
    "status_500_before": Fault("status_500_before"),
    "status_500_after": Fault("status_500_after"),
    "status_500_saved": Fault("status_500_saved"),
    "status_503_html": Fault("status_503_html"),
    "redirect": Fault("redirect"),
    "garbage": Fault("garbage"),
    "nul_in_string": Fault("nul_in_string"),
    "raw_nul_in_string": Fault("nul_in_string", {"raw": True}),
    "cut_body": Fault("cut_body"),
    "endless_body": Fault("endless_body"),
    "slow_drip": Fault("slow_drip"),
    "hang": Fault("hang"),
    "hang_before": Fault("hang_before"),
    "delay": Fault("delay", {"delay_ms": 300}, {"delay_ms": LONG_MS}),
    "should_retry_true": Fault("should_retry_true"),
    "should_retry_false": Fault("should_retry_false"),
    "status": Fault("status"),
    "status_400": Fault("status", {"status": 400}),
    "status_404": Fault("status", {"status": 404}),
    "unauthorized": Fault("unauthorized", apart="test"),
    "forbidden": Fault("forbidden"),
    "card_error": Fault("card_error"),
    "wrong_amount": Fault("wrong_amount"),
    "wrong_currency": Fault("wrong_currency"),
    "wrong_quantity": Fault("wrong_quantity"),
    "wrong_id": Fault("wrong_id"),
    "no_id": Fault("no_id"),
    "not_object": Fault("not_object"),
    "idempotency_error": Fault("idempotency_error"),
}


@dataclasses.dataclass(frozen=True)
class Step:
    """A column of the grids: how a request gets to the step, and how it ends when nothing else goes wrong there."""

    step: str  # as the sandbox calls it
    product: str = "prod_usd_10000"
    auto_advance: bool = False
    provoke: tuple[str, str] | None = None  # a fault and its step, once, that leads to the step
    word: str = "created"
    keyless: bool = True  # whether a request without a key can come to another end


STEPS: dict[str, Step] = {
    "product": Step("product", keyless=False),
    "price": Step("price", product="prod_no_default", keyless=False),
    "customer": Step("customer"),
    "invoice": Step("invoice"),
    "lines": Step("lines"),
    "advance": Step("advance", auto_advance=True),
    "delete": Step("delete", provoke=("wrong_amount", "lines"), word="mismatch"),
    "lookup": Step("list_invoices", provoke=("status_500_saved", "invoice")),
    "lookup_line": Step("list_invoices", provoke=("status_500_saved", "lines")),
}


@dataclasses.dataclass(frozen=True)
class End:
    """One way for a request to end. A reason of None is none at all; of "*", any."""

    told: int
    state: str
    reason: str | None
    pinned: bool = False  # a repetition is answered from memory, though no invoice was made
    advances: bool = True  # an account that advances by itself has its invoice advanced
    exact_total: bool = True
    again: tuple[int, ...] = (200,)  # what a repetition under the same key may be told that is no replay


def _failed(told: int, reason: str, **more: Any) -> End:
    return End(told, "failed", reason, **more)


CREATED = End(200, "created", None)
CREATED_LATE = End(504, "created", None)
DELETED_LATE = _failed(504, "amount_mismatch")
AWAY = _failed(503, "upstream_away")
COMPENSATED = _failed(504, "compensated")

# word: its ends for a request with a key, and for one without
WORDS: dict[str, tuple[tuple[End, ...], tuple[End, ...]]] = {}


def _word(name: str, *ends: End, keyless: tuple[End, ...] | None = None) -> None:
    WORDS[name] = (ends, ends if keyless is None else keyless)


# As if nothing had happened.
_word("created", CREATED)
_word("mismatch", _failed(502, "amount_mismatch"))
# At once.
_word("snapshot", _failed(502, "amount_mismatch", again=(200, 502)))  # the wrong price is believed for a minute
_word("nonsense", _failed(502, "upstream_nonsense"))
_word("refused", _failed(400, "upstream_refused", pinned=True))
_word("missing", _failed(404, "upstream_refused", pinned=True))
_word("unknown", End(404, "refused", "product_unknown"))
_word("card", _failed(402, "upstream_refused", pinned=True))
_word("kept_out", _failed(502, "upstream_unauthorized"))
_word("closed", _failed(502, "upstream_forbidden"))
_word("absent", _failed(502, "not_found_upstream"))
_word("draft", dataclasses.replace(CREATED, advances=False))
_word("skewed", dataclasses.replace(CREATED, exact_total=False))
_word("away", AWAY)
# After the deadline. Whoever has no key must not find an invoice later.
_word("later", CREATED_LATE, keyless=(COMPENSATED,))
_word("soon", CREATED, CREATED_LATE, keyless=(CREATED, COMPENSATED))
_word("gone", DELETED_LATE)
_word("soon_gone", _failed(502, "amount_mismatch"), DELETED_LATE)
_word("limit", AWAY, _failed(504, "*"))
_word("away_nonsense", AWAY, _failed(502, "upstream_nonsense"))
_word("closed_late", _failed(504, "upstream_forbidden"), _failed(502, "upstream_forbidden"))
# Whether a call of the request gets through before its deadline is a matter of luck.
_word("torn", CREATED, CREATED_LATE, AWAY, _failed(504, "*"), keyless=(CREATED, AWAY, _failed(504, "*")))
_word("torn_gone", _failed(502, "amount_mismatch"), AWAY, _failed(504, "*"))

# "=" is the step's own end. "-": the fault says what is not so, and is believed (a deleted draft that is not).
_ONCE = """
                        product     price       customer  invoice   lines     advance  delete  lookup  lookup_line
refuse_connection       =           =           =         =         =         =        =       =       =
reset_before            =           =           =         =         =         =        =       =       =
reset_after             =           =           =         =         =         =        =       =       =
status_409              =           =           =         =         =         =        =       =       =
status_424              =           =           =         =         =         =        =       =       =
status_429              =           =           =         =         =         =        =       =       =
status_429_retry_after  =           =           =         =         =         =        =       =       =
status_500_before       =           =           =         =         =         =        =       =       =
status_500_after        =           =           =         =         =         =        =       =       =
status_500_saved        =           =           =         =         =         =        =       =       =
status_503_html         =           =           =         =         =         =        =       =       =
redirect                nonsense    nonsense    nonsense  nonsense  nonsense  =        =       =       =
garbage                 =           =           =         =         =         =        =       =       =
nul_in_string           =           =           =         =         =         =        =       =       =
raw_nul_in_string       =           =           =         =         =         =        =       =       =
cut_body                =           =           =         =         =         =        =       =       =
endless_body            =           =           =         =         =         =        =       =       =
slow_drip               =           =           =         =         =         =        =       =       =
hang                    =           =           =         =         =         =        =       =       =
hang_before             =           =           =         =         =         =        =       =       =
delay                   =           =           =         =         =         =        =       =       =
should_retry_true       =           =           =         =         =         =        =       =       =
should_retry_false      away        away        =         absent    absent    draft    =       =       =
status                  =           =           =         =         =         =        =       =       =
status_400              refused     refused     refused   refused   refused   draft    =       =       =
status_404              unknown     missing     missing   missing   missing   draft    -       =       =
unauthorized            kept_out    kept_out    kept_out  kept_out  kept_out  =        =       =       =
forbidden               closed      closed      closed    closed    closed    =        =       =       =
card_error              card        card        card      card      card      draft    =       =       =
wrong_amount            snapshot    snapshot    =         skewed    mismatch  =        =       =       mismatch
wrong_currency          refused     refused     =         refused   mismatch  =        =       =       mismatch
wrong_quantity          =           =           =         =         mismatch  =        =       =       mismatch
wrong_id                =           =           =         =         =         =        =       =       =
no_id                   =           =           =         =         =         =        =       =       =
not_object              =           =           =         =         =         =        =       =       =
idempotency_error       refused     refused     =         absent    absent    draft    =       =       =
"""

_LASTING = """
                        product   price     customer       invoice   lines        advance  delete     lookup  lookup_line
refuse_connection       torn      torn      torn           torn      torn         torn     torn_gone  torn    torn
reset_before            away      away      away           later     later        later    gone       later   later
reset_after             away      away      away           later     later        later    gone       later   later
status_409              away      away      away           later     later        later    gone       later   later
status_424              away      away      away           later     later        later    gone       later   later
status_429              away      away      away           limit     later        later    gone       later   later
status_429_retry_after  away      away      away           limit     later        later    gone       later   later
status_500_before       away      away      away           later     later        later    gone       later   later
status_500_after        away      away      away           later     later        later    gone       later   later
status_500_saved        away      away      away           soon      soon         soon     soon_gone  later   later
status_503_html         away      away      away           later     later        later    gone       later   later
redirect                nonsense  nonsense  nonsense       nonsense  nonsense     later    gone       later   later
garbage                 away      away      away_nonsense  soon      soon         soon     soon_gone  later   later
nul_in_string           =         =         =              =         =            =        =          =       =
raw_nul_in_string       away      =         away_nonsense  soon      soon         soon     =          later   later
cut_body                away      away      away           later     later        later    gone       later   later
endless_body            away      away      away           later     later        later    gone       later   later
slow_drip               away      away      away           later     later        later    soon_gone  later   later
hang                    away      away      away           later     later        later    gone       later   later
hang_before             away      away      away           later     later        later    gone       later   later
delay                   away      away      away           later     later        later    gone       later   later
should_retry_true       away      away      away           limit     later        later    gone       later   later
should_retry_false      away      away      away           absent    absent       draft    gone       later   later
status                  away      away      away           later     later        later    gone       later   later
status_400              refused   refused   refused        refused   refused      draft    gone       later   later
status_404              unknown   missing   missing        missing   missing      draft    -          later   later
unauthorized            kept_out  kept_out  kept_out       kept_out  kept_out     later    gone       later   later
forbidden               closed    closed    closed         closed    closed_late  later    gone       later   later
card_error              card      card      card           card      card         draft    gone       later   later
wrong_amount            snapshot  snapshot  =              skewed    mismatch     =        =          =       mismatch
wrong_currency          refused   refused   =              refused   mismatch     =        =          =       mismatch
wrong_quantity          =         =         =              =         mismatch     =        =          =       mismatch
wrong_id                away      away      away_nonsense  soon      soon         soon     soon_gone  later   later
no_id                   away      away      away_nonsense  soon      soon         soon     soon_gone  later   later
not_object              away      away      away_nonsense  soon      soon         soon     soon_gone  later   later
idempotency_error       refused   refused   nonsense       absent    absent       draft    gone       later   later
"""

# These words come about by the deadline alone: they are tried against a worker that is in a hurry.
_HASTY = {"away", "later", "soon", "gone", "soon_gone", "limit", "away_nonsense", "closed_late", "torn", "torn_gone"}

# One fault after the other. What the first leaves in doubt, the second must not take for settled: whoever is kept out
# knows nothing, and a spent key has to be looked up.
_PAIRS = """
                                      invoice   lines     advance
reset_after+unauthorized              =         =         =
status_500_before+unauthorized        =         =         =
reset_after+forbidden                 =         =         =
hang_before+forbidden                 =         =         =
status_500_after+redirect             =         =         =
reset_before+redirect                 =         =         =
reset_after+status_429                =         =         =
hang_before+should_retry_true         =         =         =
reset_after+idempotency_error         =         =         =
hang+idempotency_error                =         =         =
status_500_before+idempotency_error   absent    absent    draft
reset_after+should_retry_false        =         =         =
garbage+should_retry_false            =         =         =
hang_before+should_retry_false        absent    absent    draft
status_503_html+card_error            card      card      draft
status_409+status_400                 refused   refused   draft
"""

# Faults that last until the request was given back to PostgreSQL and taken up again.
_PARKED = {
    "hang": ("invoice", "lines", "advance", "delete"),
    "reset_after": ("invoice", "lines", "advance", "delete"),
    "status_503_html": ("invoice", "lines", "advance", "delete"),
    "should_retry_true": ("lines", "advance", "delete"),
}


@dataclasses.dataclass(frozen=True)
class Row:
    """One request that meets one fault, or two."""

    fault: str  # of FAULTS, or two of them with a + between
    step: str
    keyed: bool
    how: str  # once; lasting: until the client is answered; parked: until the request was given back and taken up
    word: str
    hasty: bool  # by a worker with a short deadline

    @property
    def id(self) -> str:
        marks = [] if self.keyed else ["keyless"]
        marks += [] if self.how == "once" else [self.how]
        return "-".join([self.fault, self.step, *marks])

    @property
    def ends(self) -> tuple[End, ...]:
        return WORDS[self.word][0 if self.keyed else 1]

    @property
    def apart(self) -> str:
        return next((FAULTS[name].apart for name in self.fault.split("+") if FAULTS[name].apart), "")

    def rules(self) -> list[dict[str, Any]]:
        """What the sandbox is told, in this order."""
        step, once = STEPS[self.step], {"count": 1}
        found = []
        if step.provoke:
            found.append({"fault": step.provoke[0], "step": step.provoke[1]} | once)
        for fault in (FAULTS[name] for name in self.fault.split("+")):
            rule = fault.rule | once if self.how == "once" else fault.lasting or fault.rule
            found.append({"fault": fault.kind, "step": step.step} | rule)
        return found


def _cells(grid: str) -> Iterator[tuple[str, str, str]]:
    header, *lines = grid.strip("\n").splitlines()
    for line in lines:
        fault, *words = line.split()
        for step, word in zip(header.split(), words, strict=True):
            if word != "-":
                yield fault, step, STEPS[step].word if word == "=" else word


def _rows() -> Iterator[Row]:
    for how, grid in (("once", _ONCE), ("once", _PAIRS), ("lasting", _LASTING)):
        for fault, step, word in _cells(grid):
            for keyed in (True, False) if STEPS[step].keyless else (True,):
                yield Row(fault, step, keyed, how, word, how == "lasting" and word in _HASTY)
    for fault, steps in _PARKED.items():
        for step in steps:
            yield Row(fault, step, True, "parked", "gone" if step == "delete" else "later", True)
            # Without a key the draft goes at once, so only these two have anything to wait for.
            if step in ("invoice", "delete") and fault != "should_retry_true":
                yield Row(fault, step, False, "parked", "gone" if step == "delete" else "later", True)


ROWS: dict[str, Row] = {row.id: row for row in _rows()}
