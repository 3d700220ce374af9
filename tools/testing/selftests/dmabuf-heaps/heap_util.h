/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the tests of dma-buf heaps that use the kselftest harness: heaps and
 * their buffers, an importer, and what it is given.
 */

#ifndef HEAP_UTIL_H
#define HEAP_UTIL_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/types.h>

#define HEAP_DIR	"/dev/dma_heap"
#define KIB		1024UL
#define MIB		(1024 * KIB)

size_t page_size(void);
int count_fds(void);
__u64 now_us(void);
int read_text(const char *path, char *text, size_t room);

/* Heaps and their buffers */
bool heap_exists(const char *name);
int heap_open(const char *name);
bool heap_is_system(const char *name);
int heap_alloc_flags(int heap, __u64 len, __u32 fd_flags);
int heap_alloc(int heap, __u64 len);
size_t heap_largest(int heap, size_t max);
int heap_kill_many(int heap, size_t size, unsigned int rounds);
void *buffer_map(int fd, size_t len, off_t offset);
int buffer_sync(int fd, __u64 flags);

/* What is in them */
void fill(void *mem, size_t len, __u64 seed);
bool filled(const void *mem, size_t len, __u64 seed);
bool all_zero(const void *mem, size_t len);

/**
 * struct mapping - a scatterlist as the importer was given it
 * @entries:	how many it has
 * @start:	physical address of the first one
 * @size:	of the first one in bytes
 */
struct mapping {
	unsigned int entries;
	__u64 start;
	__u64 size;
};

/* An importer that wants contiguous memory */
int importer_open(void);
int importer_map(int importer, int fd, unsigned int count);
void importer_unmap(int importer);
int trace_start(void);
void trace_stop(void);
int trace_mapping(int importer, int fd, struct mapping *mapping);

/* Reasons to skip a test */
#define NO_IMPORTER	"nothing to import into: modprobe vivid allocators=1"
#define IMPORTER_REFUSES "the importer does not take its buffers: %s"
#define NO_TRACE	"no events in /sys/kernel/tracing, to see addresses by"
#define NO_PRIVILEGE	"may not open it: run as root"

#define EXPECT_FAILS(error, call)	EXPECT_EQ(error, (call) == -1 ? errno : 0)

/*
 * FIXTURE_VARIANT_ADD() wants to know at compile time what there is. Which heaps
 * there are is known at run time only: this runs the tests of a fixture over one
 * more of them, as a variant of the heap's name, so that all are in one plan and -v
 * selects one. A macro, as the harness has to be in one file alone.
 */
#define HEAP_VARIANT_ADD(fixture, heap_name, heap_data) do {		\
	struct __fixture_variant_metadata *__variant =			\
		calloc(1, sizeof(*__variant));				\
									\
	if (!__variant)							\
		ksft_exit_fail_msg("out of memory\n");			\
	__variant->name = (heap_name);					\
	__variant->data = (heap_data);					\
	__register_fixture_variant(&_##fixture##_fixture_object,	\
				   __variant);				\
} while (0)

#endif /* HEAP_UTIL_H */
