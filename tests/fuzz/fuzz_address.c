/* Method, path and headers, one a line; a lone "-" is a header that is not there, "key" a good key. Behind
 * them the body. */
#include <stdlib.h>

#include "fuzz.h"

static struct text take_header(struct text *rest)
{
    struct text line = fuzz_take(rest, TEXT("\n"));
    return text_is(line, TEXT("-")) ? TEXT_NONE : fuzz_exact(line);
}

static void forget(struct text text)
{
    free((void *)(uintptr_t)text.at);
}

static void play(struct text rest, const struct request_rules *rules)
{
    struct text flags = fuzz_take(&rest, TEXT("\n"));
    struct text method = take_header(&rest), uri = take_header(&rest), type = take_header(&rest);
    struct text key = take_header(&rest), idempotency = take_header(&rest), account = take_header(&rest);
    struct text version = take_header(&rest), body = fuzz_exact(rest);
    struct http_request http = {
        .method = method.at ? method : TEXT(""),
        .uri = uri.at ? uri : TEXT(""),
        .content_type = type.at ? type : TEXT(""),
        .authorization = text_is(key, TEXT("key")) ? TEXT(FUZZ_KEY) : key,
        .idempotency_key = idempotency,
        .stripe_account = account,
        .stripe_version = version,
        .body = body.at ? body : TEXT(""),
        .idempotency_key_repeated = flags.length > 0 && memchr(flags.at, 'i', flags.length),
        .stripe_account_repeated = flags.length > 0 && memchr(flags.at, 'a', flags.length),
        .body_too_large = flags.length > 0 && memchr(flags.at, 'l', flags.length),
        .body_cut = flags.length > 0 && memchr(flags.at, 'c', flags.length),
    };
    fuzz_request(rules, &http);
    forget(method);
    forget(uri);
    forget(type);
    forget(key);
    forget(idempotency);
    forget(account);
    forget(version);
    forget(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    play((struct text){(const char *)data, size}, &REQUEST_RULES_DEFAULT);
    return 0;
}
