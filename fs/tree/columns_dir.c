#include "fs/tree/columns_dir.h"

#include "codec/column_format.h"
#include "fs/base/name.h"
#include "fs/tables/job_wanted.h"
#include "fs/tree/call.h"
#include "fs/tree/entries.h"
#include "fs/tree/table_file.h"
#include "fs/tree/table_lookup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

static const char escaped_dot[] = "%2E";

enum { ESCAPED = sizeof escaped_dot - 1 };

/* The column's name in SQL of the `size` bytes in front of the format. A leading dot is escaped in
 * any case. */
static int decode_column(const char *name, size_t size, char **out)
{
    struct buffer file = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < size;) {
        bool dot = i > 0 && size - i >= ESCAPED && memcmp(name + i, escaped_dot, ESCAPED) == 0;
        rc = buffer_append_byte(&file, dot ? '.' : (uint8_t)name[i]);
        i += dot ? ESCAPED : 1;
    }
    if (rc == 0)
        rc = name_decode((const char *)file.data, file.size, out);
    buffer_clear(&file);
    return rc;
}

/* Appends it, with a dot behind. */
static int encode_column(const char *sql, struct buffer *out)
{
    struct buffer file = {0};
    int rc = name_encode(sql, &file);
    for (size_t i = 0; rc == 0 && i < file.size && file.data[i] != '\0'; i++)
        rc = file.data[i] == '.' ? buffer_append_text(out, escaped_dot)
                                 : buffer_append_byte(out, file.data[i]);
    buffer_clear(&file);
    return rc == 0 ? buffer_append_byte(out, '.') : rc;
}

/* ---- files ---- */

/* The first dot is where the format begins. */
static const struct format *format_of(const char *name)
{
    const char *dot = strchr(name, '.');
    int format = dot != NULL && dot > name ? column_format_find(dot + 1, strlen(dot + 1)) : -1;
    return format >= 0 ? column_formats[format] : NULL;
}

static int face_of(const struct node *directory, const char *name)
{
    (void)directory;
    return format_of(name) != NULL ? FACE_VIEW : -1;
}

static struct subject *subject_of(struct mount *mount, const struct node *directory,
                                  const char *name)
{
    (void)name;
    return node_rows(mount, directory->parent);
}

/* -ENOENT: the column has no file of this format. */
static int view_of_column(struct snapshot *snapshot, int number, const struct format *format,
                          struct view *out)
{
    struct schema *chosen;
    struct columns *columns;
    int rc = schema_choose(snapshot->schema, &number, 1, &chosen);
    if (rc < 0)
        return rc;
    schema_copy_all(chosen);
    bool possible = format->possible(chosen);
    schema_free(chosen);
    rc = possible ? columns_new(&number, 1, &columns) : -ENOENT;
    if (rc == 0)
        *out = (struct view){snapshot, {format, columns}, 0, VIEW_TO_END};
    return rc;
}

/* -ENOENT: there is none, or two that the catalog's encoding does not tell apart. */
static int find_column(const struct schema *schema, const char *name)
{
    int found = -ENOENT;
    for (int i = 0; i < schema->column_count; i++)
        if (strcmp(schema->columns[i].name, name) == 0) {
            if (found >= 0)
                return -ENOENT;
            found = i;
        }
    return found;
}

static int find_view(const char *name, struct snapshot *snapshot, struct view *out)
{
    char *column;
    int rc = decode_column(name, (size_t)(strchr(name, '.') - name), &column);
    if (rc < 0)
        return rc;
    int number = find_column(snapshot->schema, column);
    free(column);
    return number < 0 ? number : view_of_column(snapshot, number, format_of(name), out);
}

static int look_up_column(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    char *column;
    const char *name = lookup->name;
    if (format_of(name) == NULL)
        return -ENOENT;
    int rc = decode_column(name, (size_t)(strchr(name, '.') - name), &column);
    if (rc < 0)
        return rc;
    free(column);
    return table_lookup(mount, lookup, out);
}

/* ---- what it lists ---- */

/* Visits each file that there may be of the version. The view borrows its columns. */
typedef int visit_view(void *context, struct version *version, const struct view *view);

