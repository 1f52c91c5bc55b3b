#include "fs/base/name_file.h"

#include "fs/base/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct name_file {
    atomic_uint refs;
    struct mapping *mapping; /* NULL: there are no names */
};

/* Not every file system has files without a name from the beginning. */
static int open_nameless(const char *folder)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char *path = NULL;
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL))
        return fd < 0 ? -errno : fd;
    if (asprintf(&path, "%s/names-XXXXXX", folder) < 0)
        return -ENOMEM;
    fd = mkostemp(path, O_CLOEXEC);
    int rc = fd < 0 ? -errno : unlink(path) < 0 ? -errno : 0;
    free(path);
    if (rc < 0 && fd >= 0)
        close(fd);
    return rc < 0 ? rc : fd;
}

int name_list_begin(const char *folder, struct name_list *out)
{
    int fd = open_nameless(folder);
    if (fd < 0)
        return fd;
    *out = (struct name_list){.fd = fd};
    return 0;
}

static int write_lines(struct name_list *list)
{
    for (size_t done = 0; done < list->lines.size;) {
        ssize_t n = write(list->fd, list->lines.data + done, list->lines.size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += (size_t)n;
    }
    list->lines.size = 0;
    return 0;
}

int name_list_add(struct name_list *list, const uint8_t *name, size_t size)
{
    enum { AT_ONCE = 64 << 10 };
    int rc = list->lines.size >= AT_ONCE ? write_lines(list) : 0;
    if (rc == 0)
        rc = buffer_reserve(&list->lines, size + 1);
    if (rc < 0)
        return rc;
    if (size > 0) /* else the name may be nowhere */
        memcpy(list->lines.data + list->lines.size, name, size);
    list->lines.data[list->lines.size + size] = '\n';
    list->lines.size += size + 1;
    list->size += size + 1;
    return 0;
}

void name_list_give_up(struct name_list *list)
{
    close(list->fd);
    buffer_clear(&list->lines);
}

int name_list_end(struct name_list *list, struct name_file **out)
{
    struct name_file *file = calloc(1, sizeof *file);
    int rc = file == NULL ? -ENOMEM : write_lines(list);
    if (rc == 0 && list->size > 0)
        rc = mapping_open(list->fd, list->size, &file->mapping);
    name_list_give_up(list);
    if (rc < 0) {
        free(file);
        return rc;
    }
    file->refs = 1;
    *out = file;
    return 0;
}

struct name_file *name_file_ref(struct name_file *file)
{
    atomic_fetch_add(&file->refs, 1);
    return file;
}

void name_file_unref(struct name_file *file)
{
    if (file == NULL || atomic_fetch_sub(&file->refs, 1) != 1)
        return;
    mapping_close(file->mapping);
    free(file);
}

bool name_file_at(const struct name_file *file, uint64_t place, const char **name, size_t *size,
                  uint64_t *next)
{
    size_t all = 0;
    const uint8_t *bytes = file->mapping != NULL ? mapping_bytes(file->mapping, &all) : NULL;
    if (place >= all || (place > 0 && bytes[place - 1] != '\n'))
        return false;
    const uint8_t *end = memchr(bytes + place, '\n', all - place);
    if (end == NULL)
        return false;
    *name = (const char *)bytes + place;
    *size = (size_t)(end - bytes) - place;
    *next = (uint64_t)(end - bytes) + 1;
    return true;
}
