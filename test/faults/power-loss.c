/*
 * Preloaded into a process, writes down what it does to files under POWER_LOSS_FOLDER, with the bytes, into
 * POWER_LOSS_LOG. A replayer then builds every state that a power cut could have left behind.
 *
 * A record is appended by one writev on an O_APPEND descriptor, so that records of several threads and processes do not
 * mix. A write is recorded after it happened and before the caller knows; a sync is recorded when it begins and when it
 * has ended: what was recorded before its beginning is durable once its end is recorded.
 *
 * Calls that it cannot replay (writable shared mappings other than SQLite's -shm index, fallocate, hard links, kernel
 * copies) are recorded as BLIND: a run with one of those proves nothing and the replayer refuses it.
 *
 * POWER_LOSS_FAIL_SYNC=n makes the n-th sync fail with EIO.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, WRITE, TRUNCATE, SYNC_BEGIN, SYNC_END, UNLINK, RENAME, MKDIR, BLIND };

#define FDS 65536
static uint32_t handle_of[FDS]; /* 0 = not one of ours */
static uint8_t shm_of[FDS];
static uint32_t next_handle = 1;
static long sync_count, sync_fails_at;
static int log_fd = -1;
static char folder[4096];
static size_t folder_length;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define CALL(name) \
  static __typeof__(&name) real; \
  if (!real) real = REAL(name)

static ssize_t (*real_writev)(int, const struct iovec *, int);
static int (*real_fcntl_open)(const char *, int, ...);

