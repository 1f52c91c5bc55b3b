#include "fs/tree/query.h"

#include "fs/base/log.h"
#include "fs/base/name.h"
#include "fs/base/shared_text.h"
#include "fs/tree/ask.h"
#include "fs/tree/query_session.h"
#include "fs/tree/shown.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

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

static const char readme_name[] = "README", ask_name[] = "ask", near_name[] = "near",
                  index_name[] = "index", plan_name[] = "plan.json", results_name[] = "results";

/* ---- directories ---- */

static int directory(struct mount *mount, struct node *parent, enum node_kind kind,
                     const char *name, struct node **out)
{
    *out = node_named(mount, parent, name);
    if (*out != NULL)
        return 0;
    *out = node_new(mount, parent, kind, name);
    if (*out == NULL)
        return -ENOMEM;
    (*out)->level = parent->kind == NODE_NEAR ? parent->level + 1 : 0;
    return 0;
}

/* K as a path says it; 0: it says none. */
static uint32_t parse_k(const char *name)
{
    uint32_t k = 0;
    if (name[0] == '0' || strlen(name) > 6 || strspn(name, "0123456789") != strlen(name))
        return 0;
    for (; *name != '\0'; name++)
        k = k * 10 + (uint32_t)(*name - '0');
    return k <= QUESTION_K_MOST ? k : 0;
}

static bool is_column(const char *name, size_t size)
{
    char *sql;
    if (name_decode(name, size, &sql) < 0)
        return false;
    free(sql);
    return true;
}

/* ---- answers ---- */

/* The node that shows the result; NULL: none. One that is open answers for what it is. */
static struct node *node_with(const struct node *parent, const struct result_key *key,
                              const struct result *result, bool open)
{
    struct node *file = parent->files;
    while (file != NULL && (file->kind != NODE_ANSWER || file->key.path != key->path || file->own ||
                            file->key.asked->number != key->asked->number ||
                            !shown_is(file, result) || (file->opens > 0 && !open)))
        file = file->next_file;
    return file;
}

static int answer_new(struct mount *mount, struct node *parent, const char *name,
                      const struct result_key *key, const struct result *result, struct node **out)
{
    struct node *node = node_new(mount, parent, NODE_ANSWER, name);
    if (node == NULL)
        return -ENOMEM;
    node->key = *key;
    asked_ref(key->asked);
    if (key->session != NULL)
        node->session = query_session_ref(key->session);
    shown_set(node, result);
    node->told = result != NULL && !result->making && result->rc == 0;
    *out = node;
    return 0;
}

static struct subject *rows_of(struct mount *mount, struct node *node)
{
    const struct relation *relation = node_relation(mount, node_table(node));
    struct table *table = relation != NULL ? table_get(mount, relation) : NULL;
    return table != NULL ? &table->subjects[SUBJECT_ROWS] : NULL;
}

static int lookup_answer(struct mount *mount, struct node *parent, const char *name,
                         caller_id caller, const struct result_key *key, struct node **out)
{
    struct subject *subject = rows_of(mount, parent);
    const struct promise *promise = subject != NULL ? subject_promised(subject, caller) : NULL;
    struct result *result = result_promised(mount, key, caller);
    bool good = result != NULL;
    int rc;
    if (result == NULL && promise != NULL && promise->version == NULL) {
        rc = answer_new(mount, parent, name, key, NULL, out);
        if (rc == 0) {
            (*out)->own = true;
            node_set_subject(*out, subject);
        }
        return rc;
    }
    if (result == NULL && key->kind == RESULT_PLAN && key->session->plan != NULL &&
        key->session->plan->key.asked->number == key->asked->number) {
        result = key->session->plan;
        good = true;
    }
    if (result == NULL && subject != NULL && subject->current != NULL) {
        result = result_find(mount, key, subject->current);
        good = subject_leased(subject);
    }
    *out = result != NULL ? node_with(parent, key, result, good) : NULL;
    if (*out == NULL && !good) {
        result = NULL;
        *out = node_with(parent, key, NULL, true);
    }
    rc = *out != NULL ? 0 : answer_new(mount, parent, name, key, result, out);
    if (rc == 0 && (*out)->subject == NULL)
        node_set_subject(*out, subject);
    return rc;
}

