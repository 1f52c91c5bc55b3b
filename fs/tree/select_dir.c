#include "fs/tree/select_dir.h"

#include "fs/base/name.h"
#include "fs/tree/call.h"
#include "fs/tree/table_file.h"
#include "fs/tree/table_lookup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int face_of(const struct node *directory, const char *name)
{
    size_t stem;
    (void)directory;
    return format_of_file(name, &stem);
}

static struct table *table_of(struct mount *mount, const struct node *directory)
{
    const struct relation *relation = node_relation(mount, directory->parent);
    return relation != NULL ? table_get(mount, relation) : NULL;
}

static struct subject *subject_of(struct mount *mount, const struct node *directory,
                                  const char *name)
{
    struct table *table = table_of(mount, directory);
    char *columns = NULL;
    size_t stem;
    if (table == NULL || format_of_file(name, &stem) < 0 || name_decode(name, stem, &columns) < 0)
        return NULL;
    struct subject *subject = table_selection(table, columns);
    free(columns);
    return subject;
}

static int look_up_selection(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    char *columns;
    size_t stem;
    if (format_of_file(lookup->name, &stem) < 0)
        return -ENOENT;
    int rc = name_decode(lookup->name, stem, &columns);
    if (rc < 0)
        return rc;
    free(columns);
    return table_lookup(mount, lookup, out);
}

/* Puts a line for the list of columns, if it has failed, and for each of its files that has. */
static size_t reasons_of(const struct subject *subject, char *text, size_t size)
{
    const struct version *version = subject->current;
    size_t n = 0;
    if (subject->error.text[0] != '\0')
        n += (size_t)snprintf(text, size, "%s: %s\n", subject->columns, subject->error.text);
    for (int face = 0; version != NULL && face < FORMAT_COUNT && n < size; face++)
        if (version->state[face] == FACE_FAILED && version->reason[face] != NULL)
            n += (size_t)snprintf(text + n, size - n, "%s.%s: %s\n", subject->columns,
                                  formats[face]->name, version->reason[face]);
    return n < size ? n : size;
}

/* Before all else, why there can be no more lists. */
static void reasons(struct mount *mount, struct node *node, char *text, size_t size)
{
    struct table *table = table_of(mount, node);
    struct error full;
    size_t n = 0;
    text[0] = '\0';
    if (table != NULL && table_selections_full(table, &full))
        n = (size_t)snprintf(text, size, "%s\n", full.text);
    for (const struct subject *subject = table != NULL ? table->selections : NULL;
         subject != NULL && n < size; subject = subject->next)
        n += reasons_of(subject, text + n, size - n);
    n = strlen(text);
    if (n > 0 && text[n - 1] == '\n')
        text[n - 1] = '\0';
}

const struct node_class select_dir = {.mode = S_IFDIR | 0555,
                                      .size = sizeof(struct node),
                                      .lookup = look_up_selection,
                                      .doubt = table_lookup_doubt,
                                      .files = &table_selection_class,
                                      .face = face_of,
                                      .subject = subject_of,
                                      .exists = node_exists_in_parent,
                                      .ready = call_need_directory,
                                      .reason = reasons};
