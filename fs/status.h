/* `pgvecfs --status MOUNTPOINT`: what the mount says of itself in .pgvecfs/status.json, for a
 * person. On a terminal it stays while jobs run, with a progress bar for each.
 *
 * It is another process than the mount, and needs nothing of it but that file, which is served
 * without waiting for the server.
 */
#ifndef FS_STATUS_H
#define FS_STATUS_H

#include "codec/error.h"

/* Prints to stdout. */
MUST_CHECK int status_show(const char *mountpoint, struct error *error);

#endif
