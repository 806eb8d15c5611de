/* Preloaded into a process, writes down what it does to certain files: every write, cut and sync, in order, with contents and
   times, so that afterwards their state on the disk at any moment can be told. Files: those whose path holds POWER_CUT_FILES;
   the log: POWER_CUT_LOG. Linux and glibc; 64-bit. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { OPENED = 1, WRITTEN, TRUNCATED, SYNC_BEGUN, SYNC_ENDED, UNLINKED };
enum { MOST = 4096 };

struct entry {
  uint32_t kind, file;
  uint64_t offset, length; /* of a sync's end: the number of its beginning */
  double at_s;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char watched[MOST];
static int log_file = -1;
static uint64_t n_entries;

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void put(const void *from, size_t length) {
  const char *at = from;
  while (length > 0) {
    ssize_t done = syscall(SYS_write, log_file, at, length);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) _exit(97); /* a log with a hole would prove nothing */
    at += done;
    length -= (size_t)done;
  }
}

/* With the lock held. Returns the entry's number, from 0. */
static uint64_t note(uint32_t kind, int file, uint64_t offset, uint64_t length, const void *content, size_t n_content) {
  struct entry entry = {kind, (uint32_t)file, offset, length, now_s()};
  put(&entry, sizeof entry);
  if (n_content) put(content, n_content);
  return n_entries++;
}

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("POWER_CUT_LOG");
  if (path && getenv("POWER_CUT_FILES"))
    log_file = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int opened(const char *path, int file) {
  const char *part = getenv("POWER_CUT_FILES");
  if (file < 0 || file >= MOST || log_file < 0) return file;
  int wanted = path && part && strstr(path, part) != NULL;
  if (!wanted && !watched[file]) return file;
  pthread_mutex_lock(&lock);
  watched[file] = (char)wanted;
  if (wanted) note(OPENED, file, 0, strlen(path), path, strlen(path));
  pthread_mutex_unlock(&lock);
  return file;
}

#define MODE_OF(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | O_TMPFILE)) { \
    va_list more; \
    va_start(more, flags); \
    mode = (mode_t)va_arg(more, int); \
    va_end(more); \
  }

int open(const char *path, int flags, ...) {
  MODE_OF(flags)
  return opened(path, (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}
int open64(const char *path, int flags, ...) {
  MODE_OF(flags)
  return opened(path, (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}
int openat(int at, const char *path, int flags, ...) {
  MODE_OF(flags)
  return opened(path, (int)syscall(SYS_openat, at, path, flags, mode));
}
int openat64(int at, const char *path, int flags, ...) {
  MODE_OF(flags)
  return opened(path, (int)syscall(SYS_openat, at, path, flags, mode));
}

int close(int file) {
  if (file >= 0 && file < MOST && watched[file]) {
    pthread_mutex_lock(&lock);
    watched[file] = 0;
    pthread_mutex_unlock(&lock);
  }
  return (int)syscall(SYS_close, file);
}

static int is_watched(int file) { return log_file >= 0 && file >= 0 && file < MOST && watched[file]; }

static ssize_t written(int file, const void *from, size_t length, off_t offset) {
  if (!is_watched(file)) return syscall(SYS_pwrite64, file, from, length, offset);
  pthread_mutex_lock(&lock);
  ssize_t done = syscall(SYS_pwrite64, file, from, length, offset);
  int why = errno;
  if (done > 0) note(WRITTEN, file, (uint64_t)offset, (uint64_t)done, from, (size_t)done);
  pthread_mutex_unlock(&lock);
  errno = why;
  return done;
}
ssize_t pwrite(int file, const void *from, size_t length, off_t offset) { return written(file, from, length, offset); }
ssize_t pwrite64(int file, const void *from, size_t length, off64_t offset) { return written(file, from, length, offset); }

ssize_t write(int file, const void *from, size_t length) {
  if (!is_watched(file)) return syscall(SYS_write, file, from, length);
  pthread_mutex_lock(&lock);
  off_t offset = (off_t)syscall(SYS_lseek, file, 0, SEEK_CUR);
  ssize_t done = syscall(SYS_write, file, from, length);
  int why = errno;
  if (done > 0) note(WRITTEN, file, (uint64_t)offset, (uint64_t)done, from, (size_t)done);
  pthread_mutex_unlock(&lock);
  errno = why;
  return done;
}

/* Not foreseen: a write that would escape the log ends the process. */
ssize_t writev(int file, const struct iovec *parts, int n) {
  if (is_watched(file)) _exit(98);
  return syscall(SYS_writev, file, parts, n);
}
ssize_t pwritev(int file, const struct iovec *parts, int n, off_t offset) {
  if (is_watched(file)) _exit(98);
  return syscall(SYS_pwritev, file, parts, n, offset, 0);
}

static int truncated(int file, off_t length) {
  if (!is_watched(file)) return (int)syscall(SYS_ftruncate, file, length);
  pthread_mutex_lock(&lock);
  int done = (int)syscall(SYS_ftruncate, file, length);
  int why = errno;
  if (done == 0) note(TRUNCATED, file, (uint64_t)length, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  errno = why;
  return done;
}
int ftruncate(int file, off_t length) { return truncated(file, length); }
int ftruncate64(int file, off64_t length) { return truncated(file, length); }

static int synced(int file, long call) {
  if (!is_watched(file)) return (int)syscall(call, file);
  pthread_mutex_lock(&lock);
  uint64_t begun = note(SYNC_BEGUN, file, 0, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  int done = (int)syscall(call, file);
  int why = errno;
  if (done == 0) {
    pthread_mutex_lock(&lock);
    note(SYNC_ENDED, file, 0, begun, NULL, 0);
    pthread_mutex_unlock(&lock);
  }
  errno = why;
  return done;
}
int fsync(int file) { return synced(file, SYS_fsync); }
int fdatasync(int file) { return synced(file, SYS_fdatasync); }

int unlink(const char *path) {
  const char *part = getenv("POWER_CUT_FILES");
  int done = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
  int why = errno;
  if (done == 0 && log_file >= 0 && part && strstr(path, part)) {
    pthread_mutex_lock(&lock);
    note(UNLINKED, 0, 0, strlen(path), path, strlen(path));
    pthread_mutex_unlock(&lock);
  }
  errno = why;
  return done;
}
