/* The process ends at the deadline, whatever its threads still wait for: a disk that does not
 * answer, an index that is half built. What the cache holds by then is as good as after a kill.
 *
 * Threads: any.
 */
#ifndef FS_BASE_DEADLINE_H
#define FS_BASE_DEADLINE_H

/* Starts the time, once. At its end the process first unmounts the mount, if it is still there, and
 * gives the log a moment to be written. */
void deadline_start(int milliseconds, const char *mountpoint);

/* From here on the mount point is not ours any more: it is not unmounted at the deadline. */
void deadline_unmounted(void);

/* The process ends in time by itself: the deadline does nothing. */
void deadline_met(void);

#endif
