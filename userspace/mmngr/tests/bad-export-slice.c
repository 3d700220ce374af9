// SPDX-License-Identifier: MIT
/* One buffer, cut into two dma-bufs. The first is fine, the second is not. */
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"

int nv12(unsigned long luma, unsigned long chroma, int fd[2]);

int nv12(unsigned long luma, unsigned long chroma, int fd[2])
{
	unsigned long phy, hard, virt;
	int id, plane[2];

	if (mmngr_alloc_in_user(&id, luma + chroma, &phy, &hard, &virt,
				MMNGR_VA_SUPPORT) != R_MM_OK)
		return -1;

	mmngr_export_start_in_user(&plane[0], luma, hard, &fd[0]);
	mmngr_export_start_in_user(&plane[1], chroma, hard + luma, &fd[1]);

	return 0;
}
