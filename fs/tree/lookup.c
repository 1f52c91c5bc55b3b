#include "fs/tree/lookup.h"

#include "fs/tables/table.h"

#include <errno.h>

int lookup_face(const struct node *parent, const char *name)
{
    size_t n = strlen(parent->name);
    if (parent->kind != NODE_TABLE)
        return -1;
    if (strcmp(name, "schema.sql") == 0)
        return FACE_DDL;
    if (strcmp(name, "manifest.json") == 0)
        return FACE_MANIFEST;
    /* Below partitions/ a foreign schema stands in the directory's name only: the file is called as
     * the directory. */
    if (strncmp(name, parent->name, n) != 0 || name[n] != '.')
        return -1;
    return format_find(name + n + 1, strlen(name + n + 1));
}

static struct subject *subject_of(struct mount *mount, const struct lookup *lookup)
{
    const struct relation *relation = node_relation(mount, lookup->parent);
    struct table *table = relation != NULL ? table_get(mount, relation) : NULL;
    return table != NULL ? table_subject(table, lookup_face(lookup->parent, lookup->name)) : NULL;
}

static bool is_sized(const struct node *file)
{
    return file->version != NULL && version_has_size(file->version, file->face);
}

/* Its page cache is being filled, or may be soon: who is told its size of now takes from the kernel
 * what it has been given so far. */
static bool is_filling(const struct node *file)
{
    bool fetching = file->subject != NULL && file->subject->running;
    return file->filling || (file->offered && !is_sized(file) && fetching);
}

/* Whether who looks up the name must get another node. One that was read along is an ordinary one as
 * soon as its size can be said, or nobody has it open any more: no byte of it is in the page
 * cache. */
static bool is_taken(const struct node *file)
{
    bool reads_along = file->direct && file->opens > 0 && !is_sized(file);
    return file->spoiled || reads_along || is_filling(file) || (file->own && file->version == NULL);
}

/* Of those of a version, or of a subject and pending, the oldest, which stands at the end: who goes
 * by one has that one for as long as the version lasts. */
static struct node *file_with(const struct node *parent, int face, const struct version *version,
                              const struct subject *subject)
{
    struct node *oldest = NULL;
    for (struct node *file = parent->files; file != NULL; file = file->next_file) {
        bool other =
            version == NULL && subject != NULL && file->subject != NULL && file->subject != subject;
        if (file->face == face && node_is_of(file, version) && !other && !is_taken(file))
            oldest = file;
    }
    return oldest;
}

/* One whose size a fetch that is under way will tell; `version` NULL: as far as is known. */
static struct node *file_in_the_making(const struct node *parent, int face,
                                       const struct subject *subject)
{
    struct node *oldest = NULL;
    for (struct node *file = parent->files; file != NULL; file = file->next_file)
        if (file->face == face && file->subject == subject && is_filling(file) && !file->spoiled &&
            !file->own && !file->direct &&
            (file->version == NULL || file->version == subject->current))
            oldest = file;
    return oldest;
}

/* One of which nobody was told anything can be of any version. */
static bool can_be_bound(const struct node *file, const struct version *version)
{
    return file->version == NULL && !file->filling && version_has_size(version, file->face);
}

/* The version that the caller is shown without asking; NULL: only the server can tell. */
static struct version *sure_version(const struct subject *subject, const struct lookup *lookup)
{
    const struct promise *promise = subject_promised(subject, lookup->caller);
    struct version *stays = subject_stays(subject, lookup->caller);
    bool refreshed = lookup->waited && (int)(subject->refreshes - lookup->refreshes_seen) > 0;
    return promise != NULL                        ? promise->version
           : stays != NULL                        ? stays
           : refreshed || subject_leased(subject) ? subject->current
                                                  : NULL;
}

/* It was told ESTALE. */
static bool wants_its_own(const struct subject *subject, const struct lookup *lookup)
{
    const struct promise *promise = subject_promised(subject, lookup->caller);
    return promise != NULL && promise->version == NULL;
}

