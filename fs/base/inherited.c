#include "fs/base/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

/* Opens the closed ones among descriptors 0 to 2. Else the next file or socket that is opened gets
 * such a number, words for stderr are written into it, and becoming a daemon puts /dev/null in its
 * place. */
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
    /* A process that ignores SIGCHLD is not told how pg_dump ended. SIGTERM ends the mount,
     * always. */
    static const int usual[] = {SIGCHLD, SIGTERM, SIGBUS};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        signal(usual[i], SIG_DFL);
    /* A write beyond the limit of file sizes (RLIMIT_FSIZE) then gives an error, as on a full disk,
     * and does not end the process. */
    signal(SIGXFSZ, SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    return open_standard();
}
