#include "fs/rows/fetch_refusals.h"

#include "fs/rows/snapshot_view.h"

#include <errno.h>
#include <stdlib.h>

/* Copies everything that the read point's schema (numbered) asks for. */
static int copy_all(struct fetch_copy *copy, bool discard, struct error *error)
{
    copy->schema = crew_readpoint(copy->crew)->schema;
    copy->discard = discard;
    int rc = fetch_copy_plan_all(copy);
    return rc < 0 ? error_set(error, rc, "no memory to fetch with") : fetch_copy_run(copy, error);
}

/* Gives every column a binary part, so that the server says in its own words which column has
 * none. */
static void number_for_trial(struct readpoint *readpoint, int format, bool *all)
{
    for (int i = 0; i < readpoint->schema->column_count; i++)
        all[i] = readpoint->with_binary[i] || formats[format]->parts == 1U << PART_BINARY;
    schema_number(readpoint->schema, all, formats[format]->parts);
}

/* Asks for one format alone. */
static int try_format(struct fetch_copy *copy, int format, struct error *error)
{
    struct readpoint *readpoint = crew_readpoint(copy->crew);
    bool *all = calloc((size_t)readpoint->schema->column_count + 1, sizeof *all);
    if (all == NULL)
        return -ENOMEM;
    number_for_trial(readpoint, format, all);
    free(all);
    return copy_all(copy, true, error);
}

/* The server gives or refuses formats that need the same parts together: the first of them is asked
 * for, and the others get the same answer. */
static int ask_format(struct fetch_copy *copy, const struct snapshot *snapshot, int format,
                      struct error *error)
{
    int first = 0;
    while (formats[first]->parts != formats[format]->parts)
        first++;
    const struct face *known = snapshot_face(snapshot, formats[first]);
    if (first == format)
        return try_format(copy, format, error);
    return known->refused < 0 ? error_set(error, known->refused, "%s", known->reason) : 0;
}

static int refuse(struct snapshot *snapshot, int format, int rc, const struct error *error)
{
    const struct view view = view_whole(snapshot, formats[format]);
    return view_refuse(&view, rc, error->text);
}

enum { ALL_PARTS = 1 << PART_BINARY | 1 << PART_TEXT | 1 << PART_JSON };

unsigned fetch_wanted_parts(const struct fetch_copy *copy)
{
    const struct readpoint *readpoint = crew_readpoint(copy->crew);
    bool json = !readpoint->json_apart;
    for (int i = 0; i < FORMAT_COUNT; i++)
        json |= (formats[i]->parts & 1U << PART_JSON) && (copy->measure & 1U << i);
    json &= readpoint->json_refused == NULL;
    return json ? ALL_PARTS : ALL_PARTS & ~(1U << PART_JSON);
}

bool fetch_leaves_out(int format, unsigned parts) { return (formats[format]->parts & ~parts) != 0; }

int refusals_note_json(struct fetch_copy *copy, struct snapshot *snapshot)
{
    struct error reason;
    const char *why = crew_readpoint(copy->crew)->json_refused;
    int rc = 0;
    for (int i = 0; rc == 0 && why != NULL && i < FORMAT_COUNT; i++) {
        if (!(formats[i]->parts & 1U << PART_JSON))
            continue;
        error_set(&reason, -EACCES, "%s", why);
        rc = refuse(snapshot, i, -EACCES, &reason);
    }
    return rc;
}

int refusals_find(struct fetch_copy *copy, struct snapshot *snapshot, struct error *error)
{
    unsigned parts = 0, wanted = fetch_wanted_parts(copy);
    int given = 0, rc = 0;
    for (int i = 0; i < FORMAT_COUNT; i++) {
        struct error reason = {""};
        if (fetch_leaves_out(i, wanted))
            continue;
        rc = ask_format(copy, snapshot, i, &reason);
        if (rc == 0) {
            parts |= formats[i]->parts;
            given++;
        } else if (rc != -EIO && rc != -EACCES) {
            if (error != NULL)
                *error = reason;
            return rc;
        } else {
            if (i == 0 && error != NULL)
                *error = reason;
            int memory = refuse(snapshot, i, rc, &reason);
            if (memory < 0)
                return memory;
        }
    }
    return given > 0 ? (int)parts : snapshot_face(snapshot, formats[0])->refused;
}

unsigned refusals_impossible(const struct schema *schema, const struct snapshot *snapshot,
                             unsigned wanted)
{
    unsigned mask = 0;
    for (int i = 0; i < FORMAT_COUNT; i++)
        if (snapshot_face(snapshot, formats[i])->refused == 0 && !fetch_leaves_out(i, wanted) &&
            !formats[i]->possible(schema))
            mask |= 1U << i;
    return mask;
}

int refusals_explain(struct fetch_copy *copy, unsigned mask, struct snapshot *snapshot)
{
    struct readpoint *readpoint = crew_readpoint(copy->crew);
    for (int i = 0; i < FORMAT_COUNT; i++) {
        if (!(mask & 1U << i))
            continue;
        struct error reason = {""};
        int rc = ask_format(copy, snapshot, i, &reason);
        for (int k = 0; rc == 0 && k < readpoint->schema->column_count; k++)
            readpoint->with_binary[k] = true;
        if (rc == -EIO || rc == -EACCES)
            rc = refuse(snapshot, i, rc, &reason);
        if (rc < 0)
            return rc;
    }
    return 0;
}
