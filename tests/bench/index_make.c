/* bench-index: indexes, built and from their files. */
#include "codec/buffer.h"
#include "tests/bench/index.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct hnsw_options options_now(void)
{
    return (struct hnsw_options){.space = space,
                                 .m = settings.m,
                                 .ef_construction = settings.ef_construction,
                                 .seed = 42,
                                 .threads = settings.threads,
                                 .code_bits = settings.code_bits};
}

void some_rows_init(struct some_rows *some, const struct values *base, const uint32_t *rows,
                    uint32_t count)
{
    size_t size = 0, value_size;
    some->keys = vectors_room(count, sizeof *some->keys);
    for (uint32_t i = 0; i < count; i++)
        some->keys[i].place = rows != NULL ? rows[i] : i;
    some->span = base->span;
    some->bytes = NULL;
    some->starts = NULL;
    if (rows == NULL)
        return;
    for (uint32_t i = 0; i < count; i++) {
        span_value(&base->span, rows[i], &value_size);
        size += value_size;
    }
    some->bytes = vectors_room(size, 1);
    some->starts = vectors_room((size_t)count + 1, sizeof *some->starts);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *value = span_value(&base->span, rows[i], &value_size);
        memcpy(some->bytes + some->starts[i], value, value_size);
        some->starts[i + 1] = some->starts[i] + value_size;
    }
    some->span.bytes = some->bytes;
    some->span.rows = count;
    some->span.starts = base->span.fixed != 0 ? NULL : some->starts;
}

void some_rows_clear(struct some_rows *some)
{
    free(some->keys);
    free(some->bytes);
    free(some->starts);
}

struct hnsw *build(const struct values *base, const uint32_t *rows, uint32_t count)
{
    struct error error = {{0}};
    struct hnsw_options options = options_now();
    struct some_rows some;
    struct hnsw *hnsw;
    some_rows_init(&some, base, rows, count);
    check(hnsw_build(&options, &(struct hnsw_rows){&some.span, 1, some.keys}, &hnsw, &error),
          settings.base, &error);
    some_rows_clear(&some);
    return hnsw;
}

static int open_folder(const char *path)
{
    mkdir(path, 0777);
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        vectors_die(path, strerror(errno));
    return dir;
}

static const char *file_name(void)
{
    static char name[64];
    snprintf(name, sizeof name, "%u.%s.hnsw", space.dims, settings.metric);
    return name;
}

/* Mapped as fs/search/vector_graph.c does it, to the end of the process. */
struct hnsw *open_saved(const char *path)
{
    struct error error = {{0}};
    struct buffer binding = {0};
    struct hnsw *hnsw;
    struct stat st;
    int dir = open_folder(path), fd = openat(dir, file_name(), O_RDONLY | O_CLOEXEC);
    check(fd < 0 || fstat(fd, &st) < 0 ? -errno : 0, path, &error);
    size_t size = (size_t)st.st_size;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    check(bytes == MAP_FAILED ? -errno : 0, path, &error);
    check(hnsw_open(&(struct hnsw_image){bytes, size}, &space, NULL, &hnsw, &binding, &error), path,
          &error);
    buffer_clear(&binding);
    close(fd);
    close(dir);
    return hnsw;
}

void save(const struct hnsw *hnsw)
{
    struct error error = {{0}};
    struct hnsw_binding binding = {"bench", 5};
    int dir = open_folder(settings.save);
    double from = seconds_now();
    check(hnsw_save(hnsw, &binding, dir, file_name(), NULL, &error), settings.save, &error);
    printf("save_s\t%.3f\n", seconds_now() - from);
    close(dir);
}
