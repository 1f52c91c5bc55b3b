#include "fs/tables/version.h"

#include "fs/base/log.h"

#include <stdlib.h>
#include <string.h>

bool version_lacks(const struct version *version, int face)
{
    const struct snapshot *snapshot = version->snapshot;
    unsigned made_of = face < FORMAT_COUNT     ? 1U << face
                       : face == FACE_MANIFEST ? version->mount->options->listed_formats
                                               : 0;
    for (int i = 0; i < FORMAT_COUNT && snapshot != NULL; i++)
        if ((made_of & 1U << i) && snapshot_face(snapshot, formats[i])->refused == 0 &&
            !formats[i]->possible(snapshot->schema))
            return true;
    return false;
}

void version_say_failure(struct version *version, int face)
{
    if (face >= FORMAT_COUNT || !(version->unsaid & 1U << face))
        return;
    version->unsaid &= ~(1U << face);
    version_log_refused(version->snapshot, face);
}

void version_log_refused(const struct snapshot *snapshot, int format)
{
    const struct face *face = snapshot_face(snapshot, formats[format]);
    log_say(LOG_SAY_ERROR, "%s.%s: no %s: %s", snapshot->relation.schema, snapshot->relation.name,
            formats[format]->name, face->reason != NULL ? face->reason : strerror(-face->refused));
}

static bool view_same(const struct view *a, const struct view *b)
{
    return a->first == b->first && a->end == b->end && rendition_same(&a->rendition, &b->rendition);
}

struct version_view *version_view(struct version *version, const struct view *view)
{
    struct version_view *known = version->views;
    while (known != NULL && !view_same(&known->view, view))
        known = known->next;
    if (known != NULL)
        return known;
    known = calloc(1, sizeof *known);
    if (known == NULL)
        return NULL;
    known->view = *view;
    columns_ref(known->view.rendition.columns);
    known->next = version->views;
    version->views = known;
    return known;
}

static void free_views(struct version_view *first)
{
    struct version_view *next;
    for (struct version_view *view = first; view != NULL; view = next) {
        next = view->next;
        columns_unref(view->view.rendition.columns);
        free(view->reason);
        free(view);
    }
}

void version_want_view(struct version *version, struct version_view *view, bool wanted)
{
    version->views_wanted += wanted - view->wanted;
    view->wanted = wanted;
}

void version_want_nothing(struct version *version)
{
    version->want_sizes = version->want_bytes = 0;
    for (struct version_view *view = version->views; view != NULL; view = view->next)
        version_want_view(version, view, false);
}

const struct pieces *version_pieces(struct version *version)
{
    if (version->pieces == NULL &&
        pieces_new(version->snapshot, version->mount->options->part_size, &version->pieces) < 0)
        return NULL;
    return version->pieces;
}

struct version *version_ref(struct version *version)
{
    atomic_fetch_add(&version->refs, 1);
    return version;
}

static void free_version(void *argument)
{
    struct version *version = argument;
    free_views(version->views);
    pieces_free(version->pieces);
    snapshot_unref(version->snapshot);
    free(version->signature);
    for (int i = 0; i < FACE_COUNT; i++) {
        buffer_clear(&version->text[i]);
        free(version->reason[i]);
    }
    free(version);
}

/* Dropping the last reference deletes files: not to be called under the mount's lock. */
void version_unref(struct version *version)
{
    if (version == NULL || atomic_fetch_sub(&version->refs, 1) != 1)
        return;
    if (version->mount->enders != NULL)
        waiters_put(version->mount->enders, &version->ending, free_version, version);
    else
        free_version(version);
}