static int each_view(struct version *version, visit_view *visit, void *context)
{
    struct snapshot *snapshot = version->snapshot;
    int rc = 0;
    for (int i = 0; rc == 0 && i < snapshot->schema->column_count; i++)
        for (int k = 0; rc == 0 && k < COLUMN_FORMAT_COUNT; k++) {
            struct view view;
            if (find_column(snapshot->schema, snapshot->schema->columns[i].name) != i)
                continue;
            rc = view_of_column(snapshot, i, column_formats[k], &view);
            if (rc == 0) {
                rc = visit(context, version, &view);
                columns_unref(view.rendition.columns);
            } else if (rc == -ENOENT) {
                rc = 0;
            }
        }
    return rc;
}

struct wanting {
    struct subject *subject;
    bool missing;
};

static int want_view(void *context, struct version *version, const struct view *view)
{
    struct wanting *wanting = context;
    struct version_view *known = version_view(version, view);
    if (known == NULL)
        return -ENOMEM;
    if (known->state == FACE_UNKNOWN) {
        job_want_view(wanting->subject, version, known);
        wanting->missing = true;
    }
    return 0;
}

/* Needs the rows, and all that is known of the files. */
static int need_views(struct mount *mount, struct call *call)
{
    int rc = call_need_subject(mount, call, node_rows, false);
    if (rc < 0)
        return rc;
    struct wanting wanting = {.subject = call->node->subject};
    struct version *version = wanting.subject->current;
    if (version == NULL || !(subject_leased(wanting.subject) || call_is_refreshed(call))) {
        call_await_refresh(call);
        job_want_refresh(wanting.subject, -1);
        return -EAGAIN;
    }
    if (version->views_wanted > 0)
        return -EAGAIN;
    rc = each_view(version, want_view, &wanting);
    return rc == 0 && wanting.missing ? -EAGAIN : rc;
}

static int ready(struct mount *mount, struct call *call)
{
    int rc = call_need_directory(mount, call);
    return rc == 0 && call->kind == CALL_OPENDIR ? need_views(mount, call) : rc;
}

/* The directory stays, and must not keep the table. */
static void settled(struct call *call, int rc)
{
    (void)rc;
    if (call->node->subject != NULL)
        node_set_subject(call->node, NULL);
}

static int list_view(void *context, struct version *version, const struct view *view)
{
    struct entries *out = context;
    struct buffer name = {0};
    const struct version_view *known = version_view(version, view);
    const struct schema *schema = view->snapshot->schema;
    if (known == NULL || known->state != FACE_READABLE)
        return known == NULL ? -ENOMEM : 0;
    int rc = encode_column(schema->columns[view->rendition.columns->numbers[0]].name, &name);
    if (rc == 0)
        rc = buffer_append(&name, view->rendition.format->name,
                           strlen(view->rendition.format->name) + 1);
    if (rc == 0)
        rc = entries_add_ino(out, (char *)name.data, view_id(view), false);
    buffer_clear(&name);
    return rc;
}

static int list(struct mount *mount, struct node *node, struct entries *out)
{
    const struct subject *rows = node_rows(mount, node);
    return rows != NULL && rows->current != NULL ? each_view(rows->current, list_view, out) : 0;
}

/* ---- why something in it fails ---- */

/* A line for each file that has no form. */
static void reasons(struct mount *mount, struct node *node, char *text, size_t size)
{
    const struct subject *rows = node_rows(mount, node);
    const struct version *version = rows != NULL ? rows->current : NULL;
    size_t n = 0;
    text[0] = '\0';
    for (const struct version_view *view = version != NULL ? version->views : NULL;
         view != NULL && n < size; view = view->next)
        if (view->state == FACE_FAILED && view->reason != NULL)
            n += (size_t)snprintf(text + n, size - n, "%s%s: %s", n > 0 ? "\n" : "",
                                  view->view.rendition.format->name, view->reason);
}

const struct node_class columns_dir = {.mode = S_IFDIR | 0555,
                                       .size = sizeof(struct node),
                                       .lookup = look_up_column,
                                       .doubt = table_lookup_doubt,
                                       .list = list,
                                       .files = &table_view_class,
                                       .face = face_of,
                                       .subject = subject_of,
                                       .view = find_view,
                                       .exists = node_exists_in_parent,
                                       .ready = ready,
                                       .settled = settled,
                                       .reason = reasons};
