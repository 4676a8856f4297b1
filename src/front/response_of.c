#include "front/response_of.h"

#include "front/response.h"
#include "front/response_stripe.h"

/* The official clients try again by themselves after a 409 and a 5xx. Others they must be told of. */
static const char *should_retry(int status)
{
    if (status == 409 || status == 429 || status == 503 || status == 504)
        return "true";
    return status == 502 ? "false" : NULL;
}

static struct http_answer stripe_error(struct arena *arena, const struct stripe_error *error)
{
    return (struct http_answer){.status = error->status,
                                .should_retry = should_retry(error->status),
                                .body = response_stripe_error(arena, error)};
}

struct http_answer response_of_error(struct arena *arena, enum shape shape, int status, struct text message)
{
    struct stripe_error error = response_stripe_error_of(status, message);

    if (shape == SHAPE_STRIPE)
        return stripe_error(arena, &error);
    return (struct http_answer){.status = status, .body = response_error(arena, message)};
}

struct http_answer response_of_refusal(struct arena *arena, enum shape shape, const struct refusal *refusal)
{
    struct text body = shape == SHAPE_STRIPE ? response_stripe_refusal(arena, refusal)
                                             : response_error(arena, refusal->message);

    return (struct http_answer){.status = refusal->status, .allow = refusal->allow, .body = body};
}

struct text response_of_upstream_error(struct arena *arena, enum shape shape, int status, struct text body,
                                       struct text account_id, struct text *message)
{
    struct stripe_error error;

    if (response_stripe_upstream_error(arena, status, body, account_id, &error))
        *message = error.message;
    else
        error = response_stripe_error_of(status, *message);
    return shape == SHAPE_STRIPE ? response_stripe_error(arena, &error) : response_error(arena, *message);
}
