#include "fs/rows/snapshot_choose.h"

#include "codec/column_list.h"
#include "fs/rows/snapshot_view.h"

#include <errno.h>
#include <stdlib.h>

struct choice {
    const struct snapshot *whole;
    struct schema *schema;
    int *parts; /* of the whole, in the order in which they are numbered in the schema */
};

/* As schema_number would number them. */
static void number_parts(struct choice *choice)
{
    struct schema *schema = choice->schema;
    int next = 0;
    for (int kind = 0; kind < PART_KINDS; kind++) {
        int first = next;
        for (int i = 0; i < schema->column_count; i++) {
            int *part = &schema->columns[i].part[kind];
            if (*part == PART_NONE)
                continue;
            choice->parts[next] = *part;
            *part = next++;
        }
        schema->part_count[kind] = next - first;
    }
}

/* A generated column, or one beside another that the server has refused in a format, may have fewer
 * parts than it would have alone. */
static bool has_all_parts(const struct choice *choice)
{
    for (int i = 0; i < choice->schema->column_count; i++)
        if (!choice->schema->columns[i].in_copy)
            return false;
    for (int i = 0; i < FORMAT_COUNT; i++)
        if (snapshot_face(choice->whole, formats[i])->refused < 0)
            return false;
    return true;
}

static int choose_columns(struct choice *choice, const char *columns)
{
    const struct schema *schema = choice->whole->schema;
    int *numbers, count;
    int rc = column_list_numbers(columns, schema, &numbers, &count, NULL);
    if (rc < 0)
        return rc == -EINVAL ? -ENOENT : rc;
    rc = schema_choose(schema, numbers, count, &choice->schema);
    free(numbers);
    if (rc < 0)
        return rc;
    choice->parts = malloc(((size_t)schema_parts(schema) + 1) * sizeof *choice->parts);
    if (choice->parts == NULL)
        return -ENOMEM;
    if (!has_all_parts(choice))
        return -ENOENT;
    number_parts(choice);
    return 0;
}

/* Takes the rows' place in the relation from the group that they are of. */
static int store_group(const struct choice *choice, const struct group *from,
                       const struct rowgroup *rows, struct group **out)
{
    struct group *group = group_new(from->store, from->relation, rows);
    if (group == NULL)
        return -ENOMEM;
    group->source = from->source;
    group->range = from->range;
    for (int i = 0; i < RUNS_KEPT; i++)
        if (from->proven[i] != 0)
            group_prove(group, from->proven[i]);
    int rc = store_put_rows(group->store, group->relation, group->id, rows, choice->schema);
    if (rc < 0)
        group_unref(group);
    else
        *out = group;
    return rc;
}

static int choose_mapped(const struct choice *choice, const struct group *from,
                         const struct mapping *mapping, struct group **out)
{
    struct rowgroup_head head;
    struct rowgroup *rows;
    size_t size;
    const uint8_t *file = mapping_bytes(mapping, &size);
    int rc = rowgroup_file_head(file, size, choice->whole->schema, &head);
    if (rc == 0 && (head.rows != from->rows || !hash128_equal(head.content, from->content)))
        rc = -EBADMSG;
    if (rc == 0)
        rc = rowgroup_file_choose(file, size, &head, choice->parts, schema_parts(choice->schema),
                                  &rows);
    if (rc < 0)
        return rc;
    rc = store_group(choice, from, rows, out);
    rowgroup_free(rows);
    if (rc == 0 && !mapping_is_intact(mapping)) {
        group_unref(*out);
        rc = -EBADMSG;
    }
    return rc;
}

static int choose_group(const struct choice *choice, const struct group *from, struct group **out)
{
    struct mapping *mapping;
    uint64_t most = rowgroup_file_most(choice->whole->schema, from->rows, from->bytes);
    int rc = store_map_group(from->store, from->relation, from->id, most, &mapping);
    if (rc < 0)
        return rc;
    rc = choose_mapped(choice, from, mapping, out);
    mapping_close(mapping);
    return rc;
}

static int choose_groups(const struct choice *choice, const atomic_bool *stop,
                         struct snapshot *chosen)
{
    for (size_t i = 0; i < choice->whole->group_count; i++) {
        struct group *group = NULL;
        if (*stop)
            return -EINTR;
        int rc = choose_group(choice, choice->whole->groups[i], &group);
        if (rc < 0)
            return rc == -ENOMEM ? rc : -ENOENT;
        rc = snapshot_add_group(chosen, group);
        if (rc < 0) {
            group_unref(group);
            return rc;
        }
    }
    return 0;
}

/* All but the groups: what it stands for is what the whole stands for. */
static int take_basis_of(struct snapshot *whole, const struct schema *schema, const char *columns,
                         struct snapshot *chosen)
{
    pthread_mutex_lock(&whole->lock);
    int rc = snapshot_take_basis(chosen, &whole->relation, &whole->key, schema);
    pthread_mutex_unlock(&whole->lock);
    for (size_t i = 0; rc == 0 && i < whole->source_count; i++)
        rc = snapshot_add_source(chosen, &whole->sources[i]);
    if (rc == 0)
        rc = snapshot_take_columns(chosen, columns);
    if (rc == 0 && whole->children != NULL) {
        chosen->children = strdup(whole->children);
        rc = chosen->children == NULL ? -ENOMEM : 0;
    }
    return rc == 0 ? snapshot_ask_all(chosen) : rc;
}

int snapshot_choose(struct snapshot *whole, const char *columns, int64_t after,
                    const atomic_bool *stop, struct snapshot **out)
{
    struct choice choice = {.whole = whole};
    struct snapshot *chosen = NULL;
    int rc = whole->broken || !whole->key.proves ? -ENOENT : snapshot_new(whole->store, &chosen);
    if (rc == 0)
        rc = choose_columns(&choice, columns);
    if (rc == 0)
        rc = take_basis_of(whole, choice.schema, columns, chosen);
    if (rc == 0)
        rc = choose_groups(&choice, stop, chosen);
    free(choice.parts);
    schema_free(choice.schema);
    if (rc < 0) {
        snapshot_unref(chosen);
        return rc;
    }
    snapshot_stamp(chosen, NULL, after);
    chosen->lineage = chosen->serial;
    chosen->unsaved = true;
    *out = chosen;
    return 0;
}
