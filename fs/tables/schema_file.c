#include "fs/tables/schema_file.h"

#include "fs/base/log.h"
#include "fs/tables/file_time.h"
#include "pgclient/ddl_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static const char ddl_kind[] = "ddl", secret_kind[] = "secret";

/* The text of all takes at most 1 / TEXT_SHARE of `memory`. */
enum { TEXT_SHARE = 8 };

/* ---- the secret ---- */

static bool load_secret(struct mount *mount)
{
    struct buffer record = {0};
    bool there = store_get_record(mount->store, 0, secret_kind, &record) == 0 &&
                 record.size == sizeof mount->ddl.secret;
    if (there)
        memcpy(mount->ddl.secret, record.data, sizeof mount->ddl.secret);
    if (record.data != NULL)
        explicit_bzero(record.data, record.size);
    buffer_clear(&record);
    return there;
}

int schema_file_prepare(struct mount *mount, struct error *error)
{
    mount->ddl.folder = store_path(mount->store);
    mount->ddl.text_most = mount->options->memory / TEXT_SHARE;
    if (load_secret(mount))
        return 0;
    if (getrandom(mount->ddl.secret, sizeof mount->ddl.secret, 0) !=
        (ssize_t)sizeof mount->ddl.secret)
        return error_set(error, -EIO, "the system gives no random bytes");
    struct buffer record = {.data = mount->ddl.secret, .size = sizeof mount->ddl.secret};
    if (store_put_record(mount->store, 0, secret_kind, &record) < 0)
        log_say(LOG_SAY_DEBUG, "the secret of the cache finds no room in it");
    return 0;
}

/* pg_dump changes the settings of its session, which a pooler would then give to other clients. */
const char *schema_file_refusal(const struct mount *mount)
{
    return mount->catalog->pooled && mount->direct == NULL
               ? "the connection leads to a pooler, through which pg_dump must not run; -o "
                 "direct=CONNINFO names the server itself"
               : NULL;
}

/* ---- versions ---- */

/* Takes text and signature. */
static struct version *version_of_ddl(struct mount *mount, struct buffer *text, char *signature,
                                      uint64_t serial, int64_t mtime)
{
    struct version *version = calloc(1, sizeof *version);
    if (version == NULL) {
        buffer_clear(text);
        free(signature);
        return NULL;
    }
    version->refs = 1;
    version->mount = mount;
    version->serial = serial;
    version->mtime = mtime;
    version->signature = signature;
    version->text[FACE_DDL] = *text;
    version->size[FACE_DDL] = text->size;
    version->state[FACE_DDL] = FACE_READABLE;
    *text = (struct buffer){0};
    return version;
}

/* In a record the signature, which is that of the whole database, follows the relation's oid: a
 * record of another relation in this place is not believed. */
static const char owner_form[] = "of %u: ";

static void put_signature(struct text *record, const struct version *version, uint32_t relation)
{
    struct text text = {0};
    text_printf(&text, owner_form, (unsigned)relation);
    text_put(&text, version->signature);
    text_fail(record, text.failed);
    record_put_bytes(record, text.bytes.data, text.bytes.size);
    text_clear(&text);
}

/* Takes the text of the record. NULL: it is another relation's, or there is no memory. A record of
 * an older version of pgvecfs names no relation: then the signature is empty, so that the server is
 * asked. */
static char *own_signature(char *recorded, uint32_t relation)
{
    char owner[32];
    snprintf(owner, sizeof owner, owner_form, (unsigned)relation);
    bool own = strncmp(recorded, owner, strlen(owner)) == 0;
    bool others = !own && strncmp(recorded, owner_form, strcspn(owner_form, "%")) == 0;
    char *signature = others ? NULL : strdup(own ? recorded + strlen(owner) : "");
    free(recorded);
    return signature;
}

/* serial, mtime, signature, text */
static int save_ddl(struct subject *subject, const struct version *version)
{
    struct text record = {0};
    record_put_u64(&record, version->serial);
    record_put_u64(&record, (uint64_t)version->mtime);
    put_signature(&record, version, subject->table->relation.oid);
    text_put_bytes(&record, version->text[FACE_DDL].data, version->text[FACE_DDL].size);
    int rc = record.failed;
    if (rc == 0)
        rc = store_put_record(subject->table->mount->store, subject->table->relation.oid, ddl_kind,
                              &record.bytes);
    text_clear(&record);
    return rc;
}

