#include "sandbox/sandbox.h"

#include <time.h>

static int64_t clock_ms(clockid_t id)
{
    struct timespec now;
    CHECK(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t sandbox_wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

int64_t sandbox_monotonic_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

uint64_t sandbox_random(struct sandbox *sandbox)
{
    sandbox->random += 0x9e3779b97f4a7c15ULL;
    uint64_t z = sandbox->random;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}
