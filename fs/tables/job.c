#include "fs/tables/job_parts.h"

#include "codec/clock.h"
#include "fs/base/log.h"
#include "fs/base/patience.h"
#include "fs/tables/file_time.h"
#include "fs/tables/filling.h"
#include "fs/tables/listing.h"
#include "fs/tables/schema_file.h"
#include "fs/views/vdf.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* All below is called with the lock held, and gives it up while it works. */

static void fail_subject(struct subject *subject, int rc, const struct error *error)
{
    struct mount *mount = subject->table->mount;
    if (rc == -EINTR && !mount->ending)
        return; /* no request waited; one that has come since asks again */
    subject->want_refresh = false;
    subject->next_sizes = 0;
    subject->next_any_size = false;
    subject_unwant_all(subject);
    memset(subject->prefill_nodes, 0, sizeof subject->prefill_nodes);
    subject->failures++;
    subject->rc = user_errno(rc);
    subject->error = *error;
    mount->count.failures++;
    if (rc == -ENOENT) {
        version_unref(subject->current);
        subject->current = NULL;
        listing_doubt(mount);
    }
    log_say(LOG_SAY_ERROR, "%s.%s: %s", subject->table->relation.schema,
            subject->table->relation.name, error->text[0] != '\0' ? error->text : strerror(-rc));
}

/* Takes the reference. */
static void install(struct subject *subject, struct version *fresh)
{
    if (fresh != subject->current) {
        if (subject->current != NULL) /* a caller that still uses it asks again */
            subject_unwant(subject, subject->current);
        version_unref(subject->current);
        subject->current = fresh;
    } else {
        version_unref(fresh);
    }
    subject->opened = 0;
    subject->refreshes++;
    subject->error.text[0] = '\0';
    subject_extend(subject);
}

/* Nodes that were read along with the fetch belong to this version, if it is made of what they have
 * read. */
static void bind_streamed(struct subject *subject, struct version *version)
{
    const struct feed_ids none = {{0}};
    const struct feed_ids *made_of =
        version != NULL && subject->fetch != NULL ? fetch_made_of(subject->fetch) : &none;
    for (int i = 0; i < STREAMS_AT_MOST; i++) {
        uint64_t nodeid = subject->bind_later[i].nodeid;
        subject->bind_later[i].nodeid = 0;
        if (nodeid != 0)
            subject->table->mount->users->streamed(
                subject, nodeid, feed_ids_have(made_of, subject->bind_later[i].feed), version);
    }
}

/* A refresh under way, also while it waits for a lock without a thread. */
struct refreshing {
    struct subject *subject;
    struct waiting waiting; /* for the text of all schema.sql */
    struct version *old;
    struct version *whole; /* of some columns, of which nothing is known: the rows of all */
    bool begun;
    bool loaded; /* the store's record had been read before */
    unsigned measure;
    struct filling fillings[FORMAT_COUNT];
    struct schema_turn turn; /* of schema.sql; the turn of rows is the fetch's */
};

static struct lock_turn *turn_of(const struct subject *subject)
{
    return subject->kind == SUBJECT_ROWS ? fetch_turn(subject->fetch)
                                         : &subject->refresh->turn.lock;
}

const struct lock_wait *job_lock_wait(const struct subject *subject)
{
    return subject->refresh != NULL ? &turn_of(subject)->wait : NULL;
}

static int begin_refresh(struct subject *subject)
{
    struct mount *mount = subject->table->mount;
    subject->want_refresh = false;
    progress_begin(&subject->progress);
    unsigned measure = subject->next_sizes & ((1U << FORMAT_COUNT) - 1);
    if (subject->next_sizes & 1U << FACE_MANIFEST)
        measure |= mount->options->listed_formats;
    subject->next_sizes = 0;
    uint64_t bytes_most = subject->next_any_size ? 0 : mount->options->max_stat;
    subject->next_any_size = false;
    struct refreshing *refresh = calloc(1, sizeof *refresh);
    if (refresh == NULL)
        return -ENOMEM;
    if (subject->kind == SUBJECT_ROWS &&
        fetch_new(&mount->place, &subject->progress, &subject->fetch) < 0) {
        free(refresh);
        return -ENOMEM;
    }
    refresh->subject = subject;
    subject->refresh = refresh;
    subject->refreshing = true;
    refresh->old = subject->current != NULL ? version_ref(subject->current) : NULL;
    struct version *all = subject->table->subjects[SUBJECT_ROWS].current;
    if (subject->columns != NULL && subject->current == NULL && all != NULL)
        refresh->whole = version_ref(all);
    refresh->loaded = subject->loaded;
    refresh->measure = measure;
    if (subject->kind == SUBJECT_ROWS) {
        fetch_at_most(subject->fetch, bytes_most);
        filling_begin(subject, measure, refresh->fillings);
    }
    return 0;
}

