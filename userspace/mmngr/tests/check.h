/* SPDX-License-Identifier: MIT */
/*
 * What the programs here look at. The same before and after the port: what they print
 * is compared.
 */
#ifndef CHECK_H
#define CHECK_H

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

static inline int descriptors(void)
{
	int fd, count = 0;

	for (fd = 0; fd < 512; fd++)
		count += fcntl(fd, F_GETFD) != -1;

	return count;
}

static inline void fill(void *to, size_t size, unsigned int seed)
{
	unsigned char *byte = (unsigned char *)to;
	size_t i;

	for (i = 0; i < size; i++) {
		seed = seed * 1103515245 + 12345;
		byte[i] = (unsigned char)(seed >> 16);
	}
}

static inline unsigned long sum(const void *of, size_t size)
{
	const unsigned char *byte = (const unsigned char *)of;
	unsigned long a = 1, b = 0;
	size_t i;

	for (i = 0; i < size; i++) {
		a = (a + byte[i]) % 65521;
		b = (b + a) % 65521;
	}

	return b << 16 | a;
}

/* As a device would, which is given the dma-buf and no pointer */
static inline void device_writes(int fd, size_t size, unsigned int seed)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED) {
		printf("the device gets no dma-buf\n");
		return;
	}

	fill(map, size, seed);
	munmap(map, size);
}

static inline unsigned long device_reads(int fd, size_t size)
{
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	unsigned long of;

	if (map == MAP_FAILED) {
		printf("the device gets no dma-buf\n");
		return 0;
	}

	of = sum(map, size);
	munmap(map, size);

	return of;
}

#endif
