// SPDX-License-Identifier: GPL-2.0
/*
 * What operations on the buffers of a heap cost. Prints a JSON object for each figure,
 * all of them at the end, since output takes time of its own.
 *
 * usage: heap_bench [--repeat N] HEAP SIZE...
 *        heap_bench --fit HEAP SIZE...
 *        heap_bench --metadata HEAP SIZE...
 *        heap_bench --scale sizes|attachments|buffers|threads HEAP
 *
 *   --repeat N  measure each figure N times (7), and print the least of times, since
 *               what comes on top is other work of the kernel, such as timer
 *               interrupts, and the greatest of counts
 *   --fit       how many buffers of a size there is room for
 *   --metadata  bytes that the heap allocates for a buffer besides, and for an
 *               attachment; of the kernel's allocator, not of the page tables
 *   --scale     one figure against the size, the attachments that a buffer has, the
 *               buffers that there are, or the threads that allocate at once
 *
 * Times are in nanoseconds of CLOCK_MONOTONIC. In a guest whose clock counts
 * instructions they are numbers of instructions. Figures of importers are left out
 * where there is no test importer, guest/modules, to be had.
 */

#define _GNU_SOURCE
#include <drm/drm.h>
#include <getopt.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "guest_test.h"

#define FIGURES_MAX	512
#define REPEAT_MAX	99
#define IMPORTERS_MAX	32
#define CAMERAS_MAX	8
#define BUFFERS_MAX	1000
#define BIDIRECTIONAL	0
/* Larger than any heap here has room for of the smallest buffer. */
#define FIT_MAX		4096

/**
 * struct figure - something measured
 * @metric:	what
 * @unit:	of the values
 * @size:	of the buffer in bytes
 * @x:		what else it depends on, or -1
 * @values:	one for each round
 * @count:	number of @values
 */
struct figure {
	const char *metric;
	const char *unit;
	size_t size;
	long x;
	uint64_t values[REPEAT_MAX];
	unsigned int count;
};

static struct figure figures[FIGURES_MAX];
static unsigned int figure_count;
static const char *heap;
static int heap_fd;

static void fail(const char *what)
{
	fprintf(stderr, "heap_bench: %s: %s: %s\n", heap, what, strerror(errno));
	exit(1);
}

static void note_x(const char *metric, const char *unit, size_t size, long x,
		   uint64_t value)
{
	struct figure *f = figures;

	while (f < figures + figure_count &&
	       (strcmp(f->metric, metric) || f->size != size || f->x != x))
		f++;
	if (f == figures + FIGURES_MAX || f->count == REPEAT_MAX) {
		errno = ENOSPC;
		fail(metric);
	}
	if (f == figures + figure_count) {
		figure_count++;
		f->metric = metric;
		f->unit = unit;
		f->size = size;
		f->x = x;
	}
	f->values[f->count++] = value;
}

static void note(const char *metric, const char *unit, size_t size, uint64_t value)
{
	note_x(metric, unit, size, -1, value);
}

static uint64_t value_of(const struct figure *f)
{
	const bool time = !strcmp(f->unit, "ns");
	uint64_t value = f->values[0];

	for (unsigned int i = 1; i < f->count; i++)
		if (time ? f->values[i] < value : f->values[i] > value)
			value = f->values[i];
	return value;
}

