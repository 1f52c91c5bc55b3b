#include "fs/tables/refreshes.h"

#include <stdlib.h>
#include <string.h>

static void clear(struct refresh *refresh)
{
    free(refresh->schema);
    free(refresh->name);
    free(refresh->columns);
    *refresh = (struct refresh){0};
}

void refreshes_add(struct refreshes *refreshes, const struct refresh *refresh)
{
    struct refresh copy = *refresh;
    copy.schema = strdup(refresh->schema);
    copy.name = strdup(refresh->name);
    copy.columns = refresh->columns != NULL ? strdup(refresh->columns) : NULL;
    if (copy.schema == NULL || copy.name == NULL ||
        (copy.columns == NULL && refresh->columns != NULL)) {
        clear(&copy);
        return;
    }
    struct refresh *place = &refreshes->kept[refreshes->count++ % REFRESHES_KEPT];
    clear(place);
    *place = copy;
}

void refreshes_clear(struct refreshes *refreshes)
{
    for (size_t i = 0; i < REFRESHES_KEPT; i++)
        clear(&refreshes->kept[i]);
    refreshes->count = 0;
}

const char *refresh_result_name(enum refresh_result result)
{
    static const char *const names[] = {[REFRESH_NEW] = "new",
                                        [REFRESH_CHANGED] = "changed",
                                        [REFRESH_UNCHANGED] = "unchanged",
                                        [REFRESH_FAILED] = "failed",
                                        [REFRESH_STOPPED] = "stopped"};
    return names[result];
}
