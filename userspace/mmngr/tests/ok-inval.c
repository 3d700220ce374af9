// SPDX-License-Identifier: MIT
/* Cached, for a device to write and the CPU to read: invalidated, and never flushed. */
#include <mmngr_buf_user_public.h>
#include <mmngr_user_public.h>
#include "check.h"

int main(void)
{
	unsigned int hard;
	size_t size = 50000;
	MMNGR_ID id;
	void *virt;
	int fd, xid;

	if (mmngr_alloc_in_user_ext(&id, size, &hard, &virt,
				    MM_KERNELHEAP_CACHED, NULL) != R_MM_OK)
		return 1;
	if (mmngr_export_start_in_user_ext(&xid, size, hard, &fd, NULL) != R_MM_OK)
		return 1;

	device_writes(fd, size, 42);
	printf("inval: %d\n", mmngr_inval(id, 0, size));
	printf("contents: %08lx\n", sum(virt, size));
	printf("end: %d\n", mmngr_export_end_in_user_ext(xid));
	printf("free: %d\n", mmngr_free_in_user_ext(id));

	return 0;
}
