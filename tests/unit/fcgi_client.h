/* A small hand-made FastCGI client: what nginx would send, and what nginx would never send. */
#ifndef INVOICEGATE_TESTS_FCGI_CLIENT_H
#define INVOICEGATE_TESTS_FCGI_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

#define FCGI_MESSAGE_BYTES ((size_t)(1 << 20))

/* Bytes to be sent. */
struct fcgi_message {
    unsigned char *at; /* FCGI_MESSAGE_BYTES of room */
    size_t length;
};

void fcgi_begin(struct fcgi_message *message, bool keep);
void fcgi_param(struct fcgi_message *message, const char *name, const char *value);
void fcgi_params_end(struct fcgi_message *message);
/* In records of at most 65535 bytes; without the empty one that ends it. */
void fcgi_stdin(struct fcgi_message *message, struct text body);
void fcgi_stdin_end(struct fcgi_message *message);
/* All of the above, with CONTENT_LENGTH. */
void fcgi_post(struct fcgi_message *message, const char *uri, struct text body);

/* One whole answer. */
struct fcgi_answer {
    char *text; /* headers and body; FCGI_MESSAGE_BYTES of room, NUL-terminated */
    size_t length;
    bool ended; /* FCGI_END_REQUEST has come */
};

/* Reads until the end of the request, the end of the connection, or a long silence. */
void fcgi_read(int fd, struct fcgi_answer *answer);

#endif
