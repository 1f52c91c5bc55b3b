#include "fs/tree/entries.h"

#include "codec/array.h"
#include "codec/buffer.h"
#include "codec/hash.h"
#include "fs/base/name.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int entries_add_ino(struct entries *entries, const char *name, uint64_t ino, bool is_directory)
{
    struct entry *grown = array_room(entries->list, entries->count, sizeof *grown);
    if (grown == NULL)
        return -ENOMEM;
    entries->list = grown;
    char *copy = strdup(name);
    if (copy == NULL)
        return -ENOMEM;
    entries->list[entries->count++] = (struct entry){copy, ino, is_directory};
    return 0;
}

int entries_add(struct entries *entries, const struct node *directory, const char *name,
                bool is_directory)
{
    return entries_add_ino(entries, name, node_path(directory, name), is_directory);
}

int entries_add_sql(struct entries *entries, const struct node *directory, const char *sql)
{
    struct buffer name = {0};
    int rc = name_encode(sql, &name);
    if (rc == 0)
        rc = buffer_append_byte(&name, '\0');
    if (rc == 0)
        rc = entries_add(entries, directory, (char *)name.data, true);
    buffer_clear(&name);
    return rc;
}

void entries_add_file(struct entries *entries, const struct node *directory, struct name_file *file,
                      const char *const *endings, int count)
{
    entries->file = name_file_ref(file);
    entries->directory = directory->ino;
    entries->ending_count = count;
    for (int i = 0; i < count; i++)
        entries->endings[i] = endings[i];
}

/* Places in the file are multiples of the number of endings, plus the number of the ending; all are
 * behind those of the list. */
static bool file_entry_at(const struct entries *entries, uint64_t place, struct entry_piece *out)
{
    uint64_t endings = (uint64_t)entries->ending_count, line, number, next;
    if (entries->file == NULL || endings == 0)
        return false;
    line = place / endings;
    number = place % endings;
    if (!name_file_at(entries->file, line, &out->name, &out->size, &next))
        return false;
    uint64_t parts[] = {entries->directory, hash64(out->name, out->size), number};
    out->ending = entries->endings[number];
    out->ino = hash64(parts, sizeof parts) | 2;
    out->directory = false;
    out->next = entries->count + (number + 1 < endings ? place + 1 : next * endings);
    return true;
}

bool entries_at(const struct entries *entries, uint64_t place, struct entry_piece *out)
{
    if (place >= entries->count)
        return file_entry_at(entries, place - entries->count, out);
    const struct entry *entry = &entries->list[place];
    *out = (struct entry_piece){.name = entry->name,
                                .size = strlen(entry->name),
                                .ino = entry->ino,
                                .directory = entry->directory,
                                .next = place + 1};
    return true;
}

static void free_entries(void *whole)
{
    struct entries *entries = whole;
    opened_unlist(&entries->opened);
    for (size_t i = 0; i < entries->count; i++)
        free(entries->list[i].name);
    free(entries->list);
    name_file_unref(entries->file);
    free(entries);
}

void entries_free(struct entries *entries)
{
    if (entries != NULL)
        free_entries(entries);
}

int entries_of(struct mount *mount, struct node *directory, struct entries **out)
{
    struct entries *entries = calloc(1, sizeof *entries);
    if (entries == NULL)
        return -ENOMEM;
    const struct node *above = directory->parent != NULL ? directory->parent : directory;
    int rc = entries_add_ino(entries, ".", directory->ino, true);
    if (rc == 0)
        rc = entries_add_ino(entries, "..", above->ino, true);
    if (rc == 0 && directory->class->list != NULL)
        rc = directory->class->list(mount, directory, entries);
    if (rc < 0) {
        entries_free(entries);
        return rc;
    }
    opened_list(mount, &entries->opened, free_entries, entries);
    *out = entries;
    return 0;
}
