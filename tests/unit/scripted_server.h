/* A server that plays a script: what a real one answered to each question of a course, recorded from
 * that, and one answer of them spoilt. It speaks the protocol on a socket, so that libpq itself is
 * under test, and nothing of it need be imitated: no answer reaches it that a server could not send.
 *
 * In a course that goes as usual each question must be the next one of the script; if not, the test
 * says which, and how to record it anew. Once an answer has been spoilt anything may be asked: what
 * the script has is answered so, all else refused. An empty question, whether anybody is there, may
 * be asked at any time: no script has it.
 *
 * Threads: one for each connection, started here; the functions are for the test's own.
 */
#ifndef SCRIPTED_SERVER_H
#define SCRIPTED_SERVER_H

#include "tests/unit/script.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SCRIPTED_UNKNOWN "not in the script" /* the error that all else is answered with */

enum spoil {
    SPOIL_NOTHING,
    SPOIL_LOST, /* the connection, before a byte of the answer, */
    SPOIL_LOST_HALF,
    SPOIL_LOST_LATE, /* or before its last message */
    SPOIL_HANG,
    SPOIL_HANG_HALF,
    SPOIL_FORBIDDEN, /* an error, with its SQLSTATE */
    SPOIL_CONFLICT,
    SPOIL_LOCKED,
    SPOIL_NO_ROOM,
    SPOIL_BUG,
    SPOIL_BUG_LATE, /* behind half of what it answered */
    SPOIL_CANCELLED,
    SPOIL_SHUT_DOWN,
    SPOIL_NO_ROWS,
    SPOIL_ROWS_TWICE,
    SPOIL_ONE_COLUMN,
    SPOIL_MORE_COLUMNS,
    SPOIL_NULLS,
    SPOIL_WORDS, /* in place of each value */
    SPOIL_NO_RESULT,
    SPOIL_EMPTY,      /* as if nothing had been asked */
    SPOIL_COPY,       /* a COPY in place of rows */
    SPOIL_COPY_EARLY, /* a COPY that ends half-way, as if that were all */
    SPOILS
};

static struct {
    pthread_mutex_t lock; /* guards what follows */
    struct script *script;
    bool records;
    size_t next;  /* in a course that goes as usual */
    size_t asked; /* questions so far, without those of connecting */
    size_t at;    /* the one whose answer is spoilt, from 1 on; 0: none */
    enum spoil how;
    bool spoilt;
    bool differs;        /* a question was not the next one of the script */
    void (*hangs)(void); /* the answer does not come: whoever waits is to be stopped */
    struct sockaddr_un own, real;
    int listener;
    char folder[64];
} scripted = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- sockets ---- */

static inline bool scripted_receive(int fd, void *bytes, size_t size)
{
    uint8_t *at = bytes;
    for (ssize_t n; size > 0; at += n, size -= (size_t)n)
        if ((n = recv(fd, at, size, 0)) <= 0)
            return false;
    return true;
}

static inline bool scripted_send(int fd, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (ssize_t n; size > 0; at += n, size -= (size_t)n)
        if ((n = send(fd, at, size, MSG_NOSIGNAL)) <= 0)
            return false;
    return true;
}

/* Appends messages up to one of these kinds. */
static inline bool scripted_take(int fd, const char *last, struct buffer *out)
{
    for (;;) {
        uint8_t head[5];
        if (!scripted_receive(fd, head, sizeof head) || head[0] == 'X')
            return false;
        size_t size = load_be32(head + 1) - 4;
        uint8_t *body = malloc(size + 1);
        bool good = body != NULL && scripted_receive(fd, body, size);
        if (good)
            scripted_put_message(out, (char)head[0], body, size);
        free(body);
        if (!good)
            return false;
        if (strchr(last, head[0]) != NULL)
            return true;
    }
}

/* ---- spoiling ---- */

static inline void scripted_put_error(struct buffer *out, const char *severity, const char *state,
                                      const char *words, const char *hint)
{
    struct buffer body = {0};
    const char *const fields[] = {severity, severity, state, words, hint, "ProcessInterrupts"};
    static const char kinds[] = "SVCMHR";
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i] != NULL) {
            scripted_put(&body, &kinds[i], 1);
            scripted_put(&body, fields[i], strlen(fields[i]) + 1);
        }
    scripted_put(&body, "", 1);
    scripted_put_message(out, 'E', body.data, body.size);
    buffer_clear(&body);
}

