#include "fs/rows/measures.h"

#include <errno.h>
#include <stdlib.h>

/* Searches from `first` up to `last`, which has been searched already. */
static const struct measure *search(const struct measure *first, const struct measure *last,
                                    const struct rendition *rendition)
{
    for (const struct measure *at = first; at != last; at = at->next)
        if (rendition_same(&at->rendition, rendition))
            return at;
    return NULL;
}

const struct measure *measures_find(const struct measures *measures,
                                    const struct rendition *rendition)
{
    return search(measures->first, NULL, rendition);
}

static void free_measure(struct measure *measure)
{
    columns_unref(measure->rendition.columns);
    free(measure);
}

int measures_add(struct measures *measures, const struct rendition *rendition, uint64_t size,
                 const struct note *note)
{
    if (measures_find(measures, rendition) != NULL)
        return 0;
    size_t note_size = note != NULL ? note->size : 0;
    struct measure *added = malloc(sizeof *added + note_size), *seen = NULL;
    if (added == NULL)
        return -ENOMEM;
    added->rendition = (struct rendition){rendition->format, columns_ref(rendition->columns)};
    added->size = size;
    added->note_size = note_size;
    if (note_size > 0)
        memcpy(added->note, note->bytes, note_size);
    added->next = NULL;
    while (!atomic_compare_exchange_weak(&measures->first, &added->next, added)) {
        if (search(added->next, seen, rendition) != NULL) {
            free_measure(added);
            break;
        }
        seen = added->next;
    }
    return 0;
}

int measures_copy(struct measures *measures, const struct measures *from)
{
    int rc = 0;
    for (const struct measure *at = from->first; rc == 0 && at != NULL; at = at->next)
        rc = measures_add(measures, &at->rendition, at->size,
                          &(struct note){at->note, at->note_size});
    return rc;
}

void measures_clear(struct measures *measures)
{
    struct measure *next;
    for (struct measure *at = measures->first; at != NULL; at = next) {
        next = at->next;
        free_measure(at);
    }
    measures->first = NULL;
}
