#include "fs/tree/users.h"

#include "fs/tree/node.h"

static bool is_open(struct mount *mount, uint64_t nodeid)
{
    const struct node *node = node_find(mount, nodeid);
    return node != NULL && node->opens > 0;
}

/* If the kernel has none of its bytes, and it is to be this version, or the next one. */
static bool begin_filling(struct subject *subject, int face, uint64_t nodeid)
{
    struct node *node = node_find(subject->table->mount, nodeid);
    bool empty =
        node != NULL && node->kind == NODE_FILE && node->face == face && node->subject == subject &&
        node->opens == 0 && !node->filling && !node->spoiled &&
        (node->version == NULL || (node->version == subject->current && !subject->refreshing &&
                                   node->version->state[face] == FACE_UNKNOWN));
    if (empty)
        node->filling = true;
    return empty;
}

static void filled(struct mount *mount, uint64_t nodeid, enum prefill_result result,
                   struct version *version)
{
    struct node *node = node_find(mount, nodeid);
    if (node == NULL)
        return;
    node->filling = false;
    if (result == PREFILL_NOTHING)
        return;
    if (result == PREFILL_GOOD && node->version == NULL && version != NULL) {
        node_bind(node, version);
    } else if (result == PREFILL_SPOILED || node->version == NULL) {
        node->spoiled = true;
        if (node->subject != NULL)
            node->subject->no_prefill = true;
    }
}

static void streamed(struct subject *subject, uint64_t nodeid, bool same, struct version *version)
{
    struct node *node = node_find(subject->table->mount, nodeid);
    if (node == NULL || node->subject != subject || node->streams == 0)
        return;
    if (!same && (node->streamed || version == NULL))
        node->spoiled = true;
    else if (node->version == NULL && !node->spoiled)
        node_bind(node, version);
}

const struct table_users tree_users = {
    .is_open = is_open,
    .begin_filling = begin_filling,
    .filled = filled,
    .streamed = streamed,
};
