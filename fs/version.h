/* The version of the program. */
#ifndef FS_VERSION_H
#define FS_VERSION_H

#define VERSION "0.1.0"

#endif
