/*
 * A disk that forgets, for one process: loaded with LD_PRELOAD, it keeps beside a directory what a
 * crash of the machine would leave of it.
 *
 * Everything is done to the real files as usual. What is *durable* is kept apart, in a shadow folder:
 *
 *   durable/<inode>   a file's bytes as of its last fdatasync or fsync; none yet: an empty file
 *   names/<inode>     a directory's entries as of its last fsync, one "<d|f> <inode> <name>" a line
 *   pins/<inode>      a hard link to every file there was, so that no inode number comes twice
 *
 * After a SIGKILL the harness makes the directory anew from durable/ and names/ (forgetful_disk.rs).
 * Nothing is really forced: the machine itself does not crash, so its memory is good enough here.
 *
 * A call that goes around this layer (a raw system call, a mapping) is noticed: what it wrote or
 * forced is then missing after the next crash, and the test fails. It cannot hide a loss.
 *
 * Environment: FORGETFUL_ROOT, FORGETFUL_SHADOW (absolute, one file system), FORGETFUL_KILL_AT (the
 * process kills itself at that point; each operation on the disk is two points, before and after),
 * FORGETFUL_DELAY_US (how long a force takes; a reply that does not wait for it gets out),
 * FORGETFUL_SKIP_NAMES (1: forcing a directory does nothing, as if the process had not asked for it).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MAX_FD 65536
#define MAX_RANGES 1024

struct range {
    off_t from, to;
};

/* One inode under the root; never freed, there are few. */
struct file {
    ino_t ino;
    struct file *next;
    int whole; /* all of it is dirty */
    int count;
    struct range ranges[MAX_RANGES];
};

static const char *root, *shadow;
static size_t root_len;
static long kill_at, delay_us;
static int skips_names;
static atomic_long points;
static struct file *files;
static _Atomic(struct file *) fds[MAX_FD];
static pthread_mutex_t state_lock = PTHREAD_MUTEX_INITIALIZER; /* files, ranges */
static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER; /* changes and listings of names */

__attribute__((constructor)) static void init(void) {
    const char *at = getenv("FORGETFUL_KILL_AT"), *delay = getenv("FORGETFUL_DELAY_US");
    const char *skip = getenv("FORGETFUL_SKIP_NAMES");
    shadow = getenv("FORGETFUL_SHADOW");
    skips_names = skip && atoi(skip);
    kill_at = at ? atol(at) : 0;
    delay_us = delay ? atol(delay) : 0;
    root = shadow ? getenv("FORGETFUL_ROOT") : NULL;
    root_len = root ? strlen(root) : 0;
}

/* The layer itself failed: nothing it has recorded is worth anything then. */
static void fail(const char *what) {
    dprintf(2, "forgetful: %s: %s\n", what, strerror(errno));
    abort();
}

static void point(void) {
    if (kill_at && atomic_fetch_add(&points, 1) + 1 == kill_at) {
        syscall(SYS_kill, getpid(), SIGKILL);
        for (;;) pause();
    }
}

static int real_open(const char *path, int flags, mode_t mode) {
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
}

static int is_under_root(const char *path) {
    return root && !strncmp(path, root, root_len) && (path[root_len] == '/' || !path[root_len]);
}

static void fd_path(int fd, char *out, size_t size) {
    snprintf(out, size, "/proc/self/fd/%d", fd);
}

static struct file *tracked(int fd) {
    return 0 <= fd && fd < MAX_FD ? atomic_load(&fds[fd]) : NULL;
}

static void mark_whole(struct file *file) {
    pthread_mutex_lock(&state_lock);
    file->whole = 1;
    pthread_mutex_unlock(&state_lock);
}

/* After the write returned: a force that began earlier need not have covered it. */
static void mark(struct file *file, off_t from, off_t to) {
    pthread_mutex_lock(&state_lock);
    struct range *last = file->count ? &file->ranges[file->count - 1] : NULL;
    if (last && last->from <= from && from <= last->to) {
        if (last->to < to) last->to = to;
    } else if (file->count < MAX_RANGES) {
        file->ranges[file->count++] = (struct range){from, to};
    } else {
        file->whole = 1;
    }
    pthread_mutex_unlock(&state_lock);
}

