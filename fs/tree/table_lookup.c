#include "fs/tree/table_lookup.h"

#include "fs/tables/lease.h"
#include "fs/tree/table_file.h"

#include <errno.h>
#include <string.h>

/* What the name leads to: the same name is of the same face and subject as long as its relation is. */
static int face_of(const struct lookup *lookup)
{
    return lookup->parent->class->face(lookup->parent, lookup->name);
}

static struct subject *subject_of(struct mount *mount, const struct lookup *lookup)
{
    return lookup->parent->class->subject(mount, lookup->parent, lookup->name);
}

static bool is_sized(const struct table_file *file)
{
    return file->version != NULL && table_file_has_size(file);
}

/* Whether the file's page cache is being filled, or may be soon: an answer with its present size
 * would make the kernel drop what it was given so far. */
static bool is_filling(const struct table_file *file)
{
    bool fetching = file->node.subject != NULL && file->node.subject->running;
    return file->filling || (file->offered && !is_sized(file) && fetching);
}

/* Whether a caller that looks up the name must get another node. A node that was read along is an
 * ordinary one as soon as its size is known, or no process has it open any more: no byte of it is
 * in the page cache. */
static bool is_taken(const struct table_file *file)
{
    bool reads_along = file->direct && file->node.opens > 0 && !is_sized(file);
    return file->spoiled || reads_along || is_filling(file) || (file->own && file->version == NULL);
}

/* The next file of a table at or behind this one in its directory; NULL: none. */
static struct table_file *next_file(struct node *node)
{
    while (node != NULL && !is_table_file(node))
        node = node->next_file;
    return node != NULL ? table_file(node) : NULL;
}

static bool is_named(const struct table_file *file, const struct lookup *lookup)
{
    return strcmp(file->node.name, lookup->name) == 0;
}

/* Of those of a version, or of a subject and pending, the oldest, which stands at the end: a
 * process that goes by one has that one for as long as the version lasts. */
static struct table_file *file_with(const struct lookup *lookup, const struct version *version,
                                    const struct subject *subject)
{
    struct table_file *oldest = NULL;
    for (struct table_file *file = next_file(lookup->parent->files); file != NULL;
         file = next_file(file->node.next_file)) {
        const struct subject *own = file->node.subject;
        bool other = version == NULL && subject != NULL && own != NULL && own != subject;
        if (is_named(file, lookup) && table_file_is_of(file, version) && !other && !is_taken(file))
            oldest = file;
    }
    return oldest;
}

/* One whose size a fetch that is under way will tell; `version` NULL: as far as is known. */
static struct table_file *file_in_the_making(const struct lookup *lookup,
                                             const struct subject *subject)
{
    struct table_file *oldest = NULL;
    for (struct table_file *file = next_file(lookup->parent->files); file != NULL;
         file = next_file(file->node.next_file))
        if (is_named(file, lookup) && file->node.subject == subject && is_filling(file) &&
            !file->spoiled && !file->own && !file->direct &&
            (file->version == NULL || file->version == subject->current))
            oldest = file;
    return oldest;
}

/* Whether the file can be bound to the version: no caller was told anything about it. */
static bool can_be_bound(const struct table_file *file, const struct version *version)
{
    return file->version == NULL && !file->filling && version_has_size(version, file->face);
}

/* Which version the caller is shown without asking, and why; *version NULL: only the server can
 * tell, or the caller gets a node of its own. */
static enum lease_title title_of(const struct subject *subject, const struct lookup *lookup,
                                 struct version **version)
{
    const struct promise *promise = subject_promised(subject, lookup->caller);
    bool refreshed = lookup->waited && (int)(subject->refreshes - lookup->refreshes_seen) > 0;
    *version = promise != NULL ? promise->version : subject_stays(subject, lookup->caller);
    if (promise != NULL)
        return *version != NULL ? LEASE_PROMISED : LEASE_OWN;
    if (*version != NULL)
        return LEASE_STAYS;
    if (refreshed || subject_leased(subject))
        *version = subject->current;
    return *version != NULL ? LEASE_HOLDS : LEASE_UNSURE;
}

/* What the look-up would lead to: *sure is the version of its title, *file the node that there is.
 */
