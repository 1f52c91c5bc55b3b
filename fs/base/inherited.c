#include "fs/base/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

/* Else the next file or socket that is opened gets the number, words for stderr are written into
 * it, and becoming a daemon puts /dev/null in its place. */
static int open_standard(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

int inherited_shed(void)
{
    sigset_t none;
    /* Whose SIGCHLD is ignored is not told how pg_dump ended; SIGTERM ends the mount, always. */
    static const int usual[] = {SIGCHLD, SIGTERM, SIGBUS};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        signal(usual[i], SIG_DFL);
    /* A file of the cache that is larger than the limit of files (RLIMIT_FSIZE) is an error, as on
     * a full disk, not the end. */
    signal(SIGXFSZ, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    return open_standard();
}
