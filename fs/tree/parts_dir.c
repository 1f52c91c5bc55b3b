#include "fs/tree/parts_dir.h"

#include "fs/rows/pieces.h"
#include "fs/tree/entries.h"
#include "fs/tree/piece_file.h"
#include "pgclient/catalog.h"

#include <errno.h>
#include <string.h>

static int format_of(const struct node *directory)
{
    return format_find(directory->name, strlen(directory->name));
}

/* ---- parts/FORMAT/ ---- */

static int ready_to_list(struct mount *mount, struct call *call)
{
    int rc = call_need_directory(mount, call);
    if (rc == -EAGAIN)
        call->on = &mount->waiting;
    if (rc == 0 && call->kind == CALL_OPENDIR)
        rc = call_need_subject(mount, call, node_rows, false);
    if (rc < 0 || call->kind != CALL_OPENDIR)
        return rc;
    return piece_file_need_version(call, format_of(call->node));
}

static void rest(struct node *node)
{
    if (node->calls == 0)
        node_set_subject(node, NULL);
}

/* A format that the server refuses has no pieces. */
static int list_pieces(struct mount *mount, struct node *node, struct entries *out)
{
    const struct subject *subject = node_rows(mount, node);
    struct version *version = subject != NULL ? subject->current : NULL;
    const struct pieces *pieces = version != NULL ? version_pieces(version) : NULL;
    const struct format *format = formats[format_of(node)];
    if (pieces == NULL)
        return version != NULL ? -ENOMEM : -EIO;
    if (snapshot_face(version->snapshot, format)->refused < 0)
        return 0;
    struct buffer name = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < pieces->count; i++) {
        const struct piece *piece = &pieces->list[i];
        char stem[PIECE_NAME_SIZE];
        piece_name(version->snapshot, pieces, piece, stem);
        name.size = 0;
        rc = buffer_printf(&name, "%s.%s", stem, format->name);
        if (rc == 0)
            rc = entries_add_ino(out, (char *)name.data,
                                 piece_ino(version->snapshot, pieces, piece, format), false);
    }
    buffer_clear(&name);
    return rc;
}

static const struct node_class format_dir = {.mode = S_IFDIR | 0555,
                                             .size = sizeof(struct node),
                                             .lookup = piece_file_look_up,
                                             .doubt = piece_file_doubt,
                                             .list = list_pieces,
                                             .exists = node_exists_in_parent,
                                             .ready = ready_to_list,
                                             .rest = rest};

/* ---- parts/ ---- */

static int look_up_format(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    if (format_find(lookup->name, strlen(lookup->name)) < 0)
        return -ENOENT;
    return node_directory(mount, lookup->parent, &format_dir, lookup->name, out);
}

static int list_formats(struct mount *mount, struct node *node, struct entries *out)
{
    const struct relation *relation = node_relation(mount, node->parent);
    int rc = 0;
    for (int i = 0; rc == 0 && i < FORMAT_COUNT; i++) {
        bool json = formats[i]->parts & 1U << PART_JSON;
        if ((mount->options->listed_formats & 1U << i) &&
            !(json && relation != NULL && relation->refuses_json))
            rc = entries_add(out, node, formats[i]->name, true);
    }
    return rc;
}

const struct node_class parts_dir = {.mode = S_IFDIR | 0555,
                                     .size = sizeof(struct node),
                                     .lookup = look_up_format,
                                     .list = list_formats,
                                     .exists = node_exists_in_parent,
                                     .ready = call_need_directory};