/* A key may be the empty text, which no other name is. */
static int take_key(const char *name, size_t size, char **out)
{
    if (size > 0)
        return name_decode(name, size, out);
    *out = strdup("");
    return *out == NULL ? -ENOMEM : 0;
}

static int take_column(const char *name, size_t size, char **out)
{
    char *decoded;
    int rc = name_decode(name, size, &decoded);
    if (rc < 0)
        return rc;
    *out = shared_text_new(decoded, strlen(decoded));
    free(decoded);
    return *out == NULL ? -ENOMEM : 0;
}

/* near/COLUMN/METRIC/K/KEY.FORMAT */
static int lookup_near(struct mount *mount, struct node *parent, const char *name, caller_id caller,
                       struct node **out)
{
    const char *dot = strrchr(name, '.');
    int format = dot != NULL ? format_find(dot + 1, strlen(dot + 1)) : -1;
    if (format < 0 || (formats[format] != &format_csv && formats[format] != &format_jsonl))
        return -ENOENT;
    const struct node *k = parent, *metric = k->parent, *column = metric->parent;
    struct question question;
    int rc = question_init(&question);
    if (rc < 0)
        return rc;
    question.k = parse_k(k->name);
    question.metric = metric_find(metric->name, strlen(metric->name));
    rc = take_column(column->name, strlen(column->name), &question.column);
    if (rc == 0)
        rc = take_key(name, (size_t)(dot - name), &question.key);
    struct asked *asked = NULL;
    if (rc < 0)
        question_clear(&question);
    else
        rc = asked_new(&question, 0, &asked);
    struct result_key key = {
        .kind = RESULT_ROWS, .format = format, .path = node_path(parent, name), .asked = asked};
    if (rc == 0)
        rc = lookup_answer(mount, parent, name, caller, &key, out);
    asked_unref(asked);
    return rc;
}

static int lookup_below_near(struct mount *mount, struct node *parent, const char *name,
                             caller_id caller, struct node **out)
{
    size_t n = strlen(name);
    bool good = parent->level == 0   ? is_column(name, n)
                : parent->level == 1 ? metric_find(name, n) >= 0
                                     : parse_k(name) > 0;
    if (parent->level == 3)
        return lookup_near(mount, parent, name, caller, out);
    return good ? directory(mount, parent, NODE_NEAR, name, out) : -ENOENT;
}

/* index/COLUMN.METRIC.json */
static int lookup_index(struct mount *mount, struct node *parent, const char *name,
                        caller_id caller, struct node **out)
{
    static const char suffix[] = ".json";
    size_t n = strlen(name), tail = strlen(suffix);
    if (n <= tail || strcmp(name + n - tail, suffix) != 0)
        return -ENOENT;
    const char *dot = memrchr(name, '.', n - tail);
    if (dot == NULL)
        return -ENOENT;
    struct question question;
    int rc = question_init(&question);
    if (rc == 0)
        question.metric = metric_find(dot + 1, n - tail - (size_t)(dot + 1 - name));
    if (rc == 0)
        rc = question.metric < 0 ? -ENOENT
                                 : take_column(name, (size_t)(dot - name), &question.column);
    struct asked *asked = NULL;
    if (rc == 0)
        rc = asked_new(&question, 0, &asked);
    struct result_key key = {.kind = RESULT_INDEX, .path = node_path(parent, name), .asked = asked};
    if (rc == 0)
        rc = lookup_answer(mount, parent, name, caller, &key, out);
    asked_unref(asked);
    return rc;
}

/* ---- sessions ---- */

/* A value may become shorter while it is open: who has it open keeps its node, and the size that
 * goes with what he reads. */
static bool is_kept_open(const struct node *file)
{
    return file->kind == NODE_VALUE && file->opens > 0;
}

