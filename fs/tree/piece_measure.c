#include "fs/tree/piece_measure.h"

#include "fs/base/log.h"
#include "fs/base/patience.h"
#include "fs/tables/job_wanted.h"
#include "fs/tree/tree.h"

#include <errno.h>
#include <stdlib.h>

struct piece_measure {
    struct piece_measure *next, **at; /* the list is mount->tree->piece_measures */
    struct mount *mount;
    struct subject *subject;
    struct version *version; /* a reference */
    struct view view;
    uint64_t nodeid;
    piece_measured *done;
    struct wait waiting;
    atomic_bool stop;
    struct progress progress;
};

/* Whether all bodies of the format have been measured: from the end, since they are measured in order. */
static bool is_last(const struct piece_measure *measure)
{
    const struct snapshot *snapshot = measure->version->snapshot;
    size_t i = snapshot->group_count;
    while (i > 0 && group_size(snapshot->groups[i - 1], &measure->view.rendition) != SIZE_UNKNOWN)
        i--;
    return i == 0 && !snapshot_face(snapshot, measure->view.rendition.format)->measured;
}

/* With the last of all bodies the size of the whole file is known, and the job saves them all in
 * the record. */
static void want_whole(const struct piece_measure *measure)
{
    int format = 0;
    while (formats[format] != measure->view.rendition.format)
        format++;
    job_want_face(measure->subject, measure->version, format, NEED_SIZE);
}

static void end_measuring(struct piece_measure *measure, int rc, const struct error *error,
                          bool last)
{
    struct mount *mount = measure->mount;
    struct subject *subject = measure->subject;
    const char *reason = error->text[0] != '\0' ? error->text : strerror(-rc);
    pthread_mutex_lock(&mount->lock);
    *measure->at = measure->next;
    if (measure->next != NULL)
        measure->next->at = measure->at;
    measure->version->opens--;
    subject->opens--;
    if (rc < 0 && rc != -EINTR) {
        error_set(&subject->error, rc, "%s", reason);
        log_say(LOG_SAY_ERROR, "%s.%s: %s", subject->table->relation.schema,
                subject->table->relation.name, reason);
    }
    if (rc == 0 && measure->version == subject->current) {
        subject_extend(subject);
        if (last && !mount->ending)
            want_whole(measure);
    }
    measure->done(mount, measure->nodeid, rc < 0 && rc != -EINTR ? user_errno(rc) : rc, reason);
    wait_call(&mount->waits, &measure->waiting);
    version_unref(measure->version);
    pthread_mutex_unlock(&mount->lock);
    free(measure);
}

static void measure_piece(void *argument)
{
    struct piece_measure *measure = argument;
    struct error error = {""};
    struct patience patience = {.waits = true, .stop = &measure->stop};
    patience_begin(&patience);
    int rc = fetch_measure(&measure->mount->place, &measure->view, &measure->stop, NULL,
                           &measure->progress, &error);
    patience_end(&patience);
    if (rc == -EBADMSG) { /* trying again would not help */
        rc = view_refuse(&measure->view, -EIO, error.text);
        rc = rc == 0 ? -EIO : rc;
    }
    end_measuring(measure, rc, &error, rc == 0 && is_last(measure));
}

int piece_measure_start(struct subject *subject, struct version *version, const struct view *view,
                        uint64_t nodeid, piece_measured *done, struct piece_measure **out)
{
    struct mount *mount = subject->table->mount;
    struct piece_measure *measure = calloc(1, sizeof *measure);
    if (measure == NULL)
        return -ENOMEM;
    measure->mount = mount;
    measure->subject = subject;
    measure->version = version;
    measure->view = *view;
    measure->nodeid = nodeid;
    measure->done = done;
    measure->stop = mount->ending;
    if (waiters_add(mount->waiters, measure_piece, measure) < 0) {
        free(measure);
        return -ENOMEM;
    }
    version_ref(version);
    measure->next = mount->tree->piece_measures;
    measure->at = &mount->tree->piece_measures;
    if (measure->next != NULL)
        measure->next->at = &measure->next;
    mount->tree->piece_measures = measure;
    /* The version's row groups must stay meanwhile. */
    subject->opens++;
    version->opens++;
    *out = measure;
    return 0;
}

struct wait *piece_measure_waiting(struct piece_measure *measure) { return &measure->waiting; }

void piece_measure_stop(struct piece_measure *measure) { measure->stop = true; }

void piece_measure_stop_all(struct mount *mount)
{
    for (struct piece_measure *measure = mount->tree->piece_measures; measure != NULL;
         measure = measure->next)
        measure->stop = true;
}
