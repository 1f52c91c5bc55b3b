#include "fs/tree/control_dir.h"

#include "fs/tree/control.h"
#include "fs/tree/entries.h"
#include "fs/tree/text_file.h"

static int look_up_text(struct mount *mount, const struct lookup *lookup, struct node **out)
{
    struct node *known = text_file_recent(mount, lookup->parent, lookup->name, lookup->caller);
    if (known != NULL) {
        *out = known;
        return 0;
    }
    struct buffer text = {0};
    int rc = control_write(mount, lookup->name, &text);
    if (rc < 0) {
        buffer_clear(&text);
        return rc;
    }
    rc = text_file_new(mount, lookup->parent, lookup->name, &text, out);
    if (rc == 0)
        text_file_promise(*out, lookup->caller);
    return rc;
}

static int list_texts(struct mount *mount, struct node *node, struct entries *out)
{
    int rc = 0;
    (void)mount;
    for (int i = 0; rc == 0 && control_names[i] != NULL; i++)
        rc = entries_add(out, node, control_names[i], false);
    return rc;
}

const struct node_class control_dir = {
    .mode = S_IFDIR | 0555,
    .flags = CLASS_LASTS,
    .size = sizeof(struct node),
    .lookup = look_up_text,
    .list = list_texts,
};
