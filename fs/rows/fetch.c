#include "fs/rows/fetch.h"

#include "codec/clock.h"
#include "codec/column_list.h"
#include "fs/base/log.h"
#include "fs/rows/fetch_making.h"
#include "fs/rows/snapshot_settle.h"

#include <errno.h>
#include <stdlib.h>

enum { ATTEMPTS = 3 };

struct tries {
    bool led;    /* an attempt has reached the server */
    bool enough; /* it has waited for a lock too long, or given one up too often */
    bool let_go; /* it has let go because others wanted our locks; so often: */
    int gave_way;
    int failed; /* not counting attempts that let go */
};

struct fetch {
    const struct fetch_place *place;
    struct crew *crew;
    struct fetch_making making;
    struct tries tries;
    struct lock_turn turn;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t stopping;
    bool stopped;
    bool held; /* the crew belongs to the snapshot: stopping the fetch must not stop it */
};

int fetch_new(const struct fetch_place *place, struct progress *progress, struct fetch **out)
{
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (fetch == NULL)
        return -ENOMEM;
    if (crew_new(place->pool, place->jobs, place->enders, &fetch->crew) < 0) {
        free(fetch);
        return -ENOMEM;
    }
    fetch->place = place;
    fetch_making_init(&fetch->making, place, fetch->crew, progress);
    progress->rows = progress->bytes = progress->groups_copied = progress->groups_kept = 0;
    progress_stage(progress, STAGE_WAITING, 0);
    pthread_mutex_init(&fetch->lock, NULL);
    clock_cond_init(&fetch->stopping);
    *out = fetch;
    return 0;
}

void fetch_free(struct fetch *fetch)
{
    if (fetch == NULL)
        return;
    crew_unref(fetch->crew);
    fetch_making_clear(&fetch->making);
    pthread_cond_destroy(&fetch->stopping);
    pthread_mutex_destroy(&fetch->lock);
    free(fetch);
}

void fetch_stop(struct fetch *fetch)
{
    pthread_mutex_lock(&fetch->lock);
    fetch->stopped = true;
    pthread_cond_broadcast(&fetch->stopping);
    if (!fetch->held)
        crew_stop(fetch->crew);
    pthread_mutex_unlock(&fetch->lock);
}

const struct feed_ids *fetch_made_of(const struct fetch *fetch)
{
    return &fetch->making.relay.made_of;
}

struct feed *fetch_feed(struct fetch *fetch) { return feed_relay_now(&fetch->making.relay); }

bool fetch_has_changes(struct fetch *fetch) { return fetch->making.changes; }

void fetch_after(struct fetch *fetch, int64_t mtime) { fetch->making.after = mtime; }

void fetch_choose(struct fetch *fetch, const char *columns) { fetch->making.columns = columns; }

void fetch_at_most(struct fetch *fetch, uint64_t bytes) { fetch->making.bytes_most = bytes; }

void fetch_prefill(struct fetch *fetch, int format, struct prefill *prefill)
{
    fetch->making.prefills[format] = prefill;
}

/* Whether copying may lock more than what is locked by now, through users' functions that it
 * runs. */
static bool may_lock_more(const struct readpoint *readpoint)
{
    return !readpoint->schema->with_row_ids || readpoint->json_apart;
}

/* If one of the columns does not exist, neither does the file. */
static int choose_columns(struct fetch *fetch, struct error *error)
{
    struct readpoint *readpoint = crew_readpoint(fetch->crew);
    int *numbers, count;
    int rc = column_list_numbers(fetch->making.columns, readpoint->schema, &numbers, &count, error);
    if (rc < 0)
        return rc == -EINVAL ? -ENOENT : rc;
    rc = readpoint_choose(readpoint, numbers, count);
    free(numbers);
    return rc < 0 ? error_set(error, rc, "no memory to fetch with") : 0;
}