static struct lease_look look_of(const struct subject *subject, const struct lookup *lookup,
                                 struct version **sure, struct table_file **file)
{
    struct lease_look look = {.title = title_of(subject, lookup, sure),
                              .waited = lookup->waited,
                              .changed = lookup->changed,
                              .many = !caller_is_process(lookup->caller)};
    struct version *version = *sure != NULL ? *sure : subject->current;
    *file = version != NULL ? file_with(lookup, version, subject) : NULL;
    if (*file != NULL) {
        look.found = (*file)->node.opens > 0 ? LEASE_FOUND_OPEN : LEASE_FOUND_CLOSED;
        look.opened = table_file_is_opened_by(*file, lookup->caller);
        return look;
    }
    *file = file_in_the_making(lookup, subject);
    bool ready = *sure != NULL && *sure == subject->current;
    if (*file != NULL)
        look.found = ready && can_be_bound(*file, *sure) ? LEASE_FOUND_READY : LEASE_FOUND_MAKING;
    return look;
}

struct node *table_lookup_doubt(struct mount *mount, const struct lookup *lookup)
{
    const struct subject *subject = face_of(lookup) >= 0 ? subject_of(mount, lookup) : NULL;
    struct version *sure;
    struct table_file *file;
    if (subject == NULL)
        return NULL;
    const struct lease_look look = look_of(subject, lookup, &sure, &file);
    return lease_look(&look) == LEASE_SIGHT_WAIT ? &file->node : NULL;
}

static int file_new(struct mount *mount, const struct lookup *lookup, struct subject *subject,
                    struct table_file **out)
{
    return table_file_new(mount, lookup->parent, lookup->name, face_of(lookup), subject, out);
}

/* The pending file that the name then leads to for good: a caller that uses a pending file keeps
 * it. */
static struct table_file *pending_for(const struct lookup *lookup, const struct subject *subject,
                                      const struct version *version)
{
    if (version != subject->current)
        return NULL;
    struct table_file *file = file_in_the_making(lookup, subject);
    if (file == NULL || !can_be_bound(file, version))
        file = file_with(lookup, NULL, subject);
    return file != NULL && file->node.subject == subject && !file->filling ? file : NULL;
}

static int file_of(struct mount *mount, const struct lookup *lookup, struct subject *subject,
                   struct version *version, struct table_file **out)
{
    int rc = 0;
    *out = file_with(lookup, version, subject);
    if (*out != NULL)
        return 0;
    *out = pending_for(lookup, subject, version);
    if (*out == NULL) {
        rc = file_new(mount, lookup, subject, out);
        /* this is all that the kernel is ever told of its size */
        if (rc == 0)
            (*out)->node.told =
                version_has_size(version, face_of(lookup)); /* all that is ever said of it */
    }
    if (rc == 0)
        table_file_bind(*out, version);
    return rc;
}

static int file_to_ask(struct mount *mount, const struct lookup *lookup, struct subject *subject,
                       struct table_file **out)
{
    *out = file_with(lookup, NULL, subject);
    return *out != NULL ? 0 : file_new(mount, lookup, subject, out);
}

/* Notes what the look-up has shown the caller, if the file's subject is known. */
static void show(const struct table_file *file, const struct lookup *lookup, bool sure)
{
    const struct glance glance = {.nodeid = file->node.nodeid,
                                  .asks = !sure && caller_is_process(lookup->caller),
                                  .waited = lookup->waited,
                                  .refreshes_seen = lookup->refreshes_seen};
    if (file->node.subject != NULL)
        promise_show(&file->node.subject->promises, lookup->caller, file->version, &glance);
}

int table_lookup(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    struct subject *subject = subject_of(mount, lookup);
    struct lease_look look = {.title = LEASE_UNSURE};
    struct version *sure = NULL;
    struct table_file *file = NULL;
    if (subject != NULL)
        look = look_of(subject, lookup, &sure, &file);
    look.over = true;
    enum lease_sight sight = lease_look(&look);
    int rc = sight == LEASE_SIGHT_LATER  ? 0
             : sight == LEASE_SIGHT_OWN  ? file_new(mount, lookup, subject, &file)
             : sight == LEASE_SIGHT_SHOW ? file_of(mount, lookup, subject, sure, &file)
                                         : file_to_ask(mount, lookup, subject, &file);
    if (rc < 0)
        return rc;
    file->own |= sight == LEASE_SIGHT_OWN;
    file->direct = false;
    table_file_renew(file);
    show(file, lookup, sure != NULL);
    *out = &file->node;
    return 0;
}
