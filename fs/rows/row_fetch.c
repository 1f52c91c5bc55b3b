#include "fs/rows/row_fetch.h"

#include "codec/format.h"
#include "fs/rows/store.h"
#include "pgclient/row.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* ---- layouts ---- */

enum { LAYOUTS_KEPT = 64 };

struct kept_layout {
    uint32_t relation;
    struct row_layout *layout; /* a reference; NULL: the place is free */
    uint64_t used;
};

struct row_layouts {
    pthread_mutex_t lock; /* guards what follows */
    uint64_t uses;
    struct kept_layout kept[LAYOUTS_KEPT];
};

int row_layouts_new(struct row_layouts **out)
{
    struct row_layouts *layouts = calloc(1, sizeof *layouts);
    if (layouts == NULL)
        return -ENOMEM;
    pthread_mutex_init(&layouts->lock, NULL);
    *out = layouts;
    return 0;
}

void row_layouts_free(struct row_layouts *layouts)
{
    if (layouts == NULL)
        return;
    for (int i = 0; i < LAYOUTS_KEPT; i++)
        row_layout_unref(layouts->kept[i].layout);
    pthread_mutex_destroy(&layouts->lock);
    free(layouts);
}

/* The relation's place, or else the one that is free, or was used longest ago. */
static struct kept_layout *place_of(struct row_layouts *layouts, uint32_t relation)
{
    struct kept_layout *oldest = &layouts->kept[0];
    for (int i = 0; i < LAYOUTS_KEPT; i++) {
        struct kept_layout *kept = &layouts->kept[i];
        if (kept->layout != NULL && kept->relation == relation)
            return kept;
        if (kept->used < oldest->used)
            oldest = kept;
    }
    return oldest;
}

/* What is known of the relation, a new reference; NULL: nothing. */
static struct row_layout *find_layout(struct row_layouts *layouts, uint32_t relation)
{
    pthread_mutex_lock(&layouts->lock);
    struct kept_layout *kept = place_of(layouts, relation);
    bool known = kept->layout != NULL && kept->relation == relation;
    struct row_layout *layout = known ? row_layout_ref(kept->layout) : NULL;
    if (known)
        kept->used = ++layouts->uses;
    pthread_mutex_unlock(&layouts->lock);
    return layout;
}

/* Takes the reference, which may be NULL. */
static void keep_layout(struct row_layouts *layouts, uint32_t relation, struct row_layout *layout)
{
    struct row_layout *before = layout;
    pthread_mutex_lock(&layouts->lock);
    struct kept_layout *kept = place_of(layouts, relation);
    if (layout != NULL && kept->layout != layout) {
        before = kept->layout;
        *kept = (struct kept_layout){relation, layout, ++layouts->uses};
    }
    pthread_mutex_unlock(&layouts->lock);
    row_layout_unref(before);
}

static struct row_table table_of(const struct row_source *source)
{
    return (struct row_table){.relation = source->relation,
                              .system_id = source->place->system_id,
                              .database = source->place->database,
                              .stop = source->stop};
}

static int on_server(const struct row_source *source, const char *what,
                     int (*work)(void *context, struct session *session, struct error *error),
                     void *context, struct error *error)
{
    const struct server_work server_work = {.place = source->place,
                                            .relation = source->relation,
                                            .what = what,
                                            .stop = source->stop,
                                            .work = work,
                                            .context = context};
    return server_turn_do(&server_work, error);
}

/* ---- a row ---- */

struct row_asked {
    const struct row_source *source;
    const struct row_name *name;
    enum row_form form;
    struct row_layout *layout; /* a reference, or NULL */
    struct rowgroup *row;
};

static int ask_row(void *context, struct session *session, struct error *error)
{
    struct row_asked *asked = context;
    const struct row_table table = table_of(asked->source);
    const struct row_key key = {.column = asked->name->column,
                                .whole = asked->name->whole,
                                .values = (const char *const *)asked->name->values,
                                .count = asked->name->count};
    return row_read(session, &table, &key, asked->form, &asked->layout, &asked->row, error);
}

static int too_large(uint64_t most, struct error *error)
{
    return error_set(error, -EFBIG,
                     "the row is larger than %" PRIu64
                     " MiB, a quarter of memory=; mount with more memory",
                     most >> 20);
}

static int render(const struct format *format, const struct schema *schema,
                  const struct rowgroup *row, struct buffer *out)
{
    const struct format_view view = {.schema = schema, .rows = 1, .groups = 1};
    struct buffer note = {0};
    uint64_t offsets[2];
    int rc = format_head(format, &view, out);
    offsets[0] = out->size;
    if (rc == 0)
        rc = format->body(schema, row, format->notes ? &note : NULL, out);
    offsets[1] = out->size;
    if (rc == 0)
        rc = format_tail(format, &view, &(struct note){note.data, note.size}, offsets, out);
    buffer_clear(&note);
    return rc;
}

