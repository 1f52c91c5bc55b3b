#include "fs/tree/table_users.h"

#include "fs/tree/table_file.h"

static bool is_open(struct mount *mount, uint64_t nodeid)
{
    const struct node *node = node_find(mount, nodeid);
    return node != NULL && node->opens > 0;
}

/* The file of this number; NULL: it is not there any more. */
static struct table_file *find_file(struct mount *mount, uint64_t nodeid)
{
    struct node *node = node_find(mount, nodeid);
    return node != NULL && is_table_file(node) ? table_file(node) : NULL;
}

/* True if the kernel has no bytes of the file, and the file is to show this version, or the next
 * one. */
static bool begin_filling(struct subject *subject, int face, uint64_t nodeid)
{
    struct table_file *file = find_file(subject->table->mount, nodeid);
    bool empty =
        file != NULL && file->face == face && file->node.subject == subject &&
        file->node.opens == 0 && !file->filling && !file->spoiled &&
        (file->version == NULL || (file->version == subject->current && !subject->refreshing &&
                                   file->version->state[face] == FACE_UNKNOWN));
    if (empty)
        file->filling = true;
    return empty;
}

static void filled(struct mount *mount, uint64_t nodeid, enum prefill_result result,
                   struct version *version)
{
    struct table_file *file = find_file(mount, nodeid);
    if (file == NULL)
        return;
    file->filling = false;
    if (result == PREFILL_NOTHING)
        return;
    if (result == PREFILL_GOOD && file->version == NULL && version != NULL) {
        table_file_bind(file, version);
    } else if (result == PREFILL_SPOILED || file->version == NULL) {
        file->spoiled = true;
        if (file->node.subject != NULL)
            file->node.subject->no_prefill = true;
    }
}

static void streamed(struct subject *subject, uint64_t nodeid, bool same, struct version *version)
{
    struct table_file *file = find_file(subject->table->mount, nodeid);
    if (file == NULL || file->node.subject != subject || file->streams == 0)
        return;
    if (!same && (file->streamed || version == NULL))
        file->spoiled = true;
    else if (file->version == NULL && !file->spoiled)
        table_file_bind(file, version);
}

const struct table_users tree_users = {
    .is_open = is_open,
    .begin_filling = begin_filling,
    .filled = filled,
    .streamed = streamed,
};
