/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The test importer's ioctls. Each opened /dev/test_importer is a device of its
 * own, and holds at most one attachment, which goes when the file is closed.
 */

#ifndef TEST_IMPORTER_H
#define TEST_IMPORTER_H

#include <linux/ioctl.h>

/* Arguments are by value but where it says so. Errors are those of the kernel. */
#define TEST_IMPORTER_SET_MASK		_IO('R', 0x80)	/* width of the DMA mask in bits */
#define TEST_IMPORTER_SET_COHERENT	_IO('R', 0x81)	/* 1 if the device snoops CPU caches */
#define TEST_IMPORTER_SET_MAX_SEGMENT	_IO('R', 0x82)	/* longest DMA segment in bytes */
#define TEST_IMPORTER_ATTACH		_IO('R', 0x83)	/* descriptor of a dma-buf */
#define TEST_IMPORTER_DETACH		_IO('R', 0x84)
#define TEST_IMPORTER_MAP		_IO('R', 0x85)	/* enum dma_data_direction */
#define TEST_IMPORTER_UNMAP		_IO('R', 0x86)
/* Map for the kernel; the argument points to a __u64 that is given the address. */
#define TEST_IMPORTER_VMAP		_IO('R', 0x87)
#define TEST_IMPORTER_VUNMAP		_IO('R', 0x88)
/*
 * Sum up the buffer as the kernel has it mapped, and as the device; the argument
 * points to two __u64. For each word of 64 bits the sum is that so far times 31, and
 * the word added.
 */
#define TEST_IMPORTER_SUM		_IO('R', 0x89)

#endif /* TEST_IMPORTER_H */