static int write_row(const struct row_asked *asked, const struct format *format, uint64_t most,
                     struct buffer *out, struct error *error)
{
    const struct schema *schema = row_layout_schema(asked->layout, asked->form);
    size_t before = out->size;
    uint64_t bytes = 0;
    for (int i = 0; i < asked->row->run_count; i++)
        bytes += asked->row->runs[i].size;
    if (bytes > most)
        return too_large(most, error);
    if (!format->possible(schema))
        return error_set(error, -EOPNOTSUPP, "the columns cannot be had as %s", format->name);
    int rc = render(format, schema, asked->row, out);
    if (rc == -EBADMSG)
        rc = error_set(error, -EIO, "the server sent a value that is none of its type");
    else if (rc < 0)
        error_set(error, rc, "no memory for the row");
    else if (out->size - before > most)
        rc = too_large(most, error);
    if (rc < 0)
        out->size = before;
    return rc;
}

int row_fetch(const struct row_source *source, const struct row_name *name, int format,
              uint64_t most, struct buffer *out, struct error *error)
{
    uint32_t relation = source->relation->oid;
    struct row_asked asked = {.source = source,
                              .name = name,
                              .form = formats[format]->parts & 1U << PART_JSON ? ROW_AS_JSON
                                                                               : ROW_AS_TEXT,
                              .layout = find_layout(source->layouts, relation)};
    int rc = on_server(source, "row", ask_row, &asked, error);
    if (rc == 0)
        rc = write_row(&asked, formats[format], most, out, error);
    rowgroup_free(asked.row);
    keep_layout(source->layouts, relation, asked.layout);
    return rc;
}

/* ---- the names of all ---- */

/* So many bytes are asked for at once. */
enum { ROOM_AT_ONCE = 4 << 20 };

struct names_asked {
    const struct row_source *source;
    struct row_layout *layout; /* a reference, or NULL */
    struct name_list list;
    bool listing;  /* there is a list */
    uint64_t room; /* bytes that fit into the cache */
    struct buffer name;
    struct error *error;
};

static int disk_failed(struct names_asked *asked, int rc)
{
    return error_set(asked->error, rc, "the names of the rows cannot be written: %s",
                     strerror(-rc));
}

/* The file is no part of what the store counts: so it is all of it that must fit each time. */
static int make_room(struct names_asked *asked)
{
    const struct fetch_place *place = asked->source->place;
    if (asked->list.size <= asked->room)
        return 0;
    if (!store_make_room(place->store, asked->room + ROOM_AT_ONCE, false, place->in_use,
                         place->context))
        return error_set(asked->error, -ENOSPC,
                         "cache_size is too small for the names of all rows");
    asked->room += ROOM_AT_ONCE;
    return 0;
}

static int take_name(void *context, const char *const *values, int count)
{
    struct names_asked *asked = context;
    asked->name.size = 0;
    int rc = row_name_write(values, count, &asked->name);
    if (rc < 0)
        return error_set(asked->error, rc, "no memory for the names of the rows");
    if (asked->name.size > ROW_NAME_MOST)
        return 0;
    rc = name_list_add(&asked->list, asked->name.data, asked->name.size);
    return rc < 0 ? disk_failed(asked, rc) : make_room(asked);
}

static int ask_names(void *context, struct session *session, struct error *error)
{
    struct names_asked *asked = context;
    const struct row_table table = table_of(asked->source);
    if (asked->listing)
        name_list_give_up(&asked->list);
    asked->room = 0;
    asked->error = error;
    int rc = name_list_begin(store_path(asked->source->place->store), &asked->list);
    asked->listing = rc == 0;
    if (rc < 0)
        return disk_failed(asked, rc);
    return row_keys(session, &table, &asked->layout, take_name, asked, error);
}

int row_fetch_names(const struct row_source *source, struct name_file **out, struct error *error)
{
    uint32_t relation = source->relation->oid;
    struct names_asked asked = {
        .source = source, .layout = find_layout(source->layouts, relation), .error = error};
    int rc = on_server(source, "list of rows", ask_names, &asked, error);
    if (rc < 0 && asked.listing)
        name_list_give_up(&asked.list);
    else if (rc == 0 && (rc = name_list_end(&asked.list, out)) < 0)
        rc = disk_failed(&asked, rc);
    buffer_clear(&asked.name);
    keep_layout(source->layouts, relation, asked.layout);
    return rc;
}