static struct node *file_named(const struct node *parent, enum node_kind kind, const char *name)
{
    struct node *file = parent->files;
    while (file != NULL && (file->kind != kind || strcmp(file->name, name) != 0 || file->removed ||
                            is_kept_open(file)))
        file = file->next_file;
    return file;
}

static int lookup_value(struct mount *mount, struct node *parent, const char *name, int field,
                        struct node **out)
{
    *out = file_named(parent, NODE_VALUE, name);
    if (*out != NULL)
        return 0;
    *out = node_new(mount, parent, NODE_VALUE, name);
    if (*out == NULL)
        return -ENOMEM;
    (*out)->field = field;
    (*out)->session = query_session_ref(parent->session);
    return 0;
}

/* The format of results.FORMAT; -1: the name is another. */
static int format_of_results(const char *name)
{
    size_t n = strlen(results_name);
    if (strncmp(name, results_name, n) != 0 || name[n] != '.')
        return -1;
    int format = format_find(name + n + 1, strlen(name + n + 1));
    bool good = format >= 0 && (formats[format] == &format_csv || formats[format] == &format_jsonl);
    return good ? format : -1;
}

static int lookup_in_session(struct mount *mount, struct node *parent, const char *name,
                             caller_id caller, struct node **out)
{
    if (parent->ended)
        return -ENOENT;
    int field = query_session_field(name), format = format_of_results(name);
    if (field >= 0)
        return lookup_value(mount, parent, name, field, out);
    struct result_key key = {.kind = RESULT_ROWS,
                             .format = format,
                             .path = node_path(parent, name),
                             .asked = parent->session->asked,
                             .session = parent->session};
    if (format < 0) {
        key.kind = RESULT_PLAN;
        key.format = format_find("jsonl", strlen("jsonl"));
        if (strcmp(name, plan_name) != 0)
            return -ENOENT;
    }
    return lookup_answer(mount, parent, name, caller, &key, out);
}

int query_make_session(struct mount *mount, struct node *query, const char *name,
                       const struct owner *owner, struct node **out)
{
    if (name[0] == '.')
        return -EINVAL;
    if (strlen(name) > NAME_MAX)
        return -ENAMETOOLONG;
    if (!query_exists(mount, query))
        return -ENOENT;
    if (strcmp(name, readme_name) == 0 || strcmp(name, ask_name) == 0 ||
        strcmp(name, near_name) == 0 || strcmp(name, index_name) == 0 ||
        node_named(mount, query, name) != NULL)
        return -EEXIST;
    struct node *node = node_new(mount, query, NODE_SESSION, name);
    if (node == NULL)
        return -ENOMEM;
    struct query_session *session;
    int rc = query_session_new(mount, node, &session);
    if (rc < 0) {
        if (rc == -ENOSPC)
            log_say(
                LOG_SAY_ERROR,
                "query/%s cannot be made: a mount has %d sessions at most; end others with rmdir",
                name, QUERY_SESSIONS_AT_MOST);
        node->ended = true;
        node_forget(mount, node->nodeid, 0);
        return rc;
    }
    session->owner = *owner;
    mount->tree->groups_matter |= ((owner->mode >> 3) ^ owner->mode) & 07;
    node->session = query_session_ref(session);
    node->lookups++;
    *out = node;
    return 0;
}

/* Whoever waits for an answer in it is told that there is none; what is open goes on. */
static void end_session(struct mount *mount, struct query_session *session)
{
    struct node *node = session->directory;
    node->ended = true;
    query_session_ref(session);
    query_session_end(session);
    mount->tree->session_ended(mount, session);
    query_session_unref(session);
    node_forget(mount, node->nodeid, 0);
}

int query_find_session(const struct mount *mount, const struct node *query, const char *name,
                       struct node **out)
{
    struct node *node = node_named(mount, query, name);
    if (node == NULL)
        return strcmp(name, readme_name) == 0 || strcmp(name, ask_name) == 0 ? -ENOTDIR : -ENOENT;
    if (node->kind != NODE_SESSION)
        return -EPERM;
    *out = node;
    return 0;
}

