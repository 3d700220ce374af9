// SPDX-License-Identifier: GPL-2.0
/*
 * Cache maintenance of one heap, operation by operation, as the trace of the DMA
 * API shows it. Prints one JSON object for each operation.
 *
 * usage: coherence HEAP IMPORTERS
 *
 * Importers are vivid cameras, which map with vivid.allocators=1; the guest needs
 * vivid.n_devs=IMPORTERS.
 */

#define _GNU_SOURCE
#include <stdbool.h>

#include "guest_test.h"

#define IMPORTERS_MAX 8

static const char *const events[] = {
	"dma/dma_map_sg", "dma/dma_unmap_sg", "dma/dma_map_phys",
	"dma/dma_unmap_phys", "dma/dma_sync_sg_for_cpu",
	"dma/dma_sync_sg_for_device", "dma/dma_sync_single_for_cpu",
	"dma/dma_sync_single_for_device", "cma/cma_alloc_finish", NULL,
};

/* What the trace of one operation shows. */
struct found {
	int calls;		/* with cache maintenance */
	int skips;		/* maps and unmaps without */
	unsigned long long bytes;	/* of the calls that have sizes */
	bool start_ok;		/* all began where the buffer does */
	bool whole;		/* all were as long as the buffer */
	bool direction_ok;	/* all had the direction asked for */
	char devices[512];	/* names, of each once */
};

static const char *heap;
static size_t size;
static unsigned long long start;	/* of the buffer, seen in the trace */

static unsigned long long number_after(const char *line, const char *key, int base)
{
	const char *at = strstr(line, key);

	return at ? strtoull(at + strlen(key), NULL, base) : 0;
}

static void add_device(struct found *f, const char *name)
{
	const char *end = strchr(name, ' ');
	char quoted[96];

	snprintf(quoted, sizeof(quoted), "\"%.*s\"", (int)(end - name), name);
	if (strstr(f->devices, quoted))
		return;
	if (f->devices[0])
		strcat(f->devices, ",");
	strncat(f->devices, quoted, sizeof(f->devices) - strlen(f->devices) - 1);
}

static void look_at(struct found *f, const char *line, const char *direction)
{
	const char *event = strstr(line, ": dma_");
	bool has_size;
	unsigned long long address, length;

	/* Where the buffer lies: the latest allocation. */
	if (strstr(line, "cma_alloc_finish: "))
		start = number_after(line, "pfn=", 16) * PAGE;
	if (!event)
		return;
	event += 2;

	if (strstr(line, "dma_addrs=")) {
		address = number_after(line, "dma_addrs={", 16);
		length = number_after(line, "sizes={", 16);
	} else if (strstr(line, " dma_addr=")) {
		address = number_after(line, " dma_addr=", 16);
		length = number_after(line, " size=", 10);
	} else if (strstr(line, " addr=")) {
		address = number_after(line, " addr=", 16);
		length = number_after(line, " size=", 10);
	} else {
		/* dma_unmap_sg, which has no size */
		address = number_after(line, "phys_addrs={", 16);
		length = 0;
	}
	/* Other devices' memory */
	if (address + (length ? length : 1) <= start || address >= start + size)
		return;
	has_size = strncmp(event, "dma_unmap_sg:", 13);

	if (strstr(line, "SKIP_CPU_SYNC")) {
		f->skips++;
		return;
	}
	f->calls++;
	f->bytes += length;
	f->start_ok &= address == start;
	f->whole &= !has_size || length == size;
	f->direction_ok &= !direction || !!strstr(line, direction);
	add_device(f, strchr(event, ' ') + 1);
}

static void begin(void)
{
	if (trace_start(events)) {
		perror("trace_start");
		exit(1);
	}
}

/* End the trace that begin() began and print what it shows. */
static void report(const char *operation, int importers, const char *direction)
{
	struct found f = { .start_ok = true, .whole = true, .direction_ok = true };
	char *text = trace_stop(), *line, *save;

	if (!text) {
		fprintf(stderr, "the trace cannot be read\n");
		exit(1);
	}
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		if (line[0] != '#')
			look_at(&f, line, direction);
	free(text);

	printf("{\"heap\":\"%s\",\"operation\":\"%s\",\"importers\":%d,\"calls\":%d,"
	       "\"skips\":%d,\"bytes\":%llu,\"buffer\":%zu,\"start_ok\":%s,\"whole\":%s,"
	       "\"direction_ok\":%s,\"devices\":[%s]}\n",
	       heap, operation, importers, f.calls, f.skips, f.bytes, size,
	       f.start_ok ? "true" : "false", f.whole ? "true" : "false",
	       f.direction_ok ? "true" : "false", f.devices);
}

static void check(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s: %m\n", what);
	exit(1);
}

static void measure_sync(int fd, int importers, uint64_t flags, const char *name,
			 const char *direction)
{
	char operation[32];

	begin();
	check(!sync_buffer(fd, DMA_BUF_SYNC_START | flags), "SYNC_START");
	snprintf(operation, sizeof(operation), "SYNC_START %s", name);
	report(operation, importers, direction);
	begin();
	check(!sync_buffer(fd, DMA_BUF_SYNC_END | flags), "SYNC_END");
	snprintf(operation, sizeof(operation), "SYNC_END %s", name);
	report(operation, importers, direction);
}

int main(int argc, char **argv)
{
	int cameras[IMPORTERS_MAX], n, fd, heap_fd;
	char path[128];

	if (argc != 3 || (n = atoi(argv[2])) < 0 || n > IMPORTERS_MAX) {
		fprintf(stderr, "usage: coherence HEAP IMPORTERS (0 to 8)\n");
		return 2;
	}
	heap = argv[1];
	snprintf(path, sizeof(path), "/dev/dma_heap/%s", heap);
	heap_fd = open(path, O_RDWR | O_CLOEXEC);
	check(heap_fd >= 0, path);
	for (int i = 0; i < n || !i; i++) {
		cameras[i] = vivid_open(i);
		check(cameras[i] >= 0, "vivid");
	}
	size = vivid_frame_size(cameras[0]);
	check(size, "frame size");

	begin();
	fd = heap_alloc(heap_fd, size);
	check(fd >= 0, "allocation");
	report("allocate", 0, NULL);

	for (int i = 0; i < n; i++)
		check(vivid_buffers(cameras[i], 1) >= 0, "REQBUFS");
	begin();
	for (int i = 0; i < n; i++)
		check(!vivid_queue(cameras[i], fd, size), "QBUF");
	report("map", n, NULL);

	measure_sync(fd, n, DMA_BUF_SYNC_READ, "READ", "dir=FROM_DEVICE");
	measure_sync(fd, n, DMA_BUF_SYNC_WRITE, "WRITE", "dir=TO_DEVICE");
	measure_sync(fd, n, DMA_BUF_SYNC_RW, "RW", "dir=BIDIRECTIONAL");

	begin();
	for (int i = 0; i < n; i++)
		check(vivid_buffers(cameras[i], 0) >= 0, "REQBUFS 0");
	report("unmap", n, NULL);

	begin();
	close(fd);
	report("free", 0, NULL);
	return 0;
}