/* Not called with the lock held. -EINPROGRESS: it waits for a lock, or for the text of all
 * relations. */
static int work_on_refresh(struct subject *subject, struct version **fresh, struct error *error)
{
    struct mount *mount = subject->table->mount;
    struct refreshing *refresh = subject->refresh;
    bool rows = subject->kind == SUBJECT_ROWS;
    if (!refresh->begun) {
        refresh->begun = true;
        store_touch(mount->store, subject->table->relation.oid);
        for (int i = 0; i < FORMAT_COUNT; i++)
            if (refresh->fillings[i].prefill != NULL)
                fetch_prefill(subject->fetch, i, refresh->fillings[i].prefill);
        if (!refresh->loaded)
            refresh->old = rows ? job_load_rows(subject) : schema_file_load(subject);
        if (refresh->old == NULL && refresh->whole != NULL)
            refresh->old = job_choose_rows(subject, refresh->whole);
    }
    return rows ? job_refresh_rows(subject, refresh->old, refresh->measure, fresh, error)
                : schema_file_refresh(subject, refresh->old, &refresh->turn, fresh, error);
}

/* Takes the reference. */
static void end_refresh(struct subject *subject, int rc, struct version *fresh,
                        const struct error *error)
{
    struct mount *mount = subject->table->mount;
    struct refreshing *refresh = subject->refresh;
    filling_settle(mount, refresh->fillings, fresh);
    bind_streamed(subject, fresh);
    struct fetch *fetch = subject->fetch;
    subject->fetch = NULL;
    subject->refresh = NULL;
    subject->loaded = true;
    subject->refreshing = false;
    if (rc < 0) {
        /* What was loaded from the cache is not proven: it is kept, to be compared, with an expired
         * lease. */
        if (!refresh->loaded && subject->current == NULL) {
            subject->current = refresh->old;
            refresh->old = NULL;
        }
        /* If a file has been opened meanwhile the next refresh may copy what this one may not. */
        if (rc != -EFBIG || !subject->next_any_size)
            fail_subject(subject, rc, error);
    } else {
        install(subject, fresh);
        subject->want_refresh =
            false; /* a request that came later, and needs more than this version, asks again */
    }
    version_unref(refresh->old);
    version_unref(refresh->whole);
    free(refresh);
    wait_call(&mount->waits, &subject->waiting);
    pthread_mutex_unlock(&mount->lock);
    fetch_free(fetch); /* that deletes the files of groups that are not used */
    pthread_mutex_lock(&mount->lock);
}

static void run_job(void *argument);

/* Called when it is the turn of a job that waits for a lock. */
static void resume(void *argument)
{
    struct subject *subject = argument;
    waiters_put(subject->table->mount->waiters, &subject->resuming, run_job, subject);
}

static struct wait *resume_with_text(struct waiting *waiting)
{
    struct refreshing *refresh =
        (struct refreshing *)((char *)waiting - offsetof(struct refreshing, waiting));
    resume(refresh->subject);
    return NULL;
}

/* Lets the job wait without a thread; false: there is nothing to wait for any more. */
static bool park(struct subject *subject)
{
    struct mount *mount = subject->table->mount;
    struct refreshing *refresh = subject->refresh;
    bool for_text = subject->kind == SUBJECT_DDL && refresh->turn.for_text;
    if (subject->stop || (for_text && !mount->schema_text.making))
        return false; /* it is tried once more, and ends if it is stopped */
    if (for_text) {
        refresh->waiting.try = resume_with_text;
        wait_hang(&mount->schema_text.waiting, &refresh->waiting);
    } else {
        lock_turn_park(mount->place.line, turn_of(subject), resume, subject);
    }
    return true;
}

