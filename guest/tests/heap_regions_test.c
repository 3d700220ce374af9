// SPDX-License-Identifier: GPL-2.0
/*
 * Which heaps come of a device tree, how they are called, what becomes of the memory
 * of a node that is refused, and what the log says of it: for the regions of
 * guest/regions.dtso.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <stdbool.h>
#include <linux/types.h>

#include "guest_test.h"
#include "kselftest_harness.h"

#define REGION_PAGES	(16 * MIB / PAGE)

static char log_text[MIB];

/* The kernel's log as it is now, a message a line. */
static void read_log(void)
{
	char record[8192], *message, *end;
	size_t size = 0;
	ssize_t n;
	int fd;

	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	while (fd >= 0 && (n = read(fd, record, sizeof(record) - 1)) > 0) {
		record[n] = 0;
		message = strchr(record, ';');
		end = message ? strchr(message, '\n') : NULL;
		if (!end || size + (end - message) >= sizeof(log_text))
			continue;
		memcpy(log_text + size, message + 1, end - message);
		size += end - message;
	}
	close(fd);
	log_text[size] = 0;
}

/* Whether a line of the log begins like that. */
static bool logged(const char *line)
{
	const char *at = log_text;

	while ((at = strstr(at, line))) {
		if (at == log_text || at[-1] == '\n')
			return true;
		at++;
	}
	return false;
}

/* Whether /proc/iomem has this address as reserved. */
static bool is_reserved(uint64_t address)
{
	unsigned long long start, end;
	FILE *file = fopen("/proc/iomem", "re");
	char line[256], what[64];
	bool found = false;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%llx-%llx : %63s", &start, &end, what) == 3 &&
		    !strcmp(what, "reserved") && start <= address && address <= end)
			found = true;
	if (file)
		fclose(file);
	return found;
}

static bool has_heap(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/dev/dma_heap/%s", name);
	return !access(path, F_OK);
}

FIXTURE(usable) { int unused; };

FIXTURE_VARIANT(usable) {
	const char *heap, *area, *line;
};

FIXTURE_VARIANT_ADD(usable, other) {
	.heap = "other", .area = "other@52000000",
	.line = "rcar_cma_heap 52000000.other: heap other: 16 MiB\n",
};

FIXTURE_VARIANT_ADD(usable, anywhere) {
	.heap = "anywhere", .area = "anywhere",
	.line = "rcar_cma_heap reserved-memory:anywhere: heap anywhere: 16 MiB\n",
};

FIXTURE_SETUP(usable)
{
	read_log();
}

FIXTURE_TEARDOWN(usable)
{
}

TEST_F(usable, has_both_heaps)
{
	static const char *const suffixes[] = { "", "-uncached" };
	char name[64];

	EXPECT_TRUE(logged(variant->line));
	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "no heap %s%s ", variant->heap, suffixes[i]);
		EXPECT_EQ(NULL, strstr(log_text, name));
		snprintf(name, sizeof(name), "%s%s", variant->heap, suffixes[i]);
		int heap = heap_open_named(name), fd;

		ASSERT_GE(heap, 0);
		ASSERT_EQ(REGION_PAGES, area_pages(variant->area, "count"));
		fd = heap_alloc(heap, REGION_PAGES * PAGE);
		EXPECT_GE(fd, 0);
		EXPECT_EQ(REGION_PAGES, area_pages(variant->area, "used"));
		close(fd);
		close(heap);
	}
}

FIXTURE(refused) { int unused; };

FIXTURE_VARIANT(refused) {
	const char *name, *line;
	uint64_t address;	/* 0: something else of the kernel may be there */
	bool stays_reserved;
};

#define STAYS	": stays reserved without a heap: write 'reusable' and no 'no-map' to get one\n"

FIXTURE_VARIANT_ADD(refused, no_map) {
	.name = "no-map", .line = "rcar_cma_heap: no-map@53000000" STAYS,
	.address = 0x53000000, .stays_reserved = true,
};

FIXTURE_VARIANT_ADD(refused, not_reusable) {
	.name = "not-reusable", .line = "rcar_cma_heap: not-reusable@54000000" STAYS,
	.address = 0x54000000, .stays_reserved = true,
};