static void print_figures(void)
{
	for (struct figure *f = figures; f < figures + figure_count; f++) {
		printf("{\"metric\": \"%s\", \"size\": %zu, \"heap\": \"%s\", ", f->metric,
		       f->size, heap);
		if (f->x >= 0)
			printf("\"x\": %ld, ", f->x);
		printf("\"value\": %llu, \"unit\": \"%s\"}\n",
		       (unsigned long long)value_of(f), f->unit);
	}
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* What came before ends at a time that is not the same twice; timer interrupts do not. */
static void wait_for_second(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += 2;
	t.tv_nsec = 0;
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
		;
}

static uint64_t faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

static int allocate(size_t size)
{
	int fd = heap_alloc(heap_fd, size);

	if (fd < 0)
		fail("allocation");
	return fd;
}

static char *map(int fd, size_t len, off_t offset)
{
	char *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	if (mem == MAP_FAILED)
		fail("mmap");
	return mem;
}

/* A word of each page, as whoever writes a frame comes to each. */
static void write_pages(char *mem, size_t len)
{
	for (size_t at = 0; at < len; at += PAGE)
		*(volatile uint64_t *)(mem + at) = at;
}

static size_t whole_pages(size_t size)
{
	return (size + PAGE - 1) & -PAGE;
}

static void measure_mappings(int fd, size_t size)
{
	const size_t len = whole_pages(size), part = len / 2 & -PAGE;
	const off_t offset = (len / 4 & -PAGE) + PAGE;
	uint64_t start, before;
	char *mem;

	before = faults();
	start = now();
	mem = map(fd, len, 0);
	write_pages(mem, len);
	note("mmap and first write", "ns", size, now() - start);
	note("faults of mmap and first write", "faults", size, faults() - before);

	before = faults();
	start = now();
	write_pages(mem, len);
	note("second pass", "ns", size, now() - start);
	note("faults of second pass", "faults", size, faults() - before);

	start = now();
	munmap(mem, len);
	note("munmap", "ns", size, now() - start);

	if (!part) /* of one page there is none */
		return;
	before = faults();
	start = now();
	mem = map(fd, part, offset);
	write_pages(mem, part);
	note("mmap of a part and first write", "ns", size, now() - start);
	note("faults of mmap of a part and first write", "faults", size,
	     faults() - before);
	munmap(mem, part);
}

/* The clock ticks every 16 ns: where little is done, it is done often. */
static uint64_t time_of_access(int fd, int times)
{
	uint64_t start = now();

	for (int i = 0; i < times; i++)
		if (sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW) ||
		    sync_buffer(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW))
			fail("DMA_BUF_IOCTL_SYNC");
	return (now() - start) / times;
}

static int importers[IMPORTERS_MAX];
static int importer_count;

static void open_importers(int count)
{
	while (importer_count < count) {
		importers[importer_count] = importer_open();
		if (importers[importer_count] < 0)
			break;
		importer_count++;
	}
}

static uint64_t import(int importer, int fd)
{
	uint64_t start = now();

	if (ioctl(importer, TEST_IMPORTER_ATTACH, fd) ||
	    ioctl(importer, TEST_IMPORTER_MAP, BIDIRECTIONAL))
		fail("attach and map");
	return now() - start;
}

static uint64_t let_go(int importer)
{
	uint64_t start = now();

	if (ioctl(importer, TEST_IMPORTER_UNMAP, 0) ||
	    ioctl(importer, TEST_IMPORTER_DETACH, 0))
		fail("unmap and detach");
	return now() - start;
}

static void measure_importers(int fd, size_t size)
{
	static const int counts[] = { 0, 1, 3, 8 };
	uint64_t start, address;
	int n = 0;

	open_importers(8);
	if (importer_count < 8)
		return;

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		for (; n < counts[i]; n++) {
			uint64_t time = import(importers[n], fd);

			if (!n)
				note("attach and map", "ns", size, time);
		}
		note_x("SYNC start and end", "ns", size, n,
		       time_of_access(fd, n ? 1 : 64));
	}

	start = now();
	if (ioctl(importers[0], TEST_IMPORTER_VMAP, &address))
		fail("vmap");
	note("vmap", "ns", size, now() - start);
	start = now();
	if (ioctl(importers[0], TEST_IMPORTER_VUNMAP, 0))
		fail("vunmap");
	note("vunmap", "ns", size, now() - start);

	while (n--) {
		uint64_t time = let_go(importers[n]);

		if (!n)
			note("unmap and detach", "ns", size, time);
	}
}

/* Importers that are drivers: a queue of V4L2 attaches and maps. */
static void measure_cameras(int fd, size_t size)
{
	static const int counts[] = { 1, 3, 8 };
	static int cameras[CAMERAS_MAX], camera_count;
	int n = 0;

	while (camera_count < CAMERAS_MAX &&
	       (cameras[camera_count] = vivid_open(camera_count)) >= 0)
		camera_count++;
	if (camera_count < CAMERAS_MAX || vivid_frame_size(cameras[0]) > size)
		return;

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		for (; n < counts[i]; n++) {
			uint64_t start;

			if (vivid_buffers(cameras[n], 1) < 0)
				return; /* the importer refuses what is not contiguous */
			start = now();
			if (vivid_queue(cameras[n], fd, size)) {
				if (n || errno != EFAULT)
					fail("VIDIOC_QBUF");
				vivid_buffers(cameras[n], 0);
				return;
			}
			if (!n)
				note("VIDIOC_QBUF", "ns", size, now() - start);
		}
		note_x("SYNC start and end, V4L2", "ns", size, n, time_of_access(fd, 1));
	}
	while (n--)
		vivid_buffers(cameras[n], 0);
}

