#include "front/openapi.h"

#include <stdint.h>

/* The assembler takes the file in where it is compiled from: the top of the source tree. */
__asm__(".section .rodata.openapi, \"a\"\n"
        ".balign 4\n"
        "openapi_bytes:\n"
        ".long openapi_end - openapi_start\n"
        "openapi_start:\n"
        ".incbin \"src/front/openapi.json\"\n"
        "openapi_end:\n"
        ".previous\n");

extern const uint32_t openapi_bytes;
extern const char openapi_start[];

struct text openapi_document(void)
{
    return (struct text){openapi_start, openapi_bytes};
}
