#include "fs/tables/job_wanted.h"

#include "codec/clock.h"
#include "fs/base/log.h"
#include "fs/tables/job.h"

enum { ORPHAN_MS = 10000 /* a job goes on for this long while no request waits */ };

void job_renew(struct subject *subject)
{
    enum { WORTH_MS = 1000, SHARE = 4 }; /* renew in the last quarter of a lease */
    int64_t lease = subject->table->mount->options->lease_ms;
    if (lease >= WORTH_MS && !subject->running && subject->lease_until - clock_ms() < lease / SHARE)
        job_want_refresh(subject, -1);
}

static void want_job(struct subject *subject)
{
    subject->wanted_at = clock_ms();
    if (!subject->running)
        job_start(subject);
}

void job_want_refresh(struct subject *subject, int face)
{
    subject->next_any_size = true;
    job_want_glance(subject, face);
}

void job_want_glance(struct subject *subject, int face)
{
    subject->want_refresh = true;
    if (face >= 0)
        subject->next_sizes |= 1U << face;
    want_job(subject);
}

/* The versions come in the order in which they were wanted. */
static void want_of(struct subject *subject, struct version *version)
{
    version->wanted_at = clock_ms();
    if (version_is_wanted(version))
        return;
    struct version **last = &subject->wanted;
    while (*last != NULL)
        last = &(*last)->next_wanted;
    *last = version_ref(version);
}

void job_want_view(struct subject *subject, struct version *version, struct version_view *view)
{
    want_of(subject, version);
    version_want_view(version, view, true);
    want_job(subject);
}

void job_want_face(struct subject *subject, struct version *version, int face, enum need need)
{
    want_of(subject, version);
    version->want_sizes |= 1U << face;
    if (need == NEED_BYTES)
        version->want_bytes |= 1U << face;
    want_job(subject);
}

/* A face of a superseded version is wanted only by callers that use that version. */
static bool is_orphaned(const struct subject *subject, int64_t now)
{
    const struct version *making = subject->making;
    bool past = making != NULL && making != subject->current;
    return subject->running && now - (past ? making->wanted_at : subject->wanted_at) > ORPHAN_MS;
}

static void tend_subject(struct subject *subject, int64_t now)
{
    if (subject->streams > 0)
        subject->wanted_at = now;
    if (is_orphaned(subject, now) && !subject->stop) {
        log_say(LOG_SAY_INFO, "%s.%s: nobody waits any more; the fetch ends",
                subject->table->relation.schema, subject->table->relation.name);
        job_stop(subject);
    }
    subject_tend(subject, now);
}

void job_tend_all(struct mount *mount)
{
    table_each_subject(mount, tend_subject);
    table_free_idle(mount);
}

static void stop_subject(struct subject *subject, int64_t now)
{
    (void)now;
    if (subject->running)
        job_stop(subject);
}

void job_stop_all(struct mount *mount) { table_each_subject(mount, stop_subject); }
