/* A list of names on disk, one a line, in the order in which they were added: for directories whose
 * names are too many for memory. The file has no name itself, so that it goes with the process.
 *
 * Lifetime: name_list_begin, then name_list_end or name_list_give_up; the file that name_list_end
 * gives is reference-counted, and does not change. Threads: one writes; any read.
 */
#ifndef FS_BASE_NAME_FILE_H
#define FS_BASE_NAME_FILE_H

#include "codec/buffer.h"

#include <stdbool.h>

struct name_list {
    int fd;
    struct buffer lines; /* not written yet */
    uint64_t size;       /* of all lines, written or not */
};

/* Makes the file in this folder. Errors: those of the disk. */
MUST_CHECK int name_list_begin(const char *folder, struct name_list *out);
/* A name has no line feed in it; it may be empty. */
MUST_CHECK int name_list_add(struct name_list *list, const uint8_t *name, size_t size);

struct name_file;

/* Ends the list, also on failure. */
MUST_CHECK int name_list_end(struct name_list *list, struct name_file **out);
void name_list_give_up(struct name_list *list);

struct name_file *name_file_ref(struct name_file *file);
void name_file_unref(struct name_file *file); /* NULL is fine */

/* The name at a place, which is 0, or what *next was before. False: there is none. It stays until
 * the last reference goes. */
bool name_file_at(const struct name_file *file, uint64_t place, const char **name, size_t *size,
                  uint64_t *next);

#endif