/* false: the refresh waits for a lock, or a text, and another thread will go on with it. */
static bool do_refresh(struct subject *subject)
{
    struct mount *mount = subject->table->mount;
    struct version *fresh = NULL;
    struct error error = {""};
    int rc = subject->refresh == NULL ? begin_refresh(subject) : 0;
    if (rc < 0) {
        error_set(&error, rc, "no memory");
        bind_streamed(subject, NULL);
        fail_subject(subject, rc, &error);
        wait_call(&mount->waits, &subject->waiting);
        return true;
    }
    pthread_mutex_unlock(&mount->lock);
    rc = work_on_refresh(subject, &fresh, &error);
    if (rc != -EINPROGRESS)
        filling_end(subject->refresh->fillings, rc == 0 ? fresh->snapshot : NULL);
    pthread_mutex_lock(&mount->lock);
    if (rc != -EINPROGRESS)
        end_refresh(subject, rc, fresh, &error);
    return rc != -EINPROGRESS || !park(subject);
}

static void settle_face(struct version *version, int face, struct buffer *text, bool hashes)
{
    if (face < FORMAT_COUNT) {
        job_settle_format(version, face);
    } else if (face == FACE_MANIFEST) {
        for (int i = 0; i < FORMAT_COUNT; i++)
            job_settle_format(version, i);
        version->size[face] = text->size;
        version->state[face] = hashes ? FACE_READABLE : FACE_SIZED;
        buffer_clear(&version->text[face]);
        version->text[face] = *text;
        *text = (struct buffer){0};
    } else if (face == FACE_VDF) {
        version->size[face] = text->size;
        version->state[face] = FACE_READABLE;
        version->text[face] = *text;
        *text = (struct buffer){0};
    }
}

static bool face_satisfied(const struct version *version, int face, bool bytes)
{
    return version->state[face] == FACE_FAILED ||
           version->state[face] >= (bytes ? FACE_READABLE : FACE_SIZED);
}

/* The face of a version of the past cannot be made any more: the kernel looks its name up again. */
static void give_up_face(struct version *version, int face)
{
    version->state[face] = FACE_FAILED;
    version->rc[face] = -ESTALE;
}

static void face_is_done(struct subject *subject, struct version *version, int face, bool bytes)
{
    version->want_sizes &= ~(1U << face);
    if (bytes)
        version->want_bytes &= ~(1U << face);
    if (!version_is_wanted(version))
        subject_unwant(subject, version);
}

/* Makes the first view that is wanted of the version. */
static void do_view(struct subject *subject, struct version *of)
{
    struct mount *mount = subject->table->mount;
    struct version *version = version_ref(of);
    struct version_view *wanted = version->views;
    bool past = version != subject->current;
    struct error error = {""};
    uint8_t last = 0;
    int rc = 0;
    while (!wanted->wanted)
        wanted = wanted->next;
    bool missing = wanted->state == FACE_UNKNOWN;
    if (missing) {
        subject->making = version;
        pthread_mutex_unlock(&mount->lock);
        rc = job_measure_view(subject, &wanted->view, &last, &error);
        pthread_mutex_lock(&mount->lock);
        subject->making = NULL;
    }
    if (rc < 0 && !(past && rc != -EINTR)) {
        fail_subject(subject, rc, &error);
    } else {
        if (rc < 0) { /* the kernel looks its name up again */
            wanted->state = FACE_FAILED;
            wanted->rc = -ESTALE;
        } else if (missing) {
            job_settle_view(wanted, last);
        }
        version_want_view(version, wanted, false);
        if (!version_is_wanted(version))
            subject_unwant(subject, version);
        if (!past)
            subject_extend(subject);
    }
    version_unref(version);
    wait_call(&mount->waits, &subject->waiting);
}

