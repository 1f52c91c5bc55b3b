/* How long stat() takes, without the start of a process in it.
 *
 *   stat_times FILE COUNT         calls it COUNT times and prints the median in nanoseconds
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

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

int main(int argc, char **argv)
{
    size_t count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    int64_t *times = count > 0 ? calloc(count, sizeof *times) : NULL;
    if (times == NULL) {
        fputs("usage: stat_times FILE COUNT\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < count; i++) {
        struct stat attr;
        int64_t from = clock_ns();
        if (stat(argv[1], &attr) < 0) {
            perror(argv[1]);
            return 1;
        }
        times[i] = clock_ns() - from;
    }
    qsort(times, count, sizeof *times, compare);
    printf("%lld\n", (long long)times[count / 2]);
    free(times);
    return 0;
}
