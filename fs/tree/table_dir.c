#include "fs/tree/table_dir.h"

#include "fs/base/name.h"
#include "fs/rows/snapshot_view.h"
#include "fs/tables/listing.h"
#include "fs/tables/schema_file.h"
#include "fs/tree/call.h"
#include "fs/tree/columns_dir.h"
#include "fs/tree/entries.h"
#include "fs/tree/parts_dir.h"
#include "fs/tree/query_dir.h"
#include "fs/tree/rows_dir.h"
#include "fs/tree/select_dir.h"
#include "fs/tree/table_file.h"
#include "fs/tree/table_lookup.h"
#include "pgclient/catalog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the directories in a table's directory ---- */

static bool is_partitioned(const struct relation *relation)
{
    return relation->kind == RELATION_PARTITIONED;
}

static bool has_vectors(const struct relation *relation) { return relation->has_vectors; }

static bool lists_partitions(const struct mount *mount, const struct relation *relation)
{
    return mount->options->list_partitions && is_partitioned(relation);
}

static bool is_any(const struct relation *relation)
{
    (void)relation;
    return true;
}

static bool lists_parts(const struct mount *mount, const struct relation *relation)
{
    return mount->options->list_parts && !relation->refuses_rows;
}

static bool lists_query(const struct mount *mount, const struct relation *relation)
{
    (void)mount;
    return has_vectors(relation) && !relation->refuses_rows;
}

static bool lists_columns(const struct mount *mount, const struct relation *relation)
{
    return mount->options->list_columns && !relation->refuses_rows;
}

static bool lists_rows(const struct mount *mount, const struct relation *relation)
{
    return mount->options->list_rows && rows_dir_fits(relation) && !relation->refuses_rows;
}

/* An empty directory in each table tells nobody anything. */
static bool lists_select(const struct mount *mount, const struct relation *relation)
{
    (void)mount, (void)relation;
    return false;
}

static const struct {
    const char *name;
    const struct node_class *class;
    bool (*fits)(const struct relation *relation); /* the directory can be named there */
    bool (*is_listed)(const struct mount *mount, const struct relation *relation);
} directories[] = {
    {"columns", &columns_dir, is_any, lists_columns},
    {"partitions", &table_partitions_dir, is_partitioned, lists_partitions},
    {"parts", &parts_dir, is_any, lists_parts},
    {"query", &query_dir, has_vectors, lists_query},
    {"rows", &rows_dir, rows_dir_fits, lists_rows},
    {"select", &select_dir, is_any, lists_select},
};
enum { DIRECTORIES = sizeof directories / sizeof *directories };

/* ---- the table ---- */

struct table_node {
    struct node node;
    char *schema, *name; /* as in SQL; NULL for a partition */
};

static struct table_node *of(const struct node *node) { return (struct table_node *)node; }

static int begin_table(struct node *node)
{
    const char *schema = node->parent->name;
    int rc = name_decode(node->name, strlen(node->name), &of(node)->name);
    return rc == 0 ? name_decode(schema, strlen(schema), &of(node)->schema) : rc;
}

static void clear_table(struct node *node)
{
    free(of(node)->schema);
    free(of(node)->name);
}

static const struct relation *find_table(const struct mount *mount, const struct node *node)
{
    const struct relation *relation = listing_find(mount, of(node)->schema, of(node)->name);
    return relation != NULL && relation->parent == 0 ? relation : NULL;
}

/* Finds the partition that the node stands for, by the table above the partitions/ that it is in.
 */
static const struct relation *find_partition(const struct mount *mount, const struct node *node)
{
    const struct relation *parent = node_relation(mount, node->parent->parent);
    return parent != NULL ? partitions_find(&mount->partitions, parent->oid, node->name) : NULL;
}

static bool table_exists(const struct mount *mount, const struct node *node)
{
    return node_relation(mount, node) != NULL;
}

static int face_of(const struct node *table, const char *name)
{
    size_t n = strlen(table->name);
    if (strcmp(name, "schema.sql") == 0)
        return FACE_DDL;
    if (strcmp(name, "manifest.json") == 0)
        return FACE_MANIFEST;
    if (strcmp(name, "VDF_META.json") == 0)
        return FACE_VDF;
    /* Below partitions/ a foreign schema stands in the directory's name only: the file is called as
     * the directory. */
    if (strncmp(name, table->name, n) != 0 || name[n] != '.')
        return -1;
    return format_find(name + n + 1, strlen(name + n + 1));
}

static struct subject *subject_of(struct mount *mount, const struct node *node, const char *name)
{
    const struct relation *relation = node_relation(mount, node);
    struct table *table = relation != NULL ? table_get(mount, relation) : NULL;
    return table != NULL ? table_subject(table, face_of(node, name)) : NULL;
}

static int look_up_entry(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    struct node *table = lookup->parent;
    const struct relation *relation = node_relation(mount, table);
    int face = face_of(table, lookup->name);
    if (face == FACE_VDF && relation != NULL && !relation->has_vectors)
        return -ENOENT;
    if (face >= 0)
        return table_lookup(mount, lookup, out);
    int i = 0;
    while (i < DIRECTORIES && strcmp(lookup->name, directories[i].name) != 0)
        i++;
    if (i == DIRECTORIES)
        return -ENOENT;
    if (relation != NULL && !directories[i].fits(relation) &&
        node_named(mount, table, lookup->name) == NULL)
        return -ENOENT;
    return node_directory(mount, table, directories[i].class, lookup->name, out);
}

/* ---- what the directory lists ---- */