static int open_chosen(struct fetch *fetch, const struct relation *relation, struct error *error)
{
    int rc = crew_open(fetch->crew, relation, error);
    return rc == 0 && fetch->making.columns != NULL ? choose_columns(fetch, error) : rc;
}

/* Where others have the lock it is waited for as long as the turn allows. */
static int lock_and_open(struct fetch *fetch, const struct relation *relation, struct error *error)
{
    struct lock_line *line = fetch->place->line;
    if (line == NULL)
        return open_chosen(fetch, relation, error);
    crew_lock_patience(fetch->crew, lock_turn_begin(line, &fetch->turn));
    int rc = open_chosen(fetch, relation, error);
    bool all = rc == 0 && !may_lock_more(crew_readpoint(fetch->crew));
    lock_turn_end(line, &fetch->turn, all);
    if (all)
        lock_wait_over(line->waits, &fetch->turn.wait);
    else if (rc == 0)
        lock_wait_rest(line->waits, &fetch->turn.wait);
    return rc;
}

/* If groups found no room on disk, the snapshot holds the read point: its readers get those groups
 * from there as long as they need the snapshot. */
static int fetch_under(struct fetch *fetch, const struct relation *relation, struct snapshot *old,
                       struct snapshot **out, struct error *error)
{
    int rc = fetch_making_nothing_happened(&fetch->making, old, error);
    if (rc != 0) {
        *out = rc > 0 ? snapshot_ref(old) : NULL;
        return rc < 0 ? rc : 0;
    }
    rc = lock_and_open(fetch, relation, error);
    if (rc < 0)
        return rc;
    rc = fetch_making_run(&fetch->making, relation, old, out, error);
    if (rc != -EBUSY && fetch->place->line != NULL)
        lock_wait_over(fetch->place->waits, &fetch->turn.wait);
    if (fetch_is_passing(rc))
        fetch_making_leave(&fetch->making);
    if (rc == 0 && *out != old && fetch->making.copy.unstored && fetch->place->held != NULL) {
        pthread_mutex_lock(&fetch->lock);
        if (fetch->stopped)
            rc = error_set(error, -EINTR, "stopped");
        else
            fetch->held = snapshot_hold(*out, fetch->crew, fetch->place->held);
        pthread_mutex_unlock(&fetch->lock);
        if (rc < 0)
            snapshot_unref(*out);
    }
    fetch_making_done(&fetch->making);
    return rc;
}

