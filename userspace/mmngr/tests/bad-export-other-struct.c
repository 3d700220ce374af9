// SPDX-License-Identifier: MIT
/* Two structures have members of the same names; the buffer of one is no buffer of ours. */
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"

struct frame {
	MMNGR_ID id;
	unsigned int hard_addr;
	void *virt_addr;
};

struct codec_frame {
	int id;
	unsigned int hard_addr;
};

struct lent {
	MMNGR_ID lent_id;
	unsigned int lent_addr;
};

int frame_alloc(struct frame *frame, size_t size);
int frame_export(struct frame *frame, size_t size, int *fd);
int codec_frame_export(struct codec_frame *frame, size_t size, int *fd);
int lent_alloc(struct lent *lent, size_t size);
int lent_export(struct lent *lent, size_t size, int *fd);
void lent_replace(struct lent *lent, struct codec_frame *frame);

int frame_alloc(struct frame *frame, size_t size)
{
	return mmngr_alloc_in_user_ext(&frame->id, size, &frame->hard_addr,
				       &frame->virt_addr, MMNGR_VA_SUPPORT, NULL);
}

int frame_export(struct frame *frame, size_t size, int *fd)
{
	int x;

	return mmngr_export_start_in_user_ext(&x, size, frame->hard_addr, fd, NULL);
}

int codec_frame_export(struct codec_frame *frame, size_t size, int *fd)
{
	int x;

	return mmngr_export_start_in_user_ext(&x, size, frame->hard_addr, fd, NULL);
}

/* The member is of the buffer at first, and of another one later. */
int lent_alloc(struct lent *lent, size_t size)
{
	void *virt;

	return mmngr_alloc_in_user_ext(&lent->lent_id, size, &lent->lent_addr, &virt,
				       MMNGR_VA_SUPPORT, NULL);
}

void lent_replace(struct lent *lent, struct codec_frame *frame)
{
	lent->lent_addr = frame->hard_addr;
}

int lent_export(struct lent *lent, size_t size, int *fd)
{
	int x;

	return mmngr_export_start_in_user_ext(&x, size, lent->lent_addr, fd, NULL);
}
