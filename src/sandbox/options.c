#include "sandbox/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/form.h"

enum { MOST_PORT = 65535, MOST_MS = 3600000, DEFAULT_PORT = 12111, DEFAULT_TTL_S = 86400 };

static const char HELP[] =
    "Usage: invoicegate-sandbox [OPTION]...\n"
    "An invoicing API in memory, to develop and test against: products, prices, customers, invoices, lines,\n"
    "idempotency keys, latency and faults on demand.\n"
    "\n"
    "  --listen HOST:PORT       where to listen (127.0.0.1:12111); port 0 takes a free one\n"
    "  --port-file FILE         write the port there once connections are taken\n"
    "  --live-key KEY           the secret key of live mode (sk_live_sandbox)\n"
    "  --test-key KEY           the secret key of test mode (sk_test_sandbox)\n"
    "  --latency-ms N           answer API calls N ms after the work is done (0)\n"
    "  --jitter-ms N            and up to N ms later, evenly spread (0)\n"
    "  --state FILE             keep everything in FILE, also across kill -9\n"
    "  --tls-cert FILE --tls-key FILE  speak TLS (PEM files)\n"
    "  --idempotency-ttl-s N    forget idempotency keys after N seconds (86400)\n"
    "  --help                   this text\n"
    "\n"
    "Any account named acct_... exists; one named acct_closed... is closed to us. Every account has the "
    "products\n"
    "prod_usd_10000, prod_eur, prod_jpy, prod_priceless and others (GET /v1/products).\n"
    "\n"
    "Control, without a key:\n"
    "  GET    /_sandbox/ledger?account=&mode=&summary=true  what really exists, keys and counters\n"
    "  GET    /_sandbox/calls?limit=N      the last calls (up to 10000)\n"
    "  POST   /_sandbox/faults             add a rule: {\"fault\": \"reset_after\", \"step\": \"invoice\", "
    "\"count\": 1}\n"
    "  GET    /_sandbox/faults             the rules, how often each fired, and all names\n"
    "  DELETE /_sandbox/faults[/ID]        remove them all, or one\n"
    "  POST   /_sandbox/latency            {\"latency_ms\": 100, \"jitter_ms\": 20}\n"
    "  POST   /_sandbox/forget_keys        forget every idempotency key\n"
    "  POST   /_sandbox/reset              forget everything\n"
    "\n"
    "Examples:\n"
    "  invoicegate-sandbox --latency-ms 200 --jitter-ms 100\n"
    "  curl -u sk_test_sandbox: -H 'Stripe-Account: acct_1' "
    "http://127.0.0.1:12111/v1/products/prod_usd_10000\n"
    "  curl -u sk_test_sandbox: http://127.0.0.1:12111/v1/customers -d name=Jenny -d "
    "email=jenny@example.com\n"
    "  curl http://127.0.0.1:12111/_sandbox/faults -d "
    "'{\"fault\":\"status_500_after\",\"step\":\"lines\"}'\n";

enum option_code {
    OPTION_LISTEN = 1,
    OPTION_PORT_FILE,
    OPTION_LIVE_KEY,
    OPTION_TEST_KEY,
    OPTION_LATENCY,
    OPTION_JITTER,
    OPTION_STATE,
    OPTION_CERT,
    OPTION_KEY,
    OPTION_TTL,
    OPTION_HELP,
};

static const struct option LONG_OPTIONS[] = {
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"port-file", required_argument, NULL, OPTION_PORT_FILE},
    {"live-key", required_argument, NULL, OPTION_LIVE_KEY},
    {"test-key", required_argument, NULL, OPTION_TEST_KEY},
    {"latency-ms", required_argument, NULL, OPTION_LATENCY},
    {"jitter-ms", required_argument, NULL, OPTION_JITTER},
    {"state", required_argument, NULL, OPTION_STATE},
    {"tls-cert", required_argument, NULL, OPTION_CERT},
    {"tls-key", required_argument, NULL, OPTION_KEY},
    {"idempotency-ttl-s", required_argument, NULL, OPTION_TTL},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static bool read_number(const char *text, int64_t most, int64_t *number)
{
    bool good = parse_int(text, number) && *number >= 0 && *number <= most;
    if (!good)
        fprintf(stderr, "invoicegate-sandbox: '%s' is not a number from 0 to %lld\n", text, (long long)most);
    return good;
}

static bool read_listen(struct options *options, const char *text)
{
    const char *colon = strrchr(text, ':');
    int64_t port = 0;
    size_t len = colon == NULL ? 0 : (size_t)(colon - text);
    if (colon == NULL || len == 0 || len >= sizeof options->host) {
        fprintf(stderr, "invoicegate-sandbox: --listen wants HOST:PORT, not '%s'\n", text);
        return false;
    }
    memcpy(options->host, text, len);
    options->host[len] = '\0';
    if (!read_number(colon + 1, MOST_PORT, &port))
        return false;
    options->port = (uint16_t)port;
    return true;
}

static bool read_option(struct options *options, enum option_code option, const char *value)
{
    switch (option) {
    case OPTION_LISTEN:
        return read_listen(options, value);
    case OPTION_PORT_FILE:
        options->port_file = value;
        return true;
    case OPTION_LIVE_KEY:
        options->live_key = value;
        return true;
    case OPTION_TEST_KEY:
        options->test_key = value;
        return true;
    case OPTION_LATENCY:
        return read_number(value, MOST_MS, &options->latency_ms);
    case OPTION_JITTER:
        return read_number(value, MOST_MS, &options->jitter_ms);
    case OPTION_STATE:
        options->state_file = value;
        return true;
    case OPTION_CERT:
        options->tls_cert = value;
        return true;
    case OPTION_KEY:
        options->tls_key = value;
        return true;
    case OPTION_TTL:
        return read_number(value, INT32_MAX, &options->idempotency_ttl_s);
    case OPTION_HELP:
        break;
    }
    return false;
}

enum options_result options_read(struct options *options, int argc, char **argv)
{
    *options = (struct options){.host = "127.0.0.1",
                                .port = DEFAULT_PORT,
                                .live_key = "sk_live_sandbox",
                                .test_key = "sk_test_sandbox",
                                .idempotency_ttl_s = DEFAULT_TTL_S};
    int found;
    while ((found = getopt_long(argc, argv, "", LONG_OPTIONS, NULL)) != -1) {
        if (found == OPTION_HELP) {
            fputs(HELP, stdout);
            return OPTIONS_HELP;
        }
        if (found == '?' || !read_option(options, (enum option_code)found, optarg))
            return OPTIONS_WRONG;
    }
    if (optind < argc)
        fprintf(stderr, "invoicegate-sandbox: unexpected argument '%s'; --help tells more\n", argv[optind]);
    else if ((options->tls_cert == NULL) != (options->tls_key == NULL))
        fprintf(stderr, "invoicegate-sandbox: --tls-cert and --tls-key belong together\n");
    else
        return OPTIONS_RUN;
    return OPTIONS_WRONG;
}
