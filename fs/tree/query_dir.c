#include "fs/tree/query_dir.h"

#include "fs/tree/ask.h"
#include "fs/tree/ask_file.h"
#include "fs/tree/call.h"
#include "fs/tree/entries.h"
#include "fs/tree/index_dir.h"
#include "fs/tree/near_dir.h"
#include "fs/tree/session_dir.h"
#include "fs/tree/text_file.h"
#include "pgclient/catalog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char readme[] =
    "Similarity search in this table: the rows whose vectors are nearest to one that you give.\n"
    "\n"
    "  cat near/COLUMN/METRIC/K/KEY.csv     the K rows nearest to the row with primary key KEY, "
    "or\n"
    "                                       as KEY.jsonl; METRIC is l2, ip, cosine or l1, of bits\n"
    "                                       hamming or jaccard, as pgvector means them\n"
    "\n"
    "  exec 3<>ask                          a conversation: write a line of JSON, read the answer\n"
    "  echo '{\"vector\":[0.1,0.2],\"k\":5,\"metric\":\"cosine\"}' >&3; cat <&3\n"
    "\n"
    "  mkdir mine; cd mine                  a session: a value a file, until rmdir\n"
    "  echo cosine >metric; echo 20 >k      column metric k recall ef_search filter mode columns\n"
    "  echo '[0.1,0.2]' >vector             also {1:0.5}/300, 0101, float32, .npy; a line a query\n"
    "  echo 'price < 10' >filter            an SQL condition, applied before the K are taken\n"
    "  cat results.jsonl results.csv        the answer, with a column `distance`\n"
    "  cat plan.json error                  how it was found; why something was refused\n"
    "                                       answers are not listed: a copy of the mount asks "
    "nothing\n"
    "\n"
    "`mode` is auto, exact, hnsw or server; `recall` (0.95) is the share of the nearest rows that\n"
    "an index is to find; index/COLUMN.METRIC.json tells of it. A line of JSON for `ask` has the\n"
    "same names, or `key` in place of `vector`: the primary key of a row, which is left out.\n"
    "An answer is always of the rows that the table's own files would show now.\n";

struct query_node {
    struct node node;
    char *reason;         /* why the last failed answer failed */
    uint64_t reason_path; /* the path of that answer */
};

static struct query_node *of(const struct node *node) { return (struct query_node *)node; }

static void clear(struct node *node) { free(of(node)->reason); }

/* ---- what is in query/ ---- */

static int look_up_readme(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    struct node *file = lookup->parent->files;
    while (file != NULL && file->class != &text_file)
        file = file->next_file;
    if (file != NULL) {
        *out = file;
        return 0;
    }
    struct buffer text = {0};
    int rc = buffer_append_text(&text, readme);
    if (rc == 0)
        rc = text_file_new(mount, lookup->parent, lookup->name, &text, out);
    if (rc == 0)
        text_file_date(*out, (time_t)mount->born);
    return rc;
}

static int look_up_near(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    return node_directory(mount, lookup->parent, &near_dir, lookup->name, out);
}

static int look_up_index(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    return node_directory(mount, lookup->parent, &index_dir, lookup->name, out);
}

static const struct {
    const char *name;
    int (*look_up)(struct mount *mount, const struct lookup *lookup, struct node **out);
    bool directory, listed;
} entries[] = {
    {"README", look_up_readme, false, true},
    {"ask", ask_file_look_up, false, false},
    {"near", look_up_near, true, false},
    {"index", look_up_index, true, false},
};
enum { ENTRIES = sizeof entries / sizeof *entries };

/* The place of the name among the entries; ENTRIES: it is none of them. */
static int find_entry(const char *name)
{
    int i = 0;
    while (i < ENTRIES && strcmp(name, entries[i].name) != 0)
        i++;
    return i;
}

/* Looks up an entry; any other name is a session's. */
static int look_up_entry(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    int i = find_entry(lookup->name);
    if (i < ENTRIES)
        return entries[i].look_up(mount, lookup, out);
    struct node *session = node_named(mount, lookup->parent, lookup->name);
    if (session == NULL)
        return -ENOENT;
    *out = session;
    return 0;
}

static int list(struct mount *mount, struct node *node, struct entries *out)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < ENTRIES; i++)
        if (entries[i].listed)
            rc = entries_add(out, node, entries[i].name, entries[i].directory);
    for (const struct query_session *session = mount->tree->query_sessions;
         rc == 0 && session != NULL; session = session->next)
        if (session->directory->parent == node)
            rc = entries_add_ino(out, session->directory->name, session->directory->ino, true);
    return rc;
}

static int make(struct mount *mount, struct node *node, const char *name, const struct owner *owner,
                struct node **out)
{
    if (!node_exists(mount, node))
        return -ENOENT;
    if (find_entry(name) < ENTRIES || node_named(mount, node, name) != NULL)
        return -EEXIST;
    return session_dir_make(mount, node, name, owner, out);
}

static int end_session(struct mount *mount, struct node *node, const char *name,
                       const struct caller *caller)
{
    struct node *session = node_named(mount, node, name);
    int i = find_entry(name);
    if (session == NULL)
        return i < ENTRIES && !entries[i].directory ? -ENOTDIR : -ENOENT;
    if (session->class != &session_dir)
        return -EPERM;
    int rc = permit_removal(mount, caller, session);
    if (rc == 0)
        session_dir_end(mount, session);
    return rc;
}

/* ---- the directory ---- */

static bool exists(const struct mount *mount, const struct node *node)
{
    const struct relation *relation = node_relation(mount, node->parent);
    return relation != NULL && relation->has_vectors;
}

/* As for /tmp: each user may make sessions, and end their own. */
static void attributes(const struct mount *mount, const struct node *node, struct stat *st)
{
    (void)node;
    st->st_mode = S_IFDIR | (mount->options->allow_other ? S_ISVTX | 0777 : 0755);
}

static void keep_reason(struct node *node, uint64_t path, const char *reason)
{
    char *copy = strdup(reason);
    if (copy == NULL)
        return;
    free(of(node)->reason);
    of(node)->reason = copy;
    of(node)->reason_path = path;
}

static const char *kept_reason(const struct node *node, uint64_t path)
{
    return of(node)->reason_path == path ? of(node)->reason : NULL;
}

static void reason(struct mount *mount, struct node *node, char *text, size_t size)
{
    (void)mount;
    snprintf(text, size, "%s", of(node)->reason != NULL ? of(node)->reason : "");
}

const struct node_class query_dir = {
    .mode = S_IFDIR | 0755,
    .flags = CLASS_WRITTEN,
    .size = sizeof(struct query_node),
    .clear = clear,
    .lookup = look_up_entry,
    .list = list,
    .exists = exists,
    .make = make,
    .remove = end_session,
    .keep_reason = keep_reason,
    .kept_reason = kept_reason,
    .ready = call_need_directory,
    .attributes = attributes,
    .reason = reason,
};

/* ---- the end ---- */

void query_dir_stop_all(struct mount *mount)
{
    result_stop_all(mount);
    ask_stop_all(mount);
}

void query_dir_free_all(struct mount *mount)
{
    while (mount->tree->asks != NULL)
        ask_close(mount->tree->asks);
    session_dir_end_all(mount);
    result_forget_all(mount);
}
