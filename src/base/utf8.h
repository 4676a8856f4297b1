/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef INVOICEGATE_BASE_UTF8_H
#define INVOICEGATE_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

bool utf8_valid(struct text text);
/* How many bytes the first code point takes; 0 when the text is empty or starts with none. */
size_t utf8_next(struct text text);
/* Number of code points of a valid text. */
size_t utf8_length(struct text text);
/* Valid UTF-8 and no control character (U+0000..001F, U+007F). */
bool utf8_is_plain(struct text text);

#endif
