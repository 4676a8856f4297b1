#include "fcgi_client.h"

#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "unit.h"

enum { BEGIN_REQUEST = 1, END_REQUEST = 3, PARAMS = 4, STDIN = 5, STDOUT = 6 };

static void add(struct fcgi_message *message, const void *at, size_t length)
{
    assert_true(length <= FCGI_MESSAGE_BYTES - message->length);
    memcpy(message->at + message->length, at, length);
    message->length += length;
}

static void add_record(struct fcgi_message *message, int type, const void *at, size_t length)
{
    const unsigned char header[8] = {
        1, (unsigned char)type, 0, 1, (unsigned char)(length >> 8), (unsigned char)length, 0, 0};

    assert_true(length <= 65535);
    add(message, header, sizeof header);
    if (length > 0)
        add(message, at, length);
}

void fcgi_begin(struct fcgi_message *message, bool keep)
{
    const unsigned char body[8] = {0, 1, keep, 0, 0, 0, 0, 0};

    add_record(message, BEGIN_REQUEST, body, sizeof body);
}

static size_t put_length(unsigned char *at, size_t length)
{
    if (length < 128) {
        *at = (unsigned char)length;
        return 1;
    }
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(length >> (24 - 8 * i));
    at[0] |= 0x80;
    return 4;
}

void fcgi_param(struct fcgi_message *message, const char *name, const char *value)
{
    unsigned char record[4096];
    size_t length = 0;

    assert_true(strlen(name) + strlen(value) + 8 <= sizeof record);
    length += put_length(record + length, strlen(name));
    length += put_length(record + length, strlen(value));
    memcpy(record + length, name, strlen(name));
    length += strlen(name);
    memcpy(record + length, value, strlen(value));
    length += strlen(value);
    add_record(message, PARAMS, record, length);
}

void fcgi_params_end(struct fcgi_message *message)
{
    add_record(message, PARAMS, NULL, 0);
}

void fcgi_stdin(struct fcgi_message *message, struct text body)
{
    while (body.length > 0) {
        size_t length = body.length < 65535 ? body.length : 65535;
        add_record(message, STDIN, body.at, length);
        body = text_skip(body, length);
    }
}

void fcgi_stdin_end(struct fcgi_message *message)
{
    add_record(message, STDIN, NULL, 0);
}

void fcgi_post(struct fcgi_message *message, const char *uri, struct text body)
{
    char length[24];

    snprintf(length, sizeof length, "%zu", body.length);
    fcgi_begin(message, true);
    fcgi_param(message, "REQUEST_METHOD", "POST");
    fcgi_param(message, "REQUEST_URI", uri);
    fcgi_param(message, "CONTENT_LENGTH", length);
    fcgi_params_end(message);
    fcgi_stdin(message, body);
    fcgi_stdin_end(message);
}

/* False at the end of the connection and after a long silence. */
static bool read_exactly(int fd, void *at, size_t length)
{
    char *next = at;

    while (length > 0) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        ssize_t got = poll(&poll_fd, 1, 20000) == 1 ? read(fd, next, length) : -1;
        if (got <= 0)
            return false;
        next += got;
        length -= (size_t)got;
    }
    return true;
}

void fcgi_read(int fd, struct fcgi_answer *answer)
{
    unsigned char header[8];
    char content[65536 + 256];

    answer->length = 0;
    answer->ended = false;
    while (!answer->ended && read_exactly(fd, header, sizeof header)) {
        size_t length = (size_t)header[4] << 8 | header[5];
        if (!read_exactly(fd, content, length + header[6]))
            break;
        answer->ended = header[1] == END_REQUEST;
        if (header[1] == STDOUT) {
            assert_true(length < FCGI_MESSAGE_BYTES - answer->length);
            memcpy(answer->text + answer->length, content, length);
            answer->length += length;
        }
    }
    answer->text[answer->length] = '\0';
}