static inline void scripted_put_refusal(struct buffer *out, enum spoil how)
{
    const char *state = how == SPOIL_FORBIDDEN   ? "42501"
                        : how == SPOIL_CONFLICT  ? "40001"
                        : how == SPOIL_LOCKED    ? "55P03"
                        : how == SPOIL_NO_ROOM   ? "53200"
                        : how == SPOIL_CANCELLED ? "57014"
                        : how == SPOIL_SHUT_DOWN ? "57P01"
                                                 : "XX000";
    scripted_put_error(out, how == SPOIL_SHUT_DOWN ? "FATAL" : "ERROR", state, "as scripted",
                       how == SPOIL_NO_ROOM ? "You might need to increase "
                                              "max_locks_per_transaction."
                                            : NULL);
}

/* The fields of a RowDescription or a DataRow, the first `count` of them. */
static inline size_t scripted_fields(const struct message *message, int count)
{
    enum { DESCRIPTION = 18 }; /* behind the name */
    size_t at = 2;
    for (int i = 0; i < count; i++)
        if (message->kind == 'T') {
            at += strlen((const char *)message->body + at) + 1 + DESCRIPTION;
        } else {
            int32_t size = (int32_t)load_be32(message->body + at);
            at += 4 + (size > 0 ? (size_t)size : 0);
        }
    return at;
}

static inline void scripted_put_columns(struct buffer *out, const struct message *message, int more)
{
    struct buffer body = {0};
    uint8_t head[2];
    int count = load_be16(message->body), kept = more > 0 || count < 1 ? count : 1;
    store_be16(head, (uint16_t)(kept + more));
    scripted_put(&body, head, 2);
    scripted_put(&body, message->body + 2, scripted_fields(message, kept) - 2);
    if (more > 0 && message->kind == 'T')
        scripted_put(&body, "more\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0", 23);
    else if (more > 0)
        scripted_put(&body, "\0\0\0\1x", 5);
    scripted_put_message(out, message->kind, body.data, body.size);
    buffer_clear(&body);
}

static inline void scripted_put_values(struct buffer *out, const struct message *row, bool null)
{
    static const char value[] = "\0\0\0\5words";
    struct buffer body = {0};
    scripted_put(&body, row->body, 2);
    for (int i = 0; i < load_be16(row->body); i++)
        scripted_put(&body, null ? "\xff\xff\xff\xff" : value, null ? 4 : sizeof value - 1);
    scripted_put_message(out, 'D', body.data, body.size);
    buffer_clear(&body);
}

/* One message of an answer that has another shape. */
static inline void scripted_spoil_message(struct buffer *out, const struct message *message,
                                          enum spoil how)
{
    static const char copy_out[] = "\0\0\0";
    bool row = message->kind == 'D', rows = row || message->kind == 'T';
    if (row && how == SPOIL_NO_ROWS)
        return;
    if (rows && (how == SPOIL_ONE_COLUMN || how == SPOIL_MORE_COLUMNS))
        scripted_put_columns(out, message, how == SPOIL_MORE_COLUMNS);
    else if (row && (how == SPOIL_NULLS || how == SPOIL_WORDS))
        scripted_put_values(out, message, how == SPOIL_NULLS);
    else if (message->kind == 'T' && how == SPOIL_COPY)
        scripted_put_message(out, 'H', copy_out, sizeof copy_out);
    else if (row && how == SPOIL_COPY)
        scripted_put_message(out, 'd', message->body, message->size);
    else
        scripted_put_message(out, message->kind, message->body, message->size);
    if (row && how == SPOIL_ROWS_TWICE)
        scripted_put_message(out, 'D', message->body, message->size);
}

static inline size_t scripted_count(const struct buffer *messages, const char *kinds)
{
    struct message message;
    size_t count = 0;
    for (size_t at = 0; scripted_next(messages, &at, &message);)
        count += strchr(kinds, message.kind) != NULL;
    return count;
}

