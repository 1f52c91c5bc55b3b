#include "fs/base/mapping.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The handler searches these without a lock: it must not wait for one. */
struct mapping {
    atomic_uintptr_t start; /* 0: the place is free */
    atomic_size_t size;
    atomic_bool broken;
    int next_free; /* guarded by `lock`: number of the next free place, plus one */
};

static struct mapping places[MAPPINGS_MOST];
static atomic_int used; /* places ever used */
static int first_free;  /* guarded by `lock` */
static atomic_uint breaks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before; /* written under `lock` */

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t)info->si_addr;
    int count = used, saved = errno;
    (void)context;
    for (int i = 0; i < count; i++) {
        uintptr_t start = places[i].start;
        size_t size = places[i].size;
        if (start == 0 || at < start || at - start >= size)
            continue;
        uintptr_t page = at & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
        void *zeroes = mmap((void *)page, size - (page - start), PROT_READ,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (zeroes == MAP_FAILED)
            break;
        places[i].broken = true;
        breaks++;
        errno = saved;
        return;
    }
    sigaction(number, &before, NULL); /* the access is tried again, and meets that handler */
    errno = saved;
}

/* Sets it again: a library may have set another one since. Under `lock`. */
static void set_handler(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigaction now;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, NULL, &now);
    if (now.sa_sigaction == on_bus_error)
        return;
    before = now;
    sigaction(SIGBUS, &action, NULL);
}

static struct mapping *claim(void)
{
    struct mapping *mapping = NULL;
    pthread_mutex_lock(&lock);
    set_handler();
    if (first_free != 0) {
        mapping = &places[first_free - 1];
        first_free = mapping->next_free;
    } else if (used < MAPPINGS_MOST) {
        mapping = &places[used];
        used++;
    }
    pthread_mutex_unlock(&lock);
    return mapping;
}

static void release(struct mapping *mapping)
{
    pthread_mutex_lock(&lock);
    mapping->next_free = first_free;
    first_free = (int)(mapping - places) + 1;
    pthread_mutex_unlock(&lock);
}

int mapping_open(int fd, uint64_t most, struct mapping **out)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size == 0 || (uint64_t)st.st_size > most)
        return -EBADMSG;
    struct mapping *mapping = claim();
    if (mapping == NULL)
        return -ENOSPC;
    size_t size = (size_t)st.st_size;
    void *start = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (start == MAP_FAILED) {
        int rc = errno == ENOMEM ? -ENOSPC : -errno;
        release(mapping);
        return rc;
    }
    mapping->broken = false;
    mapping->size = size;
    mapping->start = (uintptr_t)start;
    *out = mapping;
    return 0;
}

void mapping_close(struct mapping *mapping)
{
    if (mapping == NULL)
        return;
    void *start = (void *)(uintptr_t)mapping->start;
    size_t size = mapping->size;
    mapping->start = 0;
    release(mapping);
    munmap(start, size);
}

void mapping_read_little(const struct mapping *mapping)
{
    madvise((void *)(uintptr_t)mapping->start, mapping->size, MADV_RANDOM);
}

void mapping_expect(const struct mapping *mapping, uint64_t offset, uint64_t size)
{
    uint64_t page = offset - offset % (uint64_t)sysconf(_SC_PAGESIZE);
    if (offset >= mapping->size)
        return;
    uint64_t end = size < mapping->size - offset ? offset + size : mapping->size;
    madvise((void *)(uintptr_t)(mapping->start + page), end - page, MADV_WILLNEED);
}

const uint8_t *mapping_bytes(const struct mapping *mapping, size_t *size)
{
    *size = mapping->size;
    return (const uint8_t *)(uintptr_t)mapping->start;
}

bool mapping_is_intact(const struct mapping *mapping) { return !mapping->broken; }

unsigned mapping_breaks(void) { return breaks; }