/* Pauses after a failed attempt, unless the fetch is stopped. */
static void pause_before(struct fetch *fetch, int milliseconds)
{
    struct timespec until = clock_after_ms(milliseconds);
    pthread_mutex_lock(&fetch->lock);
    while (!fetch->stopped &&
           pthread_cond_timedwait(&fetch->stopping, &fetch->lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&fetch->lock);
}

/* Whether to try again. A connection may be lost, and a standby ends a COPY that stands in the way
 * of its recovery: another attempt may succeed a moment later. For another session's lock the fetch
 * waits as long as that takes: -EINPROGRESS. */
static bool try_again(struct fetch *fetch, int *rc, const struct error *error)
{
    struct tries *tries = &fetch->tries;
    const struct relation *relation = fetch->turn.wait.relation;
    if (!fetch_is_passing(*rc) || tries->enough || !tries->led)
        return false; /* the server cannot be reached: asking three times is of no use */
    bool locked = *rc == -EBUSY;
    if (!locked && !tries->let_go && ++tries->failed >= ATTEMPTS)
        return false;
    fetch_making_spoil_prefills(&fetch->making);
    progress_stage(fetch->making.copy.progress, STAGE_WAITING, 0);
    if (locked) {
        *rc = -EINPROGRESS;
        return false;
    }
    if (!tries->let_go)
        log_say(LOG_SAY_INFO, "%s.%s: %s; trying again", relation->schema, relation->name,
                error->text[0] != '\0' ? error->text : strerror(-*rc));
    pause_before(fetch, tries->let_go ? LOCK_PAUSE_MS : tries->failed * 1000);
    tries->let_go = false;
    return true;
}

/* Another session has a lock. Notes which. Negative: it has had the lock for too long. */
static int wait_for_lock(struct fetch *fetch, struct error *error)
{
    struct error reason = {""};
    struct lock_line *line = fetch->place->line;
    if (line == NULL)
        return -EBUSY;
    int rc = lock_wait_note(line->waits, &fetch->turn.wait, crew_leader(fetch->crew), &reason);
    if (rc < 0)
        *error = reason;
    return rc;
}

/* Another session waits for a lock that this attempt had. -EAGAIN; -EBUSY after five times in a
 * row. */
static int note_giving_way(struct fetch *fetch, const char *why, struct error *error)
{
    enum { TIMES = 5 };
    struct tries *tries = &fetch->tries;
    const struct relation *relation = fetch->turn.wait.relation;
    tries->let_go = true;
    tries->enough = ++tries->gave_way >= TIMES;
    fetch->making.copy.progress->gave_way++;
    log_say(LOG_SAY_INFO, "%s.%s: the fetch lets go of its locks, since %s; %s", relation->schema,
            relation->name, why, tries->enough ? "it ends" : "it goes on later");
    return tries->enough ? error_set(error, -EBUSY,
                                     "%s.%s could not be read to its end, %d times in a row, "
                                     "because others wanted to lock it: %s",
                                     relation->schema, relation->name, TIMES, why)
                         : error_set(error, -EAGAIN, "%s", why);
}

/* One attempt. *out: a fresh snapshot, or `old` again. */
static int try(struct fetch *fetch, struct snapshot *old, struct snapshot **out,
               struct error *error)
{
    struct tries *tries = &fetch->tries;
    int rc = crew_lead(fetch->crew, fetch->turn.wait.relation, error);
    if (rc < 0 && rc != -EBUSY)
        return rc;
    tries->led = true;
    if (rc == 0)
        rc = fetch_under(fetch, fetch->turn.wait.relation, old, out, error);
    char why[256];
    int waits = rc == -EBUSY ? wait_for_lock(fetch, error) : 0;
    tries->enough |= waits < 0;
    if (rc == -EBUSY)
        rc = waits < 0 ? waits : rc;
    else if (rc < 0 && rc != -EINTR && crew_is_wanted(fetch->crew, why, sizeof why))
        rc = note_giving_way(fetch, why, error);
    if (!fetch->held)
        crew_dismiss(fetch->crew);
    return rc;
}

struct lock_turn *fetch_turn(struct fetch *fetch) { return &fetch->turn; }

int fetch_table(struct fetch *fetch, const struct relation *relation, struct snapshot *old,
                unsigned measure, struct snapshot **out, struct error *error)
{
    fetch->making.copy.measure = measure;
    struct snapshot *fresh = NULL;
    struct error reason = {""};
    int rc;
    if (fetch->turn.wait.since == 0) {
        fetch->turn.wait.relation = relation;
        fetch->turn.wait.what = "rows";
    }
    do {
        rc = try(fetch, old, &fresh, &reason);
    } while (try_again(fetch, &rc, &reason));
    if (rc == -EINPROGRESS)
        return rc;
    if (fetch->place->line != NULL)
        lock_wait_over(fetch->place->waits, &fetch->turn.wait);
    rc = rc == -EREMOTEIO ? -EIO : rc; /* it is no refusal, but those that wait treat it alike */
    if (rc == -ENOMEM && reason.text[0] == '\0')
        error_no_memory(&reason);
    feed_relay_settle(&fetch->making.relay, rc, fresh, reason.text);
    if (rc < 0) {
        if (error != NULL)
            *error = reason;
        return rc;
    }
    *out = snapshot_settle(fresh, old);
    return 0;
}
