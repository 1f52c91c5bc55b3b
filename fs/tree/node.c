#include "fs/tree/node.h"

#include "codec/clock.h"
#include "fs/base/name.h"
#include "fs/tables/listing.h"
#include "fs/tables/schema_file.h"
#include "fs/tree/control.h"
#include "fs/tree/handle.h"
#include "fs/tree/lookup.h"
#include "fs/tree/query.h"
#include "fs/tree/query_session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_KEPT_MS = 100 };
enum { BLOCK = 512, BLKSIZE = 128 << 10 };

static const char control_name[] = ".pgvecfs", partitions_name[] = "partitions",
                  query_name[] = "query";

/* ---- numbers ---- */

uint64_t node_path(const struct node *parent, const char *name)
{
    uint64_t parts[2] = {parent->ino, hash64(name, strlen(name))};
    uint64_t ino = hash64(parts, sizeof parts);
    return ino > 1 ? ino : 2;
}

uint64_t node_ino(const struct mount *mount, uint32_t relation, int face, uint64_t serial)
{
    uint64_t parts[] = {mount->system_id, mount->database, relation, face_number(face), serial};
    uint64_t ino = hash64(parts, sizeof parts);
    return ino > 1 ? ino : 2;
}

/* ---- making and freeing ---- */

struct node *node_new(struct mount *mount, struct node *parent, enum node_kind kind,
                      const char *name)
{
    struct node *node = calloc(1, sizeof *node);
    char *copy = strdup(name);
    if (node == NULL || copy == NULL) {
        free(node);
        free(copy);
        return NULL;
    }
    node->nodeid = mount->tree->next_nodeid++;
    node->kind = kind;
    node->name = copy;
    node->parent = parent;
    node->face = -1;
    node->absent_ms = INT64_MIN / 2;
    if (parent != NULL) {
        node->ino = node_path(parent, name);
    }
    if (parent != NULL && node_is_directory(node)) {
        struct node **paths = &mount->tree->directories[node->ino % NODE_BUCKETS];
        node->next_path = *paths;
        *paths = node;
        parent->below++;
    } else if (parent != NULL) {
        node->next_file = parent->files;
        parent->files = node;
    }
    struct node **bucket = &mount->tree->nodes[node->nodeid % NODE_BUCKETS];
    node->next_id = *bucket;
    *bucket = node;
    mount->tree->node_count++;
    mount->tree->near_count += kind == NODE_NEAR || kind == NODE_ANSWER;
    return node;
}

void node_set_subject(struct node *node, struct subject *subject)
{
    if (node->subject != NULL)
        node->subject->nodes--;
    if (subject != NULL)
        subject->nodes++;
    node->subject = subject;
}

static void node_free(struct node *node)
{
    node_set_subject(node, NULL);
    version_unref(node->version);
    result_unref(node->result);
    asked_unref(node->key.asked);
    query_session_unref(node->session);
    buffer_clear(&node->text);
    promises_clear(&node->promises);
    free(node->reason);
    free(node->schema);
    free(node->relation);
    free(node->name);
    free(node);
}

/* Only one that stands for nothing: the others stay for the mount's life. */
static void unlink_directory(struct mount *mount, struct node *directory)
{
    struct node **at = &mount->tree->directories[directory->ino % NODE_BUCKETS];
    while (*at != directory)
        at = &(*at)->next_path;
    *at = directory->next_path;
    directory->parent->below--;
}

static void unlink_file(struct node *file)
{
    struct node **at = &file->parent->files;
    while (*at != file)
        at = &(*at)->next_file;
    *at = file->next_file;
}

static void unlink_id(struct mount *mount, struct node *node)
{
    struct node **at = &mount->tree->nodes[node->nodeid % NODE_BUCKETS];
    while (*at != node)
        at = &(*at)->next_id;
    *at = node->next_id;
    mount->tree->node_count--;
    mount->tree->near_count -= node->kind == NODE_NEAR || node->kind == NODE_ANSWER;
}

int node_start(struct mount *mount)
{
    mount->tree->next_nodeid = 1; /* FUSE_ROOT_ID */
    mount->tree->root = node_new(mount, NULL, NODE_ROOT, "");
    if (mount->tree->root == NULL)
        return -ENOMEM;
    uint64_t parts[] = {mount->system_id, mount->database};
    mount->tree->root->ino = hash64(parts, sizeof parts) | 2;
    mount->tree->root->lookups = 1;
    return 0;
}

