/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <string.h>

/* musl's strerror() brings a table of 2 KiB. */
#define ERRORS(X) \
    X(EPERM, "Operation not permitted") \
    X(ENOENT, "No such file or directory") \
    X(EIO, "I/O error") \
    X(ENXIO, "No such device or address") \
    X(EBADF, "Bad file descriptor") \
    X(EAGAIN, "Resource temporarily unavailable") \
    X(ENOMEM, "Out of memory") \
    X(EACCES, "Permission denied") \
    X(EBUSY, "Resource busy") \
    X(EEXIST, "File exists") \
    X(EXDEV, "Cross-device link") \
    X(ENODEV, "No such device") \
    X(ENOTDIR, "Not a directory") \
    X(EISDIR, "Is a directory") \
    X(EINVAL, "Invalid argument") \
    X(ENFILE, "Too many open files in system") \
    X(EMFILE, "No file descriptors available") \
    X(ENOSPC, "No space left on device") \
    X(EROFS, "Read-only file system") \
    X(EPIPE, "Broken pipe") \
    X(ENAMETOOLONG, "Filename too long") \
    X(ENOSYS, "Function not implemented") \
    X(ELOOP, "Symbolic link loop") \
    X(EPROTO, "Protocol error") \
    X(EPROTOTYPE, "Protocol wrong type for socket") \
    X(EAFNOSUPPORT, "Address family not supported by protocol") \
    X(EADDRINUSE, "Address in use") \
    X(EADDRNOTAVAIL, "Address not available") \
    X(ENETDOWN, "Network is down") \
    X(ENETUNREACH, "Network unreachable") \
    X(ECONNABORTED, "Connection aborted") \
    X(ECONNRESET, "Connection reset by peer") \
    X(ENOBUFS, "No buffer space available") \
    X(ENOTCONN, "Socket not connected") \
    X(ETIMEDOUT, "Operation timed out") \
    X(ECONNREFUSED, "Connection refused") \
    X(EHOSTUNREACH, "Host is unreachable")

#define NUMBER(error, text) error,
#define TEXT(error, text) text "\0"

static const unsigned char numbers[] = {ERRORS(NUMBER)};
static const char texts[] = ERRORS(TEXT);

/* "error N". */
static const char *number(unsigned error) {
    static char text[] = "error 4294967295";
    char *p = text + sizeof text - 1;
    enum { WORD = sizeof "error " - 1 };

    do
        *--p = (char)('0' + error % 10);
    while (error /= 10);
    return memcpy(p - WORD, "error ", WORD);
}

const char *error_text(int error) {
    const char *text = texts;

    if (CONFIG_FEATURE_STRERROR)
        return strerror(error);
    for (unsigned i = 0; i < sizeof numbers; i++, text += strlen(text) + 1)
        if (numbers[i] == error)
            return text;
    return number((unsigned)error);
}

bool error_is_absence(int error) { return error == ENOENT || error == ENOTDIR || error == ELOOP; }
