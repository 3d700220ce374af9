// SPDX-License-Identifier: MIT
/* Knows dma-bufs already: brackets what the CPU does by the ioctl of the kernel. */
#include <sys/ioctl.h>
#include <linux/dma-buf.h>
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"
#include "check.h"

static int sync_buffer(int fd, unsigned long long flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	return ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
}

int main(void)
{
	unsigned int hard;
	MMNGR_ID id;
	void *virt;
	int fd, xid;

	if (mmngr_alloc_in_user_ext(&id, 4096, &hard, &virt,
				    MMNGR_VA_SUPPORT_CACHED, NULL) != R_MM_OK)
		return 1;
	if (mmngr_export_start_in_user_ext(&xid, 4096, hard, &fd, NULL) != R_MM_OK)
		return 1;

	printf("start: %d\n", sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE));
	fill(virt, 4096, 43);
	printf("end: %d\n", sync_buffer(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE));
	printf("contents: %08lx\n", device_reads(fd, 4096));
	mmngr_export_end_in_user_ext(xid);
	printf("free: %d\n", mmngr_free_in_user_ext(id));

	return 0;
}