/* Notes an opened descriptor if it is under the root. */
static void track(int fd, int flags) {
    char proc[64], path[4096];
    fd_path(fd, proc, sizeof proc);
    ssize_t n = readlink(proc, path, sizeof path - 1);
    if (n < 0) fail("readlink");
    path[n] = 0;
    if (!is_under_root(path)) return;
    if (MAX_FD <= fd) fail("too many descriptors");
    struct stat st;
    if (fstat(fd, &st)) fail("fstat");
    pthread_mutex_lock(&state_lock);
    struct file *file = files;
    while (file && file->ino != st.st_ino) file = file->next;
    if (!file) {
        file = calloc(1, sizeof *file);
        if (!file) fail("calloc");
        file->ino = st.st_ino;
        file->next = files;
        files = file;
    }
    pthread_mutex_unlock(&state_lock);
    if (flags & O_CREAT) {
        char pin[4096];
        snprintf(pin, sizeof pin, "%s/pins/%lu", shadow, (unsigned long)st.st_ino);
        if (linkat(AT_FDCWD, proc, AT_FDCWD, pin, AT_SYMLINK_FOLLOW) && errno != EEXIST)
            fail("pinning a file");
    }
    if (flags & O_TRUNC) mark_whole(file);
    atomic_store(&fds[fd], file);
}

static int opened(int dir, const char *path, int flags, mode_t mode) {
    int changes = root && (flags & (O_CREAT | O_TRUNC));
    /* Only what is opened by its whole path is counted; the server knows no other way. */
    int counts = changes && is_under_root(path);
    if (counts) point();
    if (changes) pthread_mutex_lock(&names_lock);
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    int error = errno;
    if (root && 0 <= fd) track(fd, flags);
    if (changes) pthread_mutex_unlock(&names_lock);
    if (counts) point();
    errno = error;
    return fd;
}

#define MODE_OF(flags)                               \
    mode_t mode = 0;                                 \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {         \
        va_list rest;                                \
        va_start(rest, flags);                       \
        mode = (mode_t)va_arg(rest, int);            \
        va_end(rest);                                \
    }

int open(const char *path, int flags, ...) {
    MODE_OF(flags)
    return opened(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    MODE_OF(flags)
    return opened(AT_FDCWD, path, flags, mode);
}
int openat(int dir, const char *path, int flags, ...) {
    MODE_OF(flags)
    return opened(dir, path, flags, mode);
}
int openat64(int dir, const char *path, int flags, ...) {
    MODE_OF(flags)
    return opened(dir, path, flags, mode);
}
int creat(const char *path, mode_t mode) {
    return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat64(const char *path, mode_t mode) {
    return creat(path, mode);
}

int close(int fd) {
    if (0 <= fd && fd < MAX_FD) atomic_store(&fds[fd], NULL);
    return (int)syscall(SYS_close, fd);
}

/* Marks what a write at the descriptor's own place has covered. */
static ssize_t written(struct file *file, int fd, ssize_t n) {
    if (0 < n) {
        off_t end = lseek(fd, 0, SEEK_CUR);
        if (end < 0) fail("lseek");
        mark(file, end - n, end);
    }
    return n;
}

static ssize_t written_at(struct file *file, off_t at, ssize_t n) {
    if (0 < n) mark(file, at, at + n);
    return n;
}

#define WITH_POINTS(call, note)          \
    point();                             \
    ssize_t n = (ssize_t)(call);         \
    int error = errno;                   \
    note;                                \
    point();                             \
    errno = error;                       \
    return n

ssize_t write(int fd, const void *bytes, size_t len) {
    struct file *file = tracked(fd);
    if (!file) return syscall(SYS_write, fd, bytes, len);
    WITH_POINTS(syscall(SYS_write, fd, bytes, len), written(file, fd, n));
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    struct file *file = tracked(fd);
    if (!file) return syscall(SYS_writev, fd, parts, count);
    WITH_POINTS(syscall(SYS_writev, fd, parts, count), written(file, fd, n));
}
ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at) {
    struct file *file = tracked(fd);
    if (!file) return syscall(SYS_pwrite64, fd, bytes, len, at);
    WITH_POINTS(syscall(SYS_pwrite64, fd, bytes, len, at), written_at(file, at, n));
}
ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) {
    return pwrite64(fd, bytes, len, at);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
    struct file *file = tracked(fd);
    long low = (long)at;
    if (!file) return syscall(SYS_pwritev, fd, parts, count, low, 0L);
    WITH_POINTS(syscall(SYS_pwritev, fd, parts, count, low, 0L), written_at(file, at, n));
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    return pwritev64(fd, parts, count, at);
}
int ftruncate64(int fd, off64_t len) {
    struct file *file = tracked(fd);
    if (!file) return (int)syscall(SYS_ftruncate, fd, len);
    WITH_POINTS(syscall(SYS_ftruncate, fd, len), mark_whole(file));
}
int ftruncate(int fd, off_t len) {
    return ftruncate64(fd, len);
}

