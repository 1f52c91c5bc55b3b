#include "fs/tree/opened.h"

#include "fs/tables/mount.h"
#include "fs/tree/tree.h"

void opened_list(struct mount *mount, struct opened *opened, void (*free)(void *whole), void *whole)
{
    *opened = (struct opened){mount->tree->opened, &mount->tree->opened, free, whole};
    if (opened->next != NULL)
        opened->next->at = &opened->next;
    mount->tree->opened = opened;
}

void opened_unlist(struct opened *opened)
{
    if (opened->at == NULL)
        return;
    *opened->at = opened->next;
    if (opened->next != NULL)
        opened->next->at = opened->at;
    *opened = (struct opened){0};
}

void opened_free_all(struct mount *mount)
{
    while (mount->tree->opened != NULL)
        mount->tree->opened->free(mount->tree->opened->whole);
}
