/* What a server was asked in a course, and has answered, in messages of the protocol, kept as a text:
 * tests/unit/scripts/NAME has a line for each message, `>` asked, `<` answered, its kind, its bytes
 * (\HH: one in hexadecimal, \*N:HH; N of them). The first answers are those to whoever connects.
 *
 * Run from the root of the checkout.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include "codec/buffer.h"
#include "codec/bytes.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCRIPTED_RECORD "PGVECFS_RECORD" /* in the environment: scripts are recorded anew */

struct exchange {
    struct buffer asked, answered; /* messages */
};

struct script {
    char name[64];
    struct exchange *list; /* list[0]: of whoever connects; asks nothing */
    size_t count;
};

static inline _Noreturn void scripted_fail(const char *what)
{
    fprintf(stderr, "scripted server: %s\n", what);
    exit(1);
}

static inline void scripted_put(struct buffer *buffer, const void *bytes, size_t size)
{
    if (buffer_append(buffer, bytes, size) < 0)
        scripted_fail("no memory");
}

static inline void scripted_put_message(struct buffer *buffer, char kind, const void *body,
                                        size_t size)
{
    uint8_t head[5] = {(uint8_t)kind};
    store_be32(head + 1, (uint32_t)size + 4);
    scripted_put(buffer, head, sizeof head);
    scripted_put(buffer, body, size);
}

/* The message at `*at`, which goes behind it; false: there is none. */
struct message {
    char kind;
    const uint8_t *body;
    size_t size;
};

static inline bool scripted_next(const struct buffer *messages, size_t *at, struct message *out)
{
    if (*at + 5 > messages->size)
        return false;
    const uint8_t *head = messages->data + *at;
    size_t size = load_be32(head + 1);
    if (size < 4 || *at + 1 + size > messages->size)
        scripted_fail("a script is damaged");
    *out = (struct message){(char)head[0], head + 5, size - 4};
    *at += 1 + size;
    return true;
}

/* ---- scripts as files ---- */

static inline void scripted_path(const struct script *script, char *path, size_t size)
{
    snprintf(path, size, "tests/unit/scripts/%.63s", script->name);
}

static inline void scripted_write(FILE *file, char side, const struct buffer *messages)
{
    enum { RUN = 16 };
    struct message message;
    for (size_t at = 0; scripted_next(messages, &at, &message);) {
        fprintf(file, "%c%c ", side, message.kind);
        for (size_t i = 0, n; i < message.size; i += n) {
            uint8_t byte = message.body[i];
            for (n = 1; i + n < message.size && message.body[i + n] == byte;)
                n++;
            if (n >= RUN)
                fprintf(file, "\\*%zu:%02x;", n, byte);
            else if (isprint(byte) && byte != '\\' && (n = 1) > 0)
                fputc(byte, file);
            else if ((n = 1) > 0)
                fprintf(file, "\\%02x", byte);
        }
        fputc('\n', file);
    }
}

static inline void script_save(const struct script *script)
{
    char path[128];
    scripted_path(script, path, sizeof path);
    FILE *file = fopen(path, "w");
    if (file == NULL)
        scripted_fail("a script cannot be written: run it from the root of the checkout");
    for (size_t i = 0; i < script->count; i++) {
        scripted_write(file, '>', &script->list[i].asked);
        scripted_write(file, '<', &script->list[i].answered);
    }
    if (fclose(file) != 0)
        scripted_fail("a script cannot be written");
}

static inline size_t scripted_read_body(const char *at, uint8_t *body)
{
    size_t size = 0;
    while (*at != '\n' && *at != '\0') {
        unsigned byte = (unsigned char)*at, n = 1;
        int length = 1;
        bool good = *at != '\\' || sscanf(at, "\\*%u:%2x;%n", &n, &byte, &length) == 2 ||
                    sscanf(at, "\\%2x%n", &byte, &length) == 1;
        if (!good)
            scripted_fail("a script is damaged");
        memset(body + size, (int)byte, n);
        size += n;
        at += length;
    }
    return size;
}

static inline struct exchange *script_add(struct script *script)
{
    void *grown = realloc(script->list, (script->count + 1) * sizeof *script->list);
    if (grown == NULL)
        scripted_fail("no memory");
    script->list = grown;
    script->list[script->count] = (struct exchange){0};
    return &script->list[script->count++];
}

static inline void script_load(struct script *script)
{
    enum { BODY = 1 << 20 };
    static uint8_t body[BODY];
    char path[128], *line = NULL, before = '<';
    size_t room = 0;
    scripted_path(script, path, sizeof path);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        scripted_fail(
            "a script is missing: run it from the root of the checkout, or set " SCRIPTED_RECORD
            "=1");
    struct exchange *exchange = script_add(script);
    while (getline(&line, &room, file) > 3) {
        size_t size = scripted_read_body(line + 3, body);
        if (line[0] == '>' && before == '<')
            exchange = script_add(script);
        before = line[0];
        scripted_put_message(before == '>' ? &exchange->asked : &exchange->answered, line[1], body,
                             size);
    }
    free(line);
    fclose(file);
}

static inline void script_clear(struct script *script)
{
    for (size_t i = 0; i < script->count; i++) {
        buffer_clear(&script->list[i].asked);
        buffer_clear(&script->list[i].answered);
    }
    free(script->list);
    script->list = NULL;
    script->count = 0;
}

#endif
