// SPDX-License-Identifier: GPL-2.0
/*
 * SIGKILL during a large allocation: the process goes at once, nothing leaks,
 * and the allocation returns -EINTR. When the kill landed is read from a trace.
 *
 * usage: heap_kill_test [migrate]
 *
 * With "migrate", pages of tmpfs fill the region, and the kill lands while they
 * are moved out of it. A kernel that checks itself is slower: GONE_WITHIN in the
 * environment has the milliseconds that it may take, instead of 100.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "guest_test.h"
#include "kselftest.h"

#define LEN		(200 * MIB)
#define BATCHES		(LEN / (2 * MIB))	/* as the heap zeroes them */
#define TRIES		8
#define GONE_WITHIN	"100"	/* milliseconds of guest time */

static const char *const events[] = {
	"cma/cma_alloc_start", "cma/cma_alloc_finish", "cma/cma_release",
	"signal/signal_generate", "sched/sched_process_exit",
	"raw_syscalls/sys_exit", NULL,
};

/* Seconds since boot of what happened to one allocation, 0 where it did not. */
struct times {
	double start;	/* the region is searched */
	double got;	/* the pages are there, or not */
	int error;	/* of that */
	double kill;
	double returned; /* the ioctl is done */
	bool eintr;	/* and that is what it returned */
	double release;
	double exit;
};

static double event_time(const char *line)
{
	const char *colon = strstr(line, ": ");

	/* "comm-pid [cpu] flags seconds.microseconds: event: ..." */
	while (colon && colon > line && colon[-1] != ' ')
		colon--;
	return colon ? strtod(colon, NULL) : 0;
}

/* The task an event belongs to stands before " [cpu]". */
static bool event_of(const char *line, pid_t pid)
{
	char want[32];

	snprintf(want, sizeof(want), "-%d ", pid);
	return strstr(line, want) && strstr(line, want) < strstr(line, ": ");
}

static struct times read_trace(char *text, pid_t pid)
{
	struct times t = { };
	char *line, *save, name[64], want[64];

	snprintf(name, sizeof(name), "name=%s ", heap_name());
	snprintf(want, sizeof(want), " pid=%d ", pid);
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		double now = event_time(line);

		if (strstr(line, "signal_generate: sig=9 ") && strstr(line, want) && !t.kill)
			t.kill = now;
		if (!event_of(line, pid))
			continue;
		if (strstr(line, "cma_alloc_start: ") && strstr(line, name))
			t.start = now;
		if (strstr(line, "cma_alloc_finish: ") && strstr(line, name)) {
			t.got = now;
			t.error = atoi(strstr(line, "errorno=") + strlen("errorno="));
		}
		if (strstr(line, "cma_release: ") && strstr(line, name))
			t.release = now;
		if (strstr(line, "sys_exit: NR 29 ") && t.start && !t.returned) {
			t.returned = now;
			t.eintr = strstr(line, "sys_exit: NR 29 = -4") != NULL;
		}
		if (strstr(line, "sched_process_exit: "))
			t.exit = now;
	}
	return t;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* Kill an allocation after some time, and tell what the trace saw. */
static struct times kill_after(int heap, double delay)
{
	struct timespec pause = {
		.tv_sec = delay,
		.tv_nsec = (delay - (long)delay) * 1e9,
	};
	struct times t = { };
	char *text;
	pid_t pid;

	if (trace_start(events))
		ksft_exit_fail_msg("no trace: %s\n", strerror(errno));
	pid = fork();
	if (pid < 0)
		ksft_exit_fail_perror("fork");
	if (!pid) {
		heap_alloc(heap, LEN);
		pause.tv_sec = 60;
		nanosleep(&pause, NULL);
		_exit(0);
	}
	nanosleep(&pause, NULL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	text = trace_stop();
	if (text)
		t = read_trace(text, pid);
	free(text);
	return t;
}

/* How long a whole allocation takes, and how much of that is for the pages. */
static void measure(int heap, double *pages, double *zeroing)
{
	double start = seconds(), all;
	struct times t;
	char *text;
	int fd;

	if (trace_start(events))
		ksft_exit_fail_msg("no trace: %s\n", strerror(errno));
	fd = heap_alloc(heap, LEN);
	all = seconds() - start;
	text = trace_stop();
	if (fd < 0 || !text)
		ksft_exit_fail_msg("cannot allocate %lu MiB: %s\n", LEN / MIB,
				   strerror(errno));
	t = read_trace(text, getpid());
	free(text);
	close(fd);
	*pages = t.got - t.start;
	*zeroing = all - *pages;
}

static long mem_info(const char *what)
{
	char line[128];
	long kib = -1;
	FILE *file = fopen("/proc/meminfo", "re");

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, what, strlen(what)))
			kib = atol(line + strlen(what));
	if (file)
		fclose(file);
	return kib;
}

