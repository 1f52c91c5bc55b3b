#include "fs/tree/node.h"

#include "codec/clock.h"
#include "codec/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, BLKSIZE = 128 << 10 };

/* ---- numbers ---- */

/* 0 is no inode number, and 1 is the root's number in the kernel. */
static uint64_t number_of(const uint64_t *parts, size_t size)
{
    uint64_t ino = hash64(parts, size);
    return ino > 1 ? ino : 2;
}

uint64_t node_path(const struct node *parent, const char *name)
{
    uint64_t parts[2] = {parent->ino, hash64(name, strlen(name))};
    return number_of(parts, sizeof parts);
}

uint64_t node_ino(const struct mount *mount, uint32_t relation, int face, uint64_t serial)
{
    uint64_t parts[] = {mount->system_id, mount->database, relation, face_number(face), serial};
    return number_of(parts, sizeof parts);
}

uint64_t node_ino_of(const struct mount *mount, const struct subject *subject, int face,
                     const struct version *version)
{
    uint64_t ino = node_ino(mount, subject->table->relation.oid, face, version->serial);
    const uint64_t more[] = {selection_number(subject->columns), (uint64_t)version->renewed[face]};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        uint64_t parts[] = {ino, more[i]};
        ino = more[i] == 0 ? ino : number_of(parts, sizeof parts);
    }
    return ino;
}

/* ---- making and freeing ---- */

static void link_node(struct tree *tree, struct node *node)
{
    struct node *parent = node->parent;
    if (parent != NULL && node_is_directory(node)) {
        struct node **paths = &tree->directories[node->ino % NODE_BUCKETS];
        node->next_path = *paths;
        *paths = node;
        parent->below++;
    } else if (parent != NULL) {
        node->next_file = parent->files;
        parent->files = node;
    }
    struct node **bucket = &tree->nodes[node->nodeid % NODE_BUCKETS];
    node->next_id = *bucket;
    *bucket = node;
    tree->node_count++;
    tree->unbounded_count += (node->class->flags & CLASS_UNBOUNDED) != 0;
}

static void node_free(struct node *node)
{
    node_set_subject(node, NULL);
    if (node->class->clear != NULL)
        node->class->clear(node);
    free(node->name);
    free(node);
}

int node_new(struct mount *mount, struct node *parent, const struct node_class *class,
             const char *name, struct node **out)
{
    struct node *node = calloc(1, class->size);
    char *copy = strdup(name);
    if (node == NULL || copy == NULL) {
        free(node);
        free(copy);
        return -ENOMEM;
    }
    node->class = class;
    node->name = copy;
    node->parent = parent;
    node->absent_ms = INT64_MIN / 2;
    if (parent != NULL)
        node->ino = node_path(parent, name);
    int rc = class->begin != NULL ? class->begin(node) : 0;
    if (rc < 0) {
        node_free(node);
        return rc;
    }
    node->nodeid = mount->tree->next_nodeid++;
    link_node(mount->tree, node);
    *out = node;
    return 0;
}

int node_directory(struct mount *mount, struct node *parent, const struct node_class *class,
                   const char *name, struct node **out)
{
    enum { ABSENT_MS = 100 };
    struct node *known = node_named(mount, parent, name);
    if (known == NULL)
        return node_new(mount, parent, class, name, out);
    /* A program that was told a moment ago that there is no such directory is about to make it. If
     * it were told now that there is one, it could not report why making it is refused. */
    if (clock_ms() - known->absent_ms < ABSENT_MS && !node_exists(mount, known))
        return -ENOENT;
    *out = known;
    return 0;
}

void node_set_subject(struct node *node, struct subject *subject)
{
    if (node->subject != NULL)
        node->subject->nodes--;
    if (subject != NULL)
        subject->nodes++;
    node->subject = subject;
}

