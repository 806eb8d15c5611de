"""The tables of the crowd task's database (SQLAlchemy Core): the same on SQLite and on PostgreSQL.

Raw identifiers stand in `payments` alone. Answers are only ever added: `erased` says which were taken back, and then their
content and salt are gone while their commitment stays, so that the chain over all commitments can be checked for ever.
Times are whole milliseconds since 1970, UTC.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

schema = MetaData()

# format, study's name, title, hash and checked values as JSON, head of the chain at the last export, whether recruitment is paused
facts = Table("facts", schema, Column("name", String(64), primary_key=True), Column("value", Text, nullable=False))

lists = Table(
    "lists",
    schema,
    Column("list_id", String(64), primary_key=True),
    Column("group_name", String(64), nullable=False),
    Column("condition", String(16), nullable=False),
    Column("quota", Integer, nullable=False),
    Column("given", Integer, nullable=False, default=0),  # sessions that were ever given it: the next one's place
)

workers = Table(
    "workers",
    schema,
    Column("worker", String(64), primary_key=True),  # pseudonym, by keyed hash of recruiter and raw id
    Column("recruiter", String(32), nullable=False),
    Column("since_ms", BigInteger, nullable=False),
)

sessions = Table(
    "sessions",
    schema,
    Column("session", String(32), primary_key=True),  # random; never leaves the server
    Column("worker", String(64), ForeignKey("workers.worker"), nullable=False, unique=True),
    Column("list_id", String(64), ForeignKey("lists.list_id"), nullable=False),
    Column("place", Integer, nullable=False),  # counted over all who were given the list, from 1; gives the seed
    Column("seed", BigInteger, nullable=False),
    Column("token_sha256", String(64), nullable=False, unique=True),
    Column("language", String(35), nullable=False),
    Column("state", String(16), nullable=False),  # active, finished, withdrawn, erased
    Column("counted", Boolean, nullable=False, default=False),  # finished, not excluded: fills the quota
    Column("excluded_for", String(64)),
    Column("surplus", Boolean, nullable=False, default=False),  # finished and not excluded, when the list was full
    Column("n_trials", Integer, nullable=False),
    Column("n_held", Integer, nullable=False, default=0),
    Column("joined_ms", BigInteger, nullable=False),
    Column("heard_ms", BigInteger, nullable=False),
    Column("lease_until_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
    UniqueConstraint("list_id", "place"),
    CheckConstraint("state in ('active', 'finished', 'withdrawn', 'erased')", name="known_state"),
    Index("sessions_of_list", "list_id", "state"),
)

trials = Table(
    "trials",
    schema,
    Column("session", String(32), ForeignKey("sessions.session"), primary_key=True),
    Column("trial", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("item_id", String(200)),
    Column("asset", String(43), unique=True),  # random, of this trial alone: tells nothing, and cannot be guessed
    Column("asked", Text),  # of an attention check: the answer asked for
)

seen = Table(  # nobody sees two images of one source: the database itself refuses
    "seen",
    schema,
    Column("worker", String(64), ForeignKey("workers.worker"), primary_key=True),
    Column("source_id", String(200), primary_key=True),
    Column("session", String(32), ForeignKey("sessions.session"), nullable=False),
)

responses = Table(
    "responses",
    schema,
    Column("place", Integer, primary_key=True, autoincrement=False),  # in the chain, from 1
    Column("session", String(32), nullable=False),
    Column("trial", Integer, nullable=False),
    Column("content", Text),  # canonical JSON; null once erased
    Column("salt", String(32)),  # null once erased
    Column("commitment", String(64), nullable=False),  # SHA-256 of salt and content
    Column("link", String(64), nullable=False),  # SHA-256 of the link before, session, trial, commitment
    Column("received_ms", BigInteger, nullable=False),
    UniqueConstraint("session", "trial"),
    ForeignKeyConstraint(["session", "trial"], ["trials.session", "trials.trial"]),
)

erased = Table(  # tombstones
    "erased",
    schema,
    Column("place", Integer, ForeignKey("responses.place"), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("why", String(64), nullable=False),
)

happenings = Table(  # what the page tells besides answers: hidden, left, offline, went on, screen; at most a few hundred of each session
    "happenings",
    schema,
    Column("session", String(32), ForeignKey("sessions.session"), primary_key=True),
    Column("number", Integer, primary_key=True),  # counted by the page, from 1: sent twice is stored once
    Column("kind", String(32), nullable=False),
    Column("trial", Integer),
    Column("at_ms", BigInteger, nullable=False),  # by the page's clock since it was loaded
    Column("content", Text),
    Column("received_ms", BigInteger, nullable=False),
)

flags = Table(
    "flags",
    schema,
    Column("flag", Integer, primary_key=True),
    Column(
        "session", String(32), ForeignKey("sessions.session")
    ),  # null: of nobody in particular, such as a forged token
    Column("kind", String(48), nullable=False),
    Column("detail", Text),
    Column("at_ms", BigInteger, nullable=False),
    Index("flags_of_session", "session"),
)

payments = Table(  # the only place of raw identifiers; erased on request, without a trace in what is exported
    "payments",
    schema,
    Column("worker", String(64), ForeignKey("workers.worker"), primary_key=True),
    Column("raw_id", String(256)),
    Column("assignment", String(256)),
    Column("hit", String(256)),
    Column("code_sha256", String(64), unique=True),  # of the completion code, once it was given out
    Column("code_used_ms", BigInteger),
)

ledger = Table(  # every call that costs or pays, written before it is made: run twice, it is made once
    "ledger",
    schema,
    Column("request_token", String(64), primary_key=True),
    Column("recruiter", String(32), nullable=False),
    Column("action", String(32), nullable=False),  # create_hit, approve, bonus, qualify, expire, extend
    Column("about", String(256), nullable=False),  # batch number, or pseudonym: never a raw id
    Column("amount_usd_cents", Integer, nullable=False, default=0),
    Column("state", String(16), nullable=False),  # intended, done, failed
    Column("answer", Text),  # what came back, without raw ids of workers
    Column("created_ms", BigInteger, nullable=False),
    Column("done_ms", BigInteger),
    UniqueConstraint("recruiter", "action", "about"),
)
