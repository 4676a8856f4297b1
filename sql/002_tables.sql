-- The tables in their final shape. Money is bigint in the smallest unit of its currency, time is timestamptz,
-- an upstream identity (URL, platform account, mode) is a number of table upstreams.

set role invoicegate_owner;

-- ---------------------------------------------------------------------------------------------- who may ask

create table gateway.agencies (
    agency_id   bigint generated always as identity primary key,
    name        text not null unique check (name <> ''),
    created_at  timestamptz not null default now()
);

-- A key is kept as a keyed digest: what leaks from here opens nothing.
create table gateway.api_keys (
    agency_id   bigint not null references gateway.agencies,
    key_id      bigint generated always as identity,
    digest      bytea not null unique check (length(digest) = 32),
    mode        text not null check (mode in ('live', 'test')),
    name        text not null default '',
    hint        text not null,                -- the last four characters, to tell keys apart
    accounts    text[],                       -- null: every account of the agency
    routes      text[],                       -- null: every route
    created_at  timestamptz not null default now(),
    expires_at  timestamptz,
    revoked_at  timestamptz,
    last_used_at timestamptz,
    primary key (agency_id, key_id)
);

-- Connected accounts, named as the upstream names them.
create table gateway.accounts (
    agency_id    bigint not null references gateway.agencies,
    account_id   text not null check (account_id <> ''),
    is_default   boolean not null default false,
    auto_advance boolean not null default false,  -- finalize by itself after creation
    created_at   timestamptz not null default now(),
    primary key (agency_id, account_id)
);
create unique index accounts_one_default on gateway.accounts (agency_id) where is_default;

create table gateway.clients (
    agency_id   bigint not null references gateway.agencies,
    client_id   text not null check (client_id <> ''),
    name        text not null,
    created_at  timestamptz not null default now(),
    primary key (agency_id, client_id)
);

create table gateway.members (
    agency_id   bigint not null,
    client_id   text not null,
    member_id   bigint generated always as identity,
    name        text not null,
    email       text check (email <> ''),
    is_admin    boolean not null default false,
    created_at  timestamptz not null default now(),
    primary key (agency_id, client_id, member_id),
    foreign key (agency_id, client_id) references gateway.clients
);

-- ---------------------------------------------------------------------------------------------- upstream

create table gateway.upstreams (
    upstream_id  integer generated always as identity primary key,
    url          text not null,
    platform     text not null,               -- the platform account, '' when the operator named none
    mode         text not null check (mode in ('live', 'test')),
    unique (url, platform, mode)
);

-- One upstream customer for each client, account and upstream. name and email are frozen before the first POST, so
-- whoever posts it sends the same bytes. A customer that is gone upstream is followed by the next generation.
create table gateway.customers (
    agency_id    bigint not null,
    client_id    text not null,
    account_id   text not null,
    upstream_id  integer not null references gateway.upstreams,
    generation   integer not null,
    recipe       smallint not null,
    name         text not null,
    email        text,
    customer_id  text,                        -- null until the first answer; the first one stored wins
    created_at   timestamptz not null default now(),
    primary key (agency_id, client_id, account_id, upstream_id, generation),
    foreign key (agency_id, client_id) references gateway.clients,
    foreign key (agency_id, account_id) references gateway.accounts
);
create index customers_by_customer on gateway.customers (agency_id, account_id, customer_id);

-- What the upstream last told about a product and the price that an invoice for it would use.
create table gateway.products (
    agency_id    bigint not null,
    account_id   text not null,
    upstream_id  integer not null references gateway.upstreams,
    product_id   text not null,
    name         text,
    active       boolean not null,
    price_id     text,
    fetched_at   timestamptz not null,
    object       bytea,                       -- the upstream's bytes
    primary key (agency_id, account_id, upstream_id, product_id),
    foreign key (agency_id, account_id) references gateway.accounts
);

create table gateway.prices (
    agency_id         bigint not null,
    account_id        text not null,
    upstream_id       integer not null references gateway.upstreams,
    price_id          text not null,
    product_id        text not null,
    unit_amount_minor bigint not null,
    currency          text not null,
    fetched_at        timestamptz not null,
    primary key (agency_id, account_id, upstream_id, price_id),
    foreign key (agency_id, account_id) references gateway.accounts
);

-- ---------------------------------------------------------------------------------------------- workers

-- One row for each start of a worker process. Its lease covers all its open requests.
create table gateway.workers (
    worker_id    bigint generated always as identity primary key,
    host         text not null,
    pid          integer not null,
    build        text not null,
    started_at   timestamptz not null default now(),
    lease_until  timestamptz not null,
    live_upstream integer references gateway.upstreams,
    test_upstream integer references gateway.upstreams,
    recipe       smallint not null,
    ended_at     timestamptz
);
create index workers_running on gateway.workers (lease_until) where ended_at is null;

-- ---------------------------------------------------------------------------------------------- requests

