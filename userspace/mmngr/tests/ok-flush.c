// SPDX-License-Identifier: MIT
/* Cached, for the CPU to write and a device to read: flushed, and never invalidated. */
#include <mmngr_user_public.h>
#include <mmngr_buf_user_public.h>
#include "check.h"

int main(void)
{
	unsigned long phy, hard, virt, size = 50000;
	MMNGR_ID id;
	int fd, xid;

	if (mmngr_alloc_in_user(&id, size, &phy, &hard, &virt,
				MM_KERNELHEAP_CACHED) != R_MM_OK)
		return 1;
	if (mmngr_export_start_in_user(&xid, size, hard, &fd) != R_MM_OK)
		return 1;

	fill((void *)virt, size, 41);
	printf("flush: %d\n", mmngr_flush(id, size / 2, size / 2));
	printf("contents: %08lx\n", device_reads(fd, size));
	printf("end: %d\n", mmngr_export_end_in_user(xid));
	printf("free: %d\n", mmngr_free_in_user(id));

	return 0;
}
