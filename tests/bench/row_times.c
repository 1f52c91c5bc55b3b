/* How long it takes to open, read and close the file of a row, each of another row, in one process.
 *
 *   row_times ROWS FIRST COUNT    for ROWS/FIRST.json and the COUNT - 1 behind it; prints the median
 *                                 in nanoseconds
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Whether the row could be read, and is not empty. */
static int read_row(const char *path)
{
    char bytes[64 << 10];
    ssize_t n, all = 0;
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return 0;
    while ((n = read(fd, bytes, sizeof bytes)) > 0)
        all += n;
    close(fd);
    return n == 0 && all > 0;
}

int main(int argc, char **argv)
{
    size_t first = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    size_t count = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    int64_t *times = count > 0 ? calloc(count, sizeof *times) : NULL;
    if (times == NULL) {
        fputs("usage: row_times ROWS FIRST COUNT\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%zu.json", argv[1], first + i);
        int64_t from = clock_ns();
        if (!read_row(path)) {
            perror(path);
            return 1;
        }
        times[i] = clock_ns() - from;
    }
    qsort(times, count, sizeof *times, compare);
    printf("%lld\n", (long long)times[count / 2]);
    free(times);
    return 0;
}
