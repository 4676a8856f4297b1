/* One request and its answer as FastCGI records, through libfcgi. For conn.c alone. */
#ifndef INVOICEGATE_FRONT_CONN_IO_H
#define INVOICEGATE_FRONT_CONN_IO_H

#include <fcgiapp.h>

#include "front/conn.h"

/* Reads what FCGX_Accept_r left: parameters and the whole input, whose stream ends here. The body goes to
 * room, of max_bytes; views into it and into the parameters end with FCGX_Free. False when the input broke
 * off or was malformed: the connection is of no more use. */
MUST_CHECK bool conn_read(FCGX_Request *fcgi, char *room, size_t max_bytes, struct http_request *http);

/* Writes the whole answer and the end of the request; FCGX_Free must follow. False when the peer did not take
 * it. */
MUST_CHECK bool conn_write(const FCGX_Request *fcgi, const struct http_answer *answer);

#endif
