-- The load that wrk makes: one create-invoice call after the other, no two of them alike.
-- BENCH_CLIENTS: how many of the gateway's clients take turns (from 1 on, named by BENCH_CLIENT_FORMAT); BENCH_KEYED: each call brings an Idempotency-Key of its own.
local clients = tonumber(os.getenv("BENCH_CLIENTS"))
local run = os.getenv("BENCH_RUN")
local keyed = os.getenv("BENCH_KEYED") == "1"
local path = "/v1/public/stripe/connect/accounts/" .. os.getenv("BENCH_ACCOUNT") .. "/invoices"
local name = os.getenv("BENCH_CLIENT_FORMAT") or "bench-%d"
local before_client = '{"data":{"clientId":"'
local after_client = '","productId":"' .. os.getenv("BENCH_PRODUCT")
    .. '","collection_method":"send_invoice","days_until_due":30}}'

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = os.getenv("BENCH_KEY")

local threads = 0
function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
    thread:set("calls", 0)
end

-- Threads begin at different clients, so that they do not walk in step.
function request()
    calls = calls + 1
    local client = string.format(name, (calls + number * 499) % clients + 1)
    if keyed then
        wrk.headers["Idempotency-Key"] = run .. "-" .. number .. "-" .. calls
    end
    return wrk.format(nil, path, nil, before_client .. client .. after_client)
end

-- One JSON object for bench.py: times in microseconds.
function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"answers":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"max_us":%d,'
            .. '"bad_status":%d,"broken":%d,"timeouts":%d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
        errors.status, errors.connect + errors.read + errors.write, errors.timeout))
end