-- The heart: each accepted wish for an invoice, from its intent to its end. The id is a UUID version 7 and so also
-- the time; all tables of a request are partitioned by it. Rows are inserted once and updated once: nothing that
-- changes is indexed here, what is still open stands in gateway.work.
create table gateway.invoice_requests (
    request_id        uuid not null,
    agency_id         bigint not null,
    key_id            bigint,
    route             text not null,
    mode              text not null,
    upstream_id       integer not null,
    account_id        text not null,
    client_id         text,
    product_id        text,
    collection_method text,
    days_until_due    integer,
    idempotency_key   text,
    fingerprint       bytea,
    created_at        timestamptz not null,
    -- the plan, frozen before the first POST of its step: a step's path, body and key are a pure function of it
    recipe            smallint not null,
    upstream_version  text not null,
    generation        integer not null default 1,  -- raised when the customer was gone and nothing was made
    customer_generation integer,
    customer_id       text,
    price_id          text,
    amount_minor      bigint,                      -- what one unit costs: what the line must say
    currency          text,
    auto_advance      boolean not null default false,
    form              bytea,                       -- further parameters as the caller sent them
    planned_at        timestamptz,
    -- what came of it
    state             text not null check (state in ('open', 'unresolved', 'created', 'failed', 'refused')),
    reason            text,
    detail            text,
    http_status       integer,
    invoice_id        text,
    finished_at       timestamptz,
    finished_fence    integer,
    primary key (request_id)
) partition by range (request_id);
-- For the audit's lists, newest first. The third serves one agency's list, too: its second column is looked at in the index.
create index invoice_requests_by_account on gateway.invoice_requests (account_id, created_at);
create index invoice_requests_by_client on gateway.invoice_requests (client_id, created_at);
create index invoice_requests_by_time on gateway.invoice_requests (created_at, agency_id);
create table gateway.invoice_requests_default partition of gateway.invoice_requests default;

-- The requests that are not at their end: who works on each, under which fence, and what was decided for good.
create table gateway.work (
    request_id   uuid primary key,
    worker_id    bigint not null,
    fence        integer not null default 1,
    take_overs   integer not null default 0,
    doing        text not null default 'create' check (doing in ('create', 'delete', 'advance')),
    parked_at    timestamptz,
    due_at       timestamptz                  -- do not look at it before
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

create table gateway.idempotency_keys (
    agency_id       bigint not null,
    account_id      text not null,
    mode            text not null,
    route           text not null,
    idempotency_key text not null,
    fingerprint     bytea not null,
    request_id      uuid not null,
    created_at      timestamptz not null default now(),
    ended_at        timestamptz,              -- purging counts from here
    http_status     integer,                  -- what a replay answers, byte for byte
    answer          bytea,
    primary key (agency_id, account_id, mode, route, idempotency_key)
) with (fillfactor = 70);
alter table gateway.idempotency_keys alter column answer set compression lz4;
-- Purging walks from the oldest on; nothing that changes is indexed, so the end of a request touches no index.
create index idempotency_keys_by_age on gateway.idempotency_keys using brin (created_at);

-- What stands upstream because of us. object is what the upstream answered, byte for byte.
create table gateway.invoices (
    agency_id     bigint not null,
    account_id    text not null,
    mode          text not null,
    upstream_id   integer not null,
    invoice_id    text not null,
    request_id    uuid not null,
    client_id     text,
    customer_id   text,
    status        text,                       -- 'deleted' once we deleted the draft
    number        text,
    amount_minor  bigint,
    currency      text,
    created_at    timestamptz not null,
    refreshed_at  timestamptz not null,
    object        bytea,
    primary key (invoice_id, agency_id, account_id, mode, upstream_id)
);
alter table gateway.invoices alter column object set compression lz4;
create index invoices_by_request on gateway.invoices (request_id);
create index invoices_by_account on gateway.invoices (account_id, created_at);
create index invoices_by_client on gateway.invoices (client_id, created_at);
create index invoices_by_time on gateway.invoices (created_at, agency_id);

-- Every HTTP call made upstream for a request.
create table gateway.upstream_calls (
    request_id          uuid not null,
    fence               integer not null,
    step                text not null,
    attempt             integer not null,
    started_at          timestamptz not null,
    duration_ms         integer not null,
    http_status         integer,              -- null: no answer
    outcome             text not null,
    upstream_request_id text,
    primary key (request_id, fence, step, attempt)
) partition by range (request_id);
create index upstream_calls_by_time on gateway.upstream_calls using brin (started_at)
    with (pages_per_range = 64, autosummarize = on);
create table gateway.upstream_calls_default partition of gateway.upstream_calls default;

-- History: one row for each change of state, written in the transaction of the change. subject_id is the request's id;
-- for what concerns no request it is an id of its own, and about says so.
create sequence gateway.event_ids as bigint cache 32;
create table gateway.events (
    subject_id  uuid not null,
    event_id    bigint not null default nextval('gateway.event_ids'),
    about       text not null default 'request',
    at          timestamptz not null default now(),
    agency_id   bigint,
    worker_id   bigint,
    what        text not null,
    why         text,
    primary key (subject_id, event_id)
) partition by range (subject_id);
-- Rows lie in the order in which they came, so a summary of each stretch of pages is index enough, and costs nothing.
create index events_by_time on gateway.events using brin (at) with (pages_per_range = 64, autosummarize = on);
create table gateway.events_default partition of gateway.events default;

-- What came to its end and is not in the hourly and daily counts yet: a row for each, written in the transaction of the
-- change, and one with requests = -1 where an end was taken back. Whoever counts adds these; gateway.roll_up takes them away.
create table gateway.tallies (
    request_id   uuid not null,
    begun_at     timestamptz not null,        -- created_at of the request
    agency_id    bigint not null,
    amount_minor bigint not null,             -- as planned; with the sign of requests
    requests     integer not null default 1,
    took_ms      integer,
    account_id   text not null,
    mode         text not null,
    currency     text not null,               -- '' where none is known
    state        text not null,
    reason       text not null                -- '' for created
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

reset role;
