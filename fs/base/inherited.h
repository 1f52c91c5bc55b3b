/* What the process has from whoever started it, and must not work under: closed descriptors,
 * signals that are ignored or blocked.
 *
 * Threads: before there are any.
 */
#ifndef FS_BASE_INHERITED_H
#define FS_BASE_INHERITED_H

/* To be called first. -errno: /dev/null cannot be opened. */
int inherited_shed(void);

#endif
