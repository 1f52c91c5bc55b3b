/* Copies a file to stdout by one of the ways in which programs read.
 *
 *   read_ways WAY [--stat] FILE       FILE - is what stdin is open on
 *
 * WAY is read, pread, mmap, sendfile, splice or copy_file_range. The file's size is not asked for,
 * unless --stat says so, or WAY is mmap, which needs it. Exit 1: something failed, and stderr says
 * which call and why; what has been written until then are the file's first bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 1 << 20, PIPE = 64 << 10 };

static char bytes[CHUNK];

static _Noreturn void fail(const char *call)
{
    fprintf(stderr, "read_ways: %s: %s\n", call, strerror(errno));
    exit(1);
}

static void put(const char *from, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDOUT_FILENO, from, size);
        if (n < 0)
            fail("write");
        from += n;
        size -= (size_t)n;
    }
}

static void by_read(int fd)
{
    ssize_t n;
    while ((n = read(fd, bytes, sizeof bytes)) > 0)
        put(bytes, (size_t)n);
    if (n < 0)
        fail("read");
}

static void by_pread(int fd)
{
    off_t at = 0;
    ssize_t n;
    for (; (n = pread(fd, bytes, sizeof bytes, at)) > 0; at += n)
        put(bytes, (size_t)n);
    if (n < 0)
        fail("pread");
}

static void by_mmap(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        fail("fstat");
    if (st.st_size == 0)
        return;
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        fail("mmap");
    put(map, (size_t)st.st_size);
}

static void by_sendfile(int fd)
{
    ssize_t n;
    while ((n = sendfile(STDOUT_FILENO, fd, NULL, CHUNK)) > 0)
        continue;
    if (n < 0)
        fail("sendfile");
}

static void by_splice(int fd)
{
    int ends[2];
    ssize_t n;
    if (pipe(ends) < 0)
        fail("pipe");
    while ((n = splice(fd, NULL, ends[1], NULL, PIPE, 0)) > 0)
        for (ssize_t got; n > 0; n -= got) {
            if ((got = read(ends[0], bytes, (size_t)n)) < 0)
                fail("read of the pipe");
            put(bytes, (size_t)got);
        }
    if (n < 0)
        fail("splice");
}

static void by_copy_file_range(int fd)
{
    FILE *copy = tmpfile();
    ssize_t n;
    if (copy == NULL)
        fail("tmpfile");
    while ((n = copy_file_range(fd, NULL, fileno(copy), NULL, CHUNK, 0)) > 0)
        continue;
    if (n < 0)
        fail("copy_file_range");
    by_pread(fileno(copy));
}

static const struct {
    const char *name;
    void (*copy)(int fd);
} ways[] = {{"read", by_read},     {"pread", by_pread},
            {"mmap", by_mmap},     {"sendfile", by_sendfile},
            {"splice", by_splice}, {"copy_file_range", by_copy_file_range}};

int main(int argc, char **argv)
{
    bool asks = argc == 4 && strcmp(argv[2], "--stat") == 0;
    struct stat st;
    if (argc != 3 && !asks) {
        fprintf(stderr, "usage: read_ways WAY [--stat] FILE\n");
        return 2;
    }
    const char *path = argv[argc - 1];
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY);
    if (fd < 0)
        fail("open");
    if (asks && fstat(fd, &st) < 0)
        fail("fstat");
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(argv[1], ways[i].name) == 0) {
            ways[i].copy(fd);
            return 0;
        }
    fprintf(stderr, "read_ways: %s is no way\n", argv[1]);
    return 2;
}