void node_free_all(struct mount *mount)
{
    for (int i = 0; i < NODE_BUCKETS; i++)
        while (mount->tree->nodes[i] != NULL) {
            struct node *node = mount->tree->nodes[i];
            mount->tree->nodes[i] = node->next_id;
            node_free(node);
        }
    mount->tree->root = NULL;
}

struct node *node_find(const struct mount *mount, uint64_t nodeid)
{
    struct node *node = mount->tree->nodes[nodeid % NODE_BUCKETS];
    while (node != NULL && node->nodeid != nodeid)
        node = node->next_id;
    return node;
}

/* Of a control file. The kernel forgets it as soon as another process was given another one: it must
 * be there all the same for who was promised it. */
static bool is_promised(struct node *node)
{
    promises_expire(&node->promises);
    return node->promises.count > 0;
}

void node_forget(struct mount *mount, uint64_t nodeid, uint64_t lookups)
{
    struct node *node = node_find(mount, nodeid);
    if (node == NULL)
        return;
    node->lookups -= lookups < node->lookups ? lookups : node->lookups;
    if (node->lookups > 0 || node->opens > 0 || is_promised(node))
        return;
    struct node *parent = node->parent;
    if (node_is_directory(node)) {
        bool stays = node->kind == NODE_SESSION
                         ? !node->ended
                         : node->kind != NODE_NEAR && node_exists(mount, node);
        if (node->below > 0 || node->files != NULL || stays)
            return;
        unlink_directory(mount, node);
    } else {
        unlink_file(node);
    }
    unlink_id(mount, node);
    node_free(node);
    if (parent != NULL && parent->lookups == 0)
        node_forget(mount, parent->nodeid, 0); /* it may have waited for that */
}

/* ---- what names mean ---- */

static const struct relation *find_partition(const struct mount *mount, const struct node *table,
                                             const char *name)
{
    const struct relation *parent = node_relation(mount, table);
    return parent != NULL ? partitions_find(&mount->partitions, parent->oid, name) : NULL;
}

const struct relation *node_relation(const struct mount *mount, const struct node *node)
{
    if (node->kind != NODE_TABLE)
        return NULL;
    if (node->parent->kind == NODE_PARTITIONS)
        return find_partition(mount, node->parent->parent, node->name);
    const struct relation *relation = listing_find(mount, node->schema, node->relation);
    return relation != NULL && relation->parent == 0 ? relation : NULL;
}

struct node *node_table(struct node *node)
{
    while (node != NULL && node->kind != NODE_TABLE)
        node = node->parent;
    return node;
}

struct node *node_query(struct node *node)
{
    while (node != NULL && node->kind != NODE_QUERY)
        node = node->parent;
    return node;
}

void node_keep_reason(struct node *node, const char *reason)
{
    struct node *query = node != NULL ? node_query(node) : NULL;
    char *copy = query != NULL ? strdup(reason) : NULL;
    if (copy == NULL)
        return;
    free(query->reason);
    query->reason = copy;
    query->reason_path = node->key.path;
}

bool node_exists(const struct mount *mount, const struct node *node)
{
    switch (node->kind) {
    case NODE_SCHEMA:
        return listing_has_schema(mount, node->schema);
    case NODE_TABLE:
        return node_relation(mount, node) != NULL;
    case NODE_PARTITIONS: {
        const struct relation *relation = node_relation(mount, node->parent);
        return relation != NULL && relation->kind == RELATION_PARTITIONED;
    }
    case NODE_QUERY:
    case NODE_NEAR:
    case NODE_INDEXES:
    case NODE_SESSION:
        return query_exists(mount, node);
    default:
        return true;
    }
}

struct node *node_named(const struct mount *mount, const struct node *parent, const char *name)
{
    struct node *node = mount->tree->directories[node_path(parent, name) % NODE_BUCKETS];
    while (node != NULL && (node->parent != parent || node->ended || strcmp(node->name, name) != 0))
        node = node->next_path;
    return node;
}

