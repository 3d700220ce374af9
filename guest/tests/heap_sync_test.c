// SPDX-License-Identifier: GPL-2.0
/*
 * When cache maintenance happens, counted in the trace of the DMA API. QEMU has
 * no caches, so that pixels could not tell.
 *
 * The importer is vivid, which maps buffers for DMA with vivid.allocators=1.
 */

#define _GNU_SOURCE
#include <stdbool.h>
#include <sys/wait.h>

#include "guest_test.h"
#include "kselftest_harness.h"

static const char *const events[] = {
	"dma/dma_map_sg", "dma/dma_unmap_sg", "dma/dma_sync_sg_for_cpu",
	"dma/dma_sync_sg_for_device", "dma/dma_sync_single_for_cpu",
	"dma/dma_sync_single_for_device", NULL,
};

/* Calls in a trace, those on the buffer of this size alone. */
struct calls {
	int map, unmap, for_cpu, for_device;
	int skipped;	/* maps and unmaps without maintenance */
};

static struct calls count_calls(char *text, size_t size)
{
	struct calls n = { };
	char *line, *save, want[32], want_single[32];

	snprintf(want, sizeof(want), "sizes={0x%zx}", size);
	snprintf(want_single, sizeof(want_single), " size=%zu", size);
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		/* This one event has no sizes, and nobody else unmaps for vivid. */
		if (strstr(line, " dma_unmap_sg: vivid")) {
			n.unmap++;
			n.skipped += !!strstr(line, "SKIP_CPU_SYNC");
		}
		/* Importers use scatterlists, the buffer's own mapping has none. */
		if (strstr(line, want_single)) {
			n.for_cpu += !!strstr(line, " dma_sync_single_for_cpu: ");
			n.for_device += !!strstr(line, " dma_sync_single_for_device: ");
		}
		if (!strstr(line, want))
			continue;
		n.map += !!strstr(line, " dma_map_sg: ");
		n.for_cpu += !!strstr(line, " dma_sync_sg_for_cpu: ");
		n.for_device += !!strstr(line, " dma_sync_sg_for_device: ");
		n.skipped += !!strstr(line, "SKIP_CPU_SYNC");
	}
	return n;
}

/* End a trace. One that cannot be read gives counts that no test expects. */
static struct calls stop_trace(size_t size)
{
	struct calls n = { -1, -1, -1, -1, -1 };
	char *text = trace_stop();

	if (text)
		n = count_calls(text, size);
	free(text);
	return n;
}

FIXTURE(sync) {
	int heap, fd, camera;
	size_t size;
};

FIXTURE_SETUP(sync)
{
	self->heap = heap_open();
	ASSERT_GE(self->heap, 0);
	self->camera = vivid_open(0);
	ASSERT_GE(self->camera, 0);
	self->size = vivid_frame_size(self->camera);
	ASSERT_GT(self->size, 0);
	self->fd = heap_alloc(self->heap, self->size);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(sync)
{
	close(self->fd);
	close(self->camera);
	close(self->heap);
}

/* Nobody has the buffer mapped, so no device has seen anything of it. */
TEST_F(sync, without_importer)
{
	struct calls n;

	ASSERT_EQ(0, trace_start(events));
	EXPECT_EQ(0, sync_buffer(self->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	EXPECT_EQ(0, sync_buffer(self->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
	n = stop_trace(self->size);
	EXPECT_EQ(0, n.map + n.unmap + n.for_cpu + n.for_device);
}

TEST_F(sync, with_importer)
{
	struct calls n;

	ASSERT_EQ(0, vivid_buffers(self->camera, 1));

	/* Queueing maps the buffer, which makes what the CPU wrote visible. */
	ASSERT_EQ(0, trace_start(events));
	ASSERT_EQ(0, vivid_queue(self->camera, self->fd, self->size));
	n = stop_trace(self->size);
	EXPECT_EQ(1, n.map);
	EXPECT_EQ(0, n.skipped);

	ASSERT_EQ(0, trace_start(events));
	EXPECT_EQ(0, sync_buffer(self->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	n = stop_trace(self->size);
	EXPECT_EQ(1, n.for_cpu);
	EXPECT_EQ(0, n.for_device);

	ASSERT_EQ(0, trace_start(events));
	EXPECT_EQ(0, sync_buffer(self->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
	n = stop_trace(self->size);
	EXPECT_EQ(0, n.for_cpu);
	EXPECT_EQ(1, n.for_device);

	ASSERT_EQ(0, trace_start(events));
	ASSERT_EQ(0, vivid_buffers(self->camera, 0));
	n = stop_trace(self->size);
	EXPECT_EQ(1, n.unmap);
	EXPECT_EQ(0, n.skipped);
}

/* Each call does its work, whatever came before it; a child's count, too. */
TEST_F(sync, unbalanced)
{
	static const uint64_t flags[] = {
		DMA_BUF_SYNC_END, DMA_BUF_SYNC_START, DMA_BUF_SYNC_START,
		DMA_BUF_SYNC_END, DMA_BUF_SYNC_END, DMA_BUF_SYNC_START,
	};
	struct calls n;
	int status;
	pid_t pid;

	ASSERT_EQ(0, vivid_buffers(self->camera, 1));
	ASSERT_EQ(0, vivid_queue(self->camera, self->fd, self->size));

	ASSERT_EQ(0, trace_start(events));
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		EXPECT_EQ(0, sync_buffer(self->fd, flags[i] | DMA_BUF_SYNC_RW));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(!!sync_buffer(self->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	n = stop_trace(self->size);
	EXPECT_EQ(4, n.for_cpu);
	EXPECT_EQ(3, n.for_device);

	ASSERT_EQ(0, vivid_buffers(self->camera, 0));
}

TEST_HARNESS_MAIN