/* A driver of a display attaches and maps when it imports. */
static void measure_display(int fd, size_t size)
{
	struct drm_prime_handle prime = { .fd = fd };
	struct drm_gem_close gem = { };
	static int card = -1;
	uint64_t start;

	if (card < 0)
		card = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
	start = now();
	if (card < 0 || ioctl(card, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime))
		return; /* none, or one that takes no buffers of this heap */
	note("PRIME import", "ns", size, now() - start);

	gem.handle = prime.handle;
	start = now();
	if (ioctl(card, DRM_IOCTL_GEM_CLOSE, &gem))
		fail("DRM_IOCTL_GEM_CLOSE");
	note("GEM close", "ns", size, now() - start);
}

static void measure(size_t size)
{
	uint64_t start = now();
	int fd = allocate(size);

	note("allocate", "ns", size, now() - start);
	measure_mappings(fd, size);
	measure_importers(fd, size);
	measure_cameras(fd, size);
	measure_display(fd, size);
	start = now();
	close(fd);
	note("free", "ns", size, now() - start);
}

static void measure_fit(size_t size)
{
	static int fds[FIT_MAX];
	int n = 0, count;

	while (n < FIT_MAX && (fds[n] = heap_alloc(heap_fd, size)) >= 0)
		n++;
	if (n == FIT_MAX || errno != ENOMEM)
		fail("filling");
	count = n;
	while (n--)
		close(fds[n]);
	note("buffers that fit", "buffers", size, count);
}

/* Bytes that functions of this prefix had of the allocator, in a trace. */
static uint64_t bytes_of(char *text, const char *prefix)
{
	char *line, *save, *site, *bytes;
	uint64_t sum = 0;

	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		site = strstr(line, "call_site=");
		bytes = strstr(line, "bytes_alloc=");
		if (site && bytes &&
		    !strncmp(site + strlen("call_site="), prefix, strlen(prefix)))
			sum += strtoull(bytes + strlen("bytes_alloc="), NULL, 10);
	}
	return sum;
}

static void note_bytes(const char *metric, size_t size, char *text, const char *prefix)
{
	uint64_t bytes = bytes_of(text, prefix);

	if (!bytes) { /* there is always a struct */
		errno = ENODATA;
		fail(metric);
	}
	note(metric, "bytes", size, bytes);
	free(text);
}

static void measure_metadata(size_t size)
{
	static const char *const events[] = {
		"kmem/kmalloc", "kmem/kmem_cache_alloc", NULL
	};
	const char *prefix = !strncmp(heap, "rcar", 4) ? "rcar_cma_" :
			     !strcmp(heap, "system") ? "system_heap_" : "cma_heap_";
	char *text;
	int fd;

	if (trace_start(events))
		fail("tracing");
	fd = allocate(size);
	text = trace_stop();
	if (!text)
		fail("tracing");
	note_bytes("metadata of a buffer", size, text, prefix);

	open_importers(1);
	if (importer_count) {
		if (trace_start(events))
			fail("tracing");
		import(importers[0], fd);
		text = trace_stop();
		if (!text)
			fail("tracing");
		note_bytes("metadata of an attachment", size, text, prefix);
		let_go(importers[0]);
	}
	close(fd);
}

/* What the system has put into the region has to move for the first who needs the room. */
static void empty_region(void)
{
	close(allocate(192 * MIB));
}

/* Doubled from 64 KiB on, up to what half of a region of 256 MiB and more can take. */
static void scale_sizes(void)
{
	static const size_t last = 192 * MIB;
	size_t size;

	empty_region();
	open_importers(1);
	for (size = 64 * KIB; size <= last; size = size == 128 * MIB ? last : size * 2) {
		uint64_t start = now();
		int fd = allocate(size);
		char *mem;

		note_x("allocate, by size", "ns", size, size, now() - start);
		start = now();
		mem = map(fd, size, 0);
		write_pages(mem, size);
		note_x("mmap and first write, by size", "ns", size, size, now() - start);
		start = now();
		munmap(mem, size);
		note_x("munmap, by size", "ns", size, size, now() - start);
		if (importer_count) {
			note_x("attach and map, by size", "ns", size, size,
			       import(importers[0], fd));
			note_x("SYNC start and end, by size", "ns", size, size,
			       time_of_access(fd, 1));
			let_go(importers[0]);
		}
		start = now();
		close(fd);
		note_x("free, by size", "ns", size, size, now() - start);
		if (size == last)
			break;
	}
}

