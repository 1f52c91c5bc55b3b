#include "fs/tree/near_dir.h"

#include "fs/base/name.h"
#include "fs/base/shared_text.h"
#include "fs/tree/answer_file.h"
#include "fs/tree/call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct node_class column_dir, metric_dir, k_dir;

/* ---- near/ ---- */

static int look_up_column(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    char *sql;
    int rc = name_decode(lookup->name, strlen(lookup->name), &sql);
    if (rc < 0)
        return -ENOENT;
    free(sql);
    return node_directory(mount, lookup->parent, &column_dir, lookup->name, out);
}

const struct node_class near_dir = {.mode = S_IFDIR | 0555,
                                    .flags = CLASS_LASTS,
                                    .size = sizeof(struct node),
                                    .lookup = look_up_column,
                                    .exists = node_exists_in_parent,
                                    .stays = node_never_stays,
                                    .ready = call_need_directory};

/* ---- near/COLUMN/ ---- */

static int look_up_metric(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    if (metric_find(lookup->name, strlen(lookup->name)) < 0)
        return -ENOENT;
    return node_directory(mount, lookup->parent, &metric_dir, lookup->name, out);
}

/* ---- near/COLUMN/METRIC/ ---- */

/* K as a path says it; 0: it is no K. */
static uint32_t parse_k(const char *name)
{
    uint32_t k = 0;
    if (name[0] == '0' || strlen(name) > 6 || strspn(name, "0123456789") != strlen(name))
        return 0;
    for (; *name != '\0'; name++)
        k = k * 10 + (uint32_t)(*name - '0');
    return k <= QUESTION_K_MOST ? k : 0;
}

static int look_up_k(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    if (parse_k(lookup->name) == 0)
        return -ENOENT;
    return node_directory(mount, lookup->parent, &k_dir, lookup->name, out);
}

/* ---- near/COLUMN/METRIC/K/ ---- */

int near_column(const char *name, size_t size, char **out)
{
    char *decoded;
    int rc = name_decode(name, size, &decoded);
    if (rc < 0)
        return rc;
    *out = shared_text_new(decoded, strlen(decoded));
    free(decoded);
    return *out == NULL ? -ENOMEM : 0;
}

/* Takes the key from a name. A key may be the empty text, which no other name may be. */
static int take_key(const char *name, size_t size, char **out)
{
    if (size > 0)
        return name_decode(name, size, out);
    *out = strdup("");
    return *out == NULL ? -ENOMEM : 0;
}

/* Makes the question that the path down to the file of this key says. */
static int question_of(const struct node *k, const char *key, size_t key_size, struct question *out)
{
    const struct node *metric = k->parent, *column = metric->parent;
    int rc = question_init(out);
    if (rc < 0)
        return rc;
    out->k = parse_k(k->name);
    out->metric = metric_find(metric->name, strlen(metric->name));
    rc = near_column(column->name, strlen(column->name), &out->column);
    if (rc == 0)
        rc = take_key(key, key_size, &out->key);
    if (rc < 0)
        question_clear(out);
    return rc;
}

static int look_up_key(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    const char *name = lookup->name, *dot = strrchr(name, '.');
    int format = dot != NULL ? query_format(dot + 1) : -1;
    struct question question;
    if (format < 0)
        return -ENOENT;
    int rc = question_of(lookup->parent, name, (size_t)(dot - name), &question);
    return rc < 0 ? rc
                  : answer_file_look_up_path(mount, lookup, RESULT_ROWS, format, &question, out);
}

#define BELOW_NEAR                                                                                 \
    .mode = S_IFDIR | 0555, .flags = CLASS_LASTS | CLASS_UNBOUNDED, .size = sizeof(struct node),   \
    .exists = node_exists_in_parent, .stays = node_never_stays, .ready = call_need_directory

static const struct node_class column_dir = {BELOW_NEAR, .lookup = look_up_metric};
static const struct node_class metric_dir = {BELOW_NEAR, .lookup = look_up_k};
static const struct node_class k_dir = {BELOW_NEAR, .lookup = look_up_key};