static int directory_new(struct mount *mount, struct node *parent, enum node_kind kind,
                         const char *name, struct node **out)
{
    char *sql = NULL;
    if (kind == NODE_SCHEMA || (kind == NODE_TABLE && parent->kind == NODE_SCHEMA)) {
        int rc = name_decode(name, strlen(name), &sql);
        if (rc < 0)
            return rc;
    }
    struct node *node = node_new(mount, parent, kind, name);
    if (node == NULL) {
        free(sql);
        return -ENOMEM;
    }
    if (kind == NODE_SCHEMA) {
        node->schema = sql;
    } else if (sql != NULL) {
        node->relation = sql;
        node->schema = strdup(parent->schema);
        if (node->schema == NULL)
            node->schema = strdup("");
    }
    *out = node;
    return 0;
}

static int lookup_directory(struct mount *mount, struct node *parent, const char *name,
                            struct node **out)
{
    enum { ABSENT_MS = 100 };
    *out = node_named(mount, parent, name);
    /* Whoever asked a moment ago and was told so wants to make it now, and is told that nothing can
     * be made. */
    if (*out != NULL && clock_ms() - (*out)->absent_ms < ABSENT_MS && !node_exists(mount, *out))
        return -ENOENT;
    if (*out != NULL)
        return 0;
    enum node_kind kind;
    if (parent->kind == NODE_ROOT)
        kind = strcmp(name, control_name) == 0 ? NODE_CONTROL : NODE_SCHEMA;
    else if (parent->kind == NODE_SCHEMA || parent->kind == NODE_PARTITIONS)
        kind = NODE_TABLE;
    else if (parent->kind == NODE_TABLE && strcmp(name, partitions_name) == 0)
        kind = NODE_PARTITIONS;
    else if (parent->kind == NODE_TABLE && strcmp(name, query_name) == 0)
        kind = NODE_QUERY;
    else
        return -ENOENT;
    const struct relation *relation = node_relation(mount, parent);
    if (relation != NULL && kind == NODE_PARTITIONS && relation->kind != RELATION_PARTITIONED)
        return -ENOENT;
    if (relation != NULL && kind == NODE_QUERY && !relation->has_vectors)
        return -ENOENT;
    return directory_new(mount, parent, kind, name, out);
}

/* ---- files ---- */

void node_bind(struct node *node, struct version *version)
{
    node->version = version_ref(version);
    version->opens += node->streams;
}

bool node_is_of(const struct node *node, const struct version *version)
{
    const struct version *own = node->version;
    return own == version ||
           (own != NULL && version != NULL && node->face < FORMAT_COUNT &&
            own->serial == version->serial && own->snapshot != NULL && version->snapshot != NULL &&
            own->snapshot->key.relation == version->snapshot->key.relation);
}

const struct promise *node_shown(const struct node *file, caller_id caller)
{
    const struct promise *promise = promise_find(&file->subject->promises, caller);
    bool shown =
        promise != NULL && ((promise->version != NULL && node_is_of(file, promise->version)) ||
                            promise->glance.nodeid == file->nodeid);
    return shown ? promise : NULL;
}

bool node_is_opened_by(const struct node *node, caller_id caller)
{
    const struct handle *handle = node->handles;
    while (handle != NULL && handle->caller != caller)
        handle = handle->next;
    return handle != NULL;
}

void node_renew(struct node *node)
{
    struct version *current = node->subject != NULL ? node->subject->current : NULL;
    if (node->version == NULL || node->version == current || node->opens > 0 || node->filling ||
        !node_is_of(node, current))
        return;
    version_unref(node->version);
    node->version = version_ref(current);
}

/* The one that was promised to this process, else the newest. */
static struct node *text_with(struct node *parent, const char *name, caller_id caller)
{
    int64_t now = clock_ms();
    struct node *newest = NULL;
    for (struct node *file = parent->files; file != NULL; file = file->next_file) {
        if (strcmp(file->name, name) != 0)
            continue;
        if (promise_find(&file->promises, caller) != NULL)
            return file;
        if (newest == NULL && now - file->made_ms < TEXT_KEPT_MS)
            newest = file;
    }
    return newest;
}

/* Frees those that were kept for a promise only, and are not any more. */
static void sweep_texts(struct mount *mount, struct node *parent)
{
    struct node *file = parent->files;
    while (file != NULL) {
        uint64_t nodeid = file->nodeid;
        file = file->next_file;
        node_forget(mount, nodeid, 0);
    }
}

