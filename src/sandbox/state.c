#include "sandbox/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/routes.h"

// A record is a line of numbers and the texts whose lengths it tells, one after another, then a line feed:
// C now_ms random effects method livemode path-length account-length version-length key-length body-length
// The key's length is -1 when there is none. A record of F alone forgets all keys.
static const char HEADER[] = "invoicegate-sandbox state 1\n";

enum { TEXTS = 5, KEY_TEXT = 3, NUMBERS = 10, MOST_LINE_BYTES = 256 };

static void fail(const struct state *state, const char *what)
{
    fprintf(stderr, "invoicegate-sandbox: cannot %s %s: %s\n", what, state->path, strerror(errno));
}

static void write_all(struct state *state, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t written = write(state->fd, bytes, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            fail(state, "write");
            exit(1);
        }
        bytes += written;
        len -= (size_t)written;
    }
}

void state_add_call(struct state *state, const struct call *call, uint64_t random, const char *body,
                    size_t body_len)
{
    if (state->fd < 0)
        return;
    struct text *record = &state->record;
    size_t key_len = call->key == NULL ? 0 : strlen(call->key);
    text_clear(record);
    text_format(record, "C %" PRId64 " %" PRIu64 " %u %d %d %zu %zu %zu %lld %zu\n", call->now_ms, random,
                call->effects, (int)call->method, call->livemode, strlen(call->path), strlen(call->account),
                strlen(call->version), call->key == NULL ? -1LL : (long long)key_len, body_len);
    text_string(record, call->path);
    text_string(record, call->account);
    text_string(record, call->version);
    if (call->key != NULL)
        text_add(record, call->key, key_len);
    text_add(record, body, body_len);
    text_char(record, '\n');
    write_all(state, record->data, record->len);
}

void state_add_forget_keys(struct state *state)
{
    if (state->fd >= 0)
        write_all(state, "F\n", 2);
}

void state_empty(struct state *state)
{
    if (state->fd < 0)
        return;
    if (ftruncate(state->fd, 0) != 0) {
        fail(state, "empty");
        exit(1);
    }
    write_all(state, HEADER, sizeof HEADER - 1);
}

struct reader {
    const char *at;
    const char *end;
};

static bool take_bytes(struct reader *reader, size_t len, const char **bytes)
{
    *bytes = reader->at;
    if ((size_t)(reader->end - reader->at) < len)
        return false;
    reader->at += len;
    return true;
}

static bool take_line(struct reader *reader, char *line)
{
    const char *newline = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
    if (newline == NULL || newline - reader->at >= MOST_LINE_BYTES)
        return false;
    size_t len = (size_t)(newline - reader->at);
    memcpy(line, reader->at, len);
    line[len] = '\0';
    reader->at = newline + 1;
    return true;
}

static bool scan_numbers(const char *line, struct call *call, int64_t *lens)
{
    int method;
    int livemode;
    if (sscanf(line,
               "C %" SCNd64 " %" SCNu64 " %u %d %d %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64,
               &call->now_ms, &call->random, &call->effects, &method, &livemode, &lens[0], &lens[1], &lens[2],
               &lens[3], &lens[4]) != NUMBERS)
        return false;
    call->method = (enum method)method;
    call->livemode = livemode != 0;
    return lens[0] >= 0 && lens[0] < MOST_PATH_BYTES && lens[1] >= 0 && lens[1] < ACCOUNT_BYTES &&
           lens[2] >= 0 && lens[2] < VERSION_BYTES;
}

static bool take_texts(struct reader *reader, const int64_t *lens, const char **texts)
{
    const char *newline;
    for (int i = 0; i < TEXTS; i++) {
        size_t len = lens[i] < 0 ? 0 : (size_t)lens[i];
        if (!take_bytes(reader, len, &texts[i]))
            return false;
    }
    return take_bytes(reader, 1, &newline) && *newline == '\n';
}

static bool run_call(struct call *call, const int64_t *lens, const char *const *texts)
{
    memcpy(call->path, texts[0], (size_t)lens[0]);
    memcpy(call->account, texts[1], (size_t)lens[1]);
    memcpy(call->version, texts[2], (size_t)lens[2]);
    char *key = lens[KEY_TEXT] < 0 ? NULL : strndup(texts[KEY_TEXT], (size_t)lens[KEY_TEXT]);
    call->key = key;
    bool good = api_resume(call, texts[4], (size_t)lens[4]);
    free(key);
    return good;
}

// Executes one record; false when it is not whole.
static bool run_record(struct reader *reader, struct call *call, struct store *store)
{
    char line[MOST_LINE_BYTES];
    int64_t lens[TEXTS];
    const char *texts[TEXTS] = {NULL};
    if (!take_line(reader, line))
        return false;
    if (strcmp(line, "F") == 0) {
        store_forget_keys(store);
        return true;
    }
    call_reset(call);
    call->store = store;
    return scan_numbers(line, call, lens) && take_texts(reader, lens, texts) && run_call(call, lens, texts);
}

static bool run_all(struct state *state, const char *bytes, size_t len, struct call *call,
                    struct store *store)
{
    struct reader reader = {bytes, bytes + len};
    const char *header;
    if (len == 0) {
        write_all(state, HEADER, sizeof HEADER - 1);
        return true;
    }
    if (!take_bytes(&reader, sizeof HEADER - 1, &header) || memcmp(header, HEADER, sizeof HEADER - 1) != 0) {
        fprintf(stderr, "invoicegate-sandbox: %s is not a state file of this version\n", state->path);
        return false;
    }
    const char *whole = reader.at;
    while (reader.at < reader.end && run_record(&reader, call, store))
        whole = reader.at;
    if (whole == reader.end)
        return true;
    fprintf(stderr, "invoicegate-sandbox: the last %zu bytes of %s are not a whole record and are cut off\n",
            (size_t)(reader.end - whole), state->path);
    return ftruncate(state->fd, whole - bytes) == 0;
}

static char *read_file(struct state *state, size_t *len)
{
    struct stat status;
    if (fstat(state->fd, &status) != 0)
        return NULL;
    char *bytes = malloc((size_t)status.st_size + 1);
    CHECK(bytes != NULL);
    *len = 0;
    while (*len < (size_t)status.st_size) {
        ssize_t got = pread(state->fd, bytes + *len, (size_t)status.st_size - *len, (off_t)*len);
        if (got <= 0)
            break;
        *len += (size_t)got;
    }
    return bytes;
}

bool state_open(struct state *state, const char *path, struct call *scratch, struct store *store)
{
    *state = (struct state){.path = path, .fd = -1};
    if (path == NULL)
        return true;
    size_t len = 0;
    char *bytes = NULL;
    bool good = false;
    state->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (state->fd >= 0)
        bytes = read_file(state, &len);
    if (bytes == NULL)
        fail(state, "read");
    else
        good = run_all(state, bytes, len, scratch, store);
    free(bytes);
    return good;
}

void state_close(struct state *state)
{
    if (state->fd >= 0)
        close(state->fd);
    text_free(&state->record);
}