struct version *schema_file_load(struct subject *subject)
{
    struct mount *mount = subject->table->mount;
    struct buffer record = {0}, text = {0};
    struct version *version = NULL;
    if (store_get_record(mount->store, subject->table->relation.oid, ddl_kind, &record) == 0) {
        struct record_reader in = {.at = record.data, .end = record.data + record.size};
        uint64_t serial = (uint64_t)record_get_microseconds(&in);
        int64_t mtime = record_get_seconds(&in);
        char *signature = record_get_string(&in);
        if (signature != NULL)
            signature = own_signature(signature, subject->table->relation.oid);
        if (signature != NULL && !in.bad &&
            buffer_append(&text, in.at, (size_t)(in.end - in.at)) == 0)
            version = version_of_ddl(mount, &text, signature, serial, mtime);
        else
            free(signature);
    }
    buffer_clear(&record);
    return version;
}

struct asking {
    struct mount *mount;
    char *signature;
};

static int ask_signature(void *context, struct session *session, struct error *error)
{
    struct asking *asking = context;
    struct mount *mount = asking->mount;
    char *mark = NULL, *signature = NULL;
    int rc = catalog_mark(session, &mark, error);
    if (rc == 0)
        rc = mark_check(mark, mount->system_id, mount->database, error);
    pthread_mutex_lock(&mount->lock);
    if (rc == 0 && mount->ddl_mark != NULL && mark_holds(mount->ddl_mark, mark))
        signature = strdup(mount->ddl_signature);
    pthread_mutex_unlock(&mount->lock);
    if (rc == 0 && signature == NULL) {
        rc = ddl_signature(session, &signature, error);
        char *kept = rc == 0 ? strdup(signature) : NULL;
        pthread_mutex_lock(&mount->lock);
        if (kept != NULL) {
            free(mount->ddl_mark);
            free(mount->ddl_signature);
            mount->ddl_mark = mark;
            mount->ddl_signature = kept;
            mark = NULL;
        }
        pthread_mutex_unlock(&mount->lock);
    }
    free(mark);
    asking->signature = signature;
    return rc;
}

/* Reads the present signature of the database's DDL. It is computed again only if anything at all
 * has changed since the last time. */
static int read_signature(struct subject *subject, char **out, struct error *error)
{
    struct mount *mount = subject->table->mount;
    struct asking asking = {.mount = mount};
    struct lock_question question = {&subject->table->relation, "schema.sql", ask_signature,
                                     &asking};
    int rc = lock_wait_ask(&mount->lock_waits, mount->pool, &question, &subject->stop, error);
    if (rc == 0)
        *out = asking.signature;
    return rc;
}