__attribute__((constructor)) static void start(void) {
  real_writev = (ssize_t(*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");
  real_fcntl_open = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
  const char *path = getenv("POWER_LOSS_LOG"), *under = getenv("POWER_LOSS_FOLDER"), *fail = getenv("POWER_LOSS_FAIL_SYNC");
  if (!path || !under || !realpath(under, folder)) return;
  folder_length = strlen(folder);
  sync_fails_at = fail ? atol(fail) : 0;
  log_fd = real_fcntl_open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

/* Wire: u32 body length, u8 kind, u8 flag, u16 path length, u32 process, u32 handle, u64 offset, path, data. */
struct __attribute__((packed)) head {
  uint32_t length;
  uint8_t kind, flag;
  uint16_t path_length;
  uint32_t process, handle;
  uint64_t offset;
};

static void record(int kind, int flag, uint32_t handle, uint64_t offset, const char *path, const struct iovec *data, int parts,
                   size_t bytes) {
  if (log_fd < 0) return;
  int kept = errno;
  struct head head = {0};
  head.kind = kind;
  head.flag = flag;
  head.path_length = path ? strlen(path) : 0;
  head.process = getpid();
  head.handle = handle;
  head.offset = offset;
  char *joined = malloc(sizeof head + head.path_length + bytes);
  if (!joined) abort();
  size_t at = sizeof head;
  memcpy(joined + at, path ? path : "", head.path_length);
  at += head.path_length;
  size_t left = bytes;
  for (int i = 0; i < parts && left > 0; i++) {
    size_t n = data[i].iov_len < left ? data[i].iov_len : left;
    memcpy(joined + at, data[i].iov_base, n);
    at += n;
    left -= n;
  }
  head.length = at - sizeof head;
  memcpy(joined, &head, sizeof head);
  struct iovec whole = {joined, at};
  pthread_mutex_lock(&lock);
  if (real_writev(log_fd, &whole, 1) != (ssize_t)at) abort();
  pthread_mutex_unlock(&lock);
  free(joined);
  errno = kept;
}

/* The absolute path when it lies in the folder, else NULL. `out` has room for 8192 characters. */
static const char *inside(int at, const char *path, char *out) {
  if (log_fd < 0 || !path) return NULL;
  if (path[0] == '/') snprintf(out, 8192, "%s", path);
  else {
    char base[4096] = "", link[64];
    snprintf(link, sizeof link, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
    ssize_t n = readlink(link, base, sizeof base - 1);
    if (n < 0) return NULL;
    base[n] = 0;
    snprintf(out, 8192, "%s/%s", base, path);
  }
  if (strncmp(out, folder, folder_length) != 0 || (out[folder_length] != '/' && out[folder_length] != 0)) return NULL;
  return out + folder_length;
}

static int opened(int fd, const char *path, int flags, int existed) {
  if (fd < 0 || fd >= FDS || !path) return fd;
  size_t n = strlen(path);
  shm_of[fd] = n > 4 && strcmp(path + n - 4, "-shm") == 0;
  uint32_t handle = __sync_fetch_and_add(&next_handle, 1);
  handle_of[fd] = handle;
  int flag = (existed ? 0 : 1) | ((flags & O_TRUNC) ? 2 : 0) | ((flags & O_DIRECTORY) ? 4 : 0);
  if (!shm_of[fd]) record(OPEN, flag, handle, 0, path, NULL, 0, 0);
  return fd;
}

static uint32_t ours(int fd) { return fd >= 0 && fd < FDS && !shm_of[fd] ? handle_of[fd] : 0; }

#define OPEN_BODY(at, real_call) \
  mode_t mode = 0; \
  if (flags & (O_CREAT | O_TMPFILE)) { \
    va_list list; \
    va_start(list, flags); \
    mode = va_arg(list, mode_t); \
    va_end(list); \
  } \
  char room[8192]; \
  const char *where = inside(at, path, room); \
  int existed = where ? faccessat(at, path, F_OK, 0) == 0 : 1; \
  return opened(real_call, where, flags, existed);

int open(const char *path, int flags, ...) {
  CALL(open);
  OPEN_BODY(AT_FDCWD, real(path, flags, mode))
}
int open64(const char *path, int flags, ...) {
  CALL(open64);
  OPEN_BODY(AT_FDCWD, real(path, flags, mode))
}
int openat(int at, const char *path, int flags, ...) {
  CALL(openat);
  OPEN_BODY(at, real(at, path, flags, mode))
}
int openat64(int at, const char *path, int flags, ...) {
  CALL(openat64);
  OPEN_BODY(at, real(at, path, flags, mode))
}
int creat(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return open64(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int close(int fd) {
  CALL(close);
  if (fd >= 0 && fd < FDS) handle_of[fd] = shm_of[fd] = 0;
  return real(fd);
}

static void wrote(int fd, int64_t offset, const struct iovec *data, int parts, ssize_t done) {
  uint32_t handle = ours(fd);
  if (!handle || done <= 0) return;
  if (offset < 0) offset = (int64_t)lseek(fd, 0, SEEK_CUR) - done;
  record(WRITE, 0, handle, offset, NULL, data, parts, done);
}

ssize_t write(int fd, const void *bytes, size_t count) {
  CALL(write);
  ssize_t done = real(fd, bytes, count);
  struct iovec data = {(void *)bytes, count};
  wrote(fd, -1, &data, 1, done);
  return done;
}
ssize_t writev(int fd, const struct iovec *data, int parts) {
  ssize_t done = real_writev(fd, data, parts);
  wrote(fd, -1, data, parts, done);
  return done;
}
#define PWRITE(name, off) \
  ssize_t name(int fd, const void *bytes, size_t count, off offset) { \
    CALL(name); \
    ssize_t done = real(fd, bytes, count, offset); \
    struct iovec data = {(void *)bytes, count}; \
    wrote(fd, offset, &data, 1, done); \
    return done; \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)
#define PWRITEV(name, off) \
  ssize_t name(int fd, const struct iovec *data, int parts, off offset) { \
    CALL(name); \
    ssize_t done = real(fd, data, parts, offset); \
    wrote(fd, offset, data, parts, done); \
    return done; \
  }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

#define TRUNCATION(name, off) \
  int name(int fd, off size) { \
    CALL(name); \
    int answer = real(fd, size); \
    if (answer == 0 && ours(fd)) record(TRUNCATE, 0, ours(fd), size, NULL, NULL, 0, 0); \
    return answer; \
  }
TRUNCATION(ftruncate, off_t)
TRUNCATION(ftruncate64, off64_t)

#define SYNC(name) \
  int name(int fd) { \
    CALL(name); \
    uint32_t handle = ours(fd); \
    if (!handle) return real(fd); \
    if (sync_fails_at && __sync_add_and_fetch(&sync_count, 1) == sync_fails_at) { \
      errno = EIO; \
      return -1; \
    } \
    record(SYNC_BEGIN, 0, handle, 0, NULL, NULL, 0, 0); \
    int answer = real(fd); \
    if (answer == 0) record(SYNC_END, 0, handle, 0, NULL, NULL, 0, 0); \
    return answer; \
  }
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
  CALL(unlink);
  char room[8192];
  const char *where = inside(AT_FDCWD, path, room);
  int answer = real(path);
  if (answer == 0 && where) record(UNLINK, 0, 0, 0, where, NULL, 0, 0);
  return answer;
}
int unlinkat(int at, const char *path, int flags) {
  CALL(unlinkat);
  char room[8192];
  const char *where = inside(at, path, room);
  int answer = real(at, path, flags);
  if (answer == 0 && where) record(UNLINK, 0, 0, 0, where, NULL, 0, 0);
  return answer;
}
static int renamed(int answer, const char *from, const char *to) {
  if (answer != 0 || (!from && !to)) return answer;
  struct iovec target = {(void *)(to ? to : ""), to ? strlen(to) : 0};
  record(from && to ? RENAME : BLIND, 0, 0, 0, from ? from : "rename across the folder", &target, 1, target.iov_len);
  return answer;
}
int rename(const char *from, const char *to) {
  CALL(rename);
  char room[8192], other[8192];
  const char *a = inside(AT_FDCWD, from, room), *b = inside(AT_FDCWD, to, other);
  return renamed(real(from, to), a, b);
}
int renameat(int at, const char *from, int at2, const char *to) {
  CALL(renameat);
  char room[8192], other[8192];
  const char *a = inside(at, from, room), *b = inside(at2, to, other);
  return renamed(real(at, from, at2, to), a, b);
}
int mkdir(const char *path, mode_t mode) {
  CALL(mkdir);
  char room[8192];
  const char *where = inside(AT_FDCWD, path, room);
  int answer = real(path, mode);
  if (answer == 0 && where) record(MKDIR, 0, 0, 0, where, NULL, 0, 0);
  return answer;
}

static void blind(const char *what) { record(BLIND, 0, 0, 0, what, NULL, 0, 0); }

#define MAPPING(name, off) \
  void *name(void *address, size_t length, int protection, int flags, int fd, off offset) { \
    CALL(name); \
    if (ours(fd) && (flags & MAP_SHARED) && (protection & PROT_WRITE)) blind("writable shared mapping"); \
    return real(address, length, protection, flags, fd, offset); \
  }
MAPPING(mmap, off_t)
MAPPING(mmap64, off64_t)
int fallocate(int fd, int mode, off_t offset, off_t length) {
  CALL(fallocate);
  if (ours(fd)) blind("fallocate");
  return real(fd, mode, offset, length);
}
int posix_fallocate(int fd, off_t offset, off_t length) {
  CALL(posix_fallocate);
  if (ours(fd)) blind("posix_fallocate");
  return real(fd, offset, length);
}
int link(const char *from, const char *to) {
  CALL(link);
  char room[8192];
  if (inside(AT_FDCWD, to, room)) blind("link");
  return real(from, to);
}
ssize_t copy_file_range(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t length, unsigned flags) {
  CALL(copy_file_range);
  if (ours(out)) blind("copy_file_range");
  return real(in, in_offset, out, out_offset, length, flags);
}