static int lookup_text(struct mount *mount, struct node *parent, const char *name, caller_id caller,
                       struct node **out)
{
    sweep_texts(mount, parent);
    *out = text_with(parent, name, caller);
    if (*out != NULL) {
        promise_repeat(&(*out)->promises, caller, NULL);
        return 0;
    }
    struct buffer text = {0};
    int rc = control_write(mount, name, &text);
    struct node *node = rc == 0 ? node_new(mount, parent, NODE_TEXT, name) : NULL;
    if (rc == 0 && node == NULL)
        rc = -ENOMEM;
    if (rc < 0) {
        buffer_clear(&text);
        return rc;
    }
    node->text = text;
    node->made_ms = clock_ms();
    node->made_at = time(NULL);
    node->told = true;
    promise_tell(&node->promises, caller, NULL);
    node->ino += node->nodeid; /* each is another file */
    *out = node;
    return 0;
}

int node_lookup(struct mount *mount, struct lookup *lookup, struct node **out)
{
    struct node *parent = lookup->parent;
    const char *name = lookup->name;
    bool queried = node_is_directory(parent) && parent->kind >= NODE_QUERY;
    int rc = parent->kind == NODE_CONTROL ? lookup_text(mount, parent, name, lookup->caller, out)
             : queried                    ? query_lookup(mount, parent, name, lookup->caller, out)
             : lookup_face(parent, name) >= 0 ? lookup_file(mount, lookup, out)
                                              : lookup_directory(mount, parent, name, out);
    if (rc == 0)
        (*out)->lookups++;
    return rc;
}

/* ---- attributes ---- */

void node_attributes(const struct mount *mount, const struct node *node, struct stat *out)
{
    bool directory = node_is_directory(node);
    *out = (struct stat){.st_ino = node->ino,
                         .st_mode = directory ? S_IFDIR | 0555 : S_IFREG | 0444,
                         .st_nlink = 1,
                         .st_uid = mount->options->uid,
                         .st_gid = mount->options->gid,
                         .st_blksize = BLKSIZE};
    time_t when = (time_t)mount->born;
    const struct version *version = node->version;
    if (node->kind == NODE_TEXT) {
        out->st_size = (off_t)node->text.size;
        when = node->made_at;
    } else if (version != NULL && version_has_size(version, node->face)) {
        out->st_size = (off_t)version->size[node->face];
    }
    if (version != NULL) {
        out->st_ino =
            node_ino(mount, node->subject->table->relation.oid, node->face, version->serial);
        when = (time_t)version->mtime;
    }
    out->st_atime = out->st_mtime = out->st_ctime = when;
    query_attributes(mount, node, out);
    out->st_mode &= ~mount->options->umask;
    out->st_blocks = (out->st_size + BLOCK - 1) / BLOCK;
}

/* ---- listing ---- */

int listing_add(struct listing *listing, const char *name, uint64_t ino, bool directory)
{
    size_t n = listing->count;
    if ((n & (n - 1)) == 0) {
        struct entry *grown = realloc(listing->entries, (n == 0 ? 1 : 2 * n) * sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        listing->entries = grown;
    }
    char *copy = strdup(name);
    if (copy == NULL)
        return -ENOMEM;
    listing->entries[listing->count++] = (struct entry){copy, ino, directory};
    return 0;
}

static int add_sql_name(struct listing *listing, const struct node *node, const char *sql)
{
    struct buffer name = {0};
    int rc = name_encode(sql, &name);
    if (rc == 0)
        rc = buffer_append_byte(&name, '\0');
    if (rc == 0)
        rc = listing_add(listing, (char *)name.data, node_path(node, (char *)name.data), true);
    buffer_clear(&name);
    return rc;
}

static int list_schemas(const struct mount *mount, const struct node *node, struct listing *listing)
{
    int rc = mount->options->list_control
                 ? listing_add(listing, control_name, node_path(node, control_name), true)
                 : 0;
    for (size_t i = 0; rc == 0 && i < mount->catalog->schema_count; i++)
        rc = add_sql_name(listing, node, mount->catalog->schemas[i]);
    return rc;
}

static int list_relations(const struct mount *mount, const struct node *node,
                          struct listing *listing)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < mount->catalog->relation_count; i++) {
        const struct relation *relation = &mount->catalog->relations[i];
        if (relation->parent == 0 && strcmp(relation->schema, node->schema) == 0)
            rc = add_sql_name(listing, node, relation->name);
    }
    return rc;
}