static bool same_text(const struct buffer *a, const struct buffer *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void save_ddl_or_say(struct subject *subject, const struct version *version)
{
    if (save_ddl(subject, version) < 0)
        log_say(LOG_SAY_ERROR, "%s.%s: schema.sql finds no room in the cache",
                subject->table->relation.schema, subject->table->relation.name);
}

/* ---- reading it ---- */

/* Notes which client has the lock. -EBUSY: it has had it for too long. */
static int wait_for_lock(struct subject *subject, struct lock_wait *wait, struct error *error)
{
    struct mount *mount = subject->table->mount;
    struct session *session = NULL;
    if (session_take_now(mount->pool, SESSION_SHORT, NULL, &session, NULL) < 0)
        session = NULL;
    int rc = lock_wait_note(&mount->lock_waits, wait, session, error);
    session_give(session);
    return rc;
}

/* Judges a failure. 0: try again, after a pause; else the answer. */
static int bear(struct subject *subject, struct schema_turn *turn, int rc, struct error *error)
{
    enum { TRIES = 5 };
    const struct relation *relation = &subject->table->relation;
    if (rc == -EBUSY) {
        rc = wait_for_lock(subject, &turn->lock.wait, error);
        return rc == 0 ? -EINPROGRESS : rc;
    }
    if (rc == -ENOLCK) {
        lock_wait_note_room(&subject->table->mount->lock_waits, &turn->lock.wait);
        return -EINPROGRESS;
    }
    if (rc != -EAGAIN && rc != -EUSERS)
        return rc;
    subject->progress.gave_way += rc == -EAGAIN;
    log_say(LOG_SAY_INFO, "%s.%s: %s%s", relation->schema, relation->name, error->text,
            ++turn->tries < TRIES ? "; trying again" : "");
    return turn->tries < TRIES ? 0 : rc == -EAGAIN ? -EBUSY : rc;
}

/* Tries until it has the text. It waits for locks without a session; other clients' locks and
 * connections go away some time. */
static int read_patiently(struct subject *subject, struct schema_turn *turn, const char *signature,
                          struct buffer *text, struct error *error)
{
    struct mount *mount = subject->table->mount;
    struct lock_line *line = mount->place.line;
    int rc;
    do {
        int lock_ms = lock_turn_begin(line, &turn->lock);
        rc = ddl_read(&mount->ddl, &subject->table->relation, signature, lock_ms, &subject->stop,
                      text, error);
        lock_turn_end(line, &turn->lock, rc == 0);
        if (rc == 0 || (rc = bear(subject, turn, rc, error)) < 0)
            break;
        if ((rc = lock_wait_pause(&subject->stop)) < 0)
            error_set(error, rc, "stopped");
    } while (rc == 0);
    return rc;
}

/* Reads the text from that of all relations, or with a pg_dump of its own: always so once it has
 * waited for a lock. */
static int read_text(struct subject *subject, struct schema_turn *turn, const char *signature,
                     struct buffer *text, struct error *error)
{
    int rc = turn->lock.wait.since != 0
                 ? -ENOENT
                 : schema_text_get(&subject->table->mount->schema_text,
                                   subject->table->relation.oid, signature, &subject->stop, text);
    turn->for_text = rc == -EINPROGRESS;
    return rc == -ENOENT  ? read_patiently(subject, turn, signature, text, error)
           : rc == -EINTR ? error_set(error, rc, "stopped")
                          : rc;
}

/* Makes the version of `text`. Takes the text and the signature. */
static int make_version(struct subject *subject, struct version *old, struct buffer *text,
                        char *signature, struct version **out, struct error *error)
{
    if (old != NULL &&
        (same_text(text, &old->text[FACE_DDL]) || ddl_text_replaces(&old->text[FACE_DDL], text))) {
        free(old->signature);
        old->signature = signature;
        buffer_clear(text);
        save_ddl_or_say(subject, old);
        *out = version_ref(old);
        return 0;
    }
    int64_t mtime = (int64_t)time(NULL);
    int64_t before = old != NULL ? old->mtime : file_time_load(subject);
    if (mtime <= before)
        mtime = before + 1;
    uint64_t serial = old != NULL ? old->serial + 1 : (uint64_t)mtime;
    *out = version_of_ddl(subject->table->mount, text, signature, serial, mtime);
    if (*out == NULL)
        return error_set(error, -ENOMEM, "no memory");
    file_time_save(subject, mtime);
    save_ddl_or_say(subject, *out);
    return 0;
}

/* Makes one attempt, from the beginning: the signature must be older than the text. */
static int refresh(struct subject *subject, struct version *old, struct schema_turn *turn,
                   struct version **out, struct error *error)
{
    struct mount *mount = subject->table->mount;
    char *signature = NULL;
    pthread_mutex_lock(&mount->lock);
    const char *refusal = schema_file_refusal(mount);
    pthread_mutex_unlock(&mount->lock);
    int rc = refusal != NULL ? error_set(error, -EOPNOTSUPP, "no schema.sql: %s", refusal)
                             : read_signature(subject, &signature, error);
    if (rc < 0)
        return rc;
    if (old != NULL && mark_holds(old->signature, signature)) {
        free(signature);
        *out = version_ref(old);
        return 0;
    }
    struct buffer text = {0};
    rc = read_text(subject, turn, signature, &text, error);
    if (rc == 0)
        return make_version(subject, old, &text, signature, out, error);
    buffer_clear(&text);
    free(signature);
    return rc;
}

/* Several servers stand behind one address, and chance decides which one is met next. 0: try again,
 * with a signature read anew. */
static int bear_another(struct subject *subject, struct schema_turn *turn, struct error *error)
{
    enum { PAUSE_MS = 50, TRIES = 40 };
    const struct relation *relation = &subject->table->relation;
    if (++turn->elsewhere >= TRIES)
        return -EIO;
    if (turn->elsewhere == 1)
        log_say(LOG_SAY_INFO, "%s.%s: %s; trying again", relation->schema, relation->name,
                error->text);
    usleep(PAUSE_MS * 1000);
    return atomic_load(&subject->stop) ? error_set(error, -EINTR, "stopped") : 0;
}

int schema_file_refresh(struct subject *subject, struct version *old, struct schema_turn *turn,
                        struct version **out, struct error *error)
{
    if (turn->lock.wait.since == 0) {
        turn->lock.wait.relation = &subject->table->relation;
        turn->lock.wait.what = "schema.sql";
    }
    int rc;
    do
        rc = refresh(subject, old, turn, out, error);
    while (rc == -EREMCHG && (rc = bear_another(subject, turn, error)) == 0);
    if (rc != -EINPROGRESS)
        lock_wait_over(&subject->table->mount->lock_waits, &turn->lock.wait);
    return rc;
}
