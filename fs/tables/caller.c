#include "fs/tables/caller.h"

#include "codec/clock.h"
#include "fs/tables/mount.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The kernel gives out thread ids in turn: none is used again within a second. */
enum { RECENT = 256, RECENT_MS = 1000 };

static struct recent {
    pid_t thread, process;
    int64_t until;
} recent[RECENT];
static pthread_mutex_t recent_lock = PTHREAD_MUTEX_INITIALIZER;

static bool is_ours; /* /proc is of our namespace: it uses the numbers that requests have */
static pthread_once_t looked_whose = PTHREAD_ONCE_INIT;

/* Reads the beginning of a file, in which everything is that we look for; false: it cannot be read.
 */
static bool read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* The number behind `name`, which begins a line; `otherwise`: there is none. */
static unsigned long long number_of(const char *text, const char *name, int base,
                                    unsigned long long otherwise)
{
    const char *at = strstr(text, name);
    return at != NULL ? strtoull(at + strlen(name), NULL, base) : otherwise;
}

/* Finds out whether /proc is of our PID namespace. If it is of one around ours, NSpid begins with
 * that one's number; if it is of another one, there is no /proc/self. */
static void look_whose(void)
{
    static const char name[] = "\nNSpid:\t";
    char text[4096], ours[16];
    const char *at = read_file("/proc/self/status", text, sizeof text) ? strstr(text, name) : NULL;
    snprintf(ours, sizeof ours, "%d\n", (int)getpid());
    is_ours = at != NULL && strncmp(at + strlen(name), ours, strlen(ours)) == 0;
}

/* Reads /proc/THREAD/status. False: it cannot be read, or /proc is of another namespace. */
static bool read_status(pid_t thread, char *text, size_t size)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/%d/status", (int)thread);
    pthread_once(&looked_whose, look_whose);
    return is_ours && thread > 0 && read_file(path, text, size);
}

static pid_t find_process(pid_t thread)
{
    char text[4096];
    if (!read_status(thread, text, sizeof text))
        return thread;
    return (pid_t)number_of(text, "\nTgid:", 10, (unsigned long long)thread);
}

caller_id caller_find(pid_t thread, uid_t user)
{
    if (thread <= 0)
        return -1 - (caller_id)user;
    struct recent *place = &recent[thread % RECENT];
    pthread_mutex_lock(&recent_lock);
    bool known = place->thread == thread && clock_ms() < place->until;
    pid_t process = known ? place->process : 0;
    pthread_mutex_unlock(&recent_lock);
    if (known)
        return process;
    process = find_process(thread);
    pthread_mutex_lock(&recent_lock);
    *place = (struct recent){thread, process, clock_ms() + RECENT_MS};
    pthread_mutex_unlock(&recent_lock);
    return process;
}

enum caller_fate caller_fate(pid_t thread)
{
    const unsigned long long deadly = 1ULL << (SIGKILL - 1) | 1ULL << (SIGINT - 1) |
                                      1ULL << (SIGQUIT - 1) | 1ULL << (SIGTERM - 1) |
                                      1ULL << (SIGHUP - 1);
    char text[4096];
    if (!read_status(thread, text, sizeof text))
        return CALLER_UNKNOWN;
    unsigned long long pending =
        number_of(text, "\nSigPnd:", 16, 0) | number_of(text, "\nShdPnd:", 16, 0);
    return pending & deadly ? CALLER_DIES : CALLER_LIVES;
}