void query_end_session(struct mount *mount, struct node *session)
{
    end_session(mount, session->session);
}

int query_unlink_value(struct node *directory, const char *name, struct query_session **session,
                       int *field)
{
    if (directory->ended)
        return -ENOENT;
    *field = query_session_field(name);
    if (*field < 0)
        return -EPERM;
    /* The kernel takes the inode for one without a name. */
    for (struct node *file = directory->files; file != NULL; file = file->next_file)
        file->removed |= file->kind == NODE_VALUE && file->field == *field;
    *session = query_session_ref(directory->session);
    return 0;
}

/* ---- names in query/ itself ---- */

static int lookup_readme(struct mount *mount, struct node *parent, struct node **out)
{
    *out = file_named(parent, NODE_TEXT, readme_name);
    if (*out != NULL)
        return 0;
    struct buffer text = {0};
    int rc = buffer_append_text(&text, readme);
    *out = rc == 0 ? node_new(mount, parent, NODE_TEXT, readme_name) : NULL;
    if (*out == NULL) {
        buffer_clear(&text);
        return -ENOMEM;
    }
    (*out)->text = text;
    (*out)->told = true;
    (*out)->made_at = (time_t)mount->born;
    return 0;
}

/* Each conversation has a node of its own: who opens the name anew, to write and truncate, makes
 * the kernel forget the size of the node that he opens. */
static struct node *ask_that_is_closed(const struct node *query)
{
    struct node *file = query->files;
    while (file != NULL && (file->kind != NODE_ASK || file->opens > 0))
        file = file->next_file;
    return file;
}

static int lookup_in_query(struct mount *mount, struct node *parent, const char *name,
                           struct node **out)
{
    if (strcmp(name, readme_name) == 0)
        return lookup_readme(mount, parent, out);
    if (strcmp(name, near_name) == 0)
        return directory(mount, parent, NODE_NEAR, name, out);
    if (strcmp(name, index_name) == 0)
        return directory(mount, parent, NODE_INDEXES, name, out);
    if (strcmp(name, ask_name) == 0) {
        *out = ask_that_is_closed(parent);
        if (*out == NULL)
            *out = node_new(mount, parent, NODE_ASK, name);
        return *out != NULL ? 0 : -ENOMEM;
    }
    *out = node_named(mount, parent, name);
    return *out != NULL ? 0 : -ENOENT;
}

int query_lookup(struct mount *mount, struct node *parent, const char *name, caller_id caller,
                 struct node **out)
{
    switch (parent->kind) {
    case NODE_QUERY:
        return lookup_in_query(mount, parent, name, out);
    case NODE_NEAR:
        return lookup_below_near(mount, parent, name, caller, out);
    case NODE_INDEXES:
        return lookup_index(mount, parent, name, caller, out);
    default:
        return lookup_in_session(mount, parent, name, caller, out);
    }
}

bool query_exists(const struct mount *mount, const struct node *directory)
{
    if (directory->ended)
        return false;
    const struct relation *relation =
        node_relation(mount, node_table((struct node *)(uintptr_t)directory));
    return relation != NULL && relation->has_vectors;
}

/* ---- attributes and lists ---- */

static void answer_attributes(const struct mount *mount, const struct node *node, struct stat *out)
{
    const struct result *result = shown_find(mount, node);
    if (result == NULL || result->making || result->rc < 0)
        return;
    bool of_version = result->key.kind == RESULT_ROWS;
    uint64_t parts[] = {node->ino, node->key.asked->number,
                        of_version ? result->serial : result->number, result->contents};
    uint64_t ino = hash64(parts, sizeof parts);
    time_t when = of_version ? (time_t)result->mtime : result->made_at;
    if (node->session != NULL && node->session->changed_at > when)
        when = node->session->changed_at;
    out->st_ino = ino > 1 ? ino : 2;
    out->st_size = (off_t)result->bytes.size;
    out->st_atime = out->st_mtime = out->st_ctime = when;
}