FIXTURE_VARIANT_ADD(refused, base) {
	.name = "base", .address = 0x55100000,
	.line = "rcar_cma_heap: base@55100000: refused: write base and size as multiples of the alignment (base 0x0000000055100000, size 0x0000000001000000, alignment 2048 KiB)\n",
};

FIXTURE_VARIANT_ADD(refused, size) {
	.name = "size", .address = 0x57000000,
	.line = "rcar_cma_heap: size@57000000: refused: write base and size as multiples of the alignment (base 0x0000000057000000, size 0x0000000001100000, alignment 2048 KiB)\n",
};

FIXTURE_VARIANT_ADD(refused, above_4g) {
	.name = "high", .address = 0x110000000,
	.line = "rcar_cma_heap: high@110000000: refused: write reg or alloc-ranges below 4 GiB",
};

FIXTURE_VARIANT_ADD(refused, across_4g) {
	.name = "edge",
	.line = "rcar_cma_heap: edge@ff800000: refused: write reg or alloc-ranges below 4 GiB",
};

FIXTURE_VARIANT_ADD(refused, no_memory) {
	.name = "no-memory", .address = 0x20000000,
	.line = "rcar_cma_heap: no-memory@20000000: refused: write a reg that is all memory",
};

/* Its area is there, without a heap. */
FIXTURE_VARIANT_ADD(refused, coherent) {
	.name = "coherent",
	.line = "rcar_cma_heap 5a000000.coherent: no heap: write dma-noncoherent in the node",
};

FIXTURE_SETUP(refused)
{
	read_log();
}

FIXTURE_TEARDOWN(refused)
{
}

TEST_F(refused, says_why_and_has_no_heap)
{
	EXPECT_TRUE(logged(variant->line));
	EXPECT_FALSE(has_heap(variant->name));
	if (variant->address)
		EXPECT_EQ(variant->stays_reserved, is_reserved(variant->address));
}

/* Nobody asked for it: it has no heap, and nothing is said. */
TEST(disabled)
{
	read_log();
	EXPECT_FALSE(has_heap("disabled"));
	EXPECT_EQ(NULL, strstr(log_text, "disabled@"));
	EXPECT_FALSE(is_reserved(0x59000000));
}

/* The first node of a name has it, the other one its whole name. */
TEST(same_name)
{
	bool first;

	read_log();
	ASSERT_TRUE(has_heap("twin"));
	ASSERT_TRUE(has_heap("twin-uncached"));
	first = logged("rcar_cma_heap 50000000.twin: heap twin: 16 MiB\n");
	EXPECT_EQ(!first, logged("rcar_cma_heap 51000000.twin: heap twin: 16 MiB\n"));
	EXPECT_EQ(first, has_heap("twin@51000000"));
	EXPECT_EQ(first, has_heap("twin@51000000-uncached"));
	EXPECT_EQ(!first, has_heap("twin@50000000"));
	EXPECT_EQ(!first, has_heap("twin@50000000-uncached"));
	EXPECT_TRUE(logged(first ?
		"rcar_cma_heap 51000000.twin: heap name twin is taken: give the node a name of its own\n" :
		"rcar_cma_heap 50000000.twin: heap name twin is taken: give the node a name of its own\n"));
}

static int is_heap_of_a_region(const struct dirent *entry)
{
	static const char *const others[] = { "system", "default_cma_region", "reserved" };

	for (int i = 0; i < 3; i++)
		if (!strcmp(entry->d_name, others[i]))
			return 0;
	return entry->d_name[0] != '.';
}

/* Four regions with two heaps each, beside those of the kernel itself. */
TEST(no_other_heaps)
{
	struct dirent **heaps;

	EXPECT_EQ(8, scandir("/dev/dma_heap", &heaps, is_heap_of_a_region, NULL));
}

static int is_device(const struct dirent *entry)
{
	return entry->d_type == DT_LNK && strcmp(entry->d_name, "module");
}

/*
 * The driver has no other devices than those of the four. For the core of drivers that
 * is no failure, and it has nothing to add.
 */
TEST(no_other_devices)
{
	struct dirent **devices;

	EXPECT_EQ(4, scandir("/sys/bus/platform/drivers/rcar_cma_heap", &devices, is_device, NULL));
	read_log();
	EXPECT_EQ(NULL, strstr(log_text, "rcar_cma_heap failed with error"));
}

TEST_HARNESS_MAIN
