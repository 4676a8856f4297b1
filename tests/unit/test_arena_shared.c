/* The tests of the arena once more, with chunks shared as outside of AddressSanitizer. */
#define ARENA_SHARED_CHUNKS
#include "base/arena.c"
#include "test_arena.c"