/* Whether an answer can be spoilt so. */
static inline bool script_can_be(const struct exchange *exchange, enum spoil how)
{
    if (how == SPOIL_COPY_EARLY)
        return scripted_count(&exchange->answered, "d") > 1;
    return how < SPOIL_NO_ROWS || how > SPOIL_WORDS || how == SPOIL_NO_RESULT
               ? how != SPOIL_COPY || scripted_count(&exchange->answered, "T") > 0
               : scripted_count(&exchange->answered, "D") > 0;
}

static inline bool scripted_mentions(const struct exchange *exchange, const char *word)
{
    return memmem(exchange->asked.data, exchange->asked.size, word, strlen(word)) != NULL;
}

/* What state the transaction is in behind an error. */
static inline void scripted_put_failed(struct buffer *out, const struct exchange *exchange,
                                       char before)
{
    bool within = before != 'I' || scripted_mentions(exchange, "BEGIN");
    scripted_put_message(out, 'Z', within ? "E" : "I", 1);
}

static inline void scripted_spoil(const struct exchange *exchange, enum spoil how, char before,
                                  struct buffer *out)
{
    const struct buffer *answer = &exchange->answered;
    size_t half = scripted_count(answer, "TDCdHc12tn") / 2, seen = 0;
    size_t data = scripted_count(answer, "d") / 2, copied = 0;
    struct message message;
    if (how >= SPOIL_FORBIDDEN && how <= SPOIL_SHUT_DOWN && how != SPOIL_BUG_LATE) {
        scripted_put_refusal(out, how);
        if (how != SPOIL_SHUT_DOWN)
            scripted_put_failed(out, exchange, before);
        return;
    }
    if (how == SPOIL_NO_RESULT || how == SPOIL_EMPTY) {
        if (how == SPOIL_EMPTY)
            scripted_put_message(out, 'I', NULL, 0);
        scripted_put_message(out, 'Z', &before, 1);
        return;
    }
    for (size_t at = 0; scripted_next(answer, &at, &message);) {
        if (how == SPOIL_BUG_LATE && seen++ >= half) {
            scripted_put_refusal(out, SPOIL_BUG);
            scripted_put_failed(out, exchange, before);
            return;
        }
        if (how == SPOIL_LOST_LATE && message.kind == 'Z')
            return;
        if (how == SPOIL_COPY && message.kind == 'C' && out->size > 0)
            scripted_put_message(out, 'c', NULL, 0);
        if (how != SPOIL_COPY_EARLY || message.kind != 'd' || copied++ < data)
            scripted_spoil_message(out, &message, how);
    }
    if (how == SPOIL_LOST || how == SPOIL_HANG)
        out->size = 0;
    if (how == SPOIL_LOST_HALF || how == SPOIL_HANG_HALF)
        out->size /= 2;
}

/* ---- connections ---- */

static inline char scripted_state(const struct buffer *answer, char before)
{
    return answer->size > 0 && answer->size >= 6 && answer->data[answer->size - 6] == 'Z'
               ? (char)answer->data[answer->size - 1]
               : before;
}

static inline void scripted_show(const char *head, const struct exchange *exchange)
{
    fprintf(stderr, "%s\n", head);
    if (exchange != NULL)
        scripted_write(stderr, '>', &exchange->asked);
}

static inline bool scripted_is(const struct exchange *exchange, const struct buffer *asked)
{
    return exchange->asked.size == asked->size &&
           memcmp(exchange->asked.data, asked->data, asked->size) == 0;
}

/* Under the lock. What the script has for the question; NULL: nothing. */
static inline const struct exchange *scripted_find(const struct exchange *question)
{
    const struct script *script = scripted.script;
    bool usual = scripted.next < script->count &&
                 scripted_is(&script->list[scripted.next], &question->asked);
    if (usual)
        return &script->list[scripted.next++];
    if (!scripted.spoilt && !scripted.differs) {
        scripted.differs = true;
        fprintf(stderr, "question %zu of tests/unit/scripts/%s is not what it was:\n",
                scripted.next, script->name);
        scripted_show("asked now", question);
        scripted_show("in the script",
                      scripted.next < script->count ? &script->list[scripted.next] : NULL);
        fprintf(stderr, "If that is as it should be, record the scripts anew, with a server at "
                        "hand: " SCRIPTED_RECORD "=1 build/tests/unit/test_scripted\n");
    }
    for (size_t i = 1; i < script->count; i++)
        if (scripted_is(&script->list[i], &question->asked))
            return &script->list[i];
    return NULL;
}

