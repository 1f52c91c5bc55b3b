/* The version of the program. */
#ifndef FS_BASE_VERSION_H
#define FS_BASE_VERSION_H

#define VERSION "0.1.0"

#endif
