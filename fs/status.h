/* `pgvecfs --status MOUNTPOINT`: what the mount says about itself in .pgvecfs/status.json, printed
 * for a person. On a terminal it goes on while jobs run, with a progress bar for each.
 *
 * It runs in another process than the mount, and needs only that file from it, which is served
 * without waiting for the server.
 */
#ifndef FS_STATUS_H
#define FS_STATUS_H

#include "codec/error.h"

/* Prints to stdout. */
MUST_CHECK int status_show(const char *mountpoint, struct error *error);

#endif