static void unlink_directory(struct tree *tree, struct node *directory)
{
    struct node **at = &tree->directories[directory->ino % NODE_BUCKETS];
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

static void unlink_id(struct tree *tree, struct node *node)
{
    struct node **at = &tree->nodes[node->nodeid % NODE_BUCKETS];
    while (*at != node)
        at = &(*at)->next_id;
    *at = node->next_id;
    tree->node_count--;
    tree->unbounded_count -= (node->class->flags & CLASS_UNBOUNDED) != 0;
}

int node_start(struct mount *mount, const struct node_class *root)
{
    mount->tree->next_nodeid = 1; /* FUSE_ROOT_ID */
    int rc = node_new(mount, NULL, root, "", &mount->tree->root);
    if (rc < 0)
        return rc;
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

static bool stays(const struct mount *mount, struct node *node)
{
    if (node->class->stays != NULL)
        return node->class->stays(mount, node);
    return node_is_directory(node) && node_exists(mount, node);
}

void node_forget(struct mount *mount, uint64_t nodeid, uint64_t lookups)
{
    struct node *node = node_find(mount, nodeid);
    if (node == NULL)
        return;
    node->lookups -= lookups < node->lookups ? lookups : node->lookups;
    if (node->lookups > 0 || node->opens > 0 || node->below > 0 || node->files != NULL ||
        stays(mount, node))
        return;
    struct node *parent = node->parent;
    if (node_is_directory(node))
        unlink_directory(mount->tree, node);
    else
        unlink_file(node);
    unlink_id(mount->tree, node);
    node_free(node);
    if (parent != NULL && parent->lookups == 0)
        node_forget(mount, parent->nodeid, 0); /* the parent may have stayed only for this child */
}

/* ---- names ---- */

bool node_exists(const struct mount *mount, const struct node *node)
{
    return node->class->exists == NULL || node->class->exists(mount, node);
}

const struct relation *node_relation(const struct mount *mount, const struct node *node)
{
    return node->class->relation != NULL ? node->class->relation(mount, node) : NULL;
}

bool node_exists_in_parent(const struct mount *mount, const struct node *node)
{
    return !node->nameless && node_exists(mount, node->parent);
}

bool node_never_stays(const struct mount *mount, struct node *node)
{
    (void)mount, (void)node;
    return false;
}

struct node *node_table(struct node *node)
{
    while (node != NULL && node->class->relation == NULL)
        node = node->parent;
    return node;
}

struct subject *node_rows(struct mount *mount, struct node *node)
{
    const struct node *directory = node_table(node);
    const struct relation *relation = directory != NULL ? node_relation(mount, directory) : NULL;
    struct table *table = relation != NULL ? table_get(mount, relation) : NULL;
    return table != NULL ? &table->subjects[SUBJECT_ROWS] : NULL;
}

void node_keep_reason(struct node *node, uint64_t path, const char *reason)
{
    while (node != NULL && node->class->keep_reason == NULL)
        node = node->parent;
    if (node != NULL)
        node->class->keep_reason(node, path, reason);
}

struct node *node_named(const struct mount *mount, const struct node *parent, const char *name)
{
    struct node *node = mount->tree->directories[node_path(parent, name) % NODE_BUCKETS];
    while (node != NULL &&
           (node->parent != parent || node->nameless || strcmp(node->name, name) != 0))
        node = node->next_path;
    return node;
}

int node_lookup(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    const struct node_class *class = lookup->parent->class;
    int rc = class->lookup != NULL ? class->lookup(mount, lookup, out) : -ENOENT;
    if (rc == 0)
        (*out)->lookups++;
    return rc;
}

/* ---- attributes ---- */

void node_attributes(const struct mount *mount, const struct node *node, struct stat *out)
{
    time_t born = (time_t)mount->born;
    *out = (struct stat){.st_ino = node->ino,
                         .st_mode = node->class->mode,
                         .st_nlink = 1,
                         .st_uid = mount->options->uid,
                         .st_gid = mount->options->gid,
                         .st_blksize = BLKSIZE,
                         .st_atime = born,
                         .st_mtime = born,
                         .st_ctime = born};
    if (node->class->attributes != NULL)
        node->class->attributes(mount, node, out);
    out->st_mode &= ~mount->options->umask;
    out->st_blocks = (out->st_size + BLOCK - 1) / BLOCK;
}