struct node *lookup_doubt(struct mount *mount, const struct lookup *lookup)
{
    const struct node *parent = lookup->parent;
    int face = lookup_face(parent, lookup->name);
    const struct subject *subject = face >= 0 ? subject_of(mount, lookup) : NULL;
    if (subject == NULL || wants_its_own(subject, lookup))
        return NULL;
    struct version *sure = sure_version(subject, lookup);
    struct version *version = sure != NULL ? sure : subject->current;
    struct node *file = version != NULL ? file_with(parent, face, version, subject) : NULL;
    if (file != NULL)
        return sure == NULL && file->opens > 0 ? file : NULL;
    file = file_in_the_making(parent, face, subject);
    bool ready =
        file != NULL && sure != NULL && sure == subject->current && can_be_bound(file, sure);
    return ready ? NULL : file;
}

static int file_new(struct mount *mount, const struct lookup *lookup, struct subject *subject,
                    struct node **out)
{
    struct node *node = node_new(mount, lookup->parent, NODE_FILE, lookup->name);
    if (node == NULL)
        return -ENOMEM;
    node->face = lookup_face(lookup->parent, lookup->name);
    node_set_subject(node, subject);
    *out = node;
    return 0;
}

/* The name leads to it for good: who goes by one that is pending keeps that. */
static struct node *pending_for(const struct lookup *lookup, const struct subject *subject,
                                const struct version *version)
{
    int face = lookup_face(lookup->parent, lookup->name);
    if (version != subject->current)
        return NULL;
    struct node *file = file_in_the_making(lookup->parent, face, subject);
    if (file == NULL || !can_be_bound(file, version))
        file = file_with(lookup->parent, face, NULL, subject);
    return file != NULL && file->subject == subject && !file->filling ? file : NULL;
}

static int file_of(struct mount *mount, const struct lookup *lookup, struct subject *subject,
                   struct version *version, struct node **out)
{
    int face = lookup_face(lookup->parent, lookup->name), rc = 0;
    *out = file_with(lookup->parent, face, version, subject);
    if (*out != NULL)
        return 0;
    *out = pending_for(lookup, subject, version);
    if (*out == NULL) {
        rc = file_new(mount, lookup, subject, out);
        if (rc == 0)
            (*out)->told = version_has_size(version, face); /* all that is ever said of it */
    }
    if (rc == 0)
        node_bind(*out, version);
    return rc;
}

/* Whether the version holds is asked later, by stat or open. A file that somebody has open must go
 * on answering for what it is: where it can be mistaken, or is likely to be of the past, a fresh node
 * has to ask. */
static bool may_ask_later(const struct node *file, const struct lookup *lookup)
{
    return file->opens == 0 ||
           (lookup->waited && !lookup->changed && caller_is_process(lookup->caller) &&
            !node_is_opened_by(file, lookup->caller));
}

static int file_to_ask(struct mount *mount, const struct lookup *lookup, struct subject *subject,
                       struct node **out)
{
    int face = lookup_face(lookup->parent, lookup->name);
    struct version *current = subject != NULL ? subject->current : NULL;
    *out = current != NULL ? file_with(lookup->parent, face, current, subject) : NULL;
    if (*out != NULL && may_ask_later(*out, lookup))
        return 0;
    *out = file_with(lookup->parent, face, NULL, subject);
    return *out != NULL ? 0 : file_new(mount, lookup, subject, out);
}

int lookup_file(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    struct subject *subject = subject_of(mount, lookup);
    bool own = subject != NULL && wants_its_own(subject, lookup);
    struct version *sure = subject != NULL && !own ? sure_version(subject, lookup) : NULL;
    int rc = own            ? file_new(mount, lookup, subject, out)
             : sure != NULL ? file_of(mount, lookup, subject, sure, out)
                            : file_to_ask(mount, lookup, subject, out);
    if (rc < 0)
        return rc;
    (*out)->own |= own;
    (*out)->direct = false;
    node_renew(*out);
    const struct glance glance = {.nodeid = (*out)->nodeid,
                                  .asks = sure == NULL && caller_is_process(lookup->caller),
                                  .waited = lookup->waited,
                                  .refreshes_seen = lookup->refreshes_seen};
    if ((*out)->subject != NULL)
        promise_show(&(*out)->subject->promises, lookup->caller, (*out)->version, &glance);
    return 0;
}
