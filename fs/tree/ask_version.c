#include "fs/tree/ask_parts.h"

#include "codec/clock.h"
#include "fs/tables/job_wanted.h"
#include "fs/tables/listing.h"

#include <errno.h>
#include <stddef.h>

struct subject *ask_subject(const struct ask *ask)
{
    return ask->node != NULL ? node_rows(ask->mount, ask->node) : NULL;
}

/* What a conversation waits for has come, or failed. */
struct news {
    bool come, failed, refreshed;
    int rc;
    const struct error *error;
};

static struct news news_for(const struct ask *ask)
{
    const struct mount *mount = ask->mount;
    const struct subject *subject = ask->waits_for;
    if (subject == NULL)
        return (struct news){.come = listing_is_after(mount, ask->listing_seen),
                             .failed = mount->catalog_failures != ask->failures_seen,
                             .rc = mount->catalog_rc,
                             .error = &mount->catalog_error};
    bool refreshed = (int)(subject->refreshes - ask->refreshes_seen) > 0;
    return (struct news){.come = refreshed || subject_leased(subject),
                         .failed = subject->failures != ask->failures_seen,
                         .refreshed = refreshed,
                         .rc = subject->rc,
                         .error = &subject->error};
}

static struct wait *what_it_waits_for(const struct ask *ask)
{
    return ask->waits_for != NULL ? &ask->waits_for->waiting : &ask->mount->waiting;
}

static struct wait *try_again(struct waiting *waiting)
{
    struct ask *ask = (struct ask *)((char *)waiting - offsetof(struct ask, version));
    struct news news = news_for(ask);
    if (!news.come && !news.failed)
        return what_it_waits_for(ask);
    ask->state = WORKING;
    if (ask_begin_work(ask) < 0) {
        ask->state = WAITING; /* it is tried again the next time */
        return what_it_waits_for(ask);
    }
    ask->refreshed = news.refreshed;
    ask->failed =
        news.failed && !news.refreshed && (ask->waits_for != NULL || !news.come) ? news.rc : 0;
    ask->failure = *news.error;
    ask->waits_for = NULL;
    return NULL;
}

static void begin_waiting(struct ask *ask)
{
    ask->state = WAITING;
    ask->version.try = try_again;
    wait_hang(what_it_waits_for(ask), &ask->version);
}

/* The name may belong to another relation by now, or to a new one: -EAGAIN, a later catalog is
 * wanted. */
static int look_again(struct ask *ask, struct error *error)
{
    struct mount *mount = ask->mount;
    if (ask->lent_size > 0 && ask_keep_lent(ask) < 0)
        return error_set(error, -ENOMEM, "no memory");
    ask_count_anew(ask);
    ask->looked_again = true;
    ask->waits_for = NULL;
    ask->listing_seen = listing_now(mount);
    ask->failures_seen = mount->catalog_failures;
    begin_waiting(ask);
    if (!mount->catalog_running || !mount->catalog_wanted)
        listing_check(mount);
    return -EAGAIN;
}

int ask_need_version(struct ask *ask, struct subject *subject, struct error *error)
{
    int rc = ask->failed;
    ask->failed = 0;
    bool gone = rc == -ENOENT && ask->relation != ask->gone;
    if (gone) {
        ask->gone = ask->relation;
        ask->looked_again = false;
    }
    if ((gone || (rc == 0 && subject == NULL)) && !ask->looked_again && !ask->stop)
        return look_again(ask, error);
    if (rc < 0) {
        *error = ask->failure;
        return rc;
    }
    if (subject == NULL)
        return error_set(error, -ENOENT, "the table is not there any more");
    if ((ask->refreshed || subject_leased(subject)) && subject->current != NULL) {
        job_renew(subject);
        return 0;
    }
    if (ask->lent_size > 0 && ask_keep_lent(ask) < 0)
        return error_set(error, -ENOMEM, "no memory");
    ask_count_anew(ask);
    ask->waits_for = subject;
    ask->relation = subject->table->relation.oid;
    ask->refreshes_seen = subject->refreshes + subject->refreshing;
    ask->failures_seen = subject->failures;
    begin_waiting(ask);
    job_want_refresh(subject, -1);
    return -EAGAIN;
}

void ask_tend(struct mount *mount)
{
    ask_serve_line(mount);
    for (struct ask *ask = mount->tree->asks; ask != NULL; ask = ask->next)
        if (ask->state == WAITING) /* there may have been no thread to go on with it */
            wait_make_due(&mount->waits, &ask->version);
    wait_try_due(&mount->waits);
    for (struct ask *ask = mount->tree->asks; ask != NULL; ask = ask->next)
        if (ask->state == WAITING && ask->waits_for != NULL) {
            ask->waits_for->wanted_at = clock_ms();
            if (!ask->waits_for->running)
                job_want_refresh(ask->waits_for, -1);
        } else if (ask->state == WAITING && !mount->catalog_running && !news_for(ask).come) {
            listing_check(mount); /* there was no thread to ask for the catalog, either */
        }
}
