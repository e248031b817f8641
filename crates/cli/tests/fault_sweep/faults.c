/* Lets the n-th change of a folder fail: a library to be loaded before libc.
 *
 * FAULT_ROOT     the folder, absolute
 * FAULT_KIND     kill | torn (half of a write, then kill) | EIO (once) | ENOSPC (from then on)
 * FAULT_AT       which change, from 1; 0 for none
 * FAULT_COUNTER  a file of 8 bytes that the changes are counted in
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { NONE, KILL, TORN, IO, FULL };

static char root[PATH_MAX];
static size_t root_length;
static enum kind kind;
static long long at;
static _Atomic long long *counter;

__attribute__((constructor)) static void start(void) {
  const char *folder = getenv("FAULT_ROOT"), *wanted = getenv("FAULT_KIND"), *place = getenv("FAULT_AT"),
             *file = getenv("FAULT_COUNTER");
  if (!folder || !wanted || !place || !file) return;
  int fd = open(file, O_RDWR);
  if (fd < 0) return;
  counter = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (counter == MAP_FAILED) { counter = NULL; return; }
  at = atoll(place);
  kind = !strcmp(wanted, "kill") ? KILL : !strcmp(wanted, "torn") ? TORN : !strcmp(wanted, "EIO") ? IO : FULL;
  snprintf(root, sizeof root, "%s", folder);
  root_length = strlen(root); /* last: nothing counts before */
}

static int is_inside(const char *path) {
  return root_length && path && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static int fd_is_inside(int fd) {
  char link[64], path[PATH_MAX];
  if (!root_length) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return is_inside(path);
}

static int at_is_inside(int dir, const char *path) {
  return path && (path[0] == '/' ? is_inside(path) : dir != AT_FDCWD && fd_is_inside(dir));
}

/* Whether this change fails; `grows` is whether it takes room on the disk. Does not return from a kill. */
static int fails(int grows, int tears) {
  long long number = atomic_fetch_add(counter, 1) + 1;
  if (!at || (kind == FULL ? number < at || !grows : number != at)) return 0;
  switch (kind) {
    case TORN: if (tears) return 1; /* fall through */
    case KILL: kill(getpid(), SIGKILL); pause(); return 1;
    case IO: errno = EIO; return 1;
    default: errno = ENOSPC; return 1;
  }
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))
#define CREATES(flags) ((flags) & (O_CREAT | O_TRUNC))
#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    MODE(flags) \
    if (CREATES(flags) && is_inside(path) && fails(1, 0)) return -1; \
    return REAL(int, name, const char *, int, ...)(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
  int name(int dir, const char *path, int flags, ...) { \
    MODE(flags) \
    if (CREATES(flags) && at_is_inside(dir, path) && fails(1, 0)) return -1; \
    return REAL(int, name, int, const char *, int, ...)(dir, path, flags, mode); \
  }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int fd, const void *bytes, size_t count) {
  ssize_t (*real)(int, const void *, size_t) = REAL(ssize_t, write, int, const void *, size_t);
  if (fd > 2 && fd_is_inside(fd) && fails(1, 1)) {
    if (kind != TORN) return -1;
    real(fd, bytes, count / 2);
    kill(getpid(), SIGKILL);
    pause();
  }
  return real(fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  if (fd > 2 && fd_is_inside(fd) && fails(1, 0)) return -1;
  return REAL(ssize_t, writev, int, const struct iovec *, int)(fd, parts, count);
}

#define ON_FD(name) \
  int name(int fd) { \
    if (fd_is_inside(fd) && fails(0, 0)) return -1; \
    return REAL(int, name, int)(fd); \
  }
ON_FD(fsync)
ON_FD(fdatasync)

#define ON_PATH(name, grows) \
  int name(const char *path) { \
    if (is_inside(path) && fails(grows, 0)) return -1; \
    return REAL(int, name, const char *)(path); \
  }
ON_PATH(unlink, 0)
ON_PATH(rmdir, 0)

int unlinkat(int dir, const char *path, int flags) {
  if (at_is_inside(dir, path) && fails(0, 0)) return -1;
  return REAL(int, unlinkat, int, const char *, int)(dir, path, flags);
}

int mkdir(const char *path, mode_t mode) {
  if (is_inside(path) && fails(1, 0)) return -1;
  return REAL(int, mkdir, const char *, mode_t)(path, mode);
}

int rename(const char *from, const char *to) {
  if (is_inside(to) && fails(1, 0)) return -1;
  return REAL(int, rename, const char *, const char *)(from, to);
}

int link(const char *from, const char *to) {
  if (is_inside(to) && fails(1, 0)) return -1;
  return REAL(int, link, const char *, const char *)(from, to);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
  if (at_is_inside(to_dir, to) && fails(1, 0)) return -1;
  return REAL(int, linkat, int, const char *, int, const char *, int)(from_dir, from, to_dir, to, flags);
}

#define TRUNCATE(name, type) \
  int name(int fd, type length) { \
    if (fd_is_inside(fd) && fails(0, 0)) return -1; \
    return REAL(int, name, int, type)(fd, length); \
  }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)