static void write_zeroes(const char *path, long kib)
{
	static char block[64 * 1024];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	memset(block, 1, sizeof(block));
	for (long done = 0; fd >= 0 && done < kib; done += 64)
		if (write(fd, block, sizeof(block)) != sizeof(block))
			break;
	close(fd);
}

/*
 * Pages come from outside CMA areas while those have less free memory than the
 * rest. So one file takes the rest, another one the areas, and without the first
 * there is room to move the second to.
 */
static void fill_region(void)
{
	const char *dir = "/tmp/fill";
	long cma;

	mkdir(dir, 0700);
	if (mount("fill", dir, "tmpfs", 0, "size=100%"))
		ksft_exit_fail_perror("tmpfs");
	write_zeroes("/tmp/fill/a", mem_info("MemFree:") - 2 * mem_info("CmaFree:"));
	write_zeroes("/tmp/fill/b", mem_info("MemFree:") - 96 * 1024);
	cma = mem_info("CmaFree:");
	unlink("/tmp/fill/a");
	ksft_print_msg("tmpfs: %ld KiB of CMA areas are left, %ld KiB elsewhere\n",
		       cma, mem_info("MemFree:") - mem_info("CmaFree:"));
}

static void check_gone(const struct times *t, long used)
{
	const char *limit = getenv("GONE_WITHIN") ?: GONE_WITHIN;

	ksft_test_result(t->eintr, "the allocation returns -EINTR\n");
	ksft_print_msg("gone %.3f s after the kill\n", t->exit - t->kill);
	ksft_test_result(t->exit > t->kill && t->exit - t->kill <= atoi(limit) / 1e3,
			 "the process is gone within %s ms\n", limit);
	ksft_print_msg("%ld pages of the region in use, %ld before\n",
		       cma_pages("used"), used);
	ksft_test_result(cma_pages("used") == used, "no memory leaks\n");
}

int main(int argc, char **argv)
{
	const bool migrate = argc > 1 && !strcmp(argv[1], "migrate");
	const char *where = migrate ? "the kill lands while pages are moved\n" :
				      "the kill lands after the first batch of zeroing\n";
	double pages, zeroing;
	struct times t = { };
	bool landed = false;
	long used;
	int heap;

	ksft_print_header();
	ksft_set_plan(4);
	heap = heap_open();
	used = cma_pages("used");
	if (heap < 0 || used < 0)
		ksft_exit_fail_msg("no heap %s: %s\n", heap_name(), strerror(errno));

	/* Translated by QEMU once, code runs faster. */
	measure(heap, &pages, &zeroing);
	measure(heap, &pages, &zeroing);
	ksft_print_msg("%lu MiB: pages %.3f s, zeroing %.3f s\n", LEN / MIB,
		       pages, zeroing);

	for (int i = 0; i < TRIES && !landed; i++) {
		if (migrate) {
			fill_region();
			t = kill_after(heap, 0.02 + 0.02 * i);
			umount("/tmp/fill");
			landed = t.start && t.start < t.kill && t.kill < t.got && t.error;
		} else {
			t = kill_after(heap, pages + zeroing * (1 + i % 4) / 8);
			landed = t.got && !t.error &&
				 t.kill - t.got > zeroing / BATCHES &&
				 t.kill < t.returned;
		}
		ksft_print_msg("search %.3f s, pages or error %d %.3f s, kill %.3f s, return %.3f s, release %.3f s, exit %.3f s\n",
			       t.start, t.error, t.got, t.kill, t.returned,
			       t.release, t.exit);
	}
	ksft_test_result(landed, "%s", where);
	check_gone(&t, used);
	ksft_finished();
}