/* To what the script does not know. */
static inline void scripted_improvise(const struct exchange *question, char before,
                                      struct buffer *out)
{
    const char *sql = (const char *)question->asked.data + 5;
    if (question->asked.data[0] == 'Q' && strncmp(sql, "ROLLBACK", strlen("ROLLBACK")) == 0) {
        bool part = strncmp(sql, "ROLLBACK TO", strlen("ROLLBACK TO")) == 0;
        scripted_put_message(out, 'C', "ROLLBACK", sizeof "ROLLBACK");
        scripted_put_message(out, 'Z', part && before != 'I' ? "T" : "I", 1);
        return;
    }
    scripted_put_error(out, "ERROR", before == 'E' ? "25P02" : "0A000", SCRIPTED_UNKNOWN, NULL);
    scripted_put_failed(out, question, before);
}

static inline bool scripted_is_empty(const struct exchange *question)
{
    return question->asked.size == 6 && question->asked.data[0] == 'Q';
}

static inline bool scripted_answer_empty(int fd, char state)
{
    struct buffer answer = {0};
    scripted_put_message(&answer, 'I', NULL, 0);
    scripted_put_message(&answer, 'Z', &state, 1);
    bool good = scripted_send(fd, answer.data, answer.size);
    buffer_clear(&answer);
    return good;
}

static inline bool scripted_answer(int fd, const struct exchange *question, char *state)
{
    struct buffer answer = {0};
    pthread_mutex_lock(&scripted.lock);
    const struct exchange *known = scripted_find(question);
    bool now = ++scripted.asked == scripted.at;
    enum spoil how = now ? scripted.how : SPOIL_NOTHING;
    scripted.spoilt |= now;
    pthread_mutex_unlock(&scripted.lock);
    bool rolls_back = scripted_mentions(question, "ROLLBACK");
    if (known == NULL || (*state == 'E' && !rolls_back))
        scripted_improvise(question, *state, &answer);
    else
        scripted_spoil(known, how, *state, &answer);
    bool good = scripted_send(fd, answer.data, answer.size);
    *state = scripted_state(&answer, *state);
    buffer_clear(&answer);
    if (how == SPOIL_HANG || how == SPOIL_HANG_HALF) {
        uint8_t byte;
        scripted.hangs();
        while (recv(fd, &byte, 1, 0) > 0)
            ;
        return false;
    }
    return good && how != SPOIL_SHUT_DOWN && (how < SPOIL_LOST || how > SPOIL_LOST_LATE);
}

static inline void scripted_play_to(int fd)
{
    char state = 'I';
    pthread_mutex_lock(&scripted.lock);
    const struct buffer *greeting = &scripted.script->list[0].answered;
    pthread_mutex_unlock(&scripted.lock);
    bool good = scripted_send(fd, greeting->data, greeting->size);
    while (good) {
        struct exchange question = {0};
        good = scripted_take(fd, "QS", &question.asked) &&
               (scripted_is_empty(&question) ? scripted_answer_empty(fd, state)
                                             : scripted_answer(fd, &question, &state));
        buffer_clear(&question.asked);
    }
}

/* Stands between, and writes down what is said. */
static inline void scripted_record(int fd, const void *startup, size_t size)
{
    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    struct exchange exchange = {0};
    bool good = connect(server, (struct sockaddr *)&scripted.real, sizeof scripted.real) == 0 &&
                scripted_send(server, startup, size) &&
                scripted_take(server, "Z", &exchange.answered) &&
                scripted_send(fd, exchange.answered.data, exchange.answered.size);
    pthread_mutex_lock(&scripted.lock);
    if (scripted.script->count == 0)
        *script_add(scripted.script) = exchange;
    else
        buffer_clear(&exchange.answered);
    pthread_mutex_unlock(&scripted.lock);
    while (good) {
        exchange = (struct exchange){0};
        good = scripted_take(fd, "QS", &exchange.asked) &&
               scripted_send(server, exchange.asked.data, exchange.asked.size) &&
               scripted_take(server, "Z", &exchange.answered);
        if (!good) {
            buffer_clear(&exchange.asked);
            buffer_clear(&exchange.answered);
            break;
        }
        if (scripted_is_empty(&exchange)) {
            good = scripted_send(fd, exchange.answered.data, exchange.answered.size);
            buffer_clear(&exchange.asked);
            buffer_clear(&exchange.answered);
            continue;
        }
        /* It is written down before anybody can ask the next. */
        pthread_mutex_lock(&scripted.lock);
        *script_add(scripted.script) = exchange;
        pthread_mutex_unlock(&scripted.lock);
        good = scripted_send(fd, exchange.answered.data, exchange.answered.size);
    }
    close(server);
}

