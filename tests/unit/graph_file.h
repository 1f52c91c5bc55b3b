/* Files of indexes: mapped, and changed so that their checksums hold all the same. hnsw_file.c
 * draws them. */
#ifndef TESTS_GRAPH_FILE_H
#define TESTS_GRAPH_FILE_H

#include "codec/bytes.h"
#include "codec/hash.h"
#include "index/hnsw.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Mapped; size 0: NULL. graph_unmap gives it back. */
struct graph_map {
    void *bytes;
    size_t size;
};

static inline void graph_unmap(struct graph_map map)
{
    if (map.size > 0)
        munmap(map.bytes, map.size);
}

static inline struct graph_map graph_map(int dir, const char *name)
{
    struct stat st;
    struct graph_map map = {NULL, 0};
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        abort();
    map.size = (size_t)st.st_size;
    if (map.size > 0)
        map.bytes = mmap(NULL, map.size, PROT_READ, MAP_SHARED, fd, 0);
    if (map.bytes == MAP_FAILED)
        abort();
    close(fd);
    return map;
}

enum { GRAPH_LOOK = 1, GRAPH_PLACES = 4, GRAPH_TWINS = 6, GRAPH_LISTS = 7, GRAPH_SECTIONS = 20 };

/* Where a section begins, and its size. */
static inline uint8_t *graph_section(uint8_t *file, int section, size_t *size)
{
    const uint8_t *entry = file + load_le32(file + 44) - 16 * (GRAPH_SECTIONS - section);
    *size = (size_t)load_le64(entry + 8);
    return file + load_le64(entry);
}

/* The checksums, of what stands in it now. */
static inline void graph_seal(uint8_t *file, size_t size)
{
    enum { HEAD = 4096, PIECE = 1 << 20 };
    if (size < HEAD)
        return;
    uint64_t end = load_le64(file + 24);
    uint32_t head = load_le32(file + 44);
    if (end < HEAD || end > size || head > HEAD || head < 48)
        return;
    uint64_t pieces = (end - HEAD + PIECE - 1) / PIECE;
    if (pieces > (size - end) / 8)
        return;
    for (uint64_t i = 0; i < pieces; i++) {
        uint64_t at = HEAD + i * PIECE;
        store_le64(file + end + 8 * i, hash64(file + at, end - at < PIECE ? end - at : PIECE));
    }
    store_le64(file + 16, size);
    store_le64(file + 32, hash64(file + end, size - end));
    store_le64(file + 8, hash64(file + 16, head - 16));
}

#endif