static void scale_attachments(void)
{
	const size_t size = MIB;
	int fd = allocate(size), n;

	open_importers(IMPORTERS_MAX);
	for (n = 0; n < importer_count; n++) {
		note_x("attach and map, by attachments", "ns", size, n + 1,
		       import(importers[n], fd));
		note_x("SYNC start and end, by attachments", "ns", size, n + 1,
		       time_of_access(fd, 1));
	}
	while (n--)
		note_x("unmap and detach, by attachments", "ns", size, n + 1,
		       let_go(importers[n]));
	close(fd);
}

static void scale_buffers(void)
{
	static int fds[BUFFERS_MAX];
	const size_t size = 64 * KIB;
	int n;

	for (n = 0; n < BUFFERS_MAX; n++) {
		uint64_t start = now();

		fds[n] = allocate(size);
		if ((n + 1) % 50 == 0 || !n)
			note_x("allocate, by buffers", "ns", size, n + 1, now() - start);
	}
	while (n--) {
		uint64_t start = now();

		close(fds[n]);
		if ((n + 1) % 50 == 0 || !n)
			note_x("free, by buffers", "ns", size, n + 1, now() - start);
	}
}

static void *allocate_and_free(void *rounds)
{
	for (int i = 0; i < *(int *)rounds; i++)
		close(allocate(MIB));
	return NULL;
}

/* So many allocations in all, however many threads share them. */
static void scale_threads(void)
{
	static const int all = 240;
	pthread_t threads[8];

	empty_region();
	for (int n = 1; n <= 8; n++) {
		int rounds = all / n;
		uint64_t start = now();

		for (int i = 0; i < n; i++)
			if (pthread_create(&threads[i], NULL, allocate_and_free, &rounds))
				fail("threads");
		for (int i = 0; i < n; i++)
			pthread_join(threads[i], NULL);
		note_x("allocate and free, by threads", "ns", MIB, n,
		       (now() - start) / (rounds * n));
	}
}

static const struct {
	const char *name;
	void (*measure)(void);
} scales[] = {
	{ "sizes", scale_sizes },
	{ "attachments", scale_attachments },
	{ "buffers", scale_buffers },
	{ "threads", scale_threads },
};

static void usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: heap_bench [--repeat N] HEAP SIZE...\n"
		"       heap_bench --fit|--metadata HEAP SIZE...\n"
		"       heap_bench --scale sizes|attachments|buffers|threads HEAP\n");
	exit(status);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "repeat", required_argument, NULL, 'r' },
		{ "fit", no_argument, NULL, 'f' },
		{ "metadata", no_argument, NULL, 'm' },
		{ "scale", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ },
	};
	void (*measure_size)(size_t) = measure;
	void (*scale)(void) = NULL;
	struct rlimit limit;
	int option, repeat = 7;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			repeat = atoi(optarg);
			break;
		case 'f':
			measure_size = measure_fit;
			repeat = 1;
			break;
		case 'm':
			measure_size = measure_metadata;
			repeat = 1;
			break;
		case 's':
			for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++)
				if (!strcmp(optarg, scales[i].name))
					scale = scales[i].measure;
			if (!scale)
				usage(2);
			break;
		case 'h':
			usage(0);
			break;
		default:
			usage(2);
		}
	}
	if (optind == argc || repeat < 1 || repeat > REPEAT_MAX ||
	    !scale == (optind + 1 == argc))
		usage(2);

	heap = argv[optind++];
	heap_fd = heap_open_named(heap);
	if (heap_fd < 0)
		fail("open");
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);

	wait_for_second();
	/* The first round is left out: everything happens in it for the first time. */
	if (scale) {
		scale();
		figure_count = 0;
		memset(figures, 0, sizeof(figures));
		scale();
	}
	for (; optind < argc; optind++) {
		size_t size = strtoull(argv[optind], NULL, 0);
		unsigned int kept = figure_count;

		if (!size)
			usage(2);
		measure_size(size);
		if (repeat > 1) {
			memset(figures + kept, 0, (figure_count - kept) * sizeof(*figures));
			figure_count = kept;
		}
		for (int i = 1; i < repeat + (repeat > 1); i++)
			measure_size(size);
	}
	print_figures();
	return 0;
}