static int list_face(struct mount *mount, const struct node *node, int face, const char *name,
                     struct entries *out)
{
    const struct subject *subject = subject_of(mount, node, name);
    if (node->class->face(node, name) < 0)
        return 0;
    if (subject == NULL || subject->current == NULL)
        return entries_add(out, node, name, false);
    uint64_t ino = node_ino_of(mount, subject, face, subject->current);
    return entries_add_ino(out, name, ino, false);
}

/* Whether a row of the version has no form in the format. */
static bool is_formless(struct mount *mount, const struct node *node, int format, const char *name)
{
    const struct subject *subject = subject_of(mount, node, name);
    const struct version *version = subject != NULL ? subject->current : NULL;
    return version != NULL && version->snapshot != NULL && version->state[format] == FACE_FAILED &&
           snapshot_face(version->snapshot, formats[format])->refused == -EDOM;
}

static int list_formats(struct mount *mount, const struct node *node, bool json,
                        struct entries *out)
{
    struct buffer name = {0};
    int rc = 0;
    for (int i = 0; rc == 0 && i < FORMAT_COUNT; i++) {
        if (!(mount->options->listed_formats & 1U << i) ||
            (!json && (formats[i]->parts & 1U << PART_JSON)))
            continue;
        name.size = 0;
        rc = buffer_printf(&name, "%s.%s", node->name, formats[i]->name);
        if (rc == 0 && !is_formless(mount, node, i, (char *)name.data))
            rc = list_face(mount, node, i, (char *)name.data, out);
    }
    buffer_clear(&name);
    return rc;
}

/* It tells of the .parquet beside it. */
static bool lists_vdf(struct mount *mount, const struct node *node, const struct relation *relation)
{
    int parquet = format_find("parquet", strlen("parquet"));
    return relation != NULL && relation->has_vectors &&
           (mount->options->listed_formats & 1U << parquet) &&
           !is_formless(mount, node, parquet, "VDF_META.json");
}

int table_dir_list_files(struct mount *mount, struct node *node, struct entries *out)
{
    const struct relation *relation = node_relation(mount, node);
    bool rows = relation == NULL || !relation->refuses_rows;
    int rc = rows ? list_formats(mount, node, relation == NULL || !relation->refuses_json, out) : 0;
    if (rc == 0 && relation != NULL && relation->has_ddl && schema_file_refusal(mount) == NULL)
        rc = list_face(mount, node, FACE_DDL, "schema.sql", out);
    if (rc == 0 && rows)
        rc = list_face(mount, node, FACE_MANIFEST, "manifest.json", out);
    if (rc == 0 && rows && lists_vdf(mount, node, relation))
        rc = list_face(mount, node, FACE_VDF, "VDF_META.json", out);
    return rc;
}

static int list_table(struct mount *mount, struct node *node, struct entries *out)
{
    const struct relation *relation = node_relation(mount, node);
    int rc = table_dir_list_files(mount, node, out);
    for (int i = 0; rc == 0 && relation != NULL && i < DIRECTORIES; i++)
        if (directories[i].is_listed(mount, relation))
            rc = entries_add(out, node, directories[i].name, true);
    return rc;
}

/* ---- why something in it fails ---- */

/* Whether a format before this one has failed for the same reason, as all that need the same do. */
static bool is_said(const struct version *version, int face)
{
    for (int before = 0; before < face; before++)
        if (version->state[before] == FACE_FAILED && version->reason[before] != NULL &&
            strcmp(version->reason[before], version->reason[face]) == 0)
            return true;
    return false;
}

/* Puts a line for each file that failed, and one for those with the same reason: a tool that asks
 * for a file's attributes first, such as getfattr, cannot ask the file itself. */
static size_t reasons_of_subject(const struct node *node, const struct subject *subject, char *text,
                                 size_t size)
{
    const struct version *version = subject->current;
    size_t n = 0;
    if (subject->error.text[0] != '\0')
        n += (size_t)snprintf(text, size, "%s\n", subject->error.text);
    for (int face = 0; version != NULL && face < FORMAT_COUNT && n < size; face++)
        if (version->state[face] == FACE_FAILED && version->reason[face] != NULL &&
            !is_said(version, face))
            n += (size_t)snprintf(text + n, size - n, "%s.%s: %s\n", node->name,
                                  formats[face]->name, version->reason[face]);
    return n < size ? n : size;
}

static void reasons(struct mount *mount, struct node *node, char *text, size_t size)
{
    const struct relation *relation = node_relation(mount, node);
    struct table *table = relation != NULL ? table_get(mount, relation) : NULL;
    size_t n = 0;
    text[0] = '\0';
    for (int kind = 0; table != NULL && kind < SUBJECT_COUNT; kind++)
        n += reasons_of_subject(node, &table->subjects[kind], text + n, size - n);
    for (int i = 0; i < DIRECTORIES && n < size; i++) {
        char reason[sizeof(struct error)] = "";
        struct node *directory = node_named(mount, node, directories[i].name);
        if (directory != NULL && directory->class->reason != NULL)
            directory->class->reason(mount, directory, reason, sizeof reason);
        if (reason[0] != '\0')
            n += (size_t)snprintf(text + n, size - n, "%s: %s\n", directories[i].name, reason);
    }
}

#define TABLE_CLASS                                                                                \
    .mode = S_IFDIR | 0555, .size = sizeof(struct table_node), .clear = clear_table,               \
    .lookup = look_up_entry, .doubt = table_lookup_doubt, .files = &table_file_class,              \
    .face = face_of, .subject = subject_of, .list = list_table, .exists = table_exists,            \
    .ready = call_need_directory, .reason = reasons

const struct node_class table_dir = {TABLE_CLASS, .begin = begin_table, .relation = find_table};
const struct node_class table_partition_dir = {TABLE_CLASS, .relation = find_partition};
