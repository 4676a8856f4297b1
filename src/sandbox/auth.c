#include "sandbox/auth.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sandbox/errors.h"

static const char PLATFORM[] = "acct_platform";

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

// The user name of Basic credentials; empty when they are no good.
static void decode_basic(const char *encoded, char *user, size_t size)
{
    size_t len = 0;
    unsigned bits = 0;
    int count = 0;
    for (; *encoded != '\0' && *encoded != '=' && len + 1 < size; encoded++) {
        int digit = base64_digit(*encoded);
        if (digit < 0)
            break;
        bits = (bits << 6 | (unsigned)digit) & 0xffffU;
        count += 6;
        if (count >= 8) {
            count -= 8;
            user[len++] = (char)(bits >> count & 0xffU);
        }
    }
    user[len] = '\0';
    char *colon = strchr(user, ':');
    if (colon != NULL)
        *colon = '\0';
    else
        user[0] = '\0';
}

static void read_key(const char *authorization, char *key, size_t size)
{
    key[0] = '\0';
    if (strncasecmp(authorization, "Basic ", 6) == 0)
        decode_basic(authorization + 6, key, size);
    else if (strncasecmp(authorization, "Bearer ", 7) == 0)
        snprintf(key, size, "%s", authorization + 7);
}

bool auth_key(struct call *call, const struct options *options, const char *authorization)
{
    char key[KEY_BYTES];
    read_key(authorization == NULL ? "" : authorization, key, sizeof key);
    call->livemode = strcmp(key, options->live_key) == 0;
    if (call->livemode || strcmp(key, options->test_key) == 0)
        return true;
    size_t len = strlen(key);
    if (len == 0)
        call_error(call, 401, "invalid_request_error", NULL, NULL,
                   "You did not provide an API key. You need to provide your API key in the Authorization "
                   "header, using Bearer auth or Basic auth with the key as user name.");
    else
        call_error(call, 401, "invalid_request_error", NULL, NULL, "Invalid API Key provided: %.7s****%s",
                   key, len > 12 ? key + len - 4 : "");
    return false;
}

static bool is_account(const char *account)
{
    if (strncmp(account, "acct_", 5) != 0 || strlen(account) >= ACCOUNT_BYTES)
        return false;
    const char *c = account + 5;
    while (isalnum((unsigned char)*c) || *c == '_')
        c++;
    return *c == '\0' && c > account + 5;
}

bool auth_account(struct call *call, const char *account)
{
    const char *name = account == NULL ? PLATFORM : account;
    if (is_account(name) && strncmp(name, "acct_closed", 11) != 0) {
        snprintf(call->account, sizeof call->account, "%s", name);
        return true;
    }
    call_error(call, 403, "invalid_request_error", "account_invalid", NULL,
               "The provided key does not have access to account '%.100s' (or that account does not exist). "
               "Application access may have been revoked.",
               name);
    return false;
}