static void owned_attributes(const struct owner *owner, struct stat *out)
{
    out->st_uid = owner->uid;
    out->st_gid = owner->gid;
    out->st_mode &= S_IFMT | owner->mode;
}

void query_attributes(const struct mount *mount, const struct node *node, struct stat *out)
{
    switch (node->kind) {
    case NODE_QUERY: /* as /tmp is: everybody may make a session, and end his own */
        out->st_mode = S_IFDIR | (mount->options->allow_other ? S_ISVTX | 0777 : 0755);
        break;
    case NODE_SESSION:
        out->st_mode = S_IFDIR | 0777;
        break;
    case NODE_VALUE:
        out->st_mode = S_IFREG | (node->field == FIELD_ERROR ? 0444 : 0666);
        out->st_size =
            (off_t)(node->drafts != NULL ? draft_largest(node)
                                         : query_session_size(node->session, node->field));
        out->st_atime = out->st_mtime = out->st_ctime = node->session->changed_at;
        break;
    case NODE_ASK:
        out->st_mode = S_IFREG | (mount->options->allow_other ? 0666 : 0644);
        out->st_size = ASK_SIZE;
        break;
    case NODE_ANSWER:
        answer_attributes(mount, node, out);
        break;
    default:
        break;
    }
    if (node->session != NULL)
        owned_attributes(&node->session->owner, out);
}

static int list_query(struct mount *mount, const struct node *query, struct listing *listing)
{
    int rc = listing_add(listing, readme_name, node_path(query, readme_name), false);
    const struct query_session *session = mount->tree->query_sessions;
    for (; rc == 0 && session != NULL; session = session->next)
        if (session->directory->parent == query)
            rc = listing_add(listing, session->directory->name, session->directory->ino, true);
    return rc;
}

/* Not the answers: who copies the whole mount must not ask what others have prepared, nor wait for
 * it, nor be told of its errors. */
static int list_session(const struct node *node, struct listing *listing)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < FIELD_COUNT; i++) {
        const char *name = query_session_field_name(i);
        rc = listing_add(listing, name, node_path(node, name), false);
    }
    return rc;
}

/* As far as the columns are known. */
static int list_indexes(struct mount *mount, struct node *node, struct listing *listing)
{
    const struct subject *subject = rows_of(mount, node);
    const struct snapshot *snapshot =
        subject != NULL && subject->current != NULL ? subject->current->snapshot : NULL;
    struct buffer name = {0};
    int rc = 0;
    for (int i = 0; snapshot != NULL && i < snapshot->schema->column_count; i++) {
        const struct column *column = &snapshot->schema->columns[i];
        int element = column->type != NULL ? element_find(column->type->name) : -1;
        for (int metric = 0; rc == 0 && element >= 0 && metric < METRIC_COUNT; metric++) {
            if (!metric_fits((enum metric)metric, (enum element)element))
                continue;
            name.size = 0;
            rc = name_encode(column->name, &name);
            if (rc == 0)
                rc = buffer_printf(&name, ".%s.json", metric_name((enum metric)metric));
            if (rc == 0)
                rc = listing_add(listing, (char *)name.data, node_path(node, (char *)name.data),
                                 false);
        }
    }
    buffer_clear(&name);
    return rc;
}

int query_list(struct mount *mount, struct node *node, struct listing *listing)
{
    switch (node->kind) {
    case NODE_QUERY:
        return list_query(mount, node, listing);
    case NODE_SESSION:
        return node->ended ? 0 : list_session(node, listing);
    case NODE_INDEXES:
        return list_indexes(mount, node, listing);
    default:
        return 0;
    }
}

/* ---- the end ---- */

void query_stop_all(struct mount *mount)
{
    result_stop_all(mount);
    ask_stop_all(mount);
}

void query_free_all(struct mount *mount)
{
    while (mount->tree->asks != NULL)
        ask_close(mount->tree->asks);
    while (mount->tree->query_sessions != NULL)
        end_session(mount, mount->tree->query_sessions);
    result_forget_all(mount);
}
