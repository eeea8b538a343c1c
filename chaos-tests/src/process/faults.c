/* Loaded before the C library of a node under test: syncs that fail, stall or end the process, reads
 * that fail, a wall clock that is off. What to do, and how often it was done, stands in a file that
 * the harness and the node both map (CHAOS_CONTROL). Everything is zero, and nothing happens, until
 * the harness writes a number there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The slots, in the order of process/control.rs. */
struct control {
  volatile int64_t syncs;         /* how many there were */
  volatile int64_t kill_in;       /* the process ends at the n-th sync from now */
  volatile int64_t fail_syncs;    /* so many syncs return EIO */
  volatile int64_t stall_us;      /* every sync takes so much longer */
  volatile int64_t fail_reads;    /* so many reads of files return EIO */
  volatile int64_t clock_ns;      /* the wall clock is off by so much */
  volatile int64_t killed;        /* what was done */
  volatile int64_t syncs_failed;
  volatile int64_t syncs_stalled;
  volatile int64_t reads_failed;
  volatile int64_t clocks_read;
};

static struct control none;
static struct control *control = &none;
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static ssize_t (*real_pread)(int, void *, size_t, off_t);
static ssize_t (*real_pread64)(int, void *, size_t, off64_t);
static int (*real_clock)(clockid_t, struct timespec *);
static int (*real_day)(struct timeval *, void *);

static void find(void) {
  real_fsync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  real_pread = (ssize_t (*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread");
  real_pread64 = (ssize_t (*)(int, void *, size_t, off64_t))dlsym(RTLD_NEXT, "pread64");
  real_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  real_day = (int (*)(struct timeval *, void *))dlsym(RTLD_NEXT, "gettimeofday");
}

__attribute__((constructor)) static void begin(void) {
  find();
  const char *path = getenv("CHAOS_CONTROL");
  int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (map != MAP_FAILED) control = map;
}

static int take(volatile int64_t *counter) {
  if (*counter <= 0) return 0;
  return __sync_fetch_and_sub(counter, 1) > 0;
}

static int before_sync(void) {
  __sync_fetch_and_add(&control->syncs, 1);
  if (*&control->kill_in > 0 && __sync_sub_and_fetch(&control->kill_in, 1) == 0) {
    __sync_fetch_and_add(&control->killed, 1);
    kill(getpid(), SIGKILL);
    pause();
  }
  if (control->stall_us > 0) {
    __sync_fetch_and_add(&control->syncs_stalled, 1);
    usleep((useconds_t)control->stall_us);
  }
  if (take(&control->fail_syncs)) {
    __sync_fetch_and_add(&control->syncs_failed, 1);
    errno = EIO;
    return -1;
  }
  return 0;
}

int fsync(int file) { return before_sync() ? -1 : real_fsync(file); }
int fdatasync(int file) { return before_sync() ? -1 : real_fdatasync(file); }

static int read_fails(int file) {
  struct stat status;
  if (control->fail_reads <= 0 || fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) return 0;
  if (!take(&control->fail_reads)) return 0;
  __sync_fetch_and_add(&control->reads_failed, 1);
  errno = EIO;
  return 1;
}

ssize_t pread(int file, void *to, size_t length, off_t at) {
  return read_fails(file) ? -1 : real_pread(file, to, length, at);
}

ssize_t pread64(int file, void *to, size_t length, off64_t at) {
  return read_fails(file) ? -1 : real_pread64(file, to, length, at);
}

int clock_gettime(clockid_t clock, struct timespec *to) {
  if (!real_clock) find();
  int result = real_clock(clock, to);
  if (result == 0 && clock == CLOCK_REALTIME && control->clock_ns != 0) {
    __sync_fetch_and_add(&control->clocks_read, 1);
    int64_t ns = (int64_t)to->tv_sec * 1000000000 + to->tv_nsec + control->clock_ns;
    to->tv_sec = ns / 1000000000;
    to->tv_nsec = ns % 1000000000;
  }
  return result;
}

int gettimeofday(struct timeval *restrict to, void *restrict zone) {
  if (!real_day) find();
  int result = real_day(to, zone);
  if (result == 0 && control->clock_ns != 0) to->tv_sec += control->clock_ns / 1000000000;
  return result;
}
