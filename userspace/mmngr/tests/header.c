// SPDX-License-Identifier: MIT
/* What the header does where libmmngr did something else */
#include <assert.h>
#include <fcntl.h>
#include "mmngr-to-dma-heap.h"

/* The number of a dma-buf that its owner has closed is another file's when the export ends. */
static void export_end_spares_strangers(void)
{
	int id, xid, fd, stranger;
	void *virt;

	assert(rcar_heap_alloc(&id, 20000, &virt, MM_KERNELHEAP) == R_MM_OK);
	assert(rcar_heap_export(id, &xid, 20000, &fd) == R_MM_OK);
	assert(!close(fd));
	stranger = open("/dev/null", O_RDONLY);
	assert(stranger == fd);

	assert(rcar_heap_export_end(xid) == R_MM_OK);
	assert(!close(stranger));
	assert(rcar_heap_export_end(xid) == R_MM_FATAL && errno == EBADF);
	assert(rcar_heap_free(id) == R_MM_OK);
}

/* Each ends what it is for. */
static void ids_are_of_a_kind(void)
{
	int id, xid, fd;
	void *virt;

	assert(rcar_heap_alloc(&id, 20000, &virt, MM_KERNELHEAP) == R_MM_OK);
	assert(rcar_heap_export(id, &xid, 20000, &fd) == R_MM_OK);
	assert(rcar_heap_free(xid) == R_MM_SEQE);
	assert(rcar_heap_export_end(id) == R_MM_FATAL);
	assert(rcar_heap_export_end(xid) == R_MM_OK);
	assert(rcar_heap_free(id) == R_MM_OK);
}

/* Nothing is mapped or exported that is smaller than the caller believes. */
static void nothing_is_too_small(void)
{
	int id, other, fd;
	void *virt;

	assert(rcar_heap_alloc(&id, 20000, &virt, MM_KERNELHEAP) == R_MM_OK);
	assert(rcar_heap_share(id, &other, 20481, &virt) == R_MM_PARE);
	assert(other == -1 && !virt);
	assert(rcar_heap_share(id, &other, 20480, &virt) == R_MM_OK);
	assert(rcar_heap_free(other) == R_MM_OK);
	assert(rcar_heap_export(id, &other, 20481, &fd) == R_MM_PARE);
	assert(other == -1 && fd == -1);
	assert(rcar_heap_export(id, &other, 20480, &fd) == R_MM_OK);
	assert(rcar_heap_export_end(other) == R_MM_OK);
	assert(rcar_heap_free(id) == R_MM_OK);
}

int main(void)
{
	export_end_spares_strangers();
	ids_are_of_a_kind();
	nothing_is_too_small();

	return 0;
}
