#include "fs/tables/version.h"

#include "fs/rows/snapshot_view.h"

#include <stdlib.h>

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

struct version *version_ref(struct version *version)
{
    atomic_fetch_add(&version->refs, 1);
    return version;
}

static void free_version(void *argument)
{
    struct version *version = argument;
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
