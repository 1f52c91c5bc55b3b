/* What the process inherits from the one that started it, and must not work under: closed
 * descriptors, signals that are ignored or blocked.
 *
 * Threads: called before there are any.
 */
#ifndef FS_BASE_INHERITED_H
#define FS_BASE_INHERITED_H

/* Sheds all of it; to be called first. -errno: /dev/null cannot be opened. */
int inherited_shed(void);

#endif