static inline void *scripted_serve(void *argument)
{
    enum { PROTOCOL = 3 << 16 };
    int fd = (int)(intptr_t)argument;
    uint8_t startup[4096];
    size_t size = 0;
    bool good = scripted_receive(fd, startup, 8);
    if (good) {
        size = load_be32(startup);
        good = size >= 8 && size <= sizeof startup && scripted_receive(fd, startup + 8, size - 8);
    }
    /* Who cancels gets no answer, and nothing is cancelled. */
    if (good && load_be32(startup + 4) == PROTOCOL && scripted.records)
        scripted_record(fd, startup, size);
    else if (good && load_be32(startup + 4) == PROTOCOL)
        scripted_play_to(fd);
    close(fd);
    return NULL;
}

static inline void *scripted_accept(void *argument)
{
    (void)argument;
    for (;;) {
        int fd = accept(scripted.listener, NULL, NULL);
        pthread_t thread;
        if (fd < 0)
            return NULL;
        if (pthread_create(&thread, NULL, scripted_serve, (void *)(intptr_t)fd) != 0)
            scripted_fail("no thread");
        pthread_detach(thread);
    }
}

/* ---- for tests ---- */

static inline bool scripted_is_recorded(void) { return getenv(SCRIPTED_RECORD) != NULL; }

static inline void scripted_end(void)
{
    (void)unlink(scripted.own.sun_path);
    (void)rmdir(scripted.folder);
}

/* Begins to listen, at scripted.folder. To be recorded it is the server of PGHOST and PGPORT. */
static inline void scripted_start(void (*hangs)(void))
{
    pthread_t thread;
    snprintf(scripted.folder, sizeof scripted.folder, "/tmp/pgvecfs-scripted.XXXXXX");
    scripted.hangs = hangs;
    scripted.records = scripted_is_recorded();
    scripted.own.sun_family = scripted.real.sun_family = AF_UNIX;
    if (mkdtemp(scripted.folder) == NULL)
        scripted_fail("no folder");
    atexit(scripted_end);
    snprintf(scripted.own.sun_path, sizeof scripted.own.sun_path, "%s/.s.PGSQL.5432",
             scripted.folder);
    if (scripted.records)
        snprintf(scripted.real.sun_path, sizeof scripted.real.sun_path, "%s/.s.PGSQL.%s",
                 getenv("PGHOST"), getenv("PGPORT"));
    scripted.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(scripted.listener, (struct sockaddr *)&scripted.own, sizeof scripted.own) != 0 ||
        listen(scripted.listener, 16) != 0 ||
        pthread_create(&thread, NULL, scripted_accept, NULL) != 0)
        scripted_fail("it cannot listen");
    pthread_detach(thread);
}

/* From now on it plays the script from its beginning, the answer to question `at` (from 1 on; 0:
 * none) spoilt. */
static inline void scripted_begin(struct script *script, size_t at, enum spoil how)
{
    pthread_mutex_lock(&scripted.lock);
    scripted.script = script;
    scripted.next = 1;
    scripted.asked = 0;
    scripted.at = at;
    scripted.how = how;
    scripted.spoilt = scripted.differs = false;
    pthread_mutex_unlock(&scripted.lock);
}

/* The same with nothing spoilt, and anything may be asked. */
static inline void scripted_begin_freely(struct script *script)
{
    scripted_begin(script, 0, SPOIL_NOTHING);
    pthread_mutex_lock(&scripted.lock);
    scripted.spoilt = true;
    pthread_mutex_unlock(&scripted.lock);
}

/* Whether all was asked that the script has, in its order. */
static inline bool scripted_was_usual(void)
{
    pthread_mutex_lock(&scripted.lock);
    bool usual = !scripted.differs && scripted.next == scripted.script->count;
    pthread_mutex_unlock(&scripted.lock);
    return usual;
}

#endif
