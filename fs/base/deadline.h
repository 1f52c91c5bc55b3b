/* The process ends at the deadline, whatever its threads still wait for: a disk that does not
 * answer, an index that is half built. All that is in the cache by then is as good as after a kill.
 *
 * Threads: any.
 */
#ifndef FS_BASE_DEADLINE_H
#define FS_BASE_DEADLINE_H

/* Starts the time, once. At its end the mount, if it is there still, is unmounted first, and
 * the log has a moment to be written. */
void deadline_start(int milliseconds, const char *mountpoint);

/* From here on the mount point is somebody else's. */
void deadline_unmounted(void);

/* It is met: nothing will happen. */
void deadline_met(void);

#endif