static void copy(int from, int to, off_t at, off_t end) {
    char piece[65536];
    while (at < end) {
        size_t want = (size_t)(end - at) < sizeof piece ? (size_t)(end - at) : sizeof piece;
        ssize_t got = pread(from, piece, want, at);
        if (got < 0) fail("reading a file");
        if (!got) return;
        if (syscall(SYS_pwrite64, to, piece, got, at) != got) fail("writing an image");
        at += got;
    }
}

/* Takes what was written before now into the image. */
static void force_file(int fd, struct file *file) {
    pthread_mutex_lock(&state_lock);
    struct file taken = *file;
    file->whole = 0;
    file->count = 0;
    pthread_mutex_unlock(&state_lock);
    char proc[64], path[4096];
    struct stat st;
    fd_path(fd, proc, sizeof proc);
    int from = real_open(proc, O_RDONLY, 0);
    if (from < 0 || fstat(from, &st)) fail("opening a file again");
    snprintf(path, sizeof path, "%s/durable/%lu", shadow, (unsigned long)file->ino);
    int to = real_open(path, O_RDWR | O_CREAT, 0600);
    if (to < 0 || syscall(SYS_ftruncate, to, st.st_size)) fail("opening an image");
    if (taken.whole) {
        copy(from, to, 0, st.st_size);
    } else {
        for (int i = 0; i < taken.count; i++) copy(from, to, taken.ranges[i].from, taken.ranges[i].to);
    }
    syscall(SYS_close, to);
    syscall(SYS_close, from);
}

/* Takes the entries a directory has now. */
static void force_names(int fd, ino_t ino) {
    char proc[64], path[4000], temporary[4096];
    snprintf(path, sizeof path, "%s/names/%lu", shadow, (unsigned long)ino);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    fd_path(fd, proc, sizeof proc);
    pthread_mutex_lock(&names_lock);
    int listing = real_open(proc, O_RDONLY | O_DIRECTORY, 0);
    DIR *dir = listing < 0 ? NULL : fdopendir(listing);
    int out = real_open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!dir || out < 0) fail("listing a directory");
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        struct stat st;
        if (fstatat(listing, entry->d_name, &st, AT_SYMLINK_NOFOLLOW)) fail("looking at an entry");
        dprintf(out, "%c %lu %s\n", S_ISDIR(st.st_mode) ? 'd' : 'f', (unsigned long)st.st_ino,
                entry->d_name);
    }
    closedir(dir);
    syscall(SYS_close, out);
    if (rename(temporary, path)) fail("taking a listing");
    pthread_mutex_unlock(&names_lock);
}

static int force(int fd, struct file *file) {
    point();
    struct timespec delay = {delay_us / 1000000, delay_us % 1000000 * 1000};
    if (delay_us) nanosleep(&delay, NULL);
    struct stat st;
    if (fstat(fd, &st)) fail("fstat");
    if (!S_ISDIR(st.st_mode)) force_file(fd, file);
    else if (!skips_names) force_names(fd, st.st_ino);
    point();
    return 0;
}

int fdatasync(int fd) {
    struct file *file = tracked(fd);
    return file ? force(fd, file) : (int)syscall(SYS_fdatasync, fd);
}
int fsync(int fd) {
    struct file *file = tracked(fd);
    return file ? force(fd, file) : (int)syscall(SYS_fsync, fd);
}

/* Names: done at once, durable with the directory's next fsync. */
#define WITH_NAMES(path, call)                       \
    int counts = is_under_root(path);                \
    if (counts) {                                    \
        point();                                     \
        pthread_mutex_lock(&names_lock);             \
    }                                                \
    int result = (int)(call);                        \
    int error = errno;                               \
    if (counts) {                                    \
        pthread_mutex_unlock(&names_lock);           \
        point();                                     \
    }                                                \
    errno = error;                                   \
    return result

int rename(const char *from, const char *to) {
    WITH_NAMES(to, syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int unlink(const char *path) {
    WITH_NAMES(path, syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}
int mkdir(const char *path, mode_t mode) {
    WITH_NAMES(path, syscall(SYS_mkdirat, AT_FDCWD, path, mode));
}
