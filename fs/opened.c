#include "fs/opened.h"

#include "fs/mount.h"

void opened_list(struct mount *mount, struct opened *opened, void (*free)(void *whole), void *whole)
{
    *opened = (struct opened){mount->opened, &mount->opened, free, whole};
    if (opened->next != NULL)
        opened->next->at = &opened->next;
    mount->opened = opened;
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
    while (mount->opened != NULL)
        mount->opened->free(mount->opened->whole);
}