/* Makes the first face that is wanted of the version. */
static void do_face(struct subject *subject, struct version *wanted)
{
    struct mount *mount = subject->table->mount;
    struct version *version = version_ref(wanted);
    bool past = version != subject->current;
    int face = __builtin_ctz(version->want_sizes | version->want_bytes);
    bool bytes = version->want_bytes & 1U << face;
    struct error error = {""};
    struct buffer text = {0};
    int rc = 0;
    /* a request that waits for it asks for a refresh */
    bool lacking = version_lacks(version, face);
    bool missing = !lacking && !face_satisfied(version, face, bytes);
    if (missing) {
        struct filling fillings[FORMAT_COUNT] = {{0}};
        if (!past) /* waiting nodes show the current version, or the next one */
            filling_begin(subject, 1U << face, fillings);
        subject->making = version;
        pthread_mutex_unlock(&mount->lock);
        rc = face < FORMAT_COUNT
                 ? job_measure_format(subject, version, face, fillings[face].prefill, &error)
             : face == FACE_VDF ? vdf_write(version->snapshot, &text)
                                : job_make_manifest(subject, version, bytes, &text, &error);
        filling_end(fillings, rc == 0 ? version->snapshot : NULL);
        pthread_mutex_lock(&mount->lock);
        subject->making = NULL;
        filling_settle(mount, fillings, version);
    }
    if (rc < 0 && !(past && rc != -EINTR)) {
        fail_subject(subject, rc, &error);
    } else {
        if (rc < 0)
            give_up_face(version, face);
        else if (missing)
            settle_face(version, face, &text, bytes);
        face_is_done(subject, version, face, bytes);
        if (!past)
            subject_extend(subject);
    }
    buffer_clear(&text);
    version_unref(version);
    wait_call(&mount->waits, &subject->waiting);
}

/* The version of which a face is made next; NULL: a refresh comes first, if one is wanted. Faces of
 * the current version come before a refresh: a request that waits for one was given this version,
 * and must not be told twice that it is superseded. A face of a past version comes after a refresh:
 * it may take long, and the requests that wait for it keep that version whatever the refresh finds.
 * `owed`: a refresh has just come first. */
static struct version *next_face(const struct subject *subject, bool owed)
{
    struct version *version = subject->wanted, *current = subject->current;
    if (version != NULL && version != current && subject->want_refresh && !owed)
        version = current != NULL && version_is_wanted(current) ? current : NULL;
    bool broken = version != NULL && version->snapshot != NULL && version->snapshot->broken;
    return broken && subject->want_refresh ? NULL : version;
}

static void run_job(void *argument)
{
    struct subject *subject = argument;
    struct mount *mount = subject->table->mount;
    struct patience patience = {.waits = true, .stop = &subject->stop};
    bool parked = false, owed = false;
    patience_begin(&patience);
    store_await_drops(mount->store); /* `running` has kept the groups since */
    pthread_mutex_lock(&mount->lock);
    while (!parked && (!mount->ending || subject->refresh != NULL)) {
        if (subject->refresh == NULL)
            subject->stop = false;
        struct version *wanted = subject->refresh == NULL ? next_face(subject, owed) : NULL;
        if (wanted != NULL) {
            owed &= wanted == subject->current;
            if (wanted->want_sizes | wanted->want_bytes)
                do_face(subject, wanted);
            else
                do_view(subject, wanted);
        } else if (subject->refresh != NULL || subject->want_refresh) {
            parked = !do_refresh(subject);
            owed = true;
        } else {
            break;
        }
        if (subject->stop && subject->refresh == NULL) {
            /* It was stopped since no request waits: what was wanted is not wanted any more. */
            subject->want_refresh = false;
            subject->next_sizes = 0;
            subject->next_any_size = false;
            subject_unwant_all(subject);
            wait_call(&mount->waits, &subject->waiting);
        }
    }
    if (!parked)
        subject->running = false;
    pthread_mutex_unlock(&mount->lock);
    patience_end(&patience);
}

void job_start(struct subject *subject)
{
    struct mount *mount = subject->table->mount;
    subject->running = true;
    subject->stop = false;
    progress_begin(&subject->progress);
    if (waiters_add(mount->waiters, run_job, subject) < 0) {
        struct error error = {"no memory for a job"};
        subject->running = false;
        fail_subject(subject, -ENOMEM, &error);
    }
}

void job_stop(struct subject *subject)
{
    subject->stop = true;
    if (subject->fetch != NULL)
        fetch_stop(subject->fetch);
    if (subject->refresh != NULL && subject->refresh->waiting.at != NULL) {
        wait_take_off(&subject->refresh->waiting);
        resume(subject);
    }
    if (subject->refresh != NULL && subject->table->mount->place.line != NULL)
        lock_turn_call(subject->table->mount->place.line, turn_of(subject));
}
