#include "flow/breaker.h"

#define COOLDOWN_FIRST_MS 1000
#define COOLDOWN_MAX_MS 15000
#define PROBE_PATIENCE_MS 5000

int64_t breaker_left_ms(const struct breaker *breaker, int64_t now_ms)
{
    if (breaker->open_until_ms == 0)
        return 0;
    if (now_ms < breaker->open_until_ms)
        return breaker->open_until_ms - now_ms;
    return now_ms < breaker->probe_until_ms ? breaker->probe_until_ms - now_ms : 0;
}

int64_t breaker_wait_ms(struct breaker *breaker, int64_t now_ms)
{
    int64_t left_ms = breaker_left_ms(breaker, now_ms);
    if (left_ms == 0 && breaker->open_until_ms != 0)
        breaker->probe_until_ms = now_ms + PROBE_PATIENCE_MS;
    return left_ms;
}

void breaker_success(struct breaker *breaker)
{
    *breaker = (struct breaker){0};
}

static void open_for(struct breaker *breaker, int64_t now_ms, int64_t for_ms)
{
    breaker->open_until_ms = now_ms + for_ms;
    breaker->probe_until_ms = 0;
}

void breaker_failure(struct breaker *breaker, int64_t now_ms, int limit)
{
    breaker->failures++;
    if (breaker->failures < limit || now_ms < breaker->open_until_ms)
        return;
    breaker->cooldown_ms = breaker->cooldown_ms ? breaker->cooldown_ms * 2 : COOLDOWN_FIRST_MS;
    if (breaker->cooldown_ms > COOLDOWN_MAX_MS)
        breaker->cooldown_ms = COOLDOWN_MAX_MS;
    open_for(breaker, now_ms, breaker->cooldown_ms);
}

void breaker_open(struct breaker *breaker, int64_t now_ms, int64_t for_ms)
{
    if (now_ms + for_ms > breaker->open_until_ms)
        open_for(breaker, now_ms, for_ms);
}