static int list_partitions(const struct mount *mount, const struct node *node,
                           struct listing *listing)
{
    const struct relation *parent = node_relation(mount, node->parent);
    size_t count = 0;
    const struct partition *list =
        parent != NULL ? partitions_of(&mount->partitions, parent->oid, &count) : NULL;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = listing_add(listing, list[i].name, node_path(node, list[i].name), true);
    return rc;
}

static int add_face(struct mount *mount, const struct node *node, int face, const char *name,
                    struct listing *listing)
{
    const struct relation *relation = node_relation(mount, node);
    struct table *table = relation != NULL ? table_get(mount, relation) : NULL;
    const struct subject *subject = table != NULL ? table_subject(table, face) : NULL;
    uint64_t ino =
        subject != NULL && subject->current != NULL
            ? node_ino(mount, subject->table->relation.oid, face, subject->current->serial)
            : node_path(node, name);
    return listing_add(listing, name, ino, false);
}

static int list_faces(struct mount *mount, const struct node *node, struct listing *listing)
{
    int rc = 0;
    struct buffer name = {0};
    const struct relation *relation = node_relation(mount, node);
    bool rows = relation == NULL || !relation->refuses_rows;
    bool json = relation == NULL || !relation->refuses_json;
    for (int i = 0; rc == 0 && rows && i < FORMAT_COUNT; i++) {
        if (!(mount->options->listed_formats & 1U << i) ||
            (!json && (formats[i]->parts & 1U << PART_JSON)))
            continue;
        name.size = 0;
        rc = buffer_printf(&name, "%s.%s", node->name, formats[i]->name);
        if (rc == 0)
            rc = add_face(mount, node, i, (char *)name.data, listing);
    }
    buffer_clear(&name);
    if (rc == 0 && relation != NULL && relation->has_ddl && schema_file_refusal(mount) == NULL)
        rc = add_face(mount, node, FACE_DDL, "schema.sql", listing);
    if (rc == 0 && rows)
        rc = add_face(mount, node, FACE_MANIFEST, "manifest.json", listing);
    if (rc == 0 && mount->options->list_partitions && relation != NULL &&
        relation->kind == RELATION_PARTITIONED)
        rc = listing_add(listing, partitions_name, node_path(node, partitions_name), true);
    if (rc == 0 && rows && relation != NULL && relation->has_vectors)
        rc = listing_add(listing, query_name, node_path(node, query_name), true);
    return rc;
}

static int list_control(const struct node *node, struct listing *listing)
{
    int rc = 0;
    for (int i = 0; rc == 0 && control_names[i] != NULL; i++)
        rc = listing_add(listing, control_names[i], node_path(node, control_names[i]), false);
    return rc;
}

static void free_listing(void *whole)
{
    struct listing *listing = whole;
    opened_unlist(&listing->opened);
    for (size_t i = 0; i < listing->count; i++)
        free(listing->entries[i].name);
    free(listing->entries);
    free(listing);
}

void listing_free(struct listing *listing)
{
    if (listing != NULL)
        free_listing(listing);
}

int node_list(struct mount *mount, struct node *node, struct listing **out)
{
    struct listing *listing = calloc(1, sizeof *listing);
    if (listing == NULL)
        return -ENOMEM;
    const struct node *above = node->parent != NULL ? node->parent : node;
    int rc = listing_add(listing, ".", node->ino, true);
    if (rc == 0)
        rc = listing_add(listing, "..", above->ino, true);
    if (rc == 0)
        rc = node->kind == NODE_ROOT         ? list_schemas(mount, node, listing)
             : node->kind == NODE_SCHEMA     ? list_relations(mount, node, listing)
             : node->kind == NODE_PARTITIONS ? list_partitions(mount, node, listing)
             : node->kind == NODE_TABLE      ? list_faces(mount, node, listing)
             : node->kind == NODE_CONTROL    ? list_control(node, listing)
                                             : query_list(mount, node, listing);
    if (rc < 0) {
        listing_free(listing);
        return rc;
    }
    opened_list(mount, &listing->opened, free_listing, listing);
    *out = listing;
    return 0;
}
