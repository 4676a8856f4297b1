// One HTTP request from its arrival to its answer.
#pragma once

struct evhttp_request;

// libevent's callback; the argument is the struct sandbox.
void requests_handle(struct evhttp_request *request, void *argument);
